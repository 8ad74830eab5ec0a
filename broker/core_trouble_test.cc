// A key in Redis that holds the wrong kind of value: whose it is stands still, everybody else goes
// on, and nothing is asked in a circle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/core.h"
#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Refusal;
using ::testing::HasSubstr;

const Error kWrongKey = reject("Redis: WRONGTYPE fanfare:{f}:counts is a string");

// A broker that has asked for the surveys of `f` and `g`, whose events are of types f and g.
struct TwoFunctions {
  TwoFunctions() : core({}, now) {
    pump();
    answer<store::Begin>(store::Answer{store::Begun{1, {}}});
    answer<store::ListWorkers>(store::Answer{store::WorkerList{}});
    store::FunctionList list;
    for (const std::string name : {"f", "g"}) {
      list.functions.push_back({name, "[[on]]\npattern = '{\"type\":[\"" + name + "\"]}'\n",
                                std::string(64, 'd'), 1, false});
    }
    answer<store::ListFunctions>(store::Answer{list});
    answer<store::ListTopics>(store::Answer{store::TopicList{}});
  }
  void pump() {
    core.flush(now);
    for (auto& call : core.take_calls()) calls.push_back(std::move(call));
    for (auto& out : core.take_frames()) frames.push_back(*protocol::decode(out.frame));
  }
  template <typename Call>
  void answer(Result<store::Answer> with, const std::string& function = {}) {
    const auto at = std::ranges::find_if(calls, [&](const OutgoingCall& call) {
      const auto* survey = std::get_if<store::Survey>(&call.call);
      return std::holds_alternative<Call>(call.call) &&
             (function.empty() || (survey && survey->function == function));
    });
    ASSERT_NE(at, calls.end());
    const Ticket ticket = at->ticket;
    calls.erase(at);
    core.on_answer(ticket, std::move(with), now);
    pump();
  }
  std::size_t surveys() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        calls, [](const auto& call) { return std::holds_alternative<store::Survey>(call.call); }));
  }
  void pass(Duration duration) {
    now.steady += duration;
    core.tick(now);
    pump();
  }
  protocol::Published publish(std::uint64_t sequence, std::vector<std::string> events) {
    core.on_frame("p", protocol::encode(protocol::Publish{"c", sequence, false, events}), now);
    pump();
    for (auto at = calls.begin(); at != calls.end(); ++at) {
      if (!std::holds_alternative<store::Append>(at->call)) continue;
      core.on_answer(at->ticket, store::Answer{store::Appended{}}, now);
      calls.erase(at);
      pump();
      break;
    }
    EXPECT_FALSE(frames.empty());
    auto published = std::get<protocol::Published>(frames.back());
    frames.clear();
    return published;
  }

  Now now{TimePoint{} + 1h, wall_from_ms(1'700'000'000'000)};
  Core core;
  std::vector<OutgoingCall> calls;
  std::vector<protocol::Message> frames;
};

TEST(WrongKey, OfOneFunctionLeavesTheOthersToGoOn) {
  TwoFunctions t;
  t.answer<store::Survey>(store::Answer{store::Surveyed{}}, "g");
  EXPECT_FALSE(t.core.accepting());
  t.answer<store::Survey>(kWrongKey, "f");
  EXPECT_FALSE(t.core.ended());
  EXPECT_TRUE(t.core.accepting());
  EXPECT_THAT(t.core.functions().at("f")->trouble, HasSubstr("fanfare:{f}:counts"));

  const auto answer = t.publish(1, {CoreHarness::event("f"), CoreHarness::event("g")});
  ASSERT_EQ(answer.runs.size(), 2u);
  EXPECT_EQ(answer.runs[0].fate, protocol::PublishRun::Fate::kRefused);
  EXPECT_THAT(answer.errors.at(0).message, HasSubstr("fanfare:{f}:counts"));
  EXPECT_EQ(answer.errors.at(0).code, Refusal::kUnavailable);
  EXPECT_EQ(answer.runs[1].fate, protocol::PublishRun::Fate::kAccepted);
}

TEST(WrongKey, IsLookedAtAgainAfterPausesUntilItIsMended) {
  TwoFunctions t;
  t.answer<store::Survey>(store::Answer{store::Surveyed{}}, "g");
  t.answer<store::Survey>(kWrongKey, "f");
  EXPECT_EQ(t.surveys(), 0u);
  t.pass(1s);
  t.answer<store::Survey>(kWrongKey, "f");
  t.pass(1s);
  EXPECT_EQ(t.surveys(), 0u) << "twice the pause";
  t.pass(1s);
  t.answer<store::Survey>(store::Answer{store::Surveyed{}}, "f");
  EXPECT_EQ(t.core.functions().at("f")->trouble, "");
  const auto answer = t.publish(1, {CoreHarness::event("f")});
  EXPECT_EQ(answer.runs.at(0).fate, protocol::PublishRun::Fate::kAccepted);
}

TEST(WrongKey, OfTheWholeInstallationKeepsABrokerWaitingAtItsStart) {
  const Now now{TimePoint{} + 1h, wall_from_ms(1'700'000'000'000)};
  Core core({}, now);
  auto calls = core.take_calls();
  core.on_answer(calls.at(0).ticket, reject("Redis: WRONGTYPE fanfare:meta is a string"), now);
  EXPECT_FALSE(core.ended());
  core.tick({now.steady + 100ms, now.wall});
  EXPECT_TRUE(core.take_calls().empty());
  core.tick({now.steady + 1s, now.wall});
  calls = core.take_calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<store::Begin>(calls[0].call));
}

TEST(WrongKey, MetByAnAppendHoldsUpOnlyTheFunctionThatASurveyNames) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer(h.take_call<store::Append>().first, kWrongKey);
  h.answer(h.take_call<store::Survey>().first, kWrongKey);
  h.publish(2, {h.event()});
  const auto append = h.take_call<store::Append>().second;
  EXPECT_TRUE(append.streams.empty()) << "or what goes to others would be refused with it";
}

TEST(WrongKey, APageThatFailsIsNotAskedForInACircle) {
  CoreHarness h(CoreHarness::one(), {}, {protocol::Lane{}});
  std::size_t pages = 0;
  h.pass(100ms);
  for (int turn = 0; turn < 100; ++turn) {
    if (h.waiting_calls<store::Page>() > 0) {
      ++pages;
      h.answer(h.take_call<store::Page>().first, kWrongKey);
    }
    if (h.waiting_calls<store::Survey>() > 0) {
      h.answer(h.take_call<store::Survey>().first, store::Answer{store::Surveyed{}});
    }
    h.turn();
  }
  EXPECT_EQ(pages, 1u);
  h.pass(100ms);
  EXPECT_EQ(h.waiting_calls<store::Page>(), 1u);
}

TEST(WrongKey, RowsThatCannotBeReadAreNotAskedForInACircle) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  h.done(h.failed_row(h.delivered().at(0)));
  h.answer_all();
  h.now.steady += 10s;
  h.now.wall += 10s;
  h.core.tick(h.now);
  h.turn();
  std::size_t reads = 0;
  for (int turn = 0; turn < 100; ++turn) {
    if (h.waiting_calls<store::Due>() > 0) {
      ++reads;
      h.answer(h.take_call<store::Due>().first, kWrongKey);
    }
    if (h.waiting_calls<store::Survey>() > 0) {
      h.answer(h.take_call<store::Survey>().first, store::Answer{store::Surveyed{}});
    }
    h.core.tick(h.now);
    h.turn();
  }
  EXPECT_EQ(reads, 1u);
  EXPECT_GT(h.core.until_next_tick(h.now), 1ms) << "nor is the loop kept awake for it";
  h.pass(100ms);
  EXPECT_EQ(h.waiting_calls<store::Due>(), 1u);
}

}  // namespace
}  // namespace fanfare::broker
