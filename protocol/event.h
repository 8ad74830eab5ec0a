// An event: CloudEvents 1.0 attributes, data bytes, and how the publisher wants it delivered.
//
// A publisher packs an event once; the same bytes then lie in the journal, travel to a worker and
// reach the instance, never unpacked and packed again on the way. The broker reads only what it
// routes by, through EventView.
//
// Packed form: a msgpack array of 10,
//   [source str, type str, subject str|nil, options map|nil, ce_id str|nil, time str|nil,
//    datacontenttype str|nil, dataschema str|nil, extensions map|nil, data bin]
// with options keyed by the names of the fields of PublishOptions; absent = default. Readers accept
// a longer array (later fields) and ignore options they do not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace fanfare::protocol {

struct PublishOptions {
  std::optional<std::int64_t> deliver_at;  // Unix ms
  std::optional<std::int64_t> delay;       // ms from acceptance by the broker; deliver_at wins
  std::optional<std::int64_t> expires_at;  // Unix ms
  std::optional<std::int64_t> max_age;     // ms from acceptance by the broker
  std::uint8_t priority = 4;               // 0-9, 9 first
  std::string ordering_key;                // FIFO, one in flight per key
  std::string tenant;                      // fairness key
  std::string idempotency_key;
  std::string to;  // the function that gets it, whatever others subscribe to; empty = subscribers
  // How many deliveries led to this event: 0 unless a function published it, or it is a
  // destination's. Set by worker and broker alone; of publishers it is refused.
  std::uint32_t generation = 0;
  bool operator==(const PublishOptions&) const = default;
};

struct Event {
  std::string source;  // required, a URI reference
  std::string type;    // required
  std::string subject;
  std::string id;    // the caller's own CloudEvents id; kept as ce_id
  std::string time;  // RFC 3339
  std::string content_type;
  std::string data_schema;
  std::vector<std::pair<std::string, std::string>> extensions;  // [a-z0-9]{1,20} → text
  std::string data;                                             // any bytes
  PublishOptions options;
  bool operator==(const Event&) const = default;
};

// A packed event, read in place: views into the packed bytes, valid as long as they are.
struct EventView {
  std::string_view source, type, subject, id, time, content_type, data_schema, data;
  std::string_view packed_options;     // the msgpack bytes of the map, empty if nil
  std::string_view packed_extensions;  // the same
};

// An event of a later generation than this is not run but buried: a loop of functions ends.
inline constexpr std::uint32_t kGenerationsMax = 16;

std::string pack(const Event& event);
void pack_into(std::string& out, const Event& event);

// Both reject: not msgpack or truncated, wrong shape, missing source or type, an attribute over
// 1 KiB (source, subject, data_schema: 2 KiB) or not UTF-8, extensions over 64, of another name
// than above, named twice or named as an attribute, depth over 4. What options say is checked by
// unpack_options: numbers not negative, priority up to 9, keys up to 1 KiB of UTF-8.
Result<EventView> view_event(std::string_view packed);
Result<Event> unpack_event(std::string_view packed);
Result<PublishOptions> unpack_options(std::string_view packed_options);
std::vector<std::pair<std::string_view, std::string_view>> view_extensions(const EventView& event);
// The option `tenant` of a packed event, without looking at anything else; empty if it has none, or
// cannot be read.
std::string_view tenant_of(std::string_view packed);

// CloudEvents JSON (structured mode), with `data` when the data is JSON or text, else
// `data_base64`. Data without a content type counts as JSON, as CloudEvents has it. Options are not
// part of it. Reading rejects, beside what view_event rejects, another specversion than 1.0, a time
// that is not RFC 3339, and JSON nested over 256 deep; an absent id is accepted, since the broker
// gives its own.
std::string to_cloudevents_json(const Event& event);
Result<Event> from_cloudevents_json(std::string_view json);

// The JSON that patterns are matched against:
// {"type":…,"source":…,"subject":…,"id":…,"time":…, extensions…, "data": parsed data or absent}.
// Data is absent unless its content type is JSON or none and simdjson reads it to 256 levels: what
// comes out is JSON, whatever the data was.
std::string to_pattern_json(const EventView& event);

}  // namespace fanfare::protocol
