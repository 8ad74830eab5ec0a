// Many publishers, and the broker is gone with a queue of work: when it is there again they all
// come at once, each with what it had not been answered.
#include <algorithm>
#include <chrono>
#include <random>
#include <unordered_map>

#include "tests/chaos/figures.h"
#include "tests/chaos/link_proxy.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// The first acknowledgement of each client after `from_ns`, in ms.
std::vector<double> ms_until_answered(const History& history, std::int64_t from_ns,
                                      std::uint64_t clients) {
  std::unordered_map<std::uint64_t, double> first;
  for (const Submission& one : history.submissions) {
    if (one.fate != Submission::Fate::kAccepted || one.answered_ns < from_ns) continue;
    const double ms = static_cast<double>(one.answered_ns - from_ns) / 1e6;
    const auto [at, is_new] = first.emplace(one.tag % clients, ms);
    at->second = std::min(at->second, ms);
  }
  std::vector<double> all;
  for (const auto& [client, ms] : first) all.push_back(ms);
  return all;
}

// What is appended now, nobody hears of: the broker ends before it can ask again. On a machine that
// stands still there may be nothing: then once more.
void end_the_broker_unheard(Rig& rig, const std::string& log, std::int64_t accepted_before) {
  rig.broker().supervised = false;
  for (int round = 0; round < 5; ++round) {
    if (round > 0) {
      rig.start(rig.broker());
      rig.run_for(300ms);
    }
    rig.redis_link().delay(300ms);
    rig.run_for(400ms);
    const auto lost = rig.redis_link().lost_replies();
    rig.redis_link().lose_next_replies();
    rig.run_until([&] { return rig.redis_link().lost_replies() > lost + 1; }, 2s);
    rig.run_for(100ms);
    rig.kill(rig.broker());
    rig.redis_link().delay(0ms);
    std::vector<Submission> sent;
    read_submissions(log, sent);
    const auto heard = std::ranges::count(sent, Submission::Fate::kAccepted, &Submission::fate);
    if (rig.counts().accepted - accepted_before > heard) return;
  }
}

Outcome run_herd(const Run& run) {
  RigOptions options;
  options.proxy_redis = true;
  options.read_file = !run.lengthy;
  if (run.without()) options.broker_without = "repeat_guard";
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  const std::uint32_t clients = run.lengthy ? 1000 : 150;
  const double rate = run.lengthy ? 5000 : 1500;
  const std::int64_t before = rig.counts().accepted;
  // More than can be run meanwhile: a queue.
  const std::string log = rig.publish({.rate = rate,
                                       .seconds = run.lengthy ? 30.0 : 4.0,
                                       .seed = run.seed,
                                       .mix = {{"ok", 8}, {"sleep 2", 2}},
                                       .clients = clients})
                              .log;
  rig.run_for(std::chrono::milliseconds{1000 + random() % 300});
  end_the_broker_unheard(rig, log, before);
  rig.run_for(run.lengthy ? 3s : 500ms);
  rig.broker().supervised = true;
  rig.start(rig.broker());
  const std::int64_t up = Rig::now_ns();
  Outcome outcome;
  outcome.times = rig.redis_link().lost_replies() > 0 ? 1 : 0;
  rig.come_to_rest(run.lengthy ? 120s : 40s);
  outcome.history = rig.collect();
  const double back = ms_until_acknowledged(outcome.history, up, 0.9 * rate);
  const auto first = ms_until_answered(outcome.history, up, clients);
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms until publishers were back at 90 % of their rate",
                                    .value = back,
                                    .at_most = 10'000});
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms until each had its first answer, p99",
                                    .value = quantile(first, 0.99),
                                    .at_most = run.lengthy ? 2000.0 : 10'000.0});
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "publishers that were not answered any more",
                                    .value = static_cast<double>(clients - first.size()),
                                    .at_most = 0});
  outcome.figures = {
      {"publishers", static_cast<double>(clients)},
      {"ms from the broker's start until they were back at 90 % of their rate", back},
      {"ms until each had its first answer, p50", quantile(first, 0.5)},
      {"p99", quantile(first, 0.99)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario herd() {
  return {.number = 20,
          .name = "thundering herd",
          .injected =
              "SIGKILL of the broker with 150 publishers (long: 1000) and a queue; they all "
              "come back at once",
          .without = "the repeat guard",
          .bites = {Invariant::kUnknownOnce},
          .run = run_herd};
}

}  // namespace fanfare::chaos
