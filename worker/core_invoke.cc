// Functions that invoke functions: the invocation's way, and the slot that is lent meanwhile.
//
// An instance that waits does nothing, but its slot is taken. If only free slots could run what it
// waits for, one slot and two functions would be enough to stand still. So each instance that waits
// lends its slot, and an instance that runs an invocation of this kind (a nested one) may be forked
// into it. Nothing else may: events and callers outside that took it could wait in turn, and hold
// more and more instances. A chain has kGenerationsMax links, so at most that many instances wait
// or work for each slot, of which as many as slots work.
//
// An instance that has borrowed a slot runs nested invocations only. When there is none it stays
// for kSpareFor, since who has invoked will often do so again and a fork costs ten times as much as
// the way; on one worker as many as slots may stay. A lender may go on while what it waited for
// still runs (its time was up): then one instance more than slots is at work for the rest of that,
// and nothing more is lent for it.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

// Both as a client outside has them.
const Duration kInvokeTimeout = std::chrono::milliseconds{protocol::Invoke{}.timeout_ms};
constexpr Duration kBrokerPatience = std::chrono::seconds{3};
constexpr std::int64_t kInvokeTimeoutMaxMs = 86'400'000;
// The broker says when the time is up, and why nothing came of it; this is for its word to arrive.
constexpr Duration kWordIsOnItsWay = std::chrono::milliseconds{250};
constexpr Duration kSpareFor = std::chrono::seconds{1};

}  // namespace

// ---- the way ----

// What the running item is, or, if they are in one call, the items.
std::vector<protocol::Cause> Core::causes_of(const Instance& instance,
                                             const InstanceHandle::Running& running) const {
  std::vector<protocol::Cause> causes;
  for (const Batch& batch : instance.batches) {
    if (!batch.open() || batch.number != running.batch) continue;
    for (std::size_t i = batch.taken; i < batch.items.size(); ++i) {
      if (!batch.together && i != running.item) continue;
      causes.push_back({batch.items[i]->id, batch.items[i]->packed_event});
    }
  }
  return causes;
}

// Who invokes, what led to it and how much time is left is the worker's knowledge, never the
// instance's word.
void Core::on_invoke_asked(InstanceId id, InvokeRequest request, Now now) {
  Instance* instance = instance_of(id);
  if (!instance || instance->gone || instance->waits) return;
  const auto refuse = [&](std::string_view type, std::string why) {
    ++counters_.invokes_refused;
    effects_.give_invoked(id, request.number, InvokeAnswer::refused(type, std::move(why)));
  };
  const Function& caller = *instance->function;
  const auto running = effects_.running(id);
  const auto causes = running ? causes_of(*instance, *running) : std::vector<protocol::Cause>{};
  if (causes.empty()) return refuse("invalid", "only a handler that runs may invoke a function");
  const Duration left = caller.manifest.timeout - (now.steady - running->started_at);
  if (left < std::chrono::milliseconds{1}) {
    return refuse("timeout", "the time of this attempt is up");
  }
  if (request.function == caller.spec.name && caller.manifest.max_concurrency == 1) {
    return refuse("invalid",
                  "the function would wait for itself: its max_concurrency is 1, and it runs");
  }
  const std::size_t data_bytes = request.data.size();
  auto event = protocol::invoking_event(caller.spec.name, std::move(request.data), causes);
  if (!event) return refuse("recursion", event.error().message);
  const Duration wanted =
      request.timeout_ms > 0
          ? std::chrono::milliseconds{std::min(request.timeout_ms, kInvokeTimeoutMaxMs)}
          : kInvokeTimeout;
  // An attempt that has no more time than this is ended for it, rather than told that its time is
  // up a moment before: the broker's word would come when it may or may not run any more.
  const Duration longest = left + kWordIsOnItsWay;
  const std::uint64_t number = next_invoking_++;
  Invoking& invoking =
      invoking_
          .emplace(number, Invoking{.instance = id,
                                    .number = request.number,
                                    .function = std::move(request.function),
                                    .ends_at = now.steady + std::min(wanted, longest),
                                    .met_by = now.steady + kBrokerPatience,
                                    .data_bytes = data_bytes,
                                    .packed_event = *std::move(event)})
          .first->second;
  ++counters_.invokes;
  instance->waits = true;
  for (auto& [name, function] : functions_) {
    if (has_nested(*function)) touch(*function);  // there is a slot more
  }
  route(number, invoking, now);
}

// Where an invocation goes: to an instance of this worker, if it may (core_local.cc); else to the
// broker, which knows who has room, keeps max_concurrency and rate, and puts it before what
// nobody's slot waits for.
void Core::route(std::uint64_t request, Invoking& invoking, Now now) {
  if (!run_here(request, invoking, now)) ask_broker(request, invoking, now);
}

void Core::ask_broker(std::uint64_t request, Invoking& invoking, Now now) {
  if (link_ != Link::kJoined) return due(std::min(invoking.met_by, invoking.ends_at));
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(invoking.ends_at - now.steady).count();
  effects_.send(protocol::encode(
      protocol::Invoke{.request = request,
                       .function = invoking.function,
                       .timeout_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(left, 1)),
                       .packed_event = std::exchange(invoking.packed_event, {})}));
  invoking.way = Invoking::Way::kSent;
  due(invoking.ends_at + kWordIsOnItsWay);
  // The usual credit may be used up, by events that wait for the very slot that this one's caller
  // is in. What is given now comes after the Invoke, and the broker uses it for that first. If that
  // went elsewhere it brings an event more than usual, so there is a bound to it.
  if (Function* const function = find(invoking.function)) {
    ++function->credit_promised;
    touch(*function);
  }
  options_.failpoint("worker.invoke.sent");
}

void Core::route_those_left(Now now) {
  for (auto& [request, invoking] : invoking_) {
    if (invoking.way == Invoking::Way::kWaits) ask_broker(request, invoking, now);
  }
}

// What nobody waits for any more is dropped: its caller has ended, or its time was up.
void Core::on_invoked(const protocol::Invoked& message) {
  if (!invoking_.contains(message.request)) return;
  auto record = protocol::unpack_result(message.record);
  if (!record) {
    return answer_invoking(message.request,
                           InvokeAnswer::refused("internal", record.error().message));
  }
  if (record->status == protocol::Status::kSucceeded) {
    return answer_invoking(message.request, {.kind = InvokeAnswer::Kind::kOk,
                                             .type = {},
                                             .message = {},
                                             .content_type = std::move(record->content_type),
                                             .output = std::move(record->output)});
  }
  answer_invoking(message.request, {.kind = InvokeAnswer::Kind::kFailed,
                                    .type = std::move(record->error_type),
                                    .message = std::move(record->error_message),
                                    .content_type = {},
                                    .output = {}});
}

// False if it is about something else.
bool Core::on_invoke_refused(const protocol::Refused& message) {
  if (message.request < std::uint64_t{1} << 63) return false;
  answer_invoking(message.request,
                  InvokeAnswer::refused(protocol::to_string(message.code), message.message));
  return true;
}

// The only way back.
void Core::answer_invoking(std::uint64_t request, const InvokeAnswer& answer) {
  auto node = invoking_.extract(request);
  if (node.empty()) return;
  const Invoking& invoking = node.mapped();
  if (answer.kind == InvokeAnswer::Kind::kRefused) ++counters_.invokes_refused;
  if (Instance* const instance = instance_of(invoking.instance)) instance->waits = false;
  effects_.give_invoked(invoking.instance, invoking.number, answer);
}

// What went out on a connection that broke; as a client would be told.
void Core::lose_invoking(std::string_view why) {
  std::vector<std::uint64_t> lost;
  for (const auto& [request, invoking] : invoking_) {
    if (invoking.way == Invoking::Way::kSent) lost.push_back(request);
  }
  for (const std::uint64_t request : lost) {
    answer_invoking(request, InvokeAnswer::refused("unreachable", std::string{why}));
  }
}

void Core::expire_invoking(Now now) {
  if (invoking_.empty()) return;
  std::vector<std::pair<std::uint64_t, InvokeAnswer>> late;
  for (auto& [request, invoking] : invoking_) {
    if (invoking.way == Invoking::Way::kHere) {
      const LocalNews news =
          look_at_local(*invoking.held, invoking.ends_at, invoking.moves_on_at, now);
      if (news == LocalNews::kMovesOn) {
        move_on(request, invoking, now);
      } else if (news != LocalNews::kNone) {
        late.emplace_back(request, InvokeAnswer::refused("timeout", why_late(news)));
      }
      continue;
    }
    const bool sent = invoking.way == Invoking::Way::kSent;
    const TimePoint until =
        sent ? invoking.ends_at + kWordIsOnItsWay : std::min(invoking.met_by, invoking.ends_at);
    if (until > now.steady) {
      due(until);
    } else if (sent) {
      late.emplace_back(request,
                        InvokeAnswer::refused("timeout", "the broker did not answer in time"));
    } else {
      late.emplace_back(request, InvokeAnswer::refused("unreachable", "there is no broker"));
    }
  }
  for (const auto& [request, answer] : late) answer_invoking(request, answer);
}

// It is dead. What it waited for goes on; nobody hears of it.
void Core::forget_invoking(Instance& instance) {
  if (!instance.waits) return;
  std::erase_if(invoking_, [&](const auto& entry) {
    if (entry.second.instance != instance.id) return false;
    if (entry.second.way == Invoking::Way::kHere) tell_soon_ = true;
    ++counters_.invokes_left;
    return true;
  });
}

// ---- the slot ----

std::size_t Core::nested_max() const {
  return std::size_t{protocol::kGenerationsMax} * options_.slots;
}

std::size_t Core::lent() const {
  return std::min(invoking_.size(), nested_max());
}

bool Core::is_nested(std::string_view packed_event) {
  const auto event = protocol::view_event(packed_event);
  if (!event) return false;
  const auto options = protocol::unpack_options(event->packed_options);
  return options && options->generation > 0;
}

bool Core::has_nested(const Function& function) {
  return !function.queue.empty() && function.queue.front()->nested;
}

std::size_t Core::nested_in_front(const Function& function) {
  const auto rest =
      std::ranges::find_if(function.queue, [](const Held* held) { return !held->nested; });
  return static_cast<std::size_t>(rest - function.queue.begin());
}

// After deliveries have come back to the front of a queue.
void Core::put_nested_first(Function& function) {
  auto& queue = function.queue;
  const auto rest = std::stable_partition(queue.begin(), queue.end(),
                                          [](const Held* held) { return held->nested; });
  if (rest == queue.end()) return;
  for (auto at = queue.begin(); at != rest; ++at) {
    (*at)->turn = std::min((*at)->turn, (*rest)->turn);
  }
}

// All slots are taken, or promised to others. False if the function may borrow one.
bool Core::finds_no_slot(Function& function, Now now) {
  const bool full = slots_taken() >= options_.slots;
  if (has_nested(function)) {
    // The slot of somebody idle is there for events, too; one that is lent is not.
    const bool comes = full && function.room && function.room->idle();
    if (comes || (full && take_idle_slot(function, now))) return true;
    if (borrowers() < lent()) return false;
  }
  if (full) make_room_for(function, now);
  return true;
}

// An instance in a borrowed slot has nothing to do any more: it runs the next nested invocation, or
// moves into a free slot (then it is like any other), or is spared. False if it should leave.
bool Core::settle_borrowed(Instance& instance, Now now) {
  Function& function = *instance.function;
  if (draining_) return false;
  if (slots_taken() < options_.slots && !someone_needs_the_slot(function, now)) {
    move_in(instance);
    return false;
  }
  if (has_nested(function) && borrowers() <= lent() && !quiet_) return feed(instance, now);
  if (spare_ >= options_.slots) return false;
  function.spare.push_back(&instance);
  ++spare_;
  due(now.steady + kSpareFor);
  return true;
}

bool Core::may_use_spare(const Function& function) const {
  return !function.spare.empty() && has_nested(function) && borrowers() < lent();
}

void Core::move_in(Instance& instance) {
  not_idle(instance);
  instance.borrowed = false;
  --borrowed_;
}

// There is something to do: rather than forking one more into a free slot.
void Core::move_spare_in(Function& function, Now now) {
  if (!function.idle.empty() || slots_taken() >= options_.slots ||
      someone_needs_the_slot(function, now)) {
    return;
  }
  Instance& instance = *function.spare.back();
  move_in(instance);
  function.idle.push_back(&instance);
}

void Core::reap_spare(Function& function, Now now) {
  while (!function.spare.empty()) {
    Instance& coldest = *function.spare.front();
    const TimePoint leaves_at =
        coldest.idle_since + std::min<Duration>(kSpareFor, function.manifest.keep_alive);
    if (leaves_at > now.steady) return due(leaves_at);
    ++counters_.instances_reaped;
    retire(coldest, now);
  }
}

// It is busy, or leaves.
void Core::not_idle(Instance& instance) {
  Function& function = *instance.function;
  std::erase(function.idle, &instance);
  if (instance.borrowed && std::erase(function.spare, &instance) > 0) --spare_;
}

}  // namespace fanfare::worker
