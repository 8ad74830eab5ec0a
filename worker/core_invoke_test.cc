// Functions that wait for functions, in the worker's core: the invocation's way, and the slot that
// is lent meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using Kind = InvokeAnswer::Kind;
using ::testing::HasSubstr;

std::string packed_event(std::uint32_t generation = 0, std::string tenant = {}) {
  protocol::Event event;
  event.source = "/tests";
  event.type = "t";
  event.extensions = {{"traceparent", "00-1"}, {"other", "x"}};
  event.options.generation = generation;
  event.options.tenant = std::move(tenant);
  return protocol::pack(event);
}

// Functions a, b and c on a worker with so many slots.
struct Chain : Worker {
  explicit Chain(std::uint32_t slots = 1, const std::string& manifest_of_a = "")
      : Worker({.name = "w1", .host = "boot", .pid = 7, .slots = slots}) {
    join({function("a", manifest_of_a), function("b"), function("c")});
  }
  void give(const std::string& name, std::uint64_t entry, const std::string& event,
            protocol::Origin origin = protocol::Origin::kJournal) {
    auto one = delivery(entry);
    one.packed_event = event;
    one.origin = origin;
    deliver({one}, name);
  }
  // An event for `name`; the instance that runs it.
  InstanceId event_for(const std::string& name, std::uint64_t entry, const std::string& event) {
    give(name, entry, event);
    return runs_last();
  }
  InstanceId event_for(const std::string& name, std::uint64_t entry) {
    return event_for(name, entry, packed_event());
  }
  InstanceId runs_last() {
    const InstanceId instance = effects.forked.back();
    runs(instance);
    return instance;
  }
  // It is at the first item it has not finished.
  void runs(InstanceId instance) {
    const auto& batch = effects.batches[instance].front();
    effects.now_running[instance] = {batch.number, static_cast<std::uint32_t>(batch.taken),
                                     now.steady};
  }
  void invoke(InstanceId instance, const std::string& callee, std::int64_t timeout_ms = 0,
              std::uint64_t number = 1) {
    core->on_invoke_asked(instance, {number, timeout_ms, callee, "data"}, now);
    turn();
  }
  protocol::Invoke sent_invoke() {
    auto all = sent<protocol::Invoke>();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? protocol::Invoke{} : std::move(all[0]);
  }
  // The broker lends an invocation to this worker, as a function at a generation made it.
  void nested(const std::string& name, std::uint64_t entry, std::uint32_t generation = 1) {
    give(name, entry, packed_event(generation), protocol::Origin::kInvoke);
  }
  void answer(std::uint64_t request, const std::string& output) {
    protocol::ResultRecord record;
    record.output = output;
    receive(protocol::Invoked{request, protocol::pack(record)});
  }
  std::size_t alive() { return core->instances(); }
  const FakeEffects::GivenInvoked& given() { return effects.given_invoked.back(); }
};

TEST(WorkerInvoke, GoesToTheBrokerInTheCallersNameAndTheAnswerToWhoAsked) {
  Chain w;
  const InstanceId a = w.event_for("a", 7, packed_event(2, "acme"));
  w.invoke(a, "b", 0, 5);
  const auto invoke = w.sent_invoke();
  EXPECT_GE(invoke.request, std::uint64_t{1} << 63);
  EXPECT_EQ(invoke.function, "b");
  EXPECT_EQ(invoke.timeout_ms, 30'000u) << "as for clients, and as the attempt has";
  const auto event = protocol::unpack_event(invoke.packed_event);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->source, "/functions/a");
  EXPECT_EQ(event->type, "function.invoked");
  EXPECT_EQ(event->subject, "7-0.0");
  EXPECT_EQ(event->data, "data");
  EXPECT_EQ(event->options.generation, 3u);
  EXPECT_EQ(event->options.tenant, "acme");
  EXPECT_THAT(event->extensions, ::testing::ElementsAre(::testing::Pair("traceparent", "00-1")));
  EXPECT_TRUE(w.effects.given_invoked.empty());

  w.answer(invoke.request, "out");
  ASSERT_EQ(w.effects.given_invoked.size(), 1u);
  EXPECT_EQ(w.given().instance, a);
  EXPECT_EQ(w.given().number, 5u);
  EXPECT_EQ(w.given().answer.kind, Kind::kOk);
  EXPECT_EQ(w.given().answer.output, "out");
  w.answer(invoke.request, "out");
  EXPECT_EQ(w.effects.given_invoked.size(), 1u) << "once";
  EXPECT_EQ(w.core->counters().frames_malformed, 0u);
  w.invoke(a, "b");
  EXPECT_EQ(w.sent<protocol::Invoke>().size(), 1u) << "and it may ask again";
}

TEST(WorkerInvoke, TellsFailuresOfTheFunctionFromRefusals) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  protocol::ResultRecord record;
  record.status = protocol::Status::kFailed;
  record.error_type = "ValueError";
  record.error_message = "no";
  w.receive(protocol::Invoked{w.sent_invoke().request, protocol::pack(record)});
  EXPECT_EQ(w.given().answer.kind, Kind::kFailed);
  EXPECT_EQ(w.given().answer.type, "ValueError");
  EXPECT_EQ(w.given().answer.message, "no");
  w.invoke(a, "b");
  w.receive(protocol::Refused{w.sent_invoke().request, protocol::Refusal::kNoSuchFunction, "none"});
  EXPECT_EQ(w.given().answer.kind, Kind::kRefused);
  EXPECT_EQ(w.given().answer.type, "no_such_function");
  EXPECT_EQ(w.given().answer.message, "none");
  w.invoke(a, "b");
  w.receive(protocol::Invoked{w.sent_invoke().request, "no record"});
  EXPECT_EQ(w.given().answer.type, "internal");
  EXPECT_EQ(w.core->counters().refused_by_broker, 0u);
}

TEST(WorkerInvoke, LastsAsLongAsTheCallerSaysAndNoLongerThanItsAttempt) {
  Chain w(1, "timeout = \"10s\"\n");
  const InstanceId a = w.event_for("a", 1);
  w.pass(4s);
  w.invoke(a, "b", 2500);
  const auto by_caller = w.sent_invoke();
  EXPECT_EQ(by_caller.timeout_ms, 2500u);
  w.answer(by_caller.request, "");
  for (const std::int64_t wish : {0, 60'000}) {
    w.invoke(a, "b", wish);
    const auto by_attempt = w.sent_invoke();
    EXPECT_EQ(by_attempt.timeout_ms, 6250u) << "by then the attempt has been ended";
    w.answer(by_attempt.request, "");
  }
  w.pass(5999500us);
  w.invoke(a, "b");
  EXPECT_EQ(w.given().answer.type, "timeout");
  EXPECT_TRUE(w.sent<protocol::Invoke>().empty());
}

TEST(WorkerInvoke, EndsAlsoWhenTheBrokerSaysNothing) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b", 1000);
  w.pass(1s);
  EXPECT_TRUE(w.effects.given_invoked.empty()) << "the broker's word is on its way";
  w.pass(250ms);
  ASSERT_EQ(w.effects.given_invoked.size(), 1u);
  EXPECT_EQ(w.given().answer.type, "timeout");
  EXPECT_EQ(w.core->counters().invokes_refused, 1u);
}

TEST(WorkerInvoke, ThatWasUnderWayWhenTheConnectionBrokeIsUnreachable) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  const auto invoke = w.sent_invoke();
  w.core->on_disconnected(w.now);
  EXPECT_EQ(w.given().answer.type, "unreachable");
  EXPECT_THAT(w.given().answer.message, HasSubstr("whether the function ran is unknown"));
  w.join({Worker::function("a"), Worker::function("b"), Worker::function("c")});
  EXPECT_TRUE(w.sent<protocol::Invoke>().empty()) << "it is not sent again";
}

TEST(WorkerInvoke, WaitsAWhileForABroker) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.core->on_disconnected(w.now);
  w.invoke(a, "b");
  EXPECT_TRUE(w.sent<protocol::Invoke>().empty());
  w.pass(1s);
  w.join({Worker::function("a"), Worker::function("b"), Worker::function("c")});
  EXPECT_EQ(w.sent_invoke().timeout_ms, 29'000u);
  w.core->on_disconnected(w.now);
  w.effects.given_invoked.clear();
  w.invoke(a, "b");
  w.pass(2999ms);
  EXPECT_TRUE(w.effects.given_invoked.empty());
  w.pass(1ms);
  ASSERT_EQ(w.effects.given_invoked.size(), 1u);
  EXPECT_EQ(w.given().answer.type, "unreachable");
}

TEST(WorkerInvoke, BeyondSixteenGenerationsIsRefusedAsARecursion) {
  Chain w(2);
  const InstanceId last = w.event_for("a", 1, packed_event(15));
  w.invoke(last, "b");
  EXPECT_EQ(w.sent<protocol::Invoke>().size(), 1u);
  const InstanceId beyond = w.event_for("c", 2, packed_event(16));
  w.invoke(beyond, "b");
  EXPECT_TRUE(w.sent<protocol::Invoke>().empty());
  EXPECT_EQ(w.given().instance, beyond);
  EXPECT_EQ(w.given().answer.type, "recursion");
  EXPECT_THAT(w.given().answer.message, HasSubstr("circle"));
}

TEST(WorkerInvoke, OfItselfByAFunctionThatRunsOneAtATimeIsRefusedAtOnce) {
  Chain w(4, "max_concurrency = 1\n");
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "a");
  EXPECT_EQ(w.given().answer.type, "invalid");
  EXPECT_THAT(w.given().answer.message, HasSubstr("max_concurrency is 1"));
}

TEST(WorkerInvoke, OfWhatRunsNothingIsRefused) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.effects.now_running.clear();
  w.invoke(a, "b");
  EXPECT_EQ(w.given().answer.type, "invalid");
  w.invoke(InstanceId{99}, "b");
  EXPECT_EQ(w.effects.given_invoked.size(), 1u) << "whoever that is";
}

TEST(WorkerInvoke, InACallForABatchCountsTheOldestChainOfItsEvents) {
  Chain w(1, "[batch]\nsize = 2\n");
  auto first = Worker::delivery(1), second = Worker::delivery(2);
  first.packed_event = packed_event(1, "acme");
  second.packed_event = packed_event(4, "other");
  w.deliver({first, second}, "a");
  const InstanceId a = w.runs_last();
  w.invoke(a, "b");
  const auto event = protocol::unpack_event(w.sent_invoke().packed_event);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->options.generation, 5u);
  EXPECT_EQ(event->options.tenant, "acme");
  EXPECT_EQ(event->subject, "1-0.0");
}

// ---- slots ----

TEST(WorkerInvoke, LendsTheSlotOfWhoWaits) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  const auto invoke = w.sent_invoke();
  EXPECT_EQ(w.alive(), 1u);
  w.nested("b", 100);
  ASSERT_EQ(w.alive(), 2u);
  const InstanceId b = w.runs_last();
  EXPECT_NE(a, b);
  EXPECT_EQ(w.core->counters().instances_borrowed, 1u);
  w.finish(b);
  w.answer(invoke.request, "out");
  w.pass(999ms);
  EXPECT_TRUE(w.effects.kills.empty());
  w.pass(1ms);
  EXPECT_THAT(w.effects.kills, ::testing::ElementsAre(std::pair(b, SIGTERM)))
      << "it gives the slot back";
  w.die(b, {.code = CLD_EXITED, .status = 0}, false);
  w.finish(a);
  EXPECT_EQ(w.alive(), 1u);
}

// The control of the one above: nobody waits.
TEST(WorkerInvoke, DoesNotLendTheSlotOfWhoWorks) {
  Chain w;
  w.event_for("a", 1);
  w.nested("b", 100);
  w.pass(1s);
  EXPECT_EQ(w.alive(), 1u);
}

TEST(WorkerInvoke, LendsNothingToEventsNorToCallersOutside) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.give("b", 2, packed_event());
  w.give("c", 3, packed_event(), protocol::Origin::kInvoke);
  w.give("c", 4, packed_event(3));
  w.pass(1s);
  EXPECT_EQ(w.alive(), 1u);
  w.nested("b", 100);
  ASSERT_EQ(w.alive(), 2u);
  const InstanceId b = w.effects.forked.back();
  EXPECT_EQ(w.effects.batches[b].front().ids, (std::vector{protocol::EventId{{100, 0}, 0}}))
      << "before the event that came first, and without it";
  w.finish(b);
  EXPECT_TRUE(w.effects.batches[b].empty()) << "nor does the event get what is left of it";
}

TEST(WorkerInvoke, LendsAsManySlotsAsWait) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.nested("b", 100);
  const InstanceId b = w.runs_last();
  w.nested("c", 101, 2);
  w.pass(1s);
  EXPECT_EQ(w.alive(), 2u) << "one waits, one works";
  w.invoke(b, "c");
  ASSERT_EQ(w.alive(), 3u) << "two wait, one works";
  w.nested("a", 102, 3);
  w.pass(1s);
  EXPECT_EQ(w.alive(), 3u);
}

TEST(WorkerInvoke, OfTheSameFunctionRunsInAnotherInstance) {
  Chain w;
  const InstanceId first = w.event_for("a", 1);
  w.finish(first, 1, 100us);  // a quick one: what comes next could wait behind its first batch
  w.give("a", 2, packed_event());
  w.runs(first);
  w.invoke(first, "a");
  w.nested("a", 100);
  ASSERT_EQ(w.alive(), 2u);
  EXPECT_EQ(w.unfinished(first), 1u) << "not behind the one that waits for it";
}

TEST(WorkerInvoke, OfManyInARowRunsInTheBorrowedSlotAsLongAsItIsLent) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.nested("b", 100);
  w.nested("b", 101);
  const InstanceId b = w.runs_last();
  EXPECT_EQ(w.alive(), 2u);
  w.finish(b);
  EXPECT_EQ(w.unfinished(b), 1u);
  w.answer(w.sent_invoke().request, "");  // the lender goes on
  w.nested("b", 102);
  w.finish(b);
  w.pass(100ms);
  EXPECT_EQ(w.unfinished(b), 0u) << "now there are as many at work as slots";
  w.invoke(a, "b", 0, 2);
  EXPECT_EQ(w.unfinished(b), 1u);
}

TEST(WorkerInvoke, FindsTheInstanceWarmThatRanTheLastOne) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.nested("b", 100);
  const InstanceId b = w.runs_last();
  for (std::uint64_t n = 101; n < 110; ++n) {
    w.finish(b);
    w.answer(w.sent_invoke().request, "");
    w.pass(500ms);
    w.invoke(a, "b");
    w.nested("b", n);
    EXPECT_EQ(w.unfinished(b), 1u);
  }
  EXPECT_EQ(w.alive(), 2u);
  EXPECT_EQ(w.effects.forked.size(), 2u);
}

TEST(WorkerInvoke, SparesNoMoreInstancesThanThereAreSlots) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.nested("b", 100);
  const InstanceId b = w.runs_last();
  w.invoke(b, "c");
  w.nested("c", 101, 2);
  const InstanceId c = w.runs_last();
  w.finish(c);
  EXPECT_TRUE(w.effects.kills.empty());
  w.finish(b);
  EXPECT_THAT(w.effects.kills, ::testing::ElementsAre(std::pair(b, SIGTERM)));
}

TEST(WorkerInvoke, MovesASpareInstanceIntoAFreeSlotWhenThereIsWorkForIt) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.nested("b", 100);
  const InstanceId b = w.runs_last();
  w.finish(b);
  w.give("b", 2, packed_event());
  EXPECT_EQ(w.unfinished(b), 0u) << "an event waits for a slot";
  w.die(a);
  EXPECT_EQ(w.unfinished(b), 1u);
  EXPECT_EQ(w.alive(), 1u);
  w.finish(b);
  w.pass(2s);
  EXPECT_TRUE(w.effects.kills.empty()) << "it stays for its keep_alive now";
}

TEST(WorkerInvoke, TakesTheSlotOfAnIdleInstanceBeforeABorrowedOne) {
  Chain w(2);
  const InstanceId c = w.event_for("c", 1);
  w.finish(c);
  const InstanceId a = w.event_for("a", 2);
  w.invoke(a, "b");
  w.nested("b", 100);
  EXPECT_EQ(w.alive(), 2u);
  EXPECT_THAT(w.effects.kills, ::testing::ElementsAre(std::pair(c, SIGTERM)));
  w.die(c, {.code = CLD_EXITED, .status = 0}, false);
  ASSERT_EQ(w.alive(), 2u);
  EXPECT_EQ(w.core->counters().instances_borrowed, 0u);
  const InstanceId b = w.runs_last();
  w.finish(b);
  EXPECT_EQ(w.effects.kills.size(), 1u) << "it stays warm in a slot of its own";
}

TEST(WorkerInvoke, ABorrowerMovesIntoASlotThatHasBecomeFree) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.nested("b", 100);
  const InstanceId b = w.runs_last();
  w.die(a);
  EXPECT_EQ(w.core->counters().invokes_left, 1u);
  w.finish(b);
  EXPECT_TRUE(w.effects.kills.empty());
  w.give("b", 2, packed_event());
  EXPECT_EQ(w.unfinished(b), 1u) << "and takes what comes";
  EXPECT_EQ(w.alive(), 1u);
}

TEST(WorkerInvoke, OfACallerThatDiedIsDroppedAndItsSlotComesBack) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  const auto invoke = w.sent_invoke();
  w.die(a);
  w.answer(invoke.request, "late");
  w.receive(protocol::Refused{invoke.request, protocol::Refusal::kTimeout, "later still"});
  EXPECT_TRUE(w.effects.given_invoked.empty());
  EXPECT_TRUE(w.effects.warnings.empty());
  w.nested("b", 100);
  ASSERT_EQ(w.alive(), 1u) << "in the slot that is free";
  w.nested("c", 101);
  w.pass(1s);
  EXPECT_EQ(w.core->counters().instances_borrowed, 0u) << "nobody lends one any more";
}

TEST(WorkerInvoke, GivesCreditForWhatIsWaitedForBesideTheUsual) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.give("b", 2, packed_event());  // waits for the only slot, and has used the credit
  const auto before = w.credit("b");
  w.pass(1ms);
  EXPECT_EQ(w.credit("b"), before);
  w.invoke(a, "b");
  EXPECT_EQ(w.credit("b"), before + 1);
  w.nested("b", 100);
  EXPECT_EQ(w.alive(), 2u);
  w.pass(1ms);
  EXPECT_EQ(w.credit("b"), before + 1) << "and no more";
}

TEST(WorkerInvoke, GivesCreditAlsoWhenMoreIsHereThanShouldBe) {
  Chain w(2);
  const InstanceId b = w.event_for("b", 1);
  w.finish(b, 1, 20us);
  const auto ahead = w.credit("b");
  ASSERT_GT(ahead, 20u);
  for (std::uint64_t entry = 2; entry <= ahead; ++entry) w.give("b", entry, packed_event());
  w.finish(b, 1, 500ms);  // it was thought to be quick
  const auto before = w.credit("b");
  const InstanceId a = w.event_for("a", 10'000);
  for (std::uint64_t n = 1; n <= 3; ++n) {
    w.invoke(a, "b");
    EXPECT_EQ(w.credit("b"), before + n);
    w.answer(w.sent_invoke().request, "");
  }
  for (int n = 0; n < 100; ++n) {
    w.invoke(a, "b");
    w.answer(w.sent_invoke().request, "");
  }
  EXPECT_LE(w.credit("b"), before + 32) << "sixteen for each slot";
}

TEST(WorkerInvoke, OfWhatCameBackFromADeadInstanceIsFirstAgain) {
  Chain w(2);
  const InstanceId b = w.event_for("b", 1);
  w.finish(b, 1, 20us);
  const InstanceId a = w.event_for("a", 2);
  w.give("b", 3, packed_event());
  w.give("b", 4, packed_event());
  ASSERT_EQ(w.unfinished(b), 2u);
  w.invoke(a, "b");
  w.effects.run_error = retry_later("full");
  w.nested("b", 100);
  w.effects.run_error.reset();
  w.effects.batches[b].front().taken = 0;
  w.die(b, {.code = CLD_KILLED, .status = SIGKILL}, false);
  const InstanceId next = w.effects.forked.back();
  ASSERT_FALSE(w.effects.batches[next].empty());
  EXPECT_EQ(w.effects.batches[next].front().ids[0], (protocol::EventId{{100, 0}, 0}));
}

TEST(WorkerInvoke, IsCountedInHeartbeats) {
  Chain w;
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  w.sent<protocol::Heartbeat>();
  w.pass(2s);
  EXPECT_EQ(w.sent<protocol::Heartbeat>().back().waiting, 1u);
  w.die(a);
  w.pass(2s);
  EXPECT_EQ(w.sent<protocol::Heartbeat>().back().waiting, 0u);
}

TEST(WorkerInvoke, ADrainWaitsForWhoWaits) {
  Chain w(2);
  const InstanceId a = w.event_for("a", 1);
  w.invoke(a, "b");
  const auto invoke = w.sent_invoke();
  w.core->begin_drain(w.now);
  w.turn();
  w.nested("c", 100);
  EXPECT_EQ(w.done_rows().back().outcome, protocol::Outcome::kDrained) << "others run it";
  w.answer(invoke.request, "out");
  EXPECT_EQ(w.given().answer.kind, Kind::kOk);
  w.finish(a);
  EXPECT_EQ(w.core->counters().attempts_ok, 1u);
}

}  // namespace
}  // namespace fanfare::worker
