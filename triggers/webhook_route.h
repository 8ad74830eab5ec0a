// POST /webhooks/{source}: what other services tell, once it is known to be theirs.
//
// Type webhook.received, source /webhooks/{source}, the message's own id (a repeat of it is a
// duplicate), GitHub's event name as subject, the body as it came. For everybody, as those who
// send have no token but a signature; without a valid one it is 401, whatever was wrong with it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "triggers/gateway.h"
#include "triggers/publishing.h"
#include "triggers/webhook_signature.h"

namespace fanfare::triggers {

struct WebhookDefinition {
  WebhookScheme scheme = WebhookScheme::kStandard;
  std::vector<std::string> keys;  // at least one; several while one is being replaced
  Duration tolerance = std::chrono::minutes{5};
  std::string tenant;
};

struct WebhookCounters {
  std::uint64_t unknown = 0, unsigned_ = 0;
};

class WebhookRoute : public Route {
 public:
  using Webhooks = std::map<std::string, WebhookDefinition, std::less<>>;

  WebhookRoute(Loop& loop, client::Client& client, PublishCounters& published, Webhooks webhooks,
               std::size_t body_bytes_max)
      : loop_(loop),
        client_(client),
        published_(published),
        webhooks_(std::move(webhooks)),
        body_bytes_max_(body_bytes_max) {}
  bool is_public() const override { return true; }
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;
  const WebhookCounters& counters() const { return counters_; }

 private:
  Loop& loop_;
  client::Client& client_;
  PublishCounters& published_;
  const Webhooks webhooks_;
  std::size_t body_bytes_max_;
  LogThrottle log_, log_unknown_;
  WebhookCounters counters_;
};

}  // namespace fanfare::triggers
