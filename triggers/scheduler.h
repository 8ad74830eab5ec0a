// Fires schedules: a thin shell around ScheduleTable that owns a connection to Redis and the
// timers.
//
// Any number may run on one Redis. Each decides by itself; a fire moves the schedule's row of the
// ledger and leaves its events in the triggers' outbox in one step of Redis, which only one of them
// can take, and from the outbox each entry becomes an event once. So an instant fires once,
// whoever is killed when, and without a leader that others would have to wait for. See
// docs/decisions/0024-schedules-fire-once.md.
//
// While Redis is away nothing fires; what is due meanwhile counts as missed, by each schedule's
// policy, if that takes over a minute. Definitions are looked at every `look_pause`, and so is the
// wall clock, which may be set.
//
// What triggers.toml declares is brought into Redis when the definitions have been read for the
// first time, before anything fires (declared_schedules.h).
//
// Lives on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/redis_options.h"
#include "store/redis_store.h"
#include "triggers/schedule_table.h"

namespace fanfare::triggers {

struct SchedulerOptions {
  RedisOptions redis;
  Duration look_pause = std::chrono::seconds{1};
  // Nothing: what was declared before stays as it is.
  std::optional<std::vector<Schedule>> declared = {};
  // Passed at scheduler.fire (about to be asked for) and scheduler.fired (answered).
  Failpoint failpoint = {};
};

class Scheduler {
 public:
  // `on_fatal` is told what a person must mend; the scheduler goes on trying.
  Scheduler(Loop& loop, SchedulerOptions options, std::function<void(const Error&)> on_fatal = {});
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Connected, and the schedules are known; what is declared is there.
  bool ready() const { return store_.ready() && known_revision_.has_value() && !options_.declared; }
  std::size_t schedules() const { return table_.size(); }
  const ScheduleTable::Counters& counters() const { return table_.counters(); }
  const Histogram& lag() const { return table_.lag(); }
  std::size_t unreadable() const { return unreadable_; }  // definitions

 private:
  void look();
  void list(std::string cursor);
  void on_page(const Result<store::Answer>& answer);
  void load(std::uint64_t revision);
  void declare();
  void on_declared(const std::string& name, const Result<store::Answer>& answer);
  void turn();
  void fire(store::Fire call);
  void arm();

  static constexpr std::size_t kUnderWayMax = 256;

  Loop& loop_;
  SchedulerOptions options_;
  std::function<void(const Error&)> on_fatal_;
  ScheduleTable table_;
  std::optional<std::uint64_t> known_revision_;  // of what is loaded
  bool asking_ = false;                          // for the revision, or a list is under way
  std::uint64_t listing_ = 0;                    // the revision of the list's first page
  std::vector<store::ScheduleList::Item> listed_;
  std::size_t declaring_ = 0;  // calls under way
  bool declare_again_ = false;
  std::size_t unreadable_ = 0, under_way_ = 0;
  LogThrottle log_refused_;
  store::RedisStore store_;
  Timer look_timer_, wake_timer_;
};

}  // namespace fanfare::triggers
