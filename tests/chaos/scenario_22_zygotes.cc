// Zygotes are killed while they fork, are large, and are refused when they have threads.
//
// Some are stopped first, until the worker has asked them for instances, and given these work: then
// it is certain that deliveries wait for somebody who is never born.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "tests/chaos/figures.h"
#include "tests/chaos/process_watch.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// The one that is there now: when it was begun, and whether it has been of use.
struct Zygote {
  pid_t pid = 0;
  std::int64_t began_ns = 0;
  bool used = false;
};
Zygote zygote_since(const Rig& rig, std::int64_t since_ns) {
  Zygote zygote;
  std::int64_t warm_ns = 0;
  for (const BirthRecord& one : rig.births()) {
    if (one.at_ns < since_ns) continue;
    if (one.kind == BirthRecord::kZygote) zygote = {.pid = one.pid, .began_ns = one.at_ns};
    if (one.kind == BirthRecord::kWarm && one.pid == zygote.pid) warm_ns = one.at_ns;
  }
  if (warm_ns < zygote.began_ns || zygote.pid == 0) return zygote;
  const auto executions = rig.executions();
  zygote.used = std::any_of(executions.begin(), executions.end(), [&](const Execution& one) {
    return one.began_ns > warm_ns && one.ended_ns > 0;
  });
  return zygote;
}

// A version that cannot be forked from is to be deployed, and the one before goes on.
struct Refused {
  double as_it_must_be = 0, otherwise = 0;
  double failed = 0;  // attempts
  double ms_until_next = 0;
};

void deploy_one_with_a_thread(Rig& rig, std::uint64_t seed, Refused& refused) {
  const std::string why = rig.why_probe_is_refused("CHAOS_EARLY_THREAD = \"1\"\n");
  ++(why.find("StartsThreads") == why.npos ? refused.otherwise : refused.as_it_must_be);
  const std::int64_t from = Rig::now_ns(), succeeded = rig.counts().succeeded;
  rig.publish({.rate = 100, .seconds = 0.05, .seed = seed, .mix = {{"ok", 1}}});
  rig.run_until([&] { return rig.counts().succeeded >= succeeded + 5; }, 5s);
  refused.ms_until_next = static_cast<double>(Rig::now_ns() - from) / 1e6;
}

void count_failed(Outcome& outcome, Refused& refused) {
  for (const Ended& one : outcome.history.ended) {
    for (const protocol::AttemptRow& row : one.attempts) {
      if (row.outcome != protocol::Outcome::kInitFailed) continue;
      ++refused.failed;
      outcome.logs += fmt::format("{}, attempt {}: {}: {}\n", protocol::to_string(one.id),
                                  row.number, row.error_type, row.error_message);
    }
  }
}

Outcome run_zygotes(const Run& run) {
  RigOptions options;
  options.slots = 4;
  // An instance leaves when it has nothing to do: there is always one to be forked.
  options.manifest =
      "timeout = \"5s\"\nkeep_alive = \"0s\"\n[retry]\nmax_attempts = 2\nbase = \"10ms\"\n"
      "cap = \"50ms\"\n";
  options.env = fmt::format("CHAOS_BALLAST_MIB = \"{}\"\n", run.lengthy ? 1024 : 64);
  if (run.without()) options.worker_without = "take_back_unborn";
  Rig rig(options);
  std::mt19937_64 random(run.seed);

  const std::size_t rounds = run.lengthy ? 60 : run.control ? 2 : 6;
  const double seconds = run.lengthy ? 40 : run.control ? 1 : 2;
  rig.publish(
      {.rate = 100, .seconds = seconds, .seed = run.seed, .mix = {{"ok", 1}, {"sleep 10", 2}}});
  Outcome outcome;
  std::vector<double> respawns;
  std::int64_t killed_ns = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    // One that never starts is another matter.
    Zygote zygote;
    rig.run_until([&] { return (zygote = zygote_since(rig, killed_ns)).used; }, 5s);
    if (!zygote.used) break;
    if (killed_ns > 0) respawns.push_back(static_cast<double>(zygote.began_ns - killed_ns) / 1e6);
    rig.run_for(std::chrono::milliseconds{random() % 100});
    const std::int64_t from = Rig::now_ns();
    if (run.control || round % 2 == 0) {
      kill(zygote.pid, SIGSTOP);
      rig.run_for(100ms);
    }
    killed_ns = Rig::now_ns();
    kill(zygote.pid, SIGKILL);
    // What it had forked and not told of may have begun already, and is taken back.
    rig.note_fault("zygote killed", from, rig.worker(0).pid());
    ++outcome.times;
  }
  Refused refused;
  if (rig.come_to_rest(60s)) {
    deploy_one_with_a_thread(rig, run.seed, refused);
    rig.come_to_rest(20s);
  }
  // Besides the zygote nobody may be left, not even as a zombie.
  const auto children = [&] { return children_of(rig.worker(0).pid()).size(); };
  rig.run_until([&] { return children() <= 1; }, 3s);
  const auto left = static_cast<double>(children());
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  count_failed(outcome, refused);

  // A busy machine's share is what a short run allows for.
  auto& bounds = outcome.history.bounds;
  bounds.push_back({.of = Bounded::Of::kTime,
                    .what = "ms until half of the killed zygotes were replaced",
                    .value = quantile(respawns, 0.5),
                    .at_most = run.lengthy ? 50.0 : 400.0});
  bounds.push_back({.of = Bounded::Of::kResource,
                    .what = "processes of the worker at rest",
                    .value = left,
                    .at_most = 1});
  if (refused.ms_until_next > 0) {
    bounds.push_back({.of = Bounded::Of::kResource,
                      .what = "deployments of a plugin with a thread that were not refused for it",
                      .value = refused.otherwise + (refused.as_it_must_be > 0 ? 0 : 1),
                      .at_most = 0});
    bounds.push_back({.of = Bounded::Of::kResource,
                      .what = "attempts that did not start",
                      .value = refused.failed,
                      .at_most = 0});
    bounds.push_back({.of = Bounded::Of::kTime,
                      .what = "ms until the version before had run five more",
                      .value = refused.ms_until_next,
                      .at_most = 2000});
  }
  outcome.figures = {{"ms until a killed zygote was replaced, p50", quantile(respawns, 0.5)},
                     {"at most", quantile(respawns, 1)},
                     {"deployments refused because of a thread", refused.as_it_must_be},
                     {"ms until the version before had run five more", refused.ms_until_next}};
  return outcome;
}

}  // namespace

Scenario zygote_death() {
  return {.number = 22,
          .name = "zygotes",
          .injected =
              "SIGKILL of a large zygote while it forks, or is asked to; a plugin that "
              "starts a thread",
          .without = "taking back what waits for an unborn instance",
          .bites = {Invariant::kLiveness},
          .own_faults = true,
          .run = run_zygotes};
}

}  // namespace fanfare::chaos
