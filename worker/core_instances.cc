// What instances do: results, deadlines, deaths.
#include <signal.h>

#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr std::uint8_t kReturnsMax = 5;      // then a delivery counts as crashed all the same
constexpr double kMemoryRecycleShare = 0.9;  // of the limit
constexpr Duration kLookAgain = std::chrono::milliseconds{50};
constexpr Duration kEndedAfter = std::chrono::seconds{1};  // of one that is not needed for minutes

std::uint32_t as_us(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, UINT32_MAX));
}

std::int64_t wall_ms_at(TimePoint at, Now now) {
  return to_ms(now.wall) -
         std::chrono::duration_cast<std::chrono::milliseconds>(now.steady - at).count();
}

}  // namespace

void Core::on_instance_started(InstanceId id, std::int32_t pid, Now now) {
  Instance* instance = instance_of(id);
  if (!instance) return;
  options_.failpoint("worker.instance.started");
  instance->started = true;
  instance->in_slot_since = now.steady;
  instance->pid = pid;
  ++counters_.instances_started;
  Function& function = *instance->function;
  if (function.zygote_state == Function::ZygoteState::kReady &&
      function.zygote == instance->zygote && instance->uses == 0) {
    const double cost = static_cast<double>((now.steady - instance->asked_at).count());
    // A start that waited for the zygote's init says nothing of the next one.
    if (cost < 20e6)
      function.start_cost_ns += 0.3 * (std::max(cost, 100e3) - function.start_cost_ns);
  }
  // It was told to end before there was a process to tell.
  if (instance->told_to_end) effects_.kill(id, SIGKILL);
}

void Core::on_fork_failed(InstanceId id, std::string_view why, Now now) {
  Instance* instance = instance_of(id);
  if (!instance) return;
  ++counters_.instances_failed;
  Function& function = *instance->function;
  effects_.warn("function " + function.spec.name + " got no instance: " + std::string{why});
  take_back_items(*instance, nullptr, now);
  remove(*instance);
  function.no_room = true;
  note_start_failure(
      function,
      {.type = "ForkFailed", .message = std::string{why}, .retryable = true, .retry_after_ms = {}},
      {}, now);
}

void Core::on_results(InstanceId id, std::span<ItemResult> results, Now now) {
  Instance* instance = instance_of(id);
  if (!instance || results.empty()) return;
  Function& function = *instance->function;
  if (function.service_is_former && instance->generation == function.spec.generation) {
    function.service_is_former = false;
    function.service_ns = 0;  // from here on there is something better
  }
  measure(function, results);
  note_use(function, results);
  for (ItemResult& result : results) {
    Batch& batch = instance->batches[0];
    if (!batch.open() || batch.number != result.batch || batch.taken != result.item) {
      return on_instance_broken(id, "it answered what it was not asked", now);
    }
    // What a call printed is every member's log tail, and a line in the worker's log once.
    if (batch.together && result.item > 0) result.printed.clear();
    Held& held = *batch.items[batch.taken++];
    --instance->unfinished;
    --function.in_instances;
    on_result(*instance, held, result, now);
    if (!batch.open()) std::swap(instance->batches[0], instance->batches[1]);
  }
  settle_after_results(*instance, now);
}

void Core::on_result(Instance& instance, Held& held, ItemResult& result, Now now) {
  if (options_.tracepoint) [[unlikely]] {
    options_.tracepoint(protocol::Hop::kEntered, held.id.entry, result.started_at);
    options_.tracepoint(protocol::Hop::kLeft, held.id.entry, result.started_at + result.duration);
    options_.tracepoint(protocol::Hop::kResult, held.id.entry);
  }
  row_.number = held.attempt;
  row_.started_ms = wall_ms_at(result.started_at, now);
  row_.duration_us = as_us(result.duration);
  row_.cold_start = instance.uses == 0 && held.arrived <= instance.asked_at;
  row_.cold_start_us = row_.cold_start ? as_us(result.started_at - held.arrived) : 0;
  row_.peak_memory_kb = result.peak_memory_kb;
  row_.instance = instance.pid;
  row_.generation = instance.generation;
  ++instance.uses;
  if (held.cancelled) --instance.cancelled;
  if (instance.late == &held) {
    // It came to an end in its last second. Whatever it began after that must not run on.
    instance.late = nullptr;
    effects_.kill(instance.id, SIGKILL);
  }
  if (result.outcome == protocol::Outcome::kOutOfMemory) instance.retiring = true;
  if (!result.printed.empty()) print(held, result.printed, result.printed_cut, now);
  if (held.cancelled) return drop_cancelled(held, &row_, now);
  finish(held, result, row_, now);
}

// The instance has room again, or nothing to do any more.
void Core::settle_after_results(Instance& instance, Now now) {
  Function& function = *instance.function;
  function.failures_in_row = 0;
  instance.full = instance.recalled = false;
  const double limit_kb = static_cast<double>(function.manifest.memory_bytes) / 1024;
  const bool worn =
      instance.uses >= options_.max_uses || row_.peak_memory_kb > kMemoryRecycleShare * limit_kb;
  if (worn && !instance.retiring) {
    ++counters_.instances_recycled;
    instance.retiring = true;
  }
  if (!instance.idle()) {
    instance.check_at = now.steady + function.manifest.timeout;
    if (instance.cancelled > 0) stop_if_cancelled(instance, now);
  } else {
    instance.check_at.reset();
    instance.idle_since = now.steady;
    if (instance.express) leave_express(instance, now);
    if (instance.borrowed && !instance.retiring && settle_borrowed(instance, now)) {
      // It goes on with the next one, or is spared for it.
    } else if (instance.retiring || draining_ || instance.borrowed) {
      retire(instance, now);
    } else if (instance.express || !give_way(instance, now)) {
      function.idle.push_back(&instance);
      due(now.steady + keep_for(function));
    }
  }
  touch(function);
}

// Time per delivery including what the instance needs between two of them.
void Core::measure(Function& function, std::span<const ItemResult> results) {
  const ItemResult& first = results.front();
  const ItemResult& last = results.back();
  Duration spent = last.started_at + last.duration - first.started_at;
  if (first.batch != last.batch) {  // it may have been idle between them
    spent = Duration::zero();
    for (const ItemResult& result : results) spent += result.duration;
  }
  const double mean =
      std::max(100.0, static_cast<double>(spent.count()) / static_cast<double>(results.size()));
  if (function.service_ns == 0) {
    function.service_ns = mean;
  } else {
    function.service_ns += (results.size() >= 8 ? 0.3 : 0.2) * (mean - function.service_ns);
  }
}

void Core::on_instance_broken(InstanceId id, std::string_view why, Now now) {
  Instance* instance = instance_of(id);
  if (!instance) return;
  ++counters_.instances_broken;
  effects_.warn("an instance of function " + instance->function->spec.name +
                " is killed: " + std::string{why});
  instance->retiring = instance->told_to_end = instance->gone = true;
  not_idle(*instance);
  instance->kill_at.reset();
  instance->check_at.reset();
  effects_.kill(id, SIGKILL);
  touch(*instance->function);
  due(now.steady);
}

// It takes nothing more and ends once it is idle.
void Core::retire(Instance& instance, Now now) {
  instance.retiring = true;
  not_idle(instance);
  if (instance.idle() && !instance.told_to_end) stop(instance, StopReason::kNone, now);
}

void Core::stop(Instance& instance, StopReason why, Now now) {
  not_idle(instance);
  instance.retiring = instance.told_to_end = true;
  instance.stop = why;
  instance.kill_at = now.steady + options_.kill_grace;
  due(*instance.kill_at);
  effects_.kill(instance.id, SIGTERM);
}

void Core::check_deadline(Instance& instance, Now now) {
  if (instance.kill_at) {
    if (*instance.kill_at > now.steady) return due(*instance.kill_at);
    if (options_.protections.kill_after_grace) effects_.kill(instance.id, SIGKILL);
    instance.kill_at = now.steady + options_.kill_grace;  // until its end is seen
    return due(*instance.kill_at);
  }
  if (!instance.check_at) return;
  if (*instance.check_at > now.steady) return due(*instance.check_at);
  const Duration timeout = instance.function->manifest.timeout;
  const auto running = effects_.running(instance.id);
  if (!running) {  // starting, or between two items
    instance.check_at = now.steady + std::min<Duration>(timeout, kLookAgain);
    return due(*instance.check_at);
  }
  if (instance.cancelled > 0) {
    stop_if_cancelled(instance, now);
    if (instance.told_to_end) return;
  }
  if (now.steady - running->started_at < timeout) {
    instance.check_at = running->started_at + timeout;
    if (instance.cancelled > 0) {
      instance.check_at = std::min(*instance.check_at, now.steady + kLookAgain);
    }
    return due(*instance.check_at);
  }
  instance.late = item_at(instance, *running);
  ++counters_.deadline_kills;
  stop(instance, StopReason::kTimeout, now);
}

// It is dead: what it had not finished.
void Core::take_back_items(Instance& instance, const End* end, Now now) {
  Function& function = *instance.function;
  std::vector<Held*> running, untouched;  // running: several, if they were in one call
  bool together = false;
  for (Batch& batch : instance.batches) {
    const bool at_it = end && end->running && end->running->batch == batch.number;
    for (std::size_t i = batch.taken; i < batch.items.size(); ++i) {
      const bool ran = at_it && (batch.together || end->running->item == i);
      (ran ? running : untouched).push_back(batch.items[i]);
    }
    together = together || (at_it && batch.together);
    batch.items.clear();
    batch.taken = 0;
  }
  function.in_instances -= instance.unfinished;
  instance.unfinished = 0;
  instance.cancelled = 0;
  // Killed for another's lateness, or with the machine's help before it began anything: it goes on
  // elsewhere. Not for ever: it may be what kills them.
  const bool for_another =
      instance.stop == StopReason::kTimeout || instance.stop == StopReason::kCancel;
  if (!running.empty() && !together && for_another && instance.late != running.front()) {
    untouched.insert(untouched.begin(), running.front());
    running.clear();
  }
  // Of a call whose process was stopped for one that was cancelled the others lose no attempt.
  if (together && instance.stop == StopReason::kCancel) {
    const auto others = std::stable_partition(running.begin(), running.end(),
                                              [](const Held* held) { return held->cancelled; });
    untouched.insert(untouched.begin(), others, running.end());
    running.erase(others, running.end());
  }
  std::erase_if(untouched, [&](Held* held) {
    if (is_disowned(*held)) {
      hand_back(*held);
      return true;
    }
    if (!held->cancelled) return false;
    drop_cancelled(*held, nullptr, now);
    return true;
  });
  Held* const suspect = untouched.empty() || !end ? nullptr : untouched.front();
  if (suspect && running.empty() && instance.stop != StopReason::kDrain &&
      instance.stop != StopReason::kCancel && ++suspect->returns >= kReturnsMax) {
    running.push_back(suspect);
    untouched.erase(untouched.begin());
  }
  if (!end && !options_.protections.take_back_unborn) return;
  counters_.returned += untouched.size();
  function.queue.insert(function.queue.begin(), untouched.begin(), untouched.end());
  if (!untouched.empty()) put_nested_first(function);
  if (running.empty()) return;
  if (!end->printed.empty()) print(*running.front(), end->printed, end->printed_cut, now);
  finish_ended(running, instance, *end, now);
}

// Their instance ended while it was at them. Of several in one call each has its share of the time.
void Core::finish_ended(std::span<Held* const> running, const Instance& instance, const End& end,
                        Now now) {
  const NamedEnding named =
      name_ending(end.ending, instance.stop, instance.function->manifest.timeout);
  TimePoint started_at = end.running ? std::min(end.running->started_at, now.steady) : now.steady;
  const Duration share = (now.steady - started_at) / static_cast<int>(running.size());
  for (Held* const held : running) {
    if (named.outcome == protocol::Outcome::kDrained && !held->cancelled) {
      hand_back(*held);
      continue;
    }
    row_.number = held->attempt;
    row_.started_ms = wall_ms_at(started_at, now);
    row_.duration_us = as_us(share);
    row_.cold_start = instance.uses == 0 && held->arrived <= instance.asked_at;
    row_.cold_start_us = row_.cold_start ? as_us(started_at - held->arrived) : 0;
    row_.peak_memory_kb = end.ending.peak_memory_kb;
    row_.instance = instance.pid;
    row_.generation = instance.generation;
    started_at += share;
    if (held->cancelled) {
      drop_cancelled(*held, &row_, now);
      continue;
    }
    ItemResult none;
    none.outcome = named.outcome;
    none.failure = named.failure;
    none.log_tail = end.log_tail;
    none.log_truncated = end.log_truncated;
    finish(*held, none, row_, now);
  }
}

void Core::on_instance_ended(InstanceId id, End end, Now now) {
  Instance* instance = instance_of(id);
  if (!instance) return;
  Function& function = *instance->function;
  if (!instance->told_to_end) ++counters_.instances_crashed;
  const bool never_came_up = instance->uses == 0 && !instance->told_to_end && !end.running &&
                             end.ending.status == kSetupFailedStatus;
  take_back_items(*instance, &end, now);
  remove(*instance);
  if (never_came_up) {
    ++counters_.instances_failed;
    NamedEnding named = name_ending(end.ending, StopReason::kNone, function.manifest.timeout);
    function.no_room = false;
    note_start_failure(function, std::move(named.failure), std::move(end.log_tail), now);
  }
}

// A slot is free: for its own function, or for whoever waits.
void Core::remove(Instance& instance) {
  Function& function = *instance.function;
  not_idle(instance);
  std::erase(function.instances, &instance);
  if (function.instances.empty()) staffed_.erase(&function);
  touch(function);
  bool goes_to_another = false;
  for (auto& [name, other] : functions_) {
    if (other->room == &instance) {
      other->room = nullptr;
      other->owed_a_slot = goes_to_another = true;
      touch(*other);
    }
    if (!other->queue.empty()) touch(*other);
  }
  if (!goes_to_another && function.instances.empty() && !function.queue.empty()) {
    pass_slot_on(function);
  }
  forget_reads(instance.id);
  forget_invoking(instance);
  if (instance.borrowed) --borrowed_;
  if (express_ == &instance) express_ = nullptr;
  instances_.erase(instance.id);
}

// What the manifest says holds; if it says nothing, what the function's own idle times say.
IdleTimes::Advice Core::keep_alive(const Function& function) const {
  if (!function.manifest.keep_alive_is_set) {
    if (const auto advice = function.idle_times.advice()) return *advice;
  }
  return {.keep = function.manifest.keep_alive, .back_after = {}};
}

// How long an idle instance stays.
Duration Core::keep_for(const Function& function) const {
  const auto advice = keep_alive(function);
  return advice.back_after ? std::min<Duration>(kEndedAfter, advice.keep) : advice.keep;
}

void Core::reap_idle(Function& function, Now now) {
  if (function.back_at) {
    if (*function.back_at > now.steady) return due(*function.back_at);
    touch(function);
  }
  while (!function.idle.empty() && function.instances.size() > function.manifest.provisioned) {
    Instance& coldest = *function.idle.front();
    const auto advice = keep_alive(function);
    // One that was brought back stays to the end.
    const bool may_go_early = advice.back_after && coldest.uses > 0;
    const Duration keep = may_go_early ? std::min<Duration>(kEndedAfter, advice.keep) : advice.keep;
    if (coldest.idle_since + keep > now.steady) return due(coldest.idle_since + keep);
    ++counters_.instances_reaped;
    if (coldest.followed_a_use()) function.idle_times.ended(coldest.idle_since);
    if (may_go_early && function.instances.size() == 1) {
      function.idle_before = coldest.idle_since;
      function.back_at = coldest.idle_since + *advice.back_after;
      due(*function.back_at);
    }
    retire(coldest, now);
  }
}

}  // namespace fanfare::worker
