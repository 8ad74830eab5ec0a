// One schedule: when it fires, with what, and what becomes of instants that were missed.
//
// decide() is all there is to it: given how far the schedule has been handled and what time it is,
// which instants fire now and when to look again. It is a function of its arguments, so any number
// of schedulers come to the same answer, and each instant is handled once if "how far" is kept
// where only one of them can move it (the ledger in Redis, see Scheduler).
//
// Nominal instants are the expression's. An instant is due at the instant plus its jitter, which is
// fixed by name and instant. One that is due by more than kLateMax is missed: nobody was there at
// the time. Instants are handled in their order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "protocol/event.h"
#include "triggers/schedule_expression.h"
#include "triggers/time_zone.h"

namespace fanfare::triggers {

// Of instants that were missed: none fires; the latest one does, for all of them; the latest
// `catch_up_max` do, each with its own time.
enum class Missed : std::uint8_t { kSkip, kFireOnce, kCatchUp };
// Runs of one schedule in one function: as many at once as there are, or one at a time, and one
// that could not begin before the next instant is skipped. For that kSkip gives its events the
// ordering key "schedule/{name}" and lets them expire when the next one is due, so it holds for
// each function by itself, through retries and restarts.
enum class Overlap : std::uint8_t { kAllow, kSkip };

std::string_view to_string(Missed missed);    // "skip", "fire_once", "catch_up"
std::string_view to_string(Overlap overlap);  // "allow", "skip"

struct Schedule {
  static constexpr std::size_t kNameMax = 64;
  static constexpr std::uint32_t kCatchUpMax = 1000;
  static constexpr std::size_t kDataMax = 64u << 10;
  static constexpr Duration kJitterMax = std::chrono::hours{24};
  static constexpr std::chrono::milliseconds kLateMax = std::chrono::minutes{1};

  std::string name;
  ScheduleExpression expression;
  TimeZone zone = {};
  // When it was defined. Nothing before it counts, and rate() counts from it, its first instant one
  // period later, unless it has a start.
  WallTime since = {};
  std::optional<WallTime> start = {};  // nothing before; the first instant of rate()
  std::optional<WallTime> end = {};    // nothing after
  Duration jitter{0};                  // each instant fires up to this much later
  Missed missed = Missed::kFireOnce;
  std::uint32_t catch_up_max = 100;  // of kCatchUp
  Overlap overlap = Overlap::kAllow;
  bool enabled = true;
  bool declared = false;  // by triggers.toml: it goes when that does not name it any more

  // The event's. Without data it says which schedule and instant it is, as JSON.
  std::optional<std::string> data = {};
  std::string content_type = {};
  std::vector<std::pair<std::string, std::string>> attributes = {};  // CloudEvents extensions
  std::string tenant = {}, ordering_key = {};

  bool operator==(const Schedule&) const;
};

// Whether both say the same, whenever they were defined.
bool same_but_for_since(const Schedule& one, Schedule other);

// kReject: a name, limit or attribute that makes no sense, a jitter longer than the period, an end
// before the start, or that it would never fire.
Result<void> check(const Schedule& schedule);

struct Decision {
  std::vector<WallTime> fire;    // nominal instants, oldest first
  std::uint64_t missed = 0;      // instants passed over because they were missed; at least so many
  std::uint64_t overlapped = 0;  // by kSkip: a later one fires at the same time
  WallTime handled;              // how far the schedule is handled once `fire` has fired
  std::optional<WallTime> wake;  // nothing is due before; none: never again
  // The clock was set back behind what was handled: nothing fires before it is there again.
  bool clock_behind = false;
};

// `handled` is how far it was handled before: a Decision's, or any instant up to `since` for a
// new one. A disabled schedule does nothing.
Decision decide(const Schedule& schedule, WallTime handled, WallTime now);

// How much later than its instant it fires: 0 to `jitter`, uniform over instants, always the same.
Duration jitter_of(const Schedule& schedule, WallTime instant);

// The event of an instant: type schedule.fired, source /schedules/{name}, subject the name, id
// {name}@{instant}, time the instant.
protocol::Event event_of(const Schedule& schedule, WallTime instant);

}  // namespace fanfare::triggers
