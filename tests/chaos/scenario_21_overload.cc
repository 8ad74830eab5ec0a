// Ten times as many events as can be run, and then no longer.
#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "tests/chaos/figures.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// Executions that ended between two instants, per second.
double ended_per_s(const History& history, std::int64_t from_ns, std::int64_t to_ns) {
  const auto count = std::count_if(
      history.executions.begin(), history.executions.end(),
      [&](const Execution& one) { return one.ended_ns >= from_ns && one.ended_ns < to_ns; });
  return static_cast<double>(count) / (static_cast<double>(to_ns - from_ns) / 1e9);
}

// From when each event that was taken between two instants was sent to its end.
std::vector<double> ms_until_ended(const History& history, std::int64_t from_ns,
                                   std::int64_t to_ns) {
  std::unordered_map<Tag, std::int64_t> ended;
  for (const Execution& one : history.executions) ended[one.tag] = one.ended_ns;
  std::vector<double> waits;
  for (const Submission& one : history.submissions) {
    const auto found = ended.find(one.tag);
    if (one.fate != Submission::Fate::kAccepted || found == ended.end()) continue;
    if (one.answered_ns < from_ns || one.answered_ns >= to_ns) continue;
    waits.push_back(static_cast<double>(found->second - one.invoked_ns) / 1e6);
  }
  return waits;
}

Outcome run_overload(const Run& run) {
  RigOptions options;
  options.slots = 2;
  // What may wait is a second's work; a queue without a bound would be minutes long.
  options.broker = {{"FANFARE_BROKER_QUEUE_MAX", "300"}};
  if (run.without()) options.broker_without = "bound_queues";
  Rig rig(options);
  // Two slots and 5 ms each: some 370 a second can be run, whatever the machine.
  const double overload_s = run.lengthy ? 60 : 3;
  const std::int64_t begun = Rig::now_ns();
  rig.publish({.rate = 300, .seconds = 2, .seed = run.seed, .mix = {{"sleep 5", 1}}});
  rig.run_for(2s);
  const std::int64_t overloaded = Rig::now_ns();
  rig.publish({.rate = 3700, .seconds = overload_s, .seed = run.seed + 1, .mix = {{"sleep 5", 1}}});
  rig.run_for(std::chrono::milliseconds{static_cast<int>(overload_s * 1000)});
  const std::int64_t over = Rig::now_ns();
  Outcome outcome;
  outcome.times = 1;
  // What is published now finds an empty queue within five seconds. A short run shares the machine
  // with other tests, and has ten: without a bound the queue would be half a minute's work even on
  // a machine of its own.
  const auto patience = run.lengthy ? 5s : 10s;
  const bool drained = rig.run_until([&] { return rig.counts().open < 20; }, patience);
  const std::int64_t normal = Rig::now_ns();
  // A queue of minutes has been seen by now, and need not be waited for.
  rig.come_to_rest(drained ? 30s : 0s);
  outcome.history = rig.collect();
  const double before = ended_per_s(outcome.history, begun + 500'000'000, overloaded);
  const double during = ended_per_s(outcome.history, overloaded + 200'000'000, over);
  outcome.history.bounds.push_back(
      {.of = Bounded::Of::kTime,
       .what = "s until the queue was short again",
       .value = drained ? static_cast<double>(normal - over) / 1e9 : 1e3,
       .at_most = std::chrono::duration<double>(patience).count()});
  // At least 80 % of what it did before; a short run only sees that it does not collapse.
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "goodput missing under overload, in percent of before",
                                    .value = std::max(0.0, 100 - 100 * during / before),
                                    .at_most = run.lengthy ? 20.0 : 85.0});
  const auto waits = ms_until_ended(outcome.history, overloaded, over);
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms until what was taken under overload ended, p99",
                                    .value = quantile(waits, 0.99),
                                    .at_most = run.lengthy ? 2000.0 : 10'000.0});
  outcome.figures = {
      {"runs per s before", before},
      {"runs per s at ten times the load", during},
      {"ms until what was taken ended, p50", quantile(waits, 0.5)},
      {"p99", quantile(waits, 0.99)},
      {"s until the queue was short again", static_cast<double>(normal - over) / 1e9}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario overload() {
  return {.number = 21,
          .name = "overload",
          .injected = "ten times as many events as can be run (long: for 60 s)",
          .without = "the bound of the queue",
          .bites = {Invariant::kLiveness},
          .run = run_overload};
}

}  // namespace fanfare::chaos
