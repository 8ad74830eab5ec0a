// Invocations that a worker runs by itself: which, what becomes of them, and what the broker hears.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using Kind = InvokeAnswer::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string event_of(std::uint32_t generation = 0, std::string tenant = {}) {
  protocol::Event event;
  event.source = "/tests";
  event.type = "t";
  event.options.generation = generation;
  event.options.tenant = std::move(tenant);
  return protocol::pack(event);
}

// Functions a and b; the broker lets both be run by the worker itself.
struct House : Worker {
  explicit House(std::uint32_t slots = 2, const std::string& manifest_of_b = "", bool local = true)
      : Worker({.name = "w1", .host = "boot", .pid = 7, .slots = slots, .local = local}) {
    join({function("a"), function("b", manifest_of_b)});
    allow();
    for (const char* name : {"a", "b"}) start_once(name);
  }
  // So that a fork is all that it takes.
  void start_once(const std::string& name) {
    deliver({delivery(++entries_)}, name);
    if (!effects.kills.empty()) {  // another one's idle instance leaves for it
      die(effects.kills.back().first, {.code = CLD_EXITED, .status = 0}, false);
      effects.kills.clear();
    }
    core->on_zygote_ready(effects.zygotes.back().first, now);
    finish(effects.forked.back());
    answer_commits();
    done_rows();
    acknowledge();
  }
  void allow(std::vector<std::string> functions = {"a", "b"}, std::uint64_t bytes_max = 1000) {
    receive(protocol::Local{std::move(functions), bytes_max});
  }
  void runs(InstanceId instance) {
    const auto& batch = effects.batches[instance].front();
    effects.now_running[instance] = {batch.number, static_cast<std::uint32_t>(batch.taken),
                                     now.steady};
  }
  // The instance that runs an event for `name`.
  InstanceId at_work(const std::string& name, const std::string& event = event_of()) {
    auto one = delivery(++entries_);
    one.packed_event = event;
    deliver({one}, name);
    if (!effects.kills.empty()) {
      die(effects.kills.back().first, {.code = CLD_EXITED, .status = 0}, false);
      effects.kills.clear();
    }
    for (const auto& [instance, batches] : effects.batches) {
      if (!batches.empty() && batches.front().ids[0].entry.ms == entries_) {
        runs(instance);
        return instance;
      }
    }
    ADD_FAILURE() << "nobody runs it";
    return {};
  }
  void invoke(InstanceId instance, const std::string& callee = "b", std::int64_t timeout_ms = 0,
              const std::string& data = "data") {
    core->on_invoke_asked(instance, {++numbers_, timeout_ms, callee, data}, now);
    turn();
  }
  // Who runs what was invoked last, if it runs here.
  std::optional<InstanceId> callee(InstanceId caller) {
    for (const auto& [instance, batches] : effects.batches) {
      if (instance != caller && !batches.empty()) return instance;
    }
    return std::nullopt;
  }
  std::size_t passed_on() { return sent<protocol::Invoke>().size(); }
  protocol::Heartbeat heartbeat() {
    sent<protocol::Heartbeat>();
    pass(2s);
    const auto all = sent<protocol::Heartbeat>();
    return all.empty() ? protocol::Heartbeat{} : all.back();
  }
  const FakeEffects::GivenInvoked& given() { return effects.given_invoked.back(); }
  std::uint64_t entries_ = 0, numbers_ = 0;
};

TEST(WorkerLocal, RunsHereAtOnceAndTheBrokerIsNotAsked) {
  House w;
  const InstanceId a = w.at_work("a", event_of(2, "acme"));
  w.core->on_invoke_asked(a, {5, 0, "b", "data"}, w.now);
  const auto b = w.callee(a);
  ASSERT_TRUE(b) << "before the turn has ended";
  w.turn();
  EXPECT_EQ(w.passed_on(), 0u);
  EXPECT_TRUE(w.effects.given_invoked.empty());
  w.finish(*b);
  ASSERT_EQ(w.effects.given_invoked.size(), 1u);
  EXPECT_EQ(w.given().instance, a);
  EXPECT_EQ(w.given().number, 5u);
  EXPECT_EQ(w.given().answer.kind, Kind::kOk);
  EXPECT_EQ(w.given().answer.output, "out");
  EXPECT_THAT(w.done_rows(), IsEmpty()) << "the broker has lent nothing";
  EXPECT_EQ(w.core->counters().invokes, 1u);
  EXPECT_EQ(w.core->counters().invokes_local, 1u);
  EXPECT_EQ(w.effects.reports.size(), 3u) << "the log has a line as of any";
  EXPECT_EQ(w.core->functions().at("b")->measures.attempts[0], 2u);
}

// The controls of the one above.
TEST(WorkerLocal, IsForTheBrokerWhereThisIsSwitchedOff) {
  House w(2, "", false);
  w.invoke(w.at_work("a"));
  EXPECT_EQ(w.passed_on(), 1u);
}
TEST(WorkerLocal, IsForTheBrokerWhereItDoesNotSayThatItNeedNotBeAsked) {
  House w;
  const InstanceId a = w.at_work("a");
  w.allow({"a"});
  w.invoke(a);
  EXPECT_EQ(w.passed_on(), 1u) << "paused, counted over all workers, …";
  EXPECT_FALSE(w.callee(a));
}

TEST(WorkerLocal, IsForTheBrokerUntilItHasSpokenOfTheGenerationThatRuns) {
  House w;
  const InstanceId a = w.at_work("a");
  w.receive(protocol::Functions{{Worker::function("a"), Worker::function("b", "", 2)}});
  w.core->on_zygote_ready(w.effects.zygotes.back().first, w.now);
  w.invoke(a);
  EXPECT_EQ(w.passed_on(), 1u);
}

TEST(WorkerLocal, IsForTheBrokerIfTheDataAreLargerThanItTakes) {
  House w;
  w.allow({"b"}, 3);
  w.invoke(w.at_work("a"));
  EXPECT_EQ(w.passed_on(), 1u) << "it says too_large";
}

TEST(WorkerLocal, IsForTheBrokerInADrainAndWhileTheWorkerIsQuiet) {
  House quiet;
  const InstanceId a = quiet.at_work("a");
  quiet.receive(protocol::Quiet{true});
  quiet.invoke(a);
  EXPECT_EQ(quiet.passed_on(), 1u);
  House drained;
  const InstanceId c = drained.at_work("a");
  drained.core->begin_drain(drained.now);
  drained.invoke(c);
  EXPECT_EQ(drained.passed_on(), 1u);
}

TEST(WorkerLocal, IsForTheBrokerWhileThisWorkerMayTakeNothing) {
  House w;
  const InstanceId a = w.at_work("a");
  w.core->on_zygote_failed(w.effects.zygotes.back().first, {.type = "T", .message = "m"}, "",
                           w.now);
  for (const auto& [instance, given] : w.effects.batches) EXPECT_EQ(given.empty(), instance != a);
  w.invoke(a);
  EXPECT_EQ(w.passed_on(), 1u) << "it does not start here, perhaps elsewhere";
}

TEST(WorkerLocal, IsForTheBrokerWhereAllAreBusyWithWhatTakesLong) {
  House w(2, "keep_alive = \"1h\"\n");
  const InstanceId a = w.at_work("a");
  const InstanceId b = w.at_work("b");
  EXPECT_EQ(w.core->slots_taken(), 2u);
  // Both slots are taken, but one of them is lent: that is room enough.
  w.invoke(a);
  EXPECT_EQ(w.passed_on(), 0u);
  ASSERT_TRUE(w.callee(b));
  // b's first event invokes, too; the borrowed slot of its own is there.
  w.invoke(b);
  EXPECT_EQ(w.passed_on(), 0u);
  EXPECT_EQ(w.core->instances(), 4u);
}

TEST(WorkerLocal, LendsTheSlotAsTheWayByTheBrokerDoes) {
  House w(1);
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  const auto b = w.callee(a);
  ASSERT_TRUE(b) << "on the only slot of the only worker";
  EXPECT_EQ(w.core->counters().instances_borrowed, 1u);
  w.finish(*b);
  for (int n = 0; n < 10; ++n) {
    w.invoke(a);
    ASSERT_EQ(w.callee(a), b) << "it is spared for the next";
    w.finish(*b);
  }
  EXPECT_EQ(w.core->counters().invokes_local, 11u);
  w.pass(1s);
  EXPECT_THAT(w.effects.kills.back(), (std::pair(*b, SIGTERM))) << "and gives the slot back";
}

TEST(WorkerLocal, OfAChainRunsDownToTheLastLink) {
  House w(1);
  InstanceId caller = w.at_work("a");
  std::vector<InstanceId> chain{caller};
  for (int link = 1; link <= 16; ++link) {
    const std::size_t before = w.core->instances();
    w.invoke(caller, link % 2 == 0 ? "a" : "b");
    ASSERT_EQ(w.core->instances(), before + 1) << link;
    caller = w.effects.forked.back();
    w.runs(caller);
    chain.push_back(caller);
  }
  w.invoke(caller);
  EXPECT_EQ(w.given().answer.type, "recursion");
  for (; chain.size() > 1; chain.pop_back()) {
    w.finish(chain.back());
    EXPECT_EQ(w.given().instance, chain[chain.size() - 2]);
  }
  EXPECT_EQ(w.passed_on(), 0u);
}

TEST(WorkerLocal, ThatFailsOrDiesIsToldAsByTheBroker) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  w.fail(*w.callee(a));
  EXPECT_EQ(w.given().answer.kind, Kind::kFailed);
  EXPECT_EQ(w.given().answer.type, "ValueError");
  w.invoke(a);
  w.die(*w.callee(a));
  EXPECT_EQ(w.given().answer.kind, Kind::kFailed);
  EXPECT_EQ(w.given().answer.type, "SIGSEGV");
}

TEST(WorkerLocal, EndsWithTheCallersTimeAndRunsOn) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a, "b", 1000);
  const auto b = w.callee(a);
  w.pass(999ms);
  EXPECT_TRUE(w.effects.given_invoked.empty());
  w.pass(1ms);
  ASSERT_EQ(w.effects.given_invoked.size(), 1u);
  EXPECT_EQ(w.given().answer.type, "timeout");
  EXPECT_EQ(w.given().answer.message, "the function did not finish in time");
  const auto told = w.sent<protocol::Heartbeat>().back().local;
  EXPECT_EQ(told.at(0), (protocol::Heartbeat::LocalRow{"b", 0, 1, 1})) << "at once, for status";
  w.finish(*b);
  EXPECT_EQ(w.effects.given_invoked.size(), 1u);
  EXPECT_EQ(w.heartbeat().local.at(0), (protocol::Heartbeat::LocalRow{"b", 1, 0, 0}));
}

TEST(WorkerLocal, OfACallerThatDiedIsDroppedWhenItEnds) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  const auto b = w.callee(a);
  w.die(a);
  w.finish(*b);
  EXPECT_TRUE(w.effects.given_invoked.empty());
  EXPECT_EQ(w.core->counters().invokes_left, 1u);
  w.answer_commits();
  w.done_rows();
  EXPECT_EQ(w.core->held(), 0u);
}

TEST(WorkerLocal, OutlivesTheBroker) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  const auto b = w.callee(a);
  w.core->on_disconnected(w.now);
  w.turn();
  EXPECT_TRUE(w.effects.given_invoked.empty()) << "nothing is lost with the connection";
  w.finish(*b);
  EXPECT_EQ(w.given().answer.kind, Kind::kOk);
  w.invoke(a);
  EXPECT_FALSE(w.callee(a)) << "nobody has said what is paused now";
}

// What a new session is told of: what was lent, and nothing else.
TEST(WorkerLocal, IsNotNamedInHello) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  ASSERT_TRUE(w.callee(a));
  w.sent<protocol::Hello>();
  w.receive(protocol::Reset{});
  const auto hello = w.sent<protocol::Hello>();
  ASSERT_EQ(hello.size(), 1u);
  EXPECT_TRUE(hello[0].local);
  ASSERT_EQ(hello[0].held.size(), 1u);
  EXPECT_EQ(hello[0].held[0].function, "a");
}

TEST(WorkerLocal, GoesToTheBrokerAfterAllIfItFindsNoInstanceSoon) {
  House w;
  const InstanceId a = w.at_work("a");
  w.effects.run_error = retry_later("full");
  w.effects.forks_refused = true;
  w.invoke(a, "b", 1000);
  EXPECT_EQ(w.passed_on(), 0u);
  w.pass(9ms);
  EXPECT_EQ(w.passed_on(), 0u);
  w.pass(1ms);
  const auto invoke = w.sent<protocol::Invoke>();
  ASSERT_EQ(invoke.size(), 1u);
  EXPECT_EQ(invoke[0].timeout_ms, 990u);
  EXPECT_EQ(protocol::unpack_event(invoke[0].packed_event)->data, "data");
  EXPECT_EQ(w.core->counters().invokes_local, 1u) << "a counter never goes down";
  EXPECT_EQ(w.core->counters().invokes_moved_on, 1u);
  protocol::ResultRecord record;
  record.output = "from afar";
  w.receive(protocol::Invoked{invoke[0].request, protocol::pack(record)});
  EXPECT_EQ(w.given().answer.output, "from afar");
  EXPECT_TRUE(w.heartbeat().local.empty()) << "the broker has counted it";
}

TEST(WorkerLocal, ThatADrainCutsShortIsRunByOthers) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  const auto b = w.callee(a);
  w.core->stop_at_once(w.now);
  w.die(*b, {.code = CLD_KILLED, .status = SIGKILL});
  EXPECT_EQ(w.passed_on(), 1u);
  EXPECT_TRUE(w.effects.given_invoked.empty());
}

TEST(WorkerLocal, ThatWritesIsCommittedBeforeItIsAnswered) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  protocol::Event published;
  published.source = "/functions/b";
  published.type = "written";
  w.finish(*w.callee(a), 1, 1ms, [&](ItemResult& result) {
    result.asked.push_back({Asked::Kind::kPublish, protocol::pack(published)});
  });
  EXPECT_TRUE(w.effects.given_invoked.empty());
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const auto& group = w.effects.commits[0].second.groups.at(0);
  EXPECT_EQ(group.origin, protocol::Origin::kMemory);
  EXPECT_GT(group.entry.ms, 1ull << 40) << "no broker's invocation has this name";
  w.answer_commits();
  EXPECT_EQ(w.given().answer.kind, Kind::kOk);
  const auto done = w.sent<protocol::Done>();
  ASSERT_EQ(done.size(), 1u) << "where the broker finds what it published";
  EXPECT_THAT(done[0].outboxes, ElementsAre("b"));
  EXPECT_TRUE(done[0].rows.empty());
}

TEST(WorkerLocal, HasAnIdThatNoOtherHas) {
  House w;
  const InstanceId a = w.at_work("a");
  std::set<protocol::EventId> ids;
  for (int n = 0; n < 3; ++n) {
    w.invoke(a);
    const InstanceId b = *w.callee(a);
    ids.insert(w.effects.batches[b].front().ids[0]);
    w.finish(b);
  }
  w.core->on_disconnected(w.now);
  w.join({Worker::function("a"), Worker::function("b")});
  w.allow();
  w.invoke(a);
  ids.insert(w.effects.batches[*w.callee(a)].front().ids[0]);
  EXPECT_EQ(ids.size(), 4u);
}

TEST(WorkerLocal, IsToldInSumsWithTheHeartbeat) {
  House w;
  const InstanceId a = w.at_work("a");
  for (int n = 0; n < 3; ++n) {
    w.invoke(a);
    w.finish(*w.callee(a));
  }
  w.invoke(a);
  auto told = w.heartbeat();
  ASSERT_EQ(told.local.size(), 1u);
  EXPECT_EQ(told.local[0], (protocol::Heartbeat::LocalRow{"b", 3, 0, 1}));
  EXPECT_EQ(told.waiting, 1u);
  told = w.heartbeat();
  EXPECT_EQ(told.local.at(0), (protocol::Heartbeat::LocalRow{"b", 0, 0, 1}));
  w.finish(*w.callee(a));
  told = w.heartbeat();
  EXPECT_EQ(told.local.at(0), (protocol::Heartbeat::LocalRow{"b", 1, 0, 0}));
  EXPECT_TRUE(w.heartbeat().local.empty());
}

TEST(WorkerLocal, IsToldBeforeTheWorkerLeaves) {
  House w;
  const InstanceId a = w.at_work("a");
  w.invoke(a);
  w.finish(*w.callee(a));
  w.finish(a);
  w.answer_commits();
  w.done_rows();
  w.acknowledge();
  w.sent<protocol::Heartbeat>();
  w.core->begin_drain(w.now);
  w.turn();
  EXPECT_EQ(w.sent<protocol::Bye>().size(), 1u);
  std::uint64_t ended = 0;
  for (const auto& heartbeat : w.sent<protocol::Heartbeat>()) {
    for (const auto& row : heartbeat.local) ended += row.ended;
  }
  EXPECT_EQ(ended, 1u);
}

// ---- callers outside ----

struct Calls : House {
  using House::House;
  void call(std::uint64_t request, const std::string& function = "b", std::uint32_t timeout = 1000,
            const std::string& event = event_of()) {
    core->on_call(CallerId{3}, {request, function, timeout, event}, now);
    turn();
  }
  // Who runs the only call there is.
  InstanceId runner() { return *callee(InstanceId{0}); }
  std::string said() {
    if (effects.answered.empty()) return "nothing";
    const auto answered = effects.answered.back();
    EXPECT_EQ(answered.caller, CallerId{3});
    if (answered.frame.empty()) return "not here " + std::to_string(answered.request);
    const auto message = protocol::decode(answered.frame).value();
    if (const auto* refused = std::get_if<protocol::Refused>(&message)) {
      return std::string(protocol::to_string(refused->code)) + ": " + refused->message;
    }
    const auto& invoked = std::get<protocol::Invoked>(message);
    const auto record = protocol::unpack_result(invoked.record).value();
    return std::to_string(invoked.request) + " " +
           (record.status == protocol::Status::kSucceeded ? record.output : record.error_type);
  }
};

TEST(WorkerLocalCalls, RunHereAndTheRecordIsTheAnswer) {
  Calls w;
  w.call(9);
  EXPECT_EQ(w.said(), "nothing");
  w.finish(w.runner());
  EXPECT_EQ(w.said(), "9 out");
  w.call(10);
  w.fail(w.runner());
  EXPECT_EQ(w.said(), "10 ValueError");
  EXPECT_EQ(w.core->counters().calls_local, 2u);
  EXPECT_EQ(w.heartbeat().local.at(0), (protocol::Heartbeat::LocalRow{"b", 2, 0, 0}));
}

TEST(WorkerLocalCalls, AreNotHereWhereTheBrokerHasTheSay) {
  Calls w;
  w.call(1, "nobody");
  EXPECT_EQ(w.said(), "not here 1");
  w.call(2, "b", 1000, "no event");
  EXPECT_EQ(w.said(), "not here 2");
  w.call(3, "b", 1000, event_of(1));
  EXPECT_EQ(w.said(), "not here 3") << "generations are for workers to say";
  w.call(4, "b", 0);
  EXPECT_EQ(w.said(), "not here 4");
  w.allow({"a"});
  w.call(5);
  EXPECT_EQ(w.said(), "not here 5");
  w.allow();
  w.core->begin_drain(w.now);
  w.call(6);
  EXPECT_EQ(w.said(), "not here 6");
  EXPECT_EQ(w.core->counters().calls_not_here, 6u);
}

// Nobody's slot waits for them: they get no lent one, and take nothing from what waits.
TEST(WorkerLocalCalls, AreNotHereWithoutAFreeSlotOrAnIdleInstance) {
  Calls w(1);
  const InstanceId a = w.at_work("a");
  w.call(1);
  EXPECT_EQ(w.said(), "not here 1");
  w.invoke(a);
  w.call(2);
  EXPECT_EQ(w.said(), "not here 2");
}

TEST(WorkerLocalCalls, EndWithTheCallersTime) {
  Calls w;
  w.call(1, "b", 1000);
  const InstanceId b = w.runner();
  w.pass(1s);
  EXPECT_EQ(w.said(), "timeout: the function did not finish in time");
  w.finish(b);
  EXPECT_EQ(w.effects.answered.size(), 1u);
}

TEST(WorkerLocalCalls, AreNotHereAfterAllIfNoInstanceTakesThem) {
  Calls w;
  w.effects.run_error = retry_later("full");
  w.effects.forks_refused = true;
  w.call(1);
  w.pass(9ms);
  EXPECT_EQ(w.said(), "nothing");
  w.pass(1ms);
  EXPECT_EQ(w.said(), "not here 1");
  EXPECT_EQ(w.core->held(), 0u);
  EXPECT_TRUE(w.heartbeat().local.empty());
}

TEST(WorkerLocalCalls, GoOnWhenTheirCallerIsGone) {
  Calls w;
  w.call(1);
  const InstanceId b = w.runner();
  w.core->on_caller_gone(CallerId{3});
  w.finish(b);
  EXPECT_TRUE(w.effects.answered.empty());
  EXPECT_EQ(w.core->held(), 0u);
}

}  // namespace
}  // namespace fanfare::worker
