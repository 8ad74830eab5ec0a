// Who goes next here: tenants within a function, and functions when slots are short.
//
// Functions share slots by weight. As long as there are free or idle slots nobody gives way. After
// that a function that has fewer instances than its share gets one of whoever has most for its
// weight: at once where that brings both nearer to their shares; and where shares are fractions of
// a slot (more functions than slots, or 1 : 3 on two slots), in turns, by the time that each has
// used, divided by its weight.
//
// Nobody is stopped at work: an instance leaves when it has finished what it holds.
#include <algorithm>
#include <functional>

#include "protocol/event.h"
#include "worker/core.h"

namespace fanfare::worker {
namespace {

// How far one function's use may run ahead before a slot changes hands for a fraction's sake: each
// change costs a fork and an end.
constexpr double kTurnNs = 20e6;
// For one that has no slot at all a turn is shorter: this many times what a start takes, so that
// most of the time goes into work and not into changes, and never longer than the other.
constexpr double kTurnInStarts = 4;
constexpr Duration kShareAgain = std::chrono::milliseconds{1};
constexpr std::size_t kTurnsKept = 64;  // of tenants that have nothing here

// Events without a tenant are told apart by their priority and ordering key, as far as their lanes
// are.
std::uint64_t tenant_of(const Held& held) {
  const std::string_view tenant = held.lane.is_plain() && held.origin != protocol::Origin::kInvoke
                                      ? std::string_view{}
                                      : protocol::tenant_of(held.packed_event);
  return tenant.empty() ? held.lane.number : std::hash<std::string_view>{}(tenant);
}

bool stays(const Instance* instance) {
  return !instance->retiring && !instance->borrowed && !instance->express;
}

// The coldest idle one that holds a slot.
Instance* idle_in_a_slot(const Function& function) {
  const auto at = std::ranges::find_if(function.idle, stays);
  return at == function.idle.end() ? nullptr : *at;
}

std::size_t staying(const Function& function) {
  return static_cast<std::size_t>(std::ranges::count_if(function.instances, stays));
}

double per_weight(double amount, const Function& function) {
  return amount / static_cast<double>(function.manifest.weight);
}

bool has_work(const Function& function) {
  return function.usable() && (!function.queue.empty() || function.in_instances > 0);
}

}  // namespace

// Tenants take turns here as they do at the broker: what was fetched ahead of one's events does not
// delay another's. Deliveries of one turn lie together, and a tenant has one in each. One that had
// nothing here comes into the turn that was handed out last, so it goes next; it does not get two
// in that turn by coming anew. (Start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996.)
void Core::enqueue(Function& function, Held& held) {
  auto& queue = function.queue;
  if (held.nested) {  // before all that nobody's slot waits for
    held.turn = queue.empty() ? 0 : queue.front()->turn;
    queue.insert(queue.begin() + static_cast<std::ptrdiff_t>(nested_in_front(function)), &held);
    return;
  }
  function.several_tenants = function.several_tenants || held.lane != protocol::kDefaultLane;
  if (!function.several_tenants) {
    held.turn = 0;
    queue.push_back(&held);
    return;
  }
  forget_old_turns(function);
  const auto [last, is_new] = function.turns.try_emplace(tenant_of(held), function.turn);
  if (!is_new) last->second = std::max(last->second + 1, function.turn);
  held.turn = last->second;
  const auto place =
      std::upper_bound(queue.begin(), queue.end(), held.turn,
                       [](std::uint64_t turn, const Held* one) { return turn < one->turn; });
  queue.insert(place, &held);
}

// Whoever has nothing here may at worst get two in the turn of now.
void Core::forget_old_turns(Function& function) {
  if (function.turns.size() < kTurnsKept + 2 * function.queue.size()) return;
  std::erase_if(function.turns, [&](const auto& one) { return one.second <= function.turn; });
}

// A function that has had nothing to do has saved up nothing, and owes no more than a turn.
void Core::note_work(Function& function) {
  if (has_work(function)) return;
  double least = -1;
  for (const auto& [name, other] : functions_) {
    if (other.get() == &function || !has_work(*other)) continue;
    least = least < 0 ? other->used_ns : std::min(least, other->used_ns);
  }
  if (least < 0) {  // nobody else: from here on all have used nothing
    for (auto& [name, other] : functions_) other->used_ns = 0;
    return;
  }
  function.used_ns = std::clamp(function.used_ns, least, least + kTurnNs);
}

void Core::note_use(Function& function, std::span<const ItemResult> results) {
  Duration spent{};
  for (const ItemResult& result : results) spent += result.duration;
  function.used_ns += per_weight(static_cast<double>(spent.count()), function);
}

// How many slots a function should have, of those that have work.
double Core::share_of(const Function& function) const {
  double all = has_work(function) ? 0 : function.manifest.weight;
  for (const auto& [name, other] : functions_) {
    if (has_work(*other)) all += other->manifest.weight;
  }
  return static_cast<double>(options_.slots) * function.manifest.weight / all;
}

// Until when an instance has its slot to itself: it should be worth what its start has cost. One
// that has nothing to do may go at once.
std::optional<TimePoint> Core::turn_ends_at(const Instance& instance, const Function& next,
                                            Now now) {
  const Function& from = *instance.function;
  if (staying(next) > 0 || staying(from) > 1) return {};  // shares say who gets what
  if (instance.idle() && !has_due_work(from, now)) return {};
  const double starts = std::max(from.start_cost_ns, next.start_cost_ns);
  const double turn = std::min(kTurnInStarts * starts, kTurnNs);
  const TimePoint ends = instance.in_slot_since + Duration{static_cast<std::int64_t>(turn)};
  return ends > now.steady ? std::optional(ends) : std::nullopt;
}

bool Core::may_take_from(const Function& from, const Function& function) const {
  const std::size_t has = staying(from), gets = staying(function);
  if (gets == 0) return has > 1 || from.used_ns >= function.used_ns;
  if (static_cast<double>(has) <= share_of(from) ||
      static_cast<double>(gets) >= share_of(function)) {
    return false;
  }
  if (per_weight(static_cast<double>(has - 1), from) >=
      per_weight(static_cast<double>(gets + 1), function)) {
    return true;
  }
  return from.used_ns >= function.used_ns + kTurnNs;
}

// Not what is still being gathered into a batch: that may take minutes.
bool Core::has_due_work(const Function& function, Now now) {
  return !function.queue.empty() && is_gathered(function, now);
}

// Whether the free slots are for others: for whom somebody has left, or who have work and no
// instance at all while this function has some.
bool Core::someone_needs_the_slot(const Function& function, Now now) const {
  if (function.owed_a_slot) return false;
  std::size_t free = options_.slots - slots_taken();
  for (const auto& [name, other] : functions_) {
    const bool has_none = !function.instances.empty() && other->instances.empty();
    const bool needs = other.get() != &function && other->usable() && !other->paused_until &&
                       has_due_work(*other, now) && (other->owed_a_slot || has_none);
    if (needs && --free == 0) return true;
  }
  return false;
}

// An idle instance of another function leaves, of one that has nothing waiting for it. False if
// there is none to spare.
bool Core::take_idle_slot(Function& function, Now now) {
  Instance* leaves = nullptr;
  bool spare = false;  // its function has more than it is promised
  for (Function* other : staffed_) {
    Instance* idle = idle_in_a_slot(*other);
    if (other == &function || !idle || has_due_work(*other, now)) continue;
    const bool other_spare = other->instances.size() > other->manifest.provisioned;
    if (!leaves || (other_spare && !spare) ||
        (other_spare == spare && idle->idle_since < leaves->idle_since)) {
      leaves = idle;
      spare = other_spare;
    }
  }
  if (!leaves || (!spare && !function.instances.empty())) return false;
  ++counters_.instances_reaped;
  function.room = leaves;
  retire(*leaves, now);
  return true;
}

// All slots are taken. Somebody idle leaves, or one of those that have more than their share, as
// soon as it has finished what it holds.
void Core::make_room_for(Function& function, Now now) {
  if (function.room) return find_room_sooner(function, now);
  if (take_idle_slot(function, now)) return;
  // Of the function with most instances for its weight; among equals of the quicker one.
  Instance* leaves = nullptr;
  double most = 0;
  bool stands_in_line = false;
  for (Function* other : staffed_) {
    const auto at = std::ranges::find_if(other->instances, stays);
    if (other == &function || at == other->instances.end()) continue;
    if (!may_take_from(*other, function)) {
      stands_in_line = true;
      continue;
    }
    const double has = per_weight(static_cast<double>(staying(*other)), *other);
    if (leaves &&
        (has < most || (has == most && other->service_ns >= leaves->function->service_ns))) {
      continue;
    }
    leaves = *at;
    most = has;
  }
  if (!leaves) {  // where all leave for others already, their end tells
    if (stands_in_line) due(now.steady + kShareAgain);
    return;
  }
  if (const auto ends = turn_ends_at(*leaves, function, now)) return due(*ends);
  ++counters_.instances_reaped;
  function.room = leaves;
  retire(*leaves, now);
}

// Whoever leaves for it is still at work; somebody else may have become idle meanwhile.
void Core::find_room_sooner(Function& function, Now now) {
  Instance* const busy = function.room;
  if (busy->idle()) return;
  function.room = nullptr;
  if (take_idle_slot(function, now)) return need_not_leave(*busy);
  function.room = busy;
}

// A function's last instance has ended. It does not take the slot anew before those who have waited
// for one without any: where instances end sooner than a turn does they would wait for ever.
void Core::pass_slot_on(const Function& from) {
  Function* next = nullptr;
  for (auto& [name, other] : functions_) {
    const bool waits = other.get() != &from && other->usable() && !other->paused_until &&
                       other->instances.empty() && !other->room && !other->queue.empty();
    if (!waits) continue;
    if (other->owed_a_slot) return;
    if (next && next->queue.front()->arrived <= other->queue.front()->arrived) continue;
    next = other.get();
  }
  if (next) next->owed_a_slot = true;
}

// It was to leave for another function, and is at work.
void Core::need_not_leave(Instance& instance) {
  const bool for_another = instance.stop == StopReason::kNone && !instance.told_to_end &&
                           instance.generation == instance.function->spec.generation;
  if (!for_another) return;
  instance.retiring = false;
  touch(*instance.function);
}

// An instance has become idle. If a function waits for another one that is still busy, this one
// leaves in its place.
bool Core::give_way(Instance& instance, Now now) {
  for (auto& [name, waiting] : functions_) {
    if (!waiting->room || waiting->room == &instance || waiting->room->idle()) continue;
    const bool of_the_same = waiting->room->function == instance.function;
    if (waiting.get() == instance.function || (!waiting->instances.empty() && !of_the_same)) {
      continue;
    }
    if (!of_the_same &&
        (!may_take_from(*instance.function, *waiting) || turn_ends_at(instance, *waiting, now))) {
      continue;
    }
    need_not_leave(*waiting->room);
    waiting->room = &instance;
    retire(instance, now);
    return true;
  }
  return false;
}

}  // namespace fanfare::worker
