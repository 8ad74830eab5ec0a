#include "triggers/publishing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

struct Batch {
  std::vector<std::string> receipts;  // JSON each
  std::size_t missing = 0;
  std::optional<Error> failure;  // the first one
};

void note(PublishCounters& counters, const Result<client::Receipt>& receipt) {
  if (!receipt) {
    ++counters.refused;
  } else {
    ++(receipt->duplicate ? counters.duplicate : counters.accepted);
  }
}

std::string error_json(const Error& error) {
  std::string json = "{\"error\":";
  protocol::append_json_string(json, protocol::to_utf8(error.message, 1024));
  return json + "}";
}

HttpResponse answer_of(const Batch& batch) {
  HttpResponse response;
  if (batch.failure) {
    response = problem_of(*batch.failure);
    response.body.resize(response.body.rfind('}'));
    response.body += ",\"events\":[";
  } else {
    response = {.status = 202, .headers = {{"Content-Type", "application/json"}}, .body = "["};
  }
  for (std::size_t i = 0; i < batch.receipts.size(); ++i) {
    if (i > 0) response.body += ',';
    response.body += batch.receipts[i];
  }
  response.body += batch.failure ? "]}\n" : "]\n";
  return response;
}

Result<std::int64_t> milliseconds(std::string_view name, std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration) return reject(fmt::format("{}: {}", name, duration.error().message));
  return std::chrono::duration_cast<std::chrono::milliseconds>(*duration).count();
}

// Version, trace, span and flags, as section 3.2 of the recommendation has them.
bool is_trace_parent(std::string_view text) {
  static constexpr std::string_view kForm =
      "00-00000000000000000000000000000000-0000000000000000-00";
  return text.size() == kForm.size() && std::ranges::equal(text, kForm, [](char c, char form) {
           return form == '-' ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

constexpr std::size_t kTraceStateBytesMax = 512;  // what has to be passed on, by section 3.3.1.5

}  // namespace

std::string to_json(const client::Receipt& receipt) {
  std::string json =
      fmt::format("{{\"id\":\"{}\",\"functions\":[", protocol::to_string(receipt.id));
  for (std::size_t i = 0; i < receipt.functions->size(); ++i) {
    if (i > 0) json += ',';
    protocol::append_json_string(json, (*receipt.functions)[i]);
  }
  json += receipt.duplicate ? "],\"duplicate\":true}" : "]}";
  return json;
}

Result<void> read_options(const HttpExchange& exchange, protocol::PublishOptions& options) {
  options.idempotency_key = exchange.header("Idempotency-Key");
  options.ordering_key = exchange.header("Fanfare-Ordering-Key");
  options.tenant = exchange.header("Fanfare-Tenant");
  if (const auto delay = exchange.header("Fanfare-Delay"); !delay.empty()) {
    const auto ms = milliseconds("Fanfare-Delay", delay);
    if (!ms) return ms.error();
    options.delay = *ms;
  }
  if (const auto age = exchange.header("Fanfare-Max-Age"); !age.empty()) {
    const auto ms = milliseconds("Fanfare-Max-Age", age);
    if (!ms) return ms.error();
    options.max_age = *ms;
  }
  if (const auto priority = exchange.header("Fanfare-Priority"); !priority.empty()) {
    if (priority.size() != 1 || priority[0] < '0' || priority[0] > '9') {
      return reject("Fanfare-Priority: must be 0 to 9, 9 first");
    }
    options.priority = static_cast<std::uint8_t>(priority[0] - '0');
  }
  return {};
}

bool has_options(const HttpExchange& exchange) {
  return std::ranges::any_of(exchange.headers(), [](const auto& field) {
    const std::string name = lower_case(field.first);
    return name == "idempotency-key" || (name.starts_with("fanfare-") && name != "fanfare-token");
  });
}

void inherit_trace(const HttpExchange& exchange, protocol::Event& event) {
  const std::string_view parent = exchange.header("traceparent");
  const std::string_view state = exchange.header("tracestate");
  if (!is_trace_parent(parent)) return;
  for (const auto& [name, value] : event.extensions) {
    if (name == "traceparent" || name == "tracestate") return;
  }
  event.extensions.emplace_back("traceparent", parent);
  if (!state.empty() && state.size() <= kTraceStateBytesMax && is_utf8(state)) {
    event.extensions.emplace_back("tracestate", state);
  }
}

void publish_one(client::Client& client, PublishCounters& counters,
                 const std::shared_ptr<HttpExchange>& exchange, protocol::Event event,
                 Accepted accepted, Heard heard) {
  inherit_trace(*exchange, event);
  auto answer = [&counters, exchange, accepted = std::move(accepted),
                 heard = std::move(heard)](const Result<client::Receipt>& receipt) {
    note(counters, receipt);
    if (heard) heard(receipt);
    if (!receipt) return exchange->respond(problem_of(receipt.error()));
    if (accepted) return exchange->respond(accepted(*receipt));
    exchange->respond({.status = 202,
                       .headers = {{"Content-Type", "application/json"}},
                       .body = to_json(*receipt) + "\n"});
  };
  if (const auto taken = client.publish(event, answer); !taken) answer(taken.error());
}

void publish_all(client::Client& client, PublishCounters& counters,
                 const std::shared_ptr<HttpExchange>& exchange,
                 const std::vector<protocol::Event>& events) {
  auto batch = std::make_shared<Batch>();
  batch->receipts.resize(events.size());
  batch->missing = events.size();
  if (events.empty()) return exchange->respond(answer_of(*batch));
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto answer = [&counters, exchange, batch, i](const Result<client::Receipt>& receipt) {
      note(counters, receipt);
      batch->receipts[i] = receipt ? to_json(*receipt) : error_json(receipt.error());
      if (!receipt && !batch->failure) batch->failure = receipt.error();
      if (--batch->missing == 0) exchange->respond(answer_of(*batch));
    };
    if (const auto taken = client.publish(events[i], answer); !taken) answer(taken.error());
  }
}

}  // namespace fanfare::triggers
