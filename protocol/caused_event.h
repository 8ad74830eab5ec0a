// The events that deliveries cause: what a function published, what its destinations (`on_success`,
// `on_failure`) are told, and what it invokes others with.
//
// Each says how many deliveries led to it (PublishOptions::generation), so that a loop of functions
// ends, and stays with the tenant of the event that caused it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/event.h"
#include "protocol/ids.h"
#include "protocol/record.h"

namespace fanfare::protocol {

// A packed event, and the function that alone gets it; without a name, all whose patterns match.
struct CausedEvent {
  std::string to;
  std::string packed_event;
};

// What is told of a delivery that has ended. Views are of the caller's.
struct EndedDelivery {
  std::string_view function;
  std::uint64_t version = 0;  // generation of the function that ran
  EventId id;
  std::string_view packed_event;
  std::uint32_t attempts = 0;                  // that ran
  std::int64_t ended_ms = 0;                   // Unix ms
  std::optional<DeadReason> reason;            // none: it succeeded
  std::string_view output, content_type;       // of a success
  std::string_view error_type, error_message;  // of a failure
};

// What a destination of these characters is: a function's name, or else a type of events. A type
// that could be a function's name is taken for one.
inline bool is_function_destination(std::string_view destination) {
  return is_function_name(destination);
}

// The event for a destination: type "function.succeeded" or "function.failed", or the destination
// if that is a type; source "/functions/NAME"; subject the id of the event that was delivered. Its
// data are AWS Lambda's destination record as JSON, in which the two payloads are what they were if
// they are JSON, a text if they are UTF-8, else {"base64": …}. One that would be larger than
// kPayloadJsonMax is {"truncated": true, "bytes": …, "start": "…"}, so a record stays below 256
// KiB.
inline constexpr std::size_t kPayloadJsonMax = 96 * 1024;
CausedEvent destination_event(std::string_view destination, const EndedDelivery& ended);

// The event that a function published while it handled `cause`, as it goes into the outbox: the
// function's own word on its generation counts for nothing. Rejects what view_event and
// unpack_options reject.
Result<CausedEvent> published_event(std::string_view packed_event, std::string_view cause);

// The packed event with which a function invokes another while it handles `causes` (several, if it
// takes batches; at least one): type "function.invoked", source "/functions/NAME", subject the id
// of the first, whose tenant and trace it has. Rejects one that more than kGenerationsMax
// deliveries led to.
struct Cause {
  EventId id;
  std::string_view packed_event;
};
Result<std::string> invoking_event(std::string_view function, std::string data,
                                   std::span<const Cause> causes);

}  // namespace fanfare::protocol
