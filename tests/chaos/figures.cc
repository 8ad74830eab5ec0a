#include "tests/chaos/figures.h"

#include <algorithm>
#include <unordered_map>

namespace fanfare::chaos {

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[at];
}

double ms_until_acknowledged(const History& history, std::int64_t from_ns, double per_s) {
  constexpr std::int64_t kWindowNs = 500'000'000;
  std::vector<std::int64_t> answers;
  for (const Submission& one : history.submissions) {
    if (one.fate == Submission::Fate::kAccepted && one.answered_ns > from_ns) {
      answers.push_back(one.answered_ns);
    }
  }
  std::sort(answers.begin(), answers.end());
  const auto enough = static_cast<std::size_t>(per_s * kWindowNs / 1e9);
  for (std::size_t i = enough; i < answers.size(); ++i) {
    if (answers[i] - answers[i - enough] <= kWindowNs) {
      return static_cast<double>(answers[i] - from_ns) / 1e6;
    }
  }
  return 1e6;
}

std::vector<double> ms_until_run_again(const History& history, std::int64_t from_ns,
                                       std::int64_t until_ns) {
  std::unordered_map<std::int32_t, std::int64_t> killed_at;  // by process
  for (const Fault& fault : history.faults) {
    const bool meant = fault.from_ns >= from_ns && fault.from_ns < until_ns;
    if (fault.pid != 0 && meant) killed_at.emplace(fault.pid, fault.from_ns);
  }
  std::unordered_map<protocol::EventId, std::vector<const Execution*>> by_delivery;
  for (const Execution& one : history.executions) by_delivery[one.id].push_back(&one);
  std::vector<double> waits;
  for (auto& [id, runs] : by_delivery) {
    std::sort(runs.begin(), runs.end(),
              [](const Execution* a, const Execution* b) { return a->began_ns < b->began_ns; });
    for (std::size_t i = 0; i + 1 < runs.size(); ++i) {
      const auto killed = killed_at.find(runs[i]->worker);
      if (killed == killed_at.end() || runs[i]->began_ns > killed->second) continue;
      waits.push_back(static_cast<double>(runs[i + 1]->began_ns - killed->second) / 1e6);
    }
  }
  return waits;
}

}  // namespace fanfare::chaos
