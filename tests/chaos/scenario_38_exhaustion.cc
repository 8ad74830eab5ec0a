// Calls into the kernel and the C library fail, here and there, in broker and workers: no memory,
// no descriptors, no processes, connections that break; and signals that interrupt the others.
//
// A process may end by it, and say so: it is started again. It may not lose anything, nor end by
// using memory that is not its own.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/trouble_file.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// Harmless to all; SIGWINCH interrupts, see trouble.h.
constexpr std::array kSignals{SIGWINCH, SIGURG, SIGCHLD};

void storm(Rig& rig, std::mt19937_64& random, Duration lasts) {
  const auto until = std::chrono::steady_clock::now() + lasts;
  while (std::chrono::steady_clock::now() < until) {
    for (std::size_t i = 0; i <= rig.workers(); ++i) {
      const Member& member = i == 0 ? rig.broker() : rig.worker(i - 1);
      if (member.running()) kill(member.pid(), kSignals[random() % kSignals.size()]);
    }
    rig.run_for(1ms);
  }
}

// Out of a thousand; what is rarely called fails more often.
void let_everything_fail(TroubleOrders& orders, std::int32_t common, std::int32_t rare) {
  orders.malloc_per_mille = orders.recv_per_mille = orders.send_per_mille = common;
  orders.open_per_mille = orders.accept_per_mille = orders.socket_per_mille = rare;
  orders.fork_per_mille = orders.epoll_per_mille = rare;
}

// For the control: so many that some of them were a publisher's.
void lose_answers(Rig& rig, TroubleOrders& orders, std::mt19937_64& random) {
  const std::uint64_t before = orders.failed_sends;
  orders.send_per_mille = 200;
  for (int i = 0; i < 40 && orders.failed_sends < before + 60; ++i) storm(rig, random, 100ms);
}

struct Deaths {
  double all = 0, out_of_memory = 0, wild = 0;
};

Deaths count_deaths(Rig& rig) {
  Deaths deaths;
  for (std::size_t i = 0; i <= rig.workers(); ++i) {
    const Member& member = i == 0 ? rig.broker() : rig.worker(i - 1);
    for (const int code : member.exit_codes) {
      ++deaths.all;
      if (code == 71) ++deaths.out_of_memory;
      if (code == 128 + SIGSEGV || code == 128 + SIGBUS || code == 128 + SIGFPE) ++deaths.wild;
    }
  }
  return deaths;
}

Outcome run_exhaustion(const Run& run) {
  Trouble trouble;
  RigOptions options;
  options.workers = 2;
  options.slots = 4;
  // Instances come and go.
  options.manifest =
      "timeout = \"5s\"\nkeep_alive = \"0s\"\n[retry]\nmax_attempts = 5\nbase = \"10ms\"\n"
      "cap = \"50ms\"\n";
  options.broker = trouble.variables();
  options.broker.emplace_back("FANFARE_BROKER_MAX_WORKER_LOSSES", "1000");
  options.worker = trouble.variables();
  if (run.without()) options.broker_without = "repeat_guard";
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  TroubleOrders& orders = trouble.orders();

  const auto lasts = run.lengthy ? 30s : 2s;
  for (std::uint64_t publisher = 0; publisher < 3; ++publisher) {
    rig.publish({.rate = 150,
                 .seconds = static_cast<double>(lasts.count()) + (run.control ? 4 : 1),
                 .seed = run.seed * 10 + publisher,
                 .mix = {{"ok", 85}, {"sleep 3", 10}, {"fail 1", 5}}});
  }
  rig.run_for(200ms);
  const std::int64_t from = Rig::now_ns();
  let_everything_fail(orders, 10, 100);
  storm(rig, random, lasts - 1s);
  // Answers that are lost on their way: what was taken is published again.
  let_everything_fail(orders, 0, 0);
  if (run.control) {
    lose_answers(rig, orders, random);
  } else {
    orders.send_per_mille = 50;
    storm(rig, random, 1s);
  }
  orders.send_per_mille = 0;
  rig.note_fault("calls failed", from);
  const std::int64_t healed = Rig::now_ns();

  Outcome outcome;
  rig.come_to_rest(40s);
  const double ms_until_rest = static_cast<double>(Rig::now_ns() - healed) / 1e6;
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  const std::uint64_t failed = orders.failed_mallocs + orders.failed_opens + orders.failed_accepts +
                               orders.failed_sockets + orders.failed_forks + orders.failed_epolls +
                               orders.failed_recvs + orders.failed_sends;
  outcome.times = failed;
  const Deaths deaths = count_deaths(rig);
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "processes that used memory that was not theirs",
                                    .value = deaths.wild,
                                    .at_most = 0});
  outcome.figures = {
      {"mallocs that failed", static_cast<double>(orders.failed_mallocs)},
      {"opens", static_cast<double>(orders.failed_opens)},
      {"sockets and accepts", static_cast<double>(orders.failed_sockets + orders.failed_accepts)},
      {"forks", static_cast<double>(orders.failed_forks)},
      {"epoll_ctls", static_cast<double>(orders.failed_epolls)},
      {"recvs and sends", static_cast<double>(orders.failed_recvs + orders.failed_sends)},
      {"calls interrupted", static_cast<double>(orders.interruptions)},
      {"processes that ended", deaths.all},
      {"which said that there was no memory", deaths.out_of_memory},
      {"ms from the last failure until rest", ms_until_rest}};
  return outcome;
}

}  // namespace

Scenario exhaustion() {
  return {.number = 38,
          .name = "exhaustion",
          .injected =
              "calls of broker and workers fail: one in ten of open, accept, socket, posix_spawn, "
              "epoll_ctl, one in a hundred of recv, send and malloc; a storm of signals",
          .without = "the repeat guard",
          .bites = {Invariant::kUnknownOnce},
          .own_faults = true,
          .run = run_exhaustion};
}

}  // namespace fanfare::chaos
