#include "triggers/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/sha256.h"
#include "base/utf8.h"

namespace fanfare::triggers {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kTextMax = 1024;  // of a tenant, an ordering key, an attribute
// Missed instants are counted up to here; what there was before is passed over without a look.
constexpr std::uint64_t kCountedMax = 1000;
constexpr Duration kFirstLook = std::chrono::hours{1};

milliseconds ms(Duration duration) {
  return std::chrono::ceil<milliseconds>(duration);
}

// The latest instant that never counts.
WallTime begin_of(const Schedule& schedule) {
  return schedule.start ? std::max(schedule.since, *schedule.start - milliseconds{1})
                        : schedule.since;
}

std::optional<WallTime> next_of(const Schedule& schedule, WallTime after) {
  const auto next =
      schedule.expression.next(after, schedule.zone, schedule.start.value_or(schedule.since));
  return next && schedule.end && *next > *schedule.end ? std::nullopt : next;
}

WallTime due_of(const Schedule& schedule, WallTime instant) {
  return instant + ms(jitter_of(schedule, instant));
}

struct Passed {
  std::deque<WallTime> newest;
  std::uint64_t count = 0;
};

// The instants in (from, until], of which the newest `keep` are kept.
Passed look_between(const Schedule& schedule, WallTime from, WallTime until, std::size_t keep) {
  Passed passed;
  for (auto at = next_of(schedule, from); at && *at <= until; at = next_of(schedule, *at)) {
    ++passed.count;
    passed.newest.push_back(*at);
    if (passed.newest.size() > keep) passed.newest.pop_front();
  }
  return passed;
}

// The same from the end backwards, a growing stretch at a time, until enough have been found: years
// of absence cost what the instants that matter cost.
Passed look_back(const Schedule& schedule, WallTime from, WallTime until, std::size_t keep) {
  if (from >= until) return {};
  const std::uint64_t enough = std::max<std::uint64_t>(keep, kCountedMax);
  for (auto width = ms(kFirstLook);; width *= 4) {
    const WallTime begin = until - from <= width ? from : until - width;
    Passed passed = look_between(schedule, begin, until, std::max<std::size_t>(keep, 1));
    if (passed.count >= enough || begin == from) return passed;
  }
}

std::size_t kept_of(const Schedule& schedule) {
  switch (schedule.missed) {
    case Missed::kSkip:
      return 0;
    case Missed::kFireOnce:
      return 1;
    case Missed::kCatchUp:
      return schedule.catch_up_max;
  }
  return 0;
}

bool is_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= Schedule::kNameMax && is_plain(name[0]) &&
         std::ranges::all_of(
             name, [&](char c) { return is_plain(c) || c == '-' || c == '_' || c == '.'; });
}

Result<void> check_attributes(const Schedule& schedule) {
  // The event's own rules hold: it is made once and read as the broker reads it.
  const std::string packed = protocol::pack(event_of(schedule, schedule.since));
  const auto event = protocol::view_event(packed);
  if (!event) return event.error();
  const auto options = protocol::unpack_options(event->packed_options);
  if (!options) return options.error();
  return {};
}

}  // namespace

std::string_view to_string(Missed missed) {
  switch (missed) {
    case Missed::kSkip:
      return "skip";
    case Missed::kFireOnce:
      return "fire_once";
    case Missed::kCatchUp:
      return "catch_up";
  }
  return "?";
}

std::string_view to_string(Overlap overlap) {
  return overlap == Overlap::kAllow ? "allow" : "skip";
}

bool Schedule::operator==(const Schedule& other) const {
  return name == other.name && expression == other.expression && zone.name() == other.zone.name() &&
         since == other.since && start == other.start && end == other.end &&
         jitter == other.jitter && missed == other.missed && catch_up_max == other.catch_up_max &&
         overlap == other.overlap && enabled == other.enabled && declared == other.declared &&
         data == other.data && content_type == other.content_type &&
         attributes == other.attributes && tenant == other.tenant &&
         ordering_key == other.ordering_key;
}

bool same_but_for_since(const Schedule& one, Schedule other) {
  other.since = one.since;
  return one == other;
}

Result<void> check(const Schedule& schedule) {
  if (!is_name(schedule.name)) {
    return reject(fmt::format(
        "'{}' is no name for a schedule: it takes up to {} letters, digits, '-', '_' and '.', and "
        "begins with a letter or digit",
        schedule.name, Schedule::kNameMax));
  }
  if (schedule.jitter < Duration::zero() || schedule.jitter > Schedule::kJitterMax) {
    return reject("jitter is at most 24h");
  }
  if (const auto period = schedule.expression.period(); period && schedule.jitter > *period) {
    return reject(
        fmt::format("jitter is at most the schedule's period, {}", format_duration(*period)));
  }
  if (schedule.catch_up_max < 1 || schedule.catch_up_max > Schedule::kCatchUpMax) {
    return reject(fmt::format("catch_up_max is 1 to {}", Schedule::kCatchUpMax));
  }
  if (schedule.data && schedule.data->size() > Schedule::kDataMax) {
    return reject(fmt::format("a schedule's data is at most {} bytes", Schedule::kDataMax));
  }
  if (schedule.tenant.size() > kTextMax || schedule.ordering_key.size() > kTextMax) {
    return reject("tenant and ordering key are at most 1 KiB");
  }
  if (schedule.overlap == Overlap::kSkip && !schedule.ordering_key.empty()) {
    return reject("overlap skip has an ordering key of its own: leave one of them out");
  }
  if (auto fine = check_attributes(schedule); !fine) return fine;
  if (schedule.start && schedule.end && *schedule.end < *schedule.start) {
    return reject("its end lies before its start");
  }
  if (!next_of(schedule, begin_of(schedule))) {
    return reject(fmt::format("'{}' never fires after {}{}", schedule.expression.text(),
                              format_wall_time(begin_of(schedule)),
                              schedule.end ? " and before its end" : ""));
  }
  return {};
}

Duration jitter_of(const Schedule& schedule, WallTime instant) {
  if (schedule.jitter <= Duration::zero()) return Duration::zero();
  const auto digest = sha256(fmt::format("{}@{}", schedule.name, to_ms(instant)));
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    number = number << 8 | static_cast<std::uint8_t>(digest[i]);
  }
  const auto most = static_cast<std::uint64_t>(ms(schedule.jitter).count());
  return milliseconds{static_cast<std::int64_t>(number % (most + 1))};
}

Decision decide(const Schedule& schedule, WallTime handled, WallTime now) {
  Decision decision;
  decision.handled = std::max(handled, begin_of(schedule));
  if (!schedule.enabled) return decision;
  decision.clock_behind = decision.handled > std::max(now, begin_of(schedule)) + Schedule::kLateMax;
  const std::size_t keep = kept_of(schedule);
  const WallTime late = now - Schedule::kLateMax;

  // Whatever its jitter is, it was missed.
  const WallTime long_ago = late - ms(schedule.jitter) - milliseconds{1};
  Passed missed = look_back(schedule, decision.handled, long_ago, keep);
  if (missed.count > 0) decision.handled = missed.newest.back();
  std::vector<WallTime> on_time;
  WallTime due{};
  auto at = next_of(schedule, std::max(decision.handled, std::min(long_ago, now)));
  for (; at && *at <= now; at = next_of(schedule, *at)) {
    due = std::max(due, due_of(schedule, *at));  // in their order, whatever their jitter
    if (due > now) break;
    if (due < late) {
      ++missed.count;
      missed.newest.push_back(*at);
    } else {
      on_time.push_back(*at);
    }
    decision.handled = *at;
  }
  if (at) decision.wake = std::max(due, due_of(schedule, *at));

  while (missed.newest.size() > keep) missed.newest.pop_front();
  decision.missed = missed.count - missed.newest.size();
  decision.fire.assign(missed.newest.begin(), missed.newest.end());
  decision.fire.insert(decision.fire.end(), on_time.begin(), on_time.end());
  if (schedule.overlap == Overlap::kSkip && !decision.fire.empty()) {
    decision.overlapped = decision.fire.size() - 1;
    decision.fire.erase(decision.fire.begin(), decision.fire.end() - 1);
  }
  return decision;
}

protocol::Event event_of(const Schedule& schedule, WallTime instant) {
  const std::string at = format_wall_time(instant);
  protocol::Event event;
  event.type = "schedule.fired";
  event.source = "/schedules/" + schedule.name;
  event.subject = schedule.name;
  event.id = schedule.name + '@' + at;
  event.time = at;
  event.extensions = schedule.attributes;
  event.options.tenant = schedule.tenant;
  event.options.ordering_key = schedule.ordering_key;
  if (schedule.overlap == Overlap::kSkip) {
    event.options.ordering_key = "schedule/" + schedule.name;
    if (const auto next = next_of(schedule, instant)) {
      event.options.expires_at = to_ms(due_of(schedule, *next));
    }
  }
  if (schedule.data) {
    event.data = *schedule.data;
    event.content_type = schedule.content_type;
  } else {
    // Neither holds anything that JSON would escape.
    event.data = fmt::format(R"({{"schedule":"{}","scheduled_at":"{}"}})", schedule.name, at);
    event.content_type = "application/json";
  }
  return event;
}

}  // namespace fanfare::triggers
