// CloudEvents over HTTP, version 1.0.2 of the binding: binary, structured and batched.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
#pragma once

#include <vector>

#include "base/result.h"
#include "protocol/event.h"
#include "triggers/http.h"

namespace fanfare::triggers {

struct CloudEvents {
  std::vector<protocol::Event> events;
  bool batch = false;  // several may come, and the answer is a list
};

// The events of a request. kReject: says which attribute is missing or wrong, and of a batch which
// event ("event 3: …"). The required ones (id, source, type, specversion) must be there.
Result<CloudEvents> cloud_events_of(const HttpExchange& exchange);

// Whether its content type, or a field ce-…, says that it is one: else 415.
bool is_cloud_event(const HttpExchange& exchange);

// Whether its content type names an event format other than JSON.
bool is_of_unknown_format(const HttpExchange& exchange);

// An event as the fields and body of a request or response, in binary mode.
struct BinaryCloudEvent {
  std::vector<HttpHeader> headers;
  std::string body;
};
BinaryCloudEvent to_binary(const protocol::Event& event);

}  // namespace fanfare::triggers
