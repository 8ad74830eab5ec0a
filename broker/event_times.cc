#include "broker/event_times.h"

#include <limits>

namespace fanfare::broker {
namespace {

std::int64_t later_by(std::int64_t from_ms, std::int64_t by_ms) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(from_ms, by_ms, &sum)) return sum;
  return by_ms > 0 ? std::numeric_limits<std::int64_t>::max() : 0;
}

}  // namespace

EventTimes times_of(const protocol::PublishOptions& options, std::int64_t accepted_ms) {
  EventTimes times;
  if (options.deliver_at) {
    times.due_ms = *options.deliver_at;
  } else if (options.delay) {
    times.due_ms = later_by(accepted_ms, *options.delay);
  }
  if (options.expires_at) {
    times.expires_ms = *options.expires_at;
  } else if (options.max_age) {
    times.expires_ms = later_by(accepted_ms, *options.max_age);
  }
  return times;
}

std::optional<protocol::PublishOptions> options_of(std::string_view packed_event) {
  const auto event = protocol::view_event(packed_event);
  if (!event || event->packed_options.empty()) return std::nullopt;
  auto options = protocol::unpack_options(event->packed_options);
  if (!options) return std::nullopt;
  return *std::move(options);
}

}  // namespace fanfare::broker
