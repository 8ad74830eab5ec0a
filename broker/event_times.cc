#include "broker/event_times.h"

#include <algorithm>

namespace fanfare::broker {
namespace {

std::int64_t later_by(std::int64_t from_ms, std::int64_t by_ms) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(from_ms, by_ms, &sum)) return std::min(sum, kLatestMs);
  return by_ms > 0 ? kLatestMs : 0;
}

}  // namespace

EventTimes times_of(const protocol::PublishOptions& options, std::int64_t accepted_ms) {
  EventTimes times;
  if (options.deliver_at) {
    times.due_ms = std::min(*options.deliver_at, kLatestMs);
  } else if (options.delay) {
    times.due_ms = later_by(accepted_ms, *options.delay);
    // It was accepted within that millisecond: only with the next one the delay is over.
    if (*options.delay > 0) times.due_ms = later_by(times.due_ms, 1);
  }
  if (options.expires_at) {
    times.expires_ms = std::min(*options.expires_at, kLatestMs);
  } else if (options.max_age) {
    times.expires_ms = later_by(accepted_ms, *options.max_age);
  }
  return times;
}

std::int64_t due_or_expired_ms(const EventTimes& times) {
  return times.expires_ms != 0 ? std::min(times.due_ms, times.expires_ms) : times.due_ms;
}

std::optional<protocol::PublishOptions> options_of(std::string_view packed_event) {
  const auto event = protocol::view_event(packed_event);
  if (!event || event->packed_options.empty()) return std::nullopt;
  auto options = protocol::unpack_options(event->packed_options);
  if (!options) return std::nullopt;
  return *std::move(options);
}

}  // namespace fanfare::broker
