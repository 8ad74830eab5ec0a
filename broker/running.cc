#include "broker/running.h"

#include <algorithm>

namespace fanfare::broker {

std::optional<double> RunningNow::progress() const {
  if (!attempt->progress) return std::nullopt;
  return std::min(1.0, *attempt->progress / double{protocol::RunningAttempt::kProgressWhole});
}

RunningIndex::RunningIndex(const Core& core, Now now) {
  for (const auto& [id, session] : core.sessions()) {
    const auto since_ms = static_cast<std::int64_t>(to_ms(now.steady - session.running_at));
    for (const auto& attempt : session.running) {
      const auto function = core.functions().find(attempt.function);
      if (function == core.functions().end()) continue;
      const Lease* const lease = function->second->leases.find(attempt.id);
      if (!lease || lease->session != id || lease->token != attempt.token) continue;
      by_delivery_[{attempt.function, attempt.id}] = {&attempt, &session,
                                                      attempt.running_ms + since_ms};
    }
  }
}

const RunningNow* RunningIndex::find(std::string_view function, const protocol::EventId& id) const {
  const auto at = by_delivery_.find({function, id});
  return at == by_delivery_.end() ? nullptr : &at->second;
}

std::vector<RunningNow> RunningIndex::longest(std::int64_t at_least_ms, std::size_t most) const {
  std::vector<RunningNow> found;
  for (const auto& [key, running] : by_delivery_) {
    if (running.running_ms >= at_least_ms || running.attempt->progress) found.push_back(running);
  }
  std::ranges::stable_sort(found, std::ranges::greater{}, &RunningNow::running_ms);
  if (found.size() > most) found.resize(most);
  return found;
}

}  // namespace fanfare::broker
