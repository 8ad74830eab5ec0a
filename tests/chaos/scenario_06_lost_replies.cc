// Redis applies what it is asked, and nobody hears of it: the answer is lost with its connection,
// or comes when nobody waits for it any more.
#include <chrono>
#include <random>

#include "tests/chaos/link_proxy.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_lost_replies(const Run& run) {
  RigOptions options;
  options.proxy_redis = true;
  options.workers = 2;
  if (run.without()) options.sabotage = kNoTokens;
  Rig rig(options);
  std::mt19937_64 random(run.seed);

  const double seconds = run.lengthy ? 30 : 3;
  // Large enough entries that some of their deliveries are committed before the others.
  rig.publish({.rate = 1500,
               .seconds = seconds,
               .seed = run.seed,
               .mix = {{"ok", 90}, {"sleep 5", 5}, {"fail 1", 4}, {"never", 1}}});
  rig.run_for(200ms);
  Outcome outcome;
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds - 0.3);
  while (std::chrono::steady_clock::now() < until) {
    rig.run_for(std::chrono::milliseconds{50 + random() % 150});
    rig.note_fault("replies lost", Rig::now_ns());
    if (random() % 5 == 0) {
      rig.redis().pause();
      rig.run_for(std::chrono::milliseconds{50 + random() % 200});
      rig.redis_link().reset_all();
      rig.redis().resume();
    } else if (random() % 5 == 0) {
      rig.redis_link().cut_next_requests(1 + random() % 500);
    } else {
      rig.redis_link().lose_next_replies();
    }
  }
  rig.come_to_rest(30s);
  outcome.history = rig.collect();
  outcome.times = rig.redis_link().lost_replies() + rig.redis_link().cut_requests();
  outcome.figures = {{"replies lost after Redis had applied",
                      static_cast<double>(rig.redis_link().lost_replies())},
                     {"requests cut short", static_cast<double>(rig.redis_link().cut_requests())}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario lost_replies() {
  return {.number = 6,
          .name = "unknown outcomes",
          .injected = "Redis' replies lost after it applied; requests cut short; SIGSTOP of Redis",
          .without = "the tokens that tell a repeat, or another attempt, from the first",
          .bites = {Invariant::kOneCommit, Invariant::kNoLoss, Invariant::kConservation},
          .run = run_lost_replies};
}

}  // namespace fanfare::chaos
