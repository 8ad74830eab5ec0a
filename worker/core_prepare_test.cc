// A generation that is tried beside the present one, and takes its place.
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using protocol::Prepare;
using protocol::Prepared;

protocol::FunctionSpec second(std::uint64_t generation = 0, const std::string& toml = "") {
  auto spec = Worker::function("f", toml, 2);
  spec.generation = generation;
  return spec;
}

// Joined, with an instance of the first generation at work.
struct Deploying : Worker {
  explicit Deploying(CoreOptions options = {.name = "w1", .host = "boot", .pid = 7, .slots = 4})
      : Worker(options) {
    join();
    deliver_entries(1, 1);
    core->on_zygote_ready(zygote(0), now);
    core->on_instance_started(old(), 100, now);
    turn();
  }
  ZygoteId zygote(std::size_t number) const { return effects.zygotes.at(number).first; }
  InstanceId old() const { return effects.forked.at(0); }
  void prepare(bool drop = false) { receive(Prepare{second(), drop, 7}); }
  void begin(InstanceId id) {
    effects.now_running[id] = {effects.batches[id].front().number, 0, now.steady};
  }
};

TEST(Prepare, WorkersSayWhichRuntimesTheyPrepare) {
  Worker w;
  w.join();
  const auto hello = w.sent<protocol::Hello>();
  ASSERT_EQ(hello.size(), 1u);
  EXPECT_EQ(hello[0].prepares, std::vector<std::string>{"native"});
}

TEST(Prepare, IsAnsweredOnceTheNewOneIsReadyAndTheOldOneGoesOnMeanwhile) {
  Deploying w;
  w.prepare();
  ASSERT_EQ(w.effects.zygotes.size(), 2u);
  EXPECT_TRUE(w.effects.stopped_zygotes.empty());
  EXPECT_TRUE(w.sent<Prepared>().empty()) << "it is loading";
  w.finish(w.old(), 1, 50ms);
  w.deliver_entries(2, 2);
  EXPECT_EQ(w.unfinished(w.old()), 1u) << "the old one goes on";

  w.core->on_zygote_ready(w.zygote(1), w.now);
  w.turn();
  const auto prepared = w.sent<Prepared>();
  ASSERT_EQ(prepared.size(), 1u);
  EXPECT_EQ(prepared[0].function, "f");
  EXPECT_EQ(prepared[0].digest, "d2");
  EXPECT_EQ(prepared[0].number, 7u);
  EXPECT_EQ(prepared[0].session, w.session);
  EXPECT_FALSE(prepared[0].failure);
}

TEST(Prepare, WhatIsReadyTakesOverWithoutASecondStart) {
  Deploying w;
  w.prepare();
  w.core->on_zygote_ready(w.zygote(1), w.now);
  w.begin(w.old());
  w.receive(protocol::Functions{{second(2)}});
  EXPECT_EQ(w.effects.stopped_zygotes, std::vector<ZygoteId>{w.zygote(0)});
  w.deliver_entries(2, 2);
  EXPECT_EQ(w.effects.zygotes.size(), 2u) << "none but the two";
  ASSERT_EQ(w.effects.forked.size(), 2u);
  w.finish(w.old());
  EXPECT_EQ(w.effects.kills.at(0), std::pair(w.old(), SIGTERM)) << "the old one ends when idle";
  w.finish(w.effects.forked[1]);
  w.answer_commits();
  EXPECT_EQ(w.core->counters().attempts_ok, 2u);
}

TEST(Prepare, OneThatDoesNotStartIsToldAndChangesNothing) {
  Deploying w;
  w.prepare();
  w.core->on_zygote_failed(w.zygote(1), {.type = "LoadError", .message = "no libx.so"},
                           "looking for x\n", w.now);
  w.turn();
  const auto prepared = w.sent<Prepared>();
  ASSERT_EQ(prepared.size(), 1u);
  ASSERT_TRUE(prepared[0].failure);
  EXPECT_EQ(prepared[0].failure->type, "LoadError");
  EXPECT_EQ(prepared[0].log_tail, "looking for x\n");
  w.finish(w.old());
  w.deliver_entries(2, 3);
  EXPECT_EQ(w.unfinished(w.old()), 1u);
  EXPECT_EQ(w.effects.zygotes.size(), 2u) << "the first one still forks";
  EXPECT_EQ(w.effects.forked.size(), 2u);
  EXPECT_TRUE(w.done_rows().empty()) << "nothing has failed";
}

TEST(Prepare, AnInitThatTakesTooLongHasFailed) {
  Deploying w;
  w.effects.init_printed = "waiting for a server\n";
  w.prepare();
  w.pass(10s);
  const auto prepared = w.sent<Prepared>();
  ASSERT_EQ(prepared.size(), 1u);
  ASSERT_TRUE(prepared[0].failure);
  EXPECT_EQ(prepared[0].failure->type, "InitTimeout");
  EXPECT_EQ(prepared[0].log_tail, "waiting for a server\n");
  EXPECT_EQ(w.effects.stopped_zygotes, std::vector<ZygoteId>{w.zygote(1)});
}

TEST(Prepare, WhatIsReadyAlreadyNeedsNoOtherProcess) {
  Deploying w;
  auto same = Worker::function("f");
  same.generation = 0;
  w.receive(Prepare{same, false});
  EXPECT_EQ(w.effects.zygotes.size(), 1u);
  const auto prepared = w.sent<Prepared>();
  ASSERT_EQ(prepared.size(), 1u);
  EXPECT_FALSE(prepared[0].failure);
}

TEST(Prepare, AFirstDeploymentIsTriedBeforeAnythingOfItIsKnown) {
  Worker w;
  w.join({});
  w.receive(Prepare{second(), false});
  ASSERT_EQ(w.effects.zygotes.size(), 1u);
  w.core->on_zygote_ready(w.effects.zygotes[0].first, w.now);
  w.receive(protocol::Functions{{second(1)}});
  w.deliver_entries(1, 1);
  EXPECT_EQ(w.effects.zygotes.size(), 1u);
  EXPECT_EQ(w.effects.forked.size(), 1u);
}

TEST(Prepare, OneThatIsNotDeployedIsForgotten) {
  Deploying w;
  w.prepare();
  w.core->on_zygote_ready(w.zygote(1), w.now);
  w.prepare(/*drop=*/true);
  EXPECT_EQ(w.effects.stopped_zygotes, std::vector<ZygoteId>{w.zygote(1)});

  w.prepare();
  w.core->on_zygote_ready(w.zygote(2), w.now);
  w.pass(10min);
  EXPECT_EQ(w.effects.stopped_zygotes.size(), 1u) << "a deployment may take as long";
  w.pass(1min);
  EXPECT_EQ(w.effects.stopped_zygotes.size(), 2u) << "also if nobody says so";

  w.prepare();
  w.core->on_disconnected(w.now);
  w.join();
  EXPECT_EQ(w.effects.stopped_zygotes.size(), 3u) << "and if the broker has forgotten it";
}

TEST(Prepare, OneThatWasReadyAndDiesIsToldToo) {
  Deploying w;
  w.prepare();
  w.core->on_zygote_ready(w.zygote(1), w.now);
  w.core->on_zygote_gone(w.zygote(1), w.now);
  w.turn();
  const auto prepared = w.sent<Prepared>();
  ASSERT_EQ(prepared.size(), 2u);
  EXPECT_FALSE(prepared[0].failure);
  EXPECT_TRUE(prepared[1].failure);
}

// It is there and has not started yet, and is deployed once more as it is.
TEST(Prepare, OfThePresentGenerationIsAnsweredAlsoWhenOtherFunctionsChangeMeanwhile) {
  Worker w;
  w.join({second(2)});
  w.receive(Prepare{second(), false, 7});
  ASSERT_EQ(w.effects.zygotes.size(), 1u);
  w.receive(protocol::Functions{{second(2), Worker::function("g")}});
  EXPECT_TRUE(w.sent<Prepared>().empty());
  w.core->on_zygote_ready(w.effects.zygotes[0].first, w.now);
  w.turn();
  ASSERT_EQ(w.sent<Prepared>().size(), 1u);
  w.receive(protocol::Functions{{second(2), Worker::function("g")}});
  w.deliver_entries(1, 1);
  EXPECT_EQ(w.effects.zygotes.size(), 1u) << "what was tried is what runs";
  EXPECT_EQ(w.effects.forked.size(), 1u);
}

TEST(Prepare, OfThePresentGenerationEndsTheRestAfterFailures) {
  Worker w;
  w.join({second(2)});
  w.deliver_entries(1, 1);
  w.core->on_zygote_failed(w.effects.zygotes[0].first, {.type = "LoadError", .message = "no libx"},
                           {}, w.now);
  const std::size_t before = w.effects.forked.size();
  w.deliver_entries(2, 2);
  EXPECT_EQ(w.effects.forked.size(), before) << "it rests";
  w.receive(Prepare{second(), false, 7});
  w.core->on_zygote_ready(w.effects.zygotes.at(1).first, w.now);
  w.receive(protocol::Functions{{second(2)}});
  w.deliver_entries(3, 3);
  EXPECT_EQ(w.effects.forked.size(), before + 1) << "at once";
}

TEST(Prepare, AManifestThatCannotBeReadIsRefusedWithoutAProcess) {
  Deploying w;
  w.receive(Prepare{second(0, "nonsense = 1\n"), false});
  const auto prepared = w.sent<Prepared>();
  ASSERT_EQ(prepared.size(), 1u);
  ASSERT_TRUE(prepared[0].failure);
  EXPECT_EQ(prepared[0].failure->type, "UnusableFunction");
  EXPECT_EQ(w.effects.zygotes.size(), 1u);
}

TEST(Redeploy, WhatTheOldInstanceHasNotBegunRunsOnTheNewGeneration) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 4});
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId old = w.effects.forked.at(0);
  w.core->on_zygote_ready(w.effects.zygotes[0].first, w.now);
  w.core->on_instance_started(old, 100, w.now);
  w.finish(old, 1, 10us);
  w.deliver_entries(2, 41);
  ASSERT_EQ(w.unfinished(old), 40u);
  w.effects.now_running[old] = {w.effects.batches[old].front().number, 0, w.now.steady};

  w.receive(protocol::Functions{{second(2)}});
  EXPECT_EQ(w.unfinished(old), 1u) << "what runs";
  EXPECT_TRUE(w.effects.kills.empty());
  std::size_t elsewhere = 0;
  for (std::size_t i = 1; i < w.effects.forked.size(); ++i) {
    elsewhere += w.unfinished(w.effects.forked[i]);
  }
  EXPECT_GT(elsewhere, 0u);
  EXPECT_EQ(w.core->counters().recalled, 39u);
  EXPECT_EQ(w.core->counters().attempts_failed, 0u);
}

TEST(Redeploy, AnInstanceThatHasBegunNothingIsEnded) {
  Deploying w;  // its delivery lies in its socket
  w.receive(protocol::Functions{{second(2)}});
  EXPECT_EQ(w.unfinished(w.old()), 0u);
  EXPECT_EQ(w.effects.kills.at(0), std::pair(w.old(), SIGTERM));
  ASSERT_EQ(w.effects.forked.size(), 2u);
  EXPECT_EQ(w.unfinished(w.effects.forked[1]), 1u);
}

TEST(Redeploy, AttemptsTellTheGenerationThatRan) {
  Deploying w;
  w.begin(w.old());
  w.receive(protocol::Functions{{second(2)}});
  w.deliver_entries(2, 2);
  w.fail(w.old());
  w.fail(w.effects.forked.at(1));
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(protocol::unpack_ledger(rows[0].packed_row)->at(0).generation, 1u);
  EXPECT_EQ(protocol::unpack_ledger(rows[1].packed_row)->at(0).generation, 2u);
}

TEST(Redeploy, KillsWhatRunsOnlyWithItsProtectionOff) {
  Deploying w({.name = "w1",
               .host = "boot",
               .pid = 7,
               .slots = 4,
               .protections = {.let_old_finish = false}});
  w.begin(w.old());
  w.receive(protocol::Functions{{second(2)}});
  EXPECT_EQ(w.effects.kills.at(0), std::pair(w.old(), SIGKILL));
  w.die(w.old());
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, protocol::Outcome::kCrashed);
}

TEST(Broken, HeartbeatsNameWhatDoesNotStartUntilItDoes) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.core->on_zygote_failed(w.effects.zygotes[0].first, {.type = "LoadError", .message = "no libx"},
                           {}, w.now);
  w.pass(2s);
  auto beats = w.sent<protocol::Heartbeat>();
  ASSERT_FALSE(beats.empty());
  ASSERT_EQ(beats.back().broken.size(), 1u);
  EXPECT_EQ(beats.back().broken[0].function, "f");
  EXPECT_EQ(beats.back().broken[0].generation, 1u);
  EXPECT_EQ(beats.back().broken[0].failure.type, "LoadError");

  w.deliver_entries(2, 2);
  w.core->on_zygote_ready(w.effects.zygotes.at(1).first, w.now);
  w.pass(2s);
  beats = w.sent<protocol::Heartbeat>();
  ASSERT_FALSE(beats.empty());
  EXPECT_TRUE(beats.back().broken.empty());
}

}  // namespace
}  // namespace fanfare::worker
