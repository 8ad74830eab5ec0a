// Broker and worker end at every named place on the way of an event, one after the other.
//
// The process that is next to die is started with its place; when it has died there, the supervisor
// starts its successor with the next one. Deliveries of all fates keep flowing.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/switches.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

struct Place {
  std::string_view name;
  std::uint64_t passing_max;  // dies at one of so many first passings
};

// Passed by any broker that takes, lends, retries and buries; in the order of an event's way.
constexpr std::array kBrokerPlaces{
    Place{"broker.office.taken", 1},      Place{"broker.survey.taken", 1},
    Place{"broker.call.begin", 1},        Place{"broker.called.begin", 1},
    Place{"broker.answer.begin", 1},      Place{"broker.call.other", 4},
    Place{"broker.answer.other", 4},      Place{"broker.hello.taken", 1},
    Place{"broker.credit.taken", 20},     Place{"broker.publish.admitted", 20},
    Place{"broker.append.cut", 20},       Place{"broker.turn.flushed", 200},
    Place{"broker.frames.sent", 50},      Place{"broker.call.append", 20},
    Place{"broker.called.append", 20},    Place{"broker.answer.append", 20},
    Place{"broker.append.accepted", 20},  Place{"broker.publish.answered", 20},
    Place{"broker.delivery.lent", 20},    Place{"broker.done.taken", 20},
    Place{"broker.failure.taken", 5},     Place{"broker.call.postpone", 5},
    Place{"broker.called.postpone", 5},   Place{"broker.answer.postpone", 5},
    Place{"broker.postpone.answered", 5}, Place{"broker.call.due", 5},
    Place{"broker.called.due", 5},        Place{"broker.answer.due", 5},
    Place{"broker.call.bury", 3},         Place{"broker.called.bury", 3},
    Place{"broker.answer.bury", 3},       Place{"broker.bury.answered", 3},
};
constexpr std::array kWorkerPlaces{
    Place{"worker.hello.sent", 1},       Place{"worker.session.joined", 1},
    Place{"worker.credit.sent", 10},     Place{"worker.delivery.taken", 20},
    Place{"worker.zygote.asked", 1},     Place{"worker.fork.asked", 1},
    Place{"worker.instance.started", 1}, Place{"worker.batch.sent", 20},
    Place{"worker.result.taken", 50},    Place{"worker.commit.ready", 20},
    Place{"worker.commit.sent", 20},     Place{"worker.commit.answered", 20},
    Place{"worker.commit.reported", 20}, Place{"worker.done.sent", 20},
    Place{"worker.heartbeat.sent", 1},
};

struct Step {
  bool broker;
  Place place;
};

// All of them, or, in a short run, some. The control goes where its protection matters, again and
// again.
std::vector<Step> schedule(const Run& run, std::mt19937_64& random) {
  std::vector<Step> steps;
  if (run.control) {
    for (int i = 0; i < 4; ++i) {
      steps.push_back({true, {"broker.call.append", 20}});
      steps.push_back({true, {"broker.called.append", 20}});
    }
    return steps;
  }
  for (const Place& place : kBrokerPlaces) steps.push_back({true, place});
  for (const Place& place : kWorkerPlaces) steps.push_back({false, place});
  std::shuffle(steps.begin(), steps.end(), random);
  if (!run.lengthy) steps.resize(10);
  return steps;
}

Outcome run_broker_crash(const Run& run) {
  RigOptions options;
  // Heartbeats come soon enough to be a place to die at.
  options.broker = {{"FANFARE_BROKER_HEARTBEAT", "200ms"},
                    {"FANFARE_BROKER_MAX_WORKER_LOSSES", "1000"}};
  if (run.without()) options.broker_without = "acknowledge_after_journal";
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  const auto steps = schedule(run, random);

  rig.publish({.rate = 400,
               .seconds = 300,  // stopped when all have died
               .seed = run.seed,
               .mix = {{"ok", 80}, {"sleep 3", 8}, {"fail 1", 8}, {"never", 2}, {"crash 1", 2}}});
  rig.run_for(200ms);
  Outcome outcome;
  std::size_t missed = 0;
  for (const Step& step : steps) {
    Member& member = step.broker ? rig.broker() : rig.worker(0);
    const std::size_t died = member.died_at_place;
    const std::uint64_t passing = 1 + random() % step.place.passing_max;
    // Half of them die a little late: what they had sent off gets out of their hands meanwhile.
    const std::uint64_t stall_ms = run.control ? 30 : random() % 2 == 0 ? 5 : 0;
    member.next_start = {
        {kDieAtVariable, fmt::format("{}:{}:{}", step.place.name, passing, stall_ms)}};
    rig.kill(member);  // its successor has the place
    if (rig.run_until([&] { return member.died_at_place > died; }, 4s)) {
      ++outcome.times;
    } else {
      ++missed;
      outcome.logs += fmt::format("{} was not passed {} times\n", step.place.name, passing);
    }
  }
  rig.stop_publishing();
  rig.kill(rig.broker());  // the last place of each may not have been passed
  rig.kill(rig.worker(0));
  rig.come_to_rest(30s);
  outcome.history = rig.collect();
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "places that nobody died at",
                                    .value = static_cast<double>(missed),
                                    .at_most = 0});
  outcome.logs += rig.logs();
  return outcome;
}

}  // namespace

Scenario broker_crash() {
  return {.number = 1,
          .name = "crash at every place",
          .injected = "broker or worker ends (_exit) at a named place on the way of an event",
          .without = "acknowledging only what the journal has",
          .bites = {Invariant::kNoLoss},
          .own_faults = true,
          .run = run_broker_crash};
}

}  // namespace fanfare::chaos
