#include "triggers/scheduler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "triggers/declared_schedules.h"

namespace fanfare::triggers {

Scheduler::Scheduler(Loop& loop, SchedulerOptions options,
                     std::function<void(const Error&)> on_fatal)
    : loop_(loop),
      options_(std::move(options)),
      on_fatal_(std::move(on_fatal)),
      store_(loop, options_.redis,
             {.on_ready = [this] { look(); },
              .on_down =
                  [this](const Error& why) {
                    if (why.kind == ErrorKind::kFatal && on_fatal_) on_fatal_(why);
                    spdlog::warn("nothing fires until Redis answers: {}", why.message);
                  },
              // It may have come back with less, and then count other changes by the same numbers.
              .on_restarted = [this] { known_revision_.reset(); }}),
      look_timer_(loop, [this] { look(); }),
      wake_timer_(loop, [this] { turn(); }) {
  look_timer_.start_every(options_.look_pause);
}

// Have definitions changed? And whatever the timers say, what is the time now?
void Scheduler::look() {
  turn();
  if (asking_ || declaring_ > 0 || !store_.ready()) return;
  asking_ = true;
  store_.call(store::GetRevision{}, [this](const Result<store::Answer>& answer) {
    asking_ = false;
    const auto* found = answer ? std::get_if<store::Revision>(&*answer) : nullptr;
    if (!found || found->revision == known_revision_) return;
    listed_.clear();
    list({});
  });
}

void Scheduler::list(std::string cursor) {
  asking_ = true;
  store_.call(store::ListSchedules{std::move(cursor)},
              [this](const Result<store::Answer>& answer) { on_page(answer); });
}

void Scheduler::on_page(const Result<store::Answer>& answer) {
  asking_ = false;
  const auto* page = answer ? std::get_if<store::ScheduleList>(&*answer) : nullptr;
  if (!page) {
    spdlog::warn("schedules cannot be read, and are asked for again: {}", answer.error().message);
    return;
  }
  // What changed while it was read is read again, from the beginning, at the next look.
  if (listed_.empty()) listing_ = page->revision;
  if (page->revision != listing_) return;
  listed_.insert(listed_.end(), page->items.begin(), page->items.end());
  if (!page->next.empty()) return list(page->next);
  load(page->revision);
}

void Scheduler::load(std::uint64_t revision) {
  known_revision_ = revision;
  if (options_.declared) return declare();
  const auto unreadable = table_.load(std::exchange(listed_, {}));
  unreadable_ = unreadable.size();
  for (const Error& error : unreadable) {
    spdlog::error("{}; it stands still until it is added again", error.message);
  }
  spdlog::info("{} schedules read", table_.size());
  turn();
}

void Scheduler::declare() {
  const auto changes = changes_of(*options_.declared, std::exchange(listed_, {}), loop_.now().wall);
  declare_again_ = false;
  declaring_ = changes.size();
  for (const ScheduleChange& change : changes) {
    const std::string& name = change.call.name;
    spdlog::info("schedule {}: {}, by triggers.toml", name, to_string(change.what));
    store_.call(change.call,
                [this, name](const Result<store::Answer>& answer) { on_declared(name, answer); });
  }
  if (changes.empty()) options_.declared.reset();
  // The next look reads them anew: as they are now, or once more against what is declared.
  known_revision_.reset();
  if (changes.empty()) look();
}

void Scheduler::on_declared(const std::string& name, const Result<store::Answer>& answer) {
  const auto* set = answer ? std::get_if<store::ScheduleSet>(&*answer) : nullptr;
  if (!set) {
    spdlog::warn("schedule {} is not in Redis yet: {}", name, answer.error().message);
    declare_again_ = true;
  } else if (set->revision == 0) {
    spdlog::error("schedule {} is left out: there are {} schedules, the most there may be", name,
                  store::kSchedulesMax);
  }
  if (--declaring_ > 0) return;
  if (!declare_again_) options_.declared.reset();
  if (!declare_again_) look();
}

void Scheduler::turn() {
  // What Redis cannot take now is decided when it can: it may have been missed by then.
  if (ready() && under_way_ < kUnderWayMax) {
    auto due = table_.take_due(loop_.now().wall, kUnderWayMax - under_way_);
    for (const std::string& name : due.clock_behind) {
      spdlog::warn(
          "schedule {} has fired for a later time than it is now: the clock was set back, and it "
          "waits until then; add it again to let it begin anew",
          name);
    }
    for (store::Fire& call : due.calls) fire(std::move(call));
  }
  arm();
}

void Scheduler::fire(store::Fire call) {
  options_.failpoint("scheduler.fire");
  ++under_way_;
  store_.call(call, [this, call](const Result<store::Answer>& answer) {
    options_.failpoint("scheduler.fired");
    --under_way_;
    const auto* fired = answer ? std::get_if<store::Fired>(&*answer) : nullptr;
    const bool full = fired && fired->outcome == store::Fired::Outcome::kFull;
    if (!fired || full) {
      if (const auto swallowed = log_refused_.allow(loop_.now().steady)) {
        spdlog::warn(
            "schedule {} could not fire and tries again: {} ({} more like this)", call.name,
            full ? "the triggers' outbox is full, is a broker running?" : answer.error().message,
            *swallowed);
      }
    }
    table_.on_fired(call,
                    fired ? Result<store::Fired>(*fired) : Result<store::Fired>(answer.error()),
                    loop_.now().wall);
    turn();
  });
}

void Scheduler::arm() {
  const auto wake = table_.next_wake();
  if (!wake || !ready() || under_way_ >= kUnderWayMax) return wake_timer_.stop();
  const Duration ahead = *wake - loop_.now().wall;
  // Later ones are the look's: the wall clock may be another one until then.
  if (ahead > options_.look_pause) return wake_timer_.stop();
  wake_timer_.start_after(std::max(ahead, Duration::zero()));
}

}  // namespace fanfare::triggers
