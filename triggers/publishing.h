// What routes do with the events they have made: publish them, and answer once they are journaled.
#pragma once

#include <memory>
#include <vector>

#include "client/client.h"
#include "protocol/event.h"
#include "triggers/http.h"

namespace fanfare::triggers {

struct PublishCounters {
  std::uint64_t accepted = 0, duplicate = 0, refused = 0;
};

// {"id":"…","functions":[…]}, with "duplicate":true where it was known already.
std::string to_json(const client::Receipt& receipt);

// A publisher's wishes in the head of a request, for any route that makes one event of it:
// Idempotency-Key, Fanfare-Delay ("30s"), Fanfare-Max-Age, Fanfare-Priority (0-9),
// Fanfare-Ordering-Key, Fanfare-Tenant. kReject names the field.
Result<void> read_options(const HttpExchange& exchange, protocol::PublishOptions& options);
// Whether a request says any of it: for those that are several events it would mean nothing.
bool has_options(const HttpExchange& exchange);

// The request's place in a distributed trace, as the event's: its fields traceparent and tracestate
// (https://www.w3.org/TR/trace-context/), unless the event has its own. Malformed ones are as none.
void inherit_trace(const HttpExchange& exchange, protocol::Event& event);

using Accepted = std::function<HttpResponse(const client::Receipt&)>;
using Heard = std::function<void(const Result<client::Receipt>&)>;

// Publishes one event, with the request's trace; 202 with its receipt, or what `accepted` makes of
// it, once the broker has it. `heard` is told first, whatever became of it. The client must outlive
// what it was asked.
void publish_one(client::Client& client, PublishCounters& counters,
                 const std::shared_ptr<HttpExchange>& exchange, protocol::Event event,
                 Accepted accepted = {}, Heard heard = {});

// Several: 202 with an array of receipts in their order. If one was refused, its status, and the
// same array with the reason in its place: those that are in it with an id are published.
void publish_all(client::Client& client, PublishCounters& counters,
                 const std::shared_ptr<HttpExchange>& exchange,
                 const std::vector<protocol::Event>& events);

}  // namespace fanfare::triggers
