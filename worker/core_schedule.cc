// From waiting to running: which instance takes what, and when another one is forked.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr std::uint32_t kStartFailuresMax = 3;  // then what waits is told
constexpr double kWorthWakingNs = 100e3;        // less work than this is not split over instances
// Of the events of one call, as with AWS Lambda's batches.
constexpr std::size_t kTogetherBytesMax = 6'000'000;
constexpr Duration kRetryFork = std::chrono::milliseconds{2};
constexpr Duration kCountsAsIdle = std::chrono::milliseconds{1};  // less is between two batches

template <typename T>
double as_ns(T duration) {
  return static_cast<double>(Duration{duration}.count());
}

}  // namespace

std::size_t Core::instances_max(const Function& function) const {
  const std::size_t cap = function.manifest.max_concurrency;
  return cap == 0 ? options_.slots : std::min<std::size_t>(cap, options_.slots);
}

void Core::schedule(Function& function, Now now) {
  if (function.queue.empty()) function.owed_a_slot = false;
  if (function.removed || draining_ || quiet_) {
    function.back_at.reset();
    return;
  }
  if (!function.refusal.empty()) {
    function.last_failure = {.type = "UnusableFunction",
                             .message = function.refusal,
                             .retryable = true,
                             .retry_after_ms = {}};
    return fail_queued(function, now);
  }
  while (!function.queue.empty()) {
    if (!is_gathered(function, now)) {
      due(function.queue.front()->arrived + function.manifest.batch_window);
      break;
    }
    if (!function.spare.empty()) move_spare_in(function, now);
    if (!function.idle.empty()) {
      if (!feed(*function.idle.back(), now)) break;
      continue;
    }
    if (may_use_spare(function)) {
      if (!feed(*function.spare.back(), now)) break;
      continue;
    }
    // Nobody is idle: a second batch for one that is quick, so that it never has to wait for us.
    Instance* const with_room = instance_with_room(function);
    if (with_room && feed(*with_room, now)) continue;
    if (!wants_instance(function, now)) {
      due(function.queue.front()->arrived + stuck_after(function));
      break;
    }
    if (!fork(function, now)) break;
  }
  while (function.instances.size() < function.manifest.provisioned &&
         function.instances.size() < instances_max(function)) {
    if (!fork(function, now)) break;
  }
  if (function.back_at && *function.back_at <= now.steady) bring_back(function, now);
}

// It is expected to be needed soon.
void Core::bring_back(Function& function, Now now) {
  function.back_at.reset();
  if (!function.instances.empty() || !function.queue.empty()) return;
  // On a machine that is full somebody else needs the slot now.
  if (slots_taken() >= options_.slots || !fork(function, now)) return;
  ++counters_.instances_brought_back;
  function.idle_times.resumed();
  function.idle.front()->idle_since = function.idle_before;
  due(function.idle_before + keep_alive(function).keep);
}

// How many deliveries one batch should carry: enough work to be worth the way, and no more.
std::size_t Core::batch_limit(const Function& function) const {
  if (function.service_ns == 0 || function.service_ns >= as_ns(options_.single_from)) return 1;
  const double by_work = as_ns(options_.batch_work) / function.service_ns;
  const std::size_t limit = by_work >= kBatchItemsMax
                                ? kBatchItemsMax
                                : std::max<std::size_t>(1, static_cast<std::size_t>(by_work));
  // Several are idle: share, unless so little waits that waking another one costs more.
  const std::size_t idle = std::max<std::size_t>(1, function.idle.size());
  const auto worth = static_cast<std::size_t>(kWorthWakingNs / function.service_ns);
  const std::size_t share = (function.queue.size() + idle - 1) / idle;
  return std::clamp<std::size_t>(std::max(share, worth), 1, limit);
}

// How many deliveries, from the front of the queue, the next call of a function that gathers gets.
std::size_t Core::next_together(const Function& function) {
  std::size_t count = 0, bytes = 0;
  for (const Held* held : function.queue) {
    if (count == function.manifest.batch_size) break;
    if (held->alone) return std::max<std::size_t>(count, 1);
    bytes += held->packed_event.size();
    if (count > 0 && bytes > kTogetherBytesMax) break;
    ++count;
  }
  return count;
}

// Whether what waits need not wait for more: the batch is full, something that goes alone or would
// not fit is behind it, or its first delivery has waited for the window.
bool Core::is_gathered(const Function& function, Now now) {
  if (!function.gathers() || function.manifest.batch_window == Duration::zero()) return true;
  if (function.queue.front()->arrived + function.manifest.batch_window <= now.steady) return true;
  if (function.queue.front()->alone) return true;
  const std::size_t count = next_together(function);
  return count == function.manifest.batch_size || count < function.queue.size();
}

// Hands the next deliveries to an instance that has room for a batch. False if it took none.
bool Core::feed(Instance& instance, Now now) {
  Function& function = *instance.function;
  const bool together = function.gathers();
  std::size_t limit =
      together ? next_together(function) : std::min(batch_limit(function), function.queue.size());
  if (instance.borrowed) limit = std::min(limit, nested_in_front(function));
  items_.clear();
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < limit; ++i) {
    const Held& held = *function.queue[i];
    bytes += held.packed_event.size();
    if (i > 0 && !together && bytes > options_.batch_bytes_max) break;
    items_.push_back(
        {held.id, held.attempt, function.manifest.timeout, held.packed_event, together});
    if (options_.failpoint) [[unlikely]] {
      options_.failpoint("worker.attempt.sent",
                         to_string(held.id) + "/" + std::to_string(held.token.value));
    }
  }
  if (options_.tracepoint) [[unlikely]] {
    for (const Item& item : items_) {
      options_.tracepoint(protocol::Hop::kHandedOver, item.id.entry);
    }
  }
  const auto sent = effects_.run(instance.id, items_);
  options_.failpoint("worker.batch.sent");
  if (!sent || sent->items == 0) {
    (!sent && sent.error().kind == ErrorKind::kReconnect ? instance.gone : instance.full) = true;
    // Its next results, or its end, bring it back; an idle one has neither coming.
    if (instance.idle()) {
      not_idle(instance);
      instance.retiring = true;
      stop(instance, StopReason::kNone, now);
    }
    return false;
  }
  if (instance.idle()) {
    const Duration idle = now.steady - instance.idle_since;
    if (instance.followed_a_use() && idle >= kCountsAsIdle) function.idle_times.add(idle);
    not_idle(instance);
    instance.check_at = now.steady + function.manifest.timeout;
    due(*instance.check_at);
    look_soon(now);
  }
  Batch& batch = instance.batches[instance.batches[0].open() ? 1 : 0];
  batch.number = sent->number;
  batch.taken = 0;
  batch.together = together;
  const auto end = function.queue.begin() + static_cast<std::ptrdiff_t>(sent->items);
  function.turn = std::max(function.turn, (*std::prev(end))->turn);
  batch.items.assign(function.queue.begin(), end);
  function.queue.erase(function.queue.begin(), end);
  instance.unfinished += sent->items;
  function.in_instances += sent->items;
  if (instance.unfinished > 1 && !together) look_for_long_ones_soon(now);
  return true;
}

// One that is at work, and quick.
Instance* Core::instance_with_room(const Function& function) const {
  const bool quick = function.service_ns > 0 && function.service_ns < as_ns(options_.single_from);
  if (!quick || function.gathers()) return nullptr;
  const auto at = std::ranges::find_if(function.instances, [](const Instance* one) {
    return !one->retiring && !one->full && !one->gone && !one->recalled && !one->waits &&
           !one->borrowed && !one->batches[1].open();
  });
  return at == function.instances.end() ? nullptr : *at;
}

// Whether so many deliveries would wait longer than a new instance takes to start.
bool Core::is_worth_a_fork(const Function& function, std::size_t queued) {
  const auto staying = std::ranges::count_if(
      function.instances, [](const Instance* one) { return !one->retiring && !one->waits; });
  if (staying == 0 || function.service_ns == 0) return true;
  const double wait_ns =
      static_cast<double>(queued) * function.service_ns / static_cast<double>(staying);
  return wait_ns > 2 * function.start_cost_ns;
}

// Whether another instance is to be started for what waits.
bool Core::wants_instance(const Function& function, Now now) const {
  const std::size_t cap = function.manifest.max_concurrency;
  const std::size_t most = has_nested(function) && (cap == 0 || cap > options_.slots)
                               ? instances_max(function) + lent()
                               : instances_max(function);
  if (function.instances.size() >= most) return false;
  return is_worth_a_fork(function, function.queue.size()) ||
         now.steady - function.queue.front()->arrived > stuck_after(function);
}

// A delivery that has waited for so long waits behind something slow, whatever the average says.
Duration Core::stuck_after(const Function& function) {
  return Duration{static_cast<std::int64_t>(4 * function.start_cost_ns)};
}

// After its pause a function that would not start is tried once more, and gets credit for that: a
// broken one has none, so no delivery would come to bring it back.
bool Core::pause_is_over(Function& function, Now now) {
  if (*function.paused_until > now.steady) {
    due(*function.paused_until);
    return false;
  }
  function.paused_until.reset();
  function.broken = false;
  return true;
}

// Makes sure that there is a zygote to ask. False if not yet.
bool Core::has_zygote(Function& function, Now now) {
  using State = Function::ZygoteState;
  if (function.paused_until && !pause_is_over(function, now)) {
    if (function.broken) fail_queued(function, now);
    return false;
  }
  if (function.zygote_state == State::kNone) {
    function.zygote = ZygoteId{next_zygote_++};
    function.zygote_asked_at = now.steady;
    function.zygote_state = State::kPreparing;
    ++counters_.zygotes_started;
    options_.failpoint("worker.zygote.asked");
    if (effects_.start_zygote(function.zygote, function.spec, function.manifest)) {
      on_zygote_started(function.zygote, now);
    }
  }
  return function.zygote_state >= State::kStarted;
}

// Whether its pace allows another fork.
bool Core::may_fork(Now now) {
  const double refill =
      as_ns(now.steady - fork_tokens_at_) * 1e-9 * static_cast<double>(options_.forks_per_second);
  fork_tokens_ = std::min(static_cast<double>(options_.forks_at_once), fork_tokens_ + refill);
  fork_tokens_at_ = now.steady;
  if (fork_tokens_ >= 1) return true;
  ++counters_.forks_delayed;
  due(now.steady + kRetryFork);
  return false;
}

// Asks for one more instance and gives it its first batch at once.
bool Core::fork(Function& function, Now now) {
  const Express express = express_for(function, now);
  if (express == Express::kSoon) {
    if (has_zygote(function, now) && may_fork(now)) ask_for_express(function, now);
    return false;
  }
  const bool borrows = express == Express::kNo &&
                       (slots_taken() >= options_.slots || someone_needs_the_slot(function, now));
  if (borrows && finds_no_slot(function, now)) return false;
  if (!has_zygote(function, now) || !may_fork(now)) return false;
  const InstanceId id{next_instance_++};
  if (!effects_.fork(function.zygote, id)) {
    due(now.steady + kRetryFork);
    return false;
  }
  options_.failpoint("worker.fork.asked");
  fork_tokens_ -= 1;
  auto owned = std::make_unique<Instance>();
  Instance& instance = *owned;
  instances_.emplace(id, std::move(owned));
  instance.id = id;
  instance.function = &function;
  instance.generation = function.spec.generation;
  instance.zygote = function.zygote;
  instance.asked_at = instance.in_slot_since = instance.idle_since = now.steady;
  if (express == Express::kYes) go_express(instance);
  if (express_next_ == &function) express_next_ = nullptr;
  if (borrows) {
    instance.borrowed = true;
    ++borrowed_;
    ++counters_.instances_borrowed;
  }
  function.instances.push_back(&instance);
  staffed_.insert(&function);
  function.room = nullptr;
  function.owed_a_slot = false;
  if (function.queue.empty()) {  // provisioned, or brought back: it waits
    function.idle.insert(function.idle.begin(), &instance);
    return true;
  }
  function.idle_times.made(now.steady);
  function.back_at.reset();
  return feed(instance, now);
}

// What waits fails with the reason why nothing can be started. If that is the machine and not the
// function, another one may have room, and nothing is used up.
void Core::fail_queued(Function& function, Now now) {
  while (!function.queue.empty()) {
    Held& held = *function.queue.front();
    function.queue.pop_front();
    if (function.no_room) {
      throttle(held, function.last_failure);
      continue;
    }
    row_.number = held.attempt;
    row_.started_ms = to_ms(now.wall);
    row_.duration_us = row_.cold_start_us = row_.peak_memory_kb = 0;
    row_.cold_start = false;
    row_.instance = 0;
    row_.generation = function.spec.generation;
    ItemResult none;
    none.outcome = protocol::Outcome::kInitFailed;
    none.failure = function.last_failure;
    none.log_tail = function.last_failure_log;
    finish(held, none, row_, now);
  }
}

// A zygote or an instance never came up. It is tried again later, each time a little later.
void Core::note_start_failure(Function& function, protocol::Failure failure, std::string log,
                              Now now) {
  const std::uint32_t failures = std::min<std::uint32_t>(++function.failures_in_row, 9);
  const Duration pause = std::chrono::milliseconds{50} * (1 << failures);  // 100 ms to 25.6 s
  function.paused_until = now.steady + pause;
  due(*function.paused_until);
  function.last_failure = std::move(failure);
  function.last_failure_log = std::move(log);
  function.broken = function.broken || failures >= kStartFailuresMax;
  if (function.broken) fail_queued(function, now);
  touch(function);
}

void Core::on_zygote_started(ZygoteId zygote, Now now) {
  if (Function* function = function_of_candidate(zygote)) {
    return on_candidate_started(*function, now);
  }
  for (auto& [name, function] : functions_) {
    if (function->zygote != zygote || function->zygote_state != Function::ZygoteState::kPreparing) {
      continue;
    }
    function->zygote_state = Function::ZygoteState::kStarted;
    function->zygote_asked_at = now.steady;
    due(now.steady + options_.init_timeout);
    touch(*function);
  }
}

void Core::on_zygote_ready(ZygoteId zygote, Now now) {
  if (Function* function = function_of_candidate(zygote)) return on_candidate_ready(*function, now);
  for (auto& [name, function] : functions_) {
    if (function->zygote != zygote) continue;
    function->zygote_state = Function::ZygoteState::kReady;
    touch(*function);
  }
}

void Core::on_zygote_failed(ZygoteId zygote, protocol::Failure failure, std::string log_tail,
                            Now now) {
  if (Function* function = function_of_candidate(zygote)) {
    return on_candidate_failed(*function, std::move(failure), std::move(log_tail));
  }
  for (auto& [name, function] : functions_) {
    if (function->zygote != zygote || function->zygote_state == Function::ZygoteState::kNone)
      continue;
    ++counters_.zygotes_failed;
    function->zygote_state = Function::ZygoteState::kNone;
    function->broken = true;
    function->no_room = false;
    lose_unborn(*function, zygote, now);
    effects_.warn("function " + name + " does not start: " + failure.type + ": " + failure.message);
    return note_start_failure(*function, std::move(failure), std::move(log_tail), now);
  }
}

void Core::on_zygote_gone(ZygoteId zygote, Now now) {
  if (Function* function = function_of_candidate(zygote)) {
    return on_candidate_failed(*function,
                               {.type = "ZygoteGone",
                                .message = "the process that had started it ended on its own",
                                .retryable = true,
                                .retry_after_ms = {}},
                               {});
  }
  for (auto& [name, function] : functions_) {
    if (function->zygote != zygote || function->zygote_state == Function::ZygoteState::kNone)
      continue;
    effects_.warn("the zygote of function " + name + " ended; another one is started when needed");
    lose_zygote(*function, "the process that starts instances ended on its own", now);
  }
}

// It had done its work until then: whoever killed it, the next one need not wait. Only one that is
// lost again, before anything has run, does.
void Core::lose_zygote(Function& function, std::string why, Now now) {
  ++counters_.zygotes_failed;
  function.zygote_state = Function::ZygoteState::kNone;
  lose_unborn(function, function.zygote, now);
  const bool was_fine = function.failures_in_row == 0;
  function.no_room = false;
  note_start_failure(
      function,
      {.type = "ZygoteGone", .message = std::move(why), .retryable = true, .retry_after_ms = {}},
      {}, now);
  if (was_fine) function.paused_until.reset();
}

// One that is there and does not fork what it was asked for, long after it has said that it is
// ready: somebody has stopped it, or what it loaded holds it up.
void Core::check_zygote_answers(Function& function, Now now) {
  for (const Instance* instance : function.instances) {
    if (instance->started || instance->uses > 0 || instance->zygote != function.zygote) continue;
    const TimePoint late_at = instance->asked_at + 2 * options_.init_timeout;
    if (now.steady < late_at) {
      due(late_at);
      continue;
    }
    effects_.warn("the zygote of function " + function.spec.name +
                  " does not answer and is ended; another one is started when needed");
    effects_.stop_zygote(function.zygote);
    return lose_zygote(function, "the process that starts instances did not answer", now);
  }
}

void Core::end_zygote(Function& function, Now now) {
  if (function.zygote_state == Function::ZygoteState::kNone) return;
  function.zygote_state = Function::ZygoteState::kNone;
  effects_.stop_zygote(function.zygote);
  lose_unborn(function, function.zygote, now);
}

// Instances that were asked for and that the zygote took along.
void Core::lose_unborn(Function& function, ZygoteId zygote, Now now) {
  const std::vector<Instance*> instances = function.instances;
  for (Instance* instance : instances) {
    if (instance->zygote != zygote || instance->started) continue;
    ++counters_.instances_failed;
    take_back_items(*instance, nullptr, now);
    remove(*instance);
  }
}

}  // namespace fanfare::worker
