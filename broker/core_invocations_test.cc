// Who waits for the broker: for a function, or for an end.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Refusal;

TEST(Invocations, ReachAWorkerAndTheAnswerReachesTheCaller) {
  CoreHarness h;
  h.join();
  h.feed("caller", protocol::Invoke{9, "f", 1000, h.event()});
  const auto delivery = h.delivered().at(0);
  EXPECT_EQ(delivery.origin, protocol::Origin::kInvoke);
  auto row = h.ok_row(delivery);
  row.record = "packed";
  h.done(row);
  const auto answers = h.take<protocol::Invoked>("caller");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].record, "packed");
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u) << "nothing is journaled";
}

TEST(Invocations, HoldOnlySoManyBytes) {
  CoreOptions options;
  options.invocation_bytes_max = 1000;
  CoreHarness h(CoreHarness::one(), options);
  const auto refusals = [&] {
    std::size_t full = 0;
    for (const auto& refused : h.take<protocol::Refused>("caller")) {
      full += refused.code == protocol::Refusal::kQueueFull ? 1u : 0u;
    }
    return full;
  };
  const std::string large = h.event("t", std::string(800, 'x'));
  h.feed("caller", protocol::Invoke{1, "f", 1000, large});
  h.feed("caller", protocol::Invoke{2, "f", 1000, large});
  EXPECT_EQ(refusals(), 1u);
  h.join();
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 1u);
  h.feed("caller", protocol::Invoke{3, "f", 1000, large});
  EXPECT_EQ(refusals(), 1u) << "what runs counts, too";
  h.done(h.ok_row(lent[0]));
  h.feed("caller", protocol::Invoke{4, "f", 1000, large});
  EXPECT_EQ(refusals(), 0u);
  const auto next = h.delivered();
  ASSERT_EQ(next.size(), 1u);
  h.core.on_worker_died(SessionId{1}, h.now);  // its caller is told
  h.turn();
  h.feed("caller", protocol::Invoke{5, "f", 1000, large});
  h.pass(2s);  // it times out, waiting
  h.feed("caller", protocol::Invoke{6, "f", 1000, large});
  EXPECT_EQ(refusals(), 0u);
  EXPECT_EQ(h.core.counters().invocations_refused, 2u);
}

TEST(Invocations, OfAnUnknownFunctionAreRefused) {
  CoreHarness h;
  h.feed("caller", protocol::Invoke{9, "nobody", 1000, h.event()});
  EXPECT_EQ(h.take<protocol::Refused>("caller").at(0).code, Refusal::kNoSuchFunction);
}

TEST(Invocations, EndWhenTheCallersTimeIsUp) {
  CoreHarness h;
  h.feed("caller", protocol::Invoke{9, "f", 1000, h.event()});
  h.pass(1001ms);
  EXPECT_EQ(h.take<protocol::Refused>("caller").at(0).code, Refusal::kTimeout);
  h.join();
  EXPECT_TRUE(h.delivered().empty());
}

TEST(Invocations, EndWhenTheCallersTimeIsUpAlsoWhileTheFunctionRuns) {
  CoreHarness h;
  h.join();
  h.feed("caller", protocol::Invoke{9, "f", 1000, h.event()});
  const auto delivery = h.delivered().at(0);
  h.pass(900ms);
  EXPECT_TRUE(h.take<protocol::Refused>("caller").empty());
  h.pass(101ms);
  const auto refused = h.take<protocol::Refused>("caller");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, Refusal::kTimeout);
  h.done(h.ok_row(delivery));
  EXPECT_TRUE(h.take<protocol::Invoked>("caller").empty()) << "too late";
}

// An Await that was under way when its delivery ended; something else lies in `later`, so that the
// broker cannot be sure to hold nothing.
TEST(Waiting, ForWhatHasJustEndedIsAnsweredAtOnce) {
  CoreHarness h;
  h.join();
  protocol::PublishOptions tomorrow;
  tomorrow.delay = 86'400'000;
  h.publish(1, {h.event(tomorrow)});
  h.answer_all();
  h.publish(2, {h.event()});
  h.answer_all();
  const auto delivery = h.delivered().at(0);
  h.done(h.ok_row(delivery));
  h.feed("caller", protocol::Await{4, delivery.id, "f", 1000});
  const auto awaited = h.take<protocol::Awaited>("caller");
  ASSERT_EQ(awaited.size(), 1u);
  EXPECT_EQ(awaited[0].ended, std::vector<std::string>{"f"});
  h.feed("caller", protocol::Await{5, delivery.id, "other", 1000});
  EXPECT_TRUE(h.take<protocol::Awaited>("caller").at(0).ended.empty());
  h.feed("caller", protocol::Await{6, delivery.id, "", 1000});
  EXPECT_TRUE(h.take<protocol::Awaited>("caller").empty()) << "which of them it knows is unknown";
}

TEST(Waiting, IsAnsweredWhenTheDeliveryEnds) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  const auto delivery = h.delivered().at(0);
  h.feed("caller", protocol::Await{4, delivery.id, "", 1000});
  EXPECT_TRUE(h.take<protocol::Awaited>("caller").empty());
  h.done(h.ok_row(delivery));
  EXPECT_EQ(h.take<protocol::Awaited>("caller").at(0).ended, std::vector<std::string>{"f"});
}

TEST(Waiting, ForWhatTheBrokerDoesNotHoldIsAnsweredAtOnce) {
  CoreHarness h;
  h.feed("caller", protocol::Await{4, {{1, 1}, 1}, "", 1000});
  EXPECT_EQ(h.take<protocol::Awaited>("caller").size(), 1u);
}

}  // namespace
}  // namespace fanfare::broker
