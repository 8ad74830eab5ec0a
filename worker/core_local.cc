// Invocations that this worker runs by itself, for callers on its own host: the local lane.
//
// The way by the broker is four messages between processes and as many wake-ups; what is asked for
// here and can run here at once needs none of them. The broker says of which functions that may be
// done (protocol::Local): those of which it would lend an invocation at once, whoever else runs it.
// All else is as if it had lent it: the slot, the deadline, the log, what is metered, the commit of
// what it writes, the answer. It is told in sums with the heartbeat.
//
// Nothing waits here that could run elsewhere: what finds no instance within kMovesOnAfter, or
// comes back from one that never began it, goes to the broker after all.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

// Many times what a fork takes; little against what a caller notices.
constexpr Duration kMovesOnAfter = std::chrono::milliseconds{10};
// What an instance is at takes no longer than this on the average: less than the way by the broker.
constexpr double kWorthWaitingNs = 100e3;
constexpr std::size_t kCallingMax = 10'000;  // of callers outside, at once

}  // namespace

// What is not named goes by the broker from now on.
void Core::on_local(const protocol::Local& message) {
  if (link_ != Link::kJoined) return;
  forbid_local();
  local_bytes_max_ = message.event_bytes_max;
  for (const auto& name : message.functions) {
    if (Function* const function = find(name)) function->local = true;
  }
}

void Core::forbid_local() {
  for (auto& [name, function] : functions_) function->local = false;
}

// Whether it would start at once, with an instance that is there or with a fork.
bool Core::finds_room(const Function& function, bool nested, Now now) const {
  const std::size_t before = nested ? nested_in_front(function) : function.queue.size();
  if (function.idle.size() > before) return true;
  if (before > 0 || function.gathers()) return false;
  if (nested && !function.spare.empty() && borrowers() < lent()) return true;
  if (instance_with_room(function) != nullptr) return function.service_ns <= kWorthWaitingNs;
  const std::size_t most = options_.slots + (nested ? lent() : 0);
  if (function.zygote_state != Function::ZygoteState::kReady || function.instances.size() >= most ||
      !is_worth_a_fork(function, 1)) {
    return false;
  }
  if (nested && borrowers() < lent()) return true;
  return slots_taken() < options_.slots && !someone_needs_the_slot(function, now);
}

bool Core::may_run_here(const Function& function, std::size_t data_bytes) const {
  const bool takes_work = state() == protocol::WorkerState::kRunning && link_ == Link::kJoined &&
                          !has_too_much_uncommitted() && pool_.in_use() < options_.held_max &&
                          !lacks_relay();
  return options_.local && takes_work && function.local && function.usable() && !function.broken &&
         !function.paused_until && !is_refused_too_much(function) && data_bytes <= local_bytes_max_;
}

// As a delivery that the broker has lent, under a name that it never gives: its own have small
// numbers.
Held& Core::take_local(Function& function, std::uint64_t number, std::string packed_event,
                       bool nested, Now now) {
  Frame& frame = frame_pool_.take();
  frame.bytes = std::move(packed_event);
  frame.users = 1;
  Held& held = pool_.take();
  held.id = {{session_ << 40 | ++locals_, epoch_}, 0};
  held.token = protocol::make_token(epoch_, 1);
  held.lane = protocol::kDefaultLane;
  held.entry_size = 1;
  held.slot = 0;
  held.origin = protocol::Origin::kInvoke;
  held.returns = 0;
  held.cancelled = false;
  held.attempt = 1;
  held.accepted_ms = to_ms(now.wall);
  held.packed_event = frame.bytes;
  held.packed_ledger = {};
  held.nested = nested;
  held.alone = function.gathers();
  held.arrived = now.steady;
  held.function = &function;
  held.frame = &frame;
  held.entry = nullptr;
  held.local = number;
  ++function.local_here;
  note_work(function);
  enqueue(function, held);
  touch(function);
  return held;
}

// False: the broker is to be asked.
bool Core::run_here(std::uint64_t number, Invoking& invoking, Now now) {
  Function* const function = find(invoking.function);
  if (!function || !may_run_here(*function, invoking.data_bytes) ||
      !finds_room(*function, true, now)) {
    return false;
  }
  invoking.way = Invoking::Way::kHere;
  const TimePoint moves_on_at = invoking.moves_on_at = now.steady + kMovesOnAfter;
  invoking.held =
      &take_local(*function, number, std::exchange(invoking.packed_event, {}), true, now);
  ++counters_.invokes_local;
  due(invoking.ends_at);
  schedule(*function, now);  // it may end at once, and `invoking` with it
  if (!function->queue.empty()) due(moves_on_at);
  return true;
}

bool Core::waits_here(const Held& held) {
  return std::ranges::find(held.function->queue, &held) != held.function->queue.end();
}

void Core::take_out(Held& held) {
  std::erase(held.function->queue, &held);
  --held.function->local_here;
  leave(held);
}

// It has waited for long: somebody else may have room.
void Core::move_on(std::uint64_t number, Invoking& invoking, Now now) {
  ++counters_.invokes_moved_on;
  invoking.packed_event = invoking.held->packed_event;
  take_out(*std::exchange(invoking.held, nullptr));
  invoking.way = Invoking::Way::kWaits;
  ask_broker(number, invoking, now);
}

// What is to become of one that is here.
Core::LocalNews Core::look_at_local(Held& held, TimePoint ends_at, TimePoint moves_on_at, Now now) {
  Function& function = *held.function;
  if (now.steady >= ends_at) {
    ++function.local_timed_out;
    tell_soon_ = true;  // that it goes on: nobody else knows of it
    if (!waits_here(held)) return LocalNews::kNotFinished;
    ++function.local_ended;
    take_out(held);
    return LocalNews::kNotBegun;
  }
  due(ends_at);
  if (function.queue.empty() || !waits_here(held)) return LocalNews::kNone;
  if (now.steady >= moves_on_at) return LocalNews::kMovesOn;
  due(moves_on_at);
  return LocalNews::kNone;
}

// In the broker's words.
const char* Core::why_late(LocalNews news) {
  return news == LocalNews::kNotBegun ? "no worker was free in time"
                                      : "the function did not finish in time";
}

// ---- callers outside ----

// Whatever is wrong with it the broker says.
void Core::on_call(CallerId caller, protocol::Invoke message, Now now) {
  const auto event = protocol::view_event(message.packed_event);
  const auto options = event ? protocol::unpack_options(event->packed_options)
                             : Result<protocol::PublishOptions>{event.error()};
  Function* const function = find(message.function);
  const bool fine = function && options && options->generation == 0 && message.timeout_ms > 0 &&
                    calling_.size() < kCallingMax;
  if (!fine || !may_run_here(*function, event->data.size()) || !finds_room(*function, false, now)) {
    ++counters_.calls_not_here;
    return effects_.answer_caller(caller, message.request, {});
  }
  ++counters_.calls_local;
  const std::uint64_t number = next_invoking_++;
  const TimePoint ends_at = now.steady + std::chrono::milliseconds{message.timeout_ms};
  const TimePoint moves_on_at = now.steady + kMovesOnAfter;
  Calling& calling = calling_[number];
  calling = {caller, message.request, ends_at, moves_on_at, nullptr};
  calling.held = &take_local(*function, number, std::move(message.packed_event), false, now);
  due(ends_at);
  schedule(*function, now);  // it may end at once, and `calling` with it
  if (!function->queue.empty()) due(moves_on_at);
}

void Core::on_caller_gone(CallerId caller) {
  std::erase_if(calling_, [&](const auto& entry) {
    if (entry.second.caller != caller) return false;
    tell_soon_ = true;
    if (waits_here(*entry.second.held)) take_out(*entry.second.held);
    return true;
  });
}

void Core::expire_callings(Now now) {
  std::vector<std::pair<std::uint64_t, LocalNews>> news;
  for (auto& [number, calling] : calling_) {
    const LocalNews one = look_at_local(*calling.held, calling.ends_at, calling.moves_on_at, now);
    if (one != LocalNews::kNone) news.emplace_back(number, one);
  }
  for (const auto& [number, what] : news) {
    const Calling calling = calling_.extract(number).mapped();
    std::string frame;
    if (what == LocalNews::kMovesOn) {
      ++counters_.calls_moved_on;
      take_out(*calling.held);
    } else {
      frame = protocol::encode(
          protocol::Refused{calling.request, protocol::Refusal::kTimeout, why_late(what)});
    }
    effects_.answer_caller(calling.caller, calling.request, std::move(frame));
  }
}

void Core::answer_calling(const Calling& calling, Function& function, bool comes_back,
                          const protocol::Done::Row& row) {
  if (comes_back) {
    ++counters_.calls_moved_on;
    return effects_.answer_caller(calling.caller, calling.request, {});
  }
  ++function.local_ended;
  effects_.answer_caller(calling.caller, calling.request,
                         protocol::encode(protocol::Invoked{calling.request, row.record}));
}

// What ends a delivery of the broker is told to it; this one has an end here. What was not run, or
// was stopped because this worker leaves, is run by somebody else.
void Core::end_local(Held& held, const protocol::Done::Row& row) {
  const std::uint64_t number = std::exchange(held.local, 0);
  Function& function = *held.function;
  --function.local_here;
  const bool comes_back =
      row.outcome == protocol::Outcome::kDrained || row.outcome == protocol::Outcome::kThrottled;
  if (const auto calling = calling_.extract(number)) {
    leave(held);
    return answer_calling(calling.mapped(), function, comes_back, row);
  }
  const auto at = invoking_.find(number);
  if (at != invoking_.end()) at->second.held = nullptr;
  if (!comes_back) {
    ++function.local_ended;
    leave(held);
    return on_invoked({number, row.record});
  }
  if (at != invoking_.end()) {
    ++counters_.invokes_moved_on;
    at->second.packed_event = held.packed_event;
    at->second.way = Invoking::Way::kWaits;
    local_came_back_ = true;
  }
  leave(held);
}

// Since the heartbeat before.
void Core::tell_local(protocol::Heartbeat& heartbeat) {
  for (auto& [name, function] : functions_) {
    if (function->local_here + function->local_ended + function->local_timed_out == 0) continue;
    heartbeat.local.push_back({.function = name,
                               .ended = std::exchange(function->local_ended, 0),
                               .timed_out = std::exchange(function->local_timed_out, 0),
                               .here = function->local_here});
  }
}

bool Core::local_is_told() const {
  return std::ranges::all_of(functions_, [](const auto& entry) {
    return entry.second->local_ended + entry.second->local_timed_out == 0;
  });
}

}  // namespace fanfare::worker
