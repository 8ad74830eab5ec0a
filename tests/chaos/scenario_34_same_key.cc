// Several publishers send events of the same few keys again and again, while the broker is killed.
#include <chrono>
#include <random>
#include <set>

#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_same_key(const Run& run) {
  RigOptions options;
  if (run.without()) options.sabotage = kNoClaims;
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  for (std::uint64_t publisher = 0; publisher < 4; ++publisher) {
    rig.publish({.rate = 300,
                 .seconds = run.lengthy ? 20.0 : 2.5,
                 .seed = run.seed * 10 + publisher,
                 .mix = {{"ok", 9}, {"fail 1", 1}},
                 .deduplication_keys = run.lengthy ? 1000u : 200u});
  }
  Outcome outcome;
  const int kills = run.lengthy ? 30 : 3;
  for (int i = 0; i < kills; ++i) {
    rig.run_for(std::chrono::milliseconds{300 + random() % 500});
    rig.kill(rig.broker());
    ++outcome.times;
  }
  rig.come_to_rest(40s);
  outcome.history = rig.collect();
  std::set<std::string> keys;
  double duplicates = 0;
  for (const Submission& one : outcome.history.submissions) {
    keys.insert(one.deduplication_key);
    if (one.fate == Submission::Fate::kDuplicate) ++duplicates;
  }
  outcome.figures = {{"keys", static_cast<double>(keys.size())},
                     {"publications answered as duplicates", duplicates}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario same_key() {
  return {
      .number = 34,
      .name = "storms of one key",
      .injected = "four publishers send events of the same keys; SIGKILL of the broker meanwhile",
      .without = "what an append keeps of the keys it has taken",
      .bites = {Invariant::kUnknownOnce},
      .run = run_same_key};
}

}  // namespace fanfare::chaos
