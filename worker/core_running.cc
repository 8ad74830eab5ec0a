// What instances are at, and what their functions say of it: for the broker, and so for people.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

// How often functions' progress is looked at while something runs: news goes out no more often.
constexpr Duration kLookEvery = std::chrono::milliseconds{250};

std::uint32_t as_ms(Duration duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, UINT32_MAX));
}

std::uint32_t as_millionths(double fraction) {
  constexpr auto kWhole = protocol::RunningAttempt::kProgressWhole;
  return static_cast<std::uint32_t>(std::clamp(fraction, 0.0, 1.0) * kWhole + 0.5);
}

}  // namespace

// The delivery that an instance is at; nullptr if its result has arrived meanwhile.
Held* Core::item_at(const Instance& instance, const InstanceHandle::Running& running) {
  for (const Batch& batch : instance.batches) {
    if (batch.open() && batch.number == running.batch && running.item >= batch.taken &&
        running.item < batch.items.size()) {
      return batch.items[running.item];
    }
  }
  return nullptr;
}

// Something has been given to an idle instance: it may have something to say in a while.
void Core::look_soon(Now now) {
  if (next_look_ <= now.steady) next_look_ = now.steady + kLookEvery;
  due(next_look_);
}

bool Core::anything_runs() const {
  return std::ranges::any_of(functions_,
                             [](const auto& entry) { return entry.second->in_instances > 0; });
}

// An instance goes from one item to the next at any time: what it reports belongs to the one that
// it is at before and afterwards.
std::optional<Instance::Told> Core::progress_of(const Instance& instance) {
  const auto running = effects_.running(instance.id);
  if (!running) return std::nullopt;
  auto progress = effects_.progress(instance.id);
  const auto still = effects_.running(instance.id);
  if (!progress || !still || still->batch != running->batch || still->item != running->item) {
    return std::nullopt;
  }
  return Instance::Told{running->batch, running->item, *std::move(progress)};
}

// News of progress does not wait for the next heartbeat's time.
void Core::look_at_progress(Now now) {
  if (!anything_runs()) return;
  if (now.steady < next_look_) return due(next_look_);
  next_look_ = now.steady + kLookEvery;
  due(next_look_);
  print_what_runs(now);
  for (auto& [id, instance] : instances_) {
    if (instance->idle()) continue;
    const auto told = progress_of(*instance);
    if (told && told != instance->told) {
      next_heartbeat_ = now.steady;
      return;
    }
  }
}

std::vector<protocol::RunningAttempt> Core::running_attempts(Now now) {
  std::vector<protocol::RunningAttempt> all;
  for (auto& [id, instance] : instances_) {
    if (instance->idle()) continue;
    instance->told = progress_of(*instance);
    const auto running = effects_.running(id);
    const Held* const held = running ? item_at(*instance, *running) : nullptr;
    if (!held || held->local != 0) continue;
    protocol::RunningAttempt& attempt = all.emplace_back();
    attempt.function = instance->function->spec.name;
    attempt.id = held->id;
    attempt.token = held->token;
    attempt.running_ms = as_ms(now.steady - running->started_at);
    if (const auto& told = instance->told;
        told && told->batch == running->batch && told->item == running->item) {
      attempt.progress = as_millionths(told->progress.fraction);
      attempt.note = told->progress.note;
    }
  }
  if (all.size() > protocol::kRunningInHeartbeatMax) {
    const auto matters_more = [](const auto& a, const auto& b) {
      if (a.progress.has_value() != b.progress.has_value()) return a.progress.has_value();
      return a.running_ms != b.running_ms ? a.running_ms > b.running_ms : a.id < b.id;
    };
    const auto end = all.begin() + protocol::kRunningInHeartbeatMax;
    std::ranges::nth_element(all, end, matters_more);
    all.erase(end, all.end());
  }
  return all;
}

}  // namespace fanfare::worker
