// Invocations by functions: workers pass them on for instances that wait.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;
using protocol::Refusal;

struct Nesting : CoreHarness {
  using CoreHarness::CoreHarness;
  std::string event_of(std::uint32_t generation) {
    protocol::PublishOptions options;
    options.generation = generation;
    return event(options);
  }
  void invoke(const std::string& peer, std::uint64_t request, std::uint32_t generation) {
    feed(peer, protocol::Invoke{request, "f", 1000, event_of(generation)});
  }
  // As the worker w may be sent one more, which one it is sent.
  std::string next(const std::string& worker = "w") {
    credit(++totals_[worker], worker);
    const auto sent = delivered(worker);
    if (sent.size() != 1) return std::to_string(sent.size());
    latest = sent[0];
    const auto view = protocol::view_event(latest.packed_event);
    const auto options = protocol::unpack_options(view->packed_options);
    return (latest.origin == protocol::Origin::kInvoke ? "invocation " : "event ") +
           std::to_string(options->generation);
  }
  protocol::Delivery latest;

 private:
  std::map<std::string, std::uint64_t> totals_;
};

TEST(NestedInvocations, GoBeforeThoseOfClientsAndBeforeEvents) {
  Nesting h;
  h.hello();
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  h.invoke("client", 1, 0);
  h.invoke("client", 2, 0);
  h.invoke("w", 3, 1);
  h.invoke("w", 4, 5);
  EXPECT_EQ(h.next(), "invocation 1");
  EXPECT_EQ(h.next(), "invocation 5") << "among themselves first come, first served";
  EXPECT_EQ(h.next(), "invocation 0");
  h.invoke("w", 5, 2);
  EXPECT_EQ(h.next(), "invocation 2");
  EXPECT_EQ(h.next(), "invocation 0");
  EXPECT_EQ(h.next(), "event 0");
}

TEST(NestedInvocations, KeepTheirPlaceWhenAWorkerHandsThemBack) {
  Nesting h;
  h.hello();
  h.invoke("client", 1, 0);
  EXPECT_EQ(h.next(), "invocation 0");
  const auto of_client = h.latest;
  h.invoke("w", 2, 3);
  EXPECT_EQ(h.next(), "invocation 3");
  const auto nested = h.latest;
  h.invoke("w", 3, 4);
  h.invoke("client", 4, 0);
  h.done(h.failed_row(nested, Outcome::kDrained));
  h.done(h.failed_row(of_client, Outcome::kDrained));
  h.hello("other");
  EXPECT_EQ(h.next("other"), "invocation 3");
  EXPECT_EQ(h.next("other"), "invocation 4");
  EXPECT_EQ(h.next("other"), "invocation 0");
  EXPECT_EQ(h.latest.id, of_client.id);
}

TEST(NestedInvocations, AreAnsweredToTheWorkerThatPassedThemOn) {
  Nesting h;
  h.join(0, "caller");
  h.join(10, "w");
  h.invoke("caller", 77, 1);
  const auto delivery = h.delivered().at(0);
  auto row = h.ok_row(delivery);
  row.record = "packed";
  h.done(row);
  const auto answers = h.take<protocol::Invoked>("caller");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].request, 77u);
  EXPECT_EQ(answers[0].record, "packed");
  h.invoke("caller", 78, 1);
  h.pass(1001ms);
  EXPECT_EQ(h.take<protocol::Refused>("caller").at(0).request, 78u);
}

TEST(NestedInvocations, AreWorkersToMake) {
  Nesting h;
  h.join();
  h.invoke("client", 1, 1);
  const auto refused = h.take<protocol::Refused>("client");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, Refusal::kInvalid);
  EXPECT_NE(refused[0].message.find("generation"), std::string::npos);
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.core.counters().invocations_refused, 1u);
}

TEST(NestedInvocations, EndAfterSixteenGenerations) {
  Nesting h;
  h.join();
  h.invoke("w", 1, protocol::kGenerationsMax);
  EXPECT_EQ(h.delivered().size(), 1u);
  h.invoke("w", 2, protocol::kGenerationsMax + 1);
  EXPECT_EQ(h.take<protocol::Refused>("w").at(0).code, Refusal::kInvalid);
  EXPECT_TRUE(h.delivered().empty());
}

TEST(NestedInvocations, BeyondMaxConcurrencySayWhyTheyDidNotRun) {
  Nesting h(CoreHarness::Functions{
      {"f", "max_concurrency = 1\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}});
  h.join();
  h.invoke("client", 1, 0);
  h.answer_all();  // that it is in office still
  EXPECT_EQ(h.delivered().size(), 1u);
  h.invoke("w", 2, 1);
  EXPECT_TRUE(h.delivered().empty());
  h.pass(1001ms);
  const auto refused = h.take<protocol::Refused>("w");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, Refusal::kTimeout);
  EXPECT_NE(refused[0].message.find("max_concurrency"), std::string::npos);
}

TEST(NestedInvocations, WithOptionsThatCannotBeReadAreRefused) {
  Nesting h;
  h.join();
  std::string packed = h.event_of(3);
  packed.at(packed.find("generation") + 10) = '\xc0';  // nil
  h.feed("w", protocol::Invoke{1, "f", 1000, packed});
  EXPECT_EQ(h.take<protocol::Refused>("w").at(0).code, Refusal::kMalformed);
}

TEST(NestedInvocations, ThatAWorkerWaitsForAreShown) {
  Nesting h;
  h.join();
  h.feed("w", protocol::Heartbeat{.session = 1,
                                  .delivered = 0,
                                  .rows = {{"f", 2, 2, 0}},
                                  .running = {},
                                  .state = protocol::WorkerState::kRunning,
                                  .waiting = 1});
  EXPECT_EQ(h.ask("workers", "{}")["workers"][0]["waiting"], 1);
  EXPECT_EQ(h.ask("status", "{}")["workers"][0]["waiting"], 1);
}

}  // namespace
}  // namespace fanfare::broker
