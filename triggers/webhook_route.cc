#include "triggers/webhook_route.h"

#include <spdlog/spdlog.h>

#include "protocol/utf8.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

// Strangers learn neither which sources there are nor what was wrong.
HttpResponse not_known() {
  return problem(401, "this is no webhook that is known here");
}

}  // namespace

BodyPlan WebhookRoute::plan(const HttpExchange& exchange, const Path& path) {
  if (exchange.method() != "POST") return refuse(method_not_allowed("POST"));
  if (path.size() != 2 || !webhooks_.contains(path[1])) {
    ++counters_.unknown;
    if (log_unknown_.allow(loop_.now().steady)) {
      spdlog::warn(
          "a webhook for {} from {} was refused: [webhooks.NAME] of triggers.toml has none",
          path.size() == 2 ? protocol::to_utf8(path[1], 64) : "no source", exchange.peer().address);
    }
    return refuse(not_known());
  }
  return take_up_to(body_bytes_max_);
}

void WebhookRoute::handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) {
  const WebhookDefinition& definition = webhooks_.find(path[1])->second;
  const Now& now = loop_.now();
  auto webhook =
      verify_webhook(definition.scheme, definition.keys, *exchange, now.wall, definition.tolerance);
  if (!webhook) {
    ++counters_.unsigned_;
    if (log_.allow(now.steady)) {
      spdlog::warn("a webhook for {} from {} was refused: {}", path[1], exchange->peer().address,
                   webhook.error().message);
    }
    return exchange->respond(not_known());
  }
  protocol::Event event;
  event.type = "webhook.received";
  event.source = "/webhooks/" + path[1];
  event.id = std::move(webhook->id);
  event.subject = std::move(webhook->subject);
  event.content_type = exchange->header("Content-Type");
  event.data = exchange->body();
  event.options.tenant = definition.tenant;
  publish_one(client_, published_, exchange, std::move(event));
}

}  // namespace fanfare::triggers
