// What must not run twice at once, and a broker that was replaced without knowing it.
#include <gtest/gtest.h>

#include "broker/core_harness.h"
#include "broker/core_world.h"
#include "broker/office.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

const CoreWorld::Functions kKeyed{{"f", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}};
const CoreWorld::Functions kAlone{
    {"f", "max_concurrency = 1\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}};

// A worker runs the first of two; another broker takes over meanwhile, of which the first one, that
// stood still for `pause`, has not heard when the worker tells it of the end.
struct Replaced : CoreWorld {
  Replaced(const Functions& functions, bool keyed, Duration pause, CoreOptions options = {})
      : CoreWorld(functions, options) {
    join();
    keyed ? publish_keyed("a", 2) : publish({{}, {}});
    auto first = delivered();
    EXPECT_EQ(first.size(), 1u);
    auto former = std::move(core);
    start_broker();
    successor = std::exchange(core, std::move(former));
    now.steady += pause;
    succeed(first.at(0));
  }
  std::unique_ptr<Core> successor;
};

TEST(Office, AReplacedBrokerLendsNothingMoreOfAKey) {
  Replaced world(kKeyed, true, Office::kHolds + 1ms);
  EXPECT_TRUE(world.delivered().empty());
  EXPECT_TRUE(world.core->ended()) << "Redis has told it";
}

TEST(Office, AReplacedBrokerLendsNothingMoreOfAFunctionWithMaxConcurrency) {
  Replaced world(kAlone, false, Office::kHolds + 1ms);
  EXPECT_TRUE(world.delivered().empty());
  EXPECT_TRUE(world.core->ended());
}

TEST(Office, WithoutTheProtectionItLendsThemBesideItsSuccessor) {
  CoreOptions options;
  options.protections.prove_office = false;
  EXPECT_EQ(Replaced(kKeyed, true, 10s, options).delivered().size(), 1u);
  EXPECT_EQ(Replaced(kAlone, false, 10s, options).delivered().size(), 1u);
}

TEST(Office, ASuccessorWaitsUntilTheFormersProofHoldsNoLonger) {
  CoreOptions options;
  options.former_lends = Office::kSuccessorWaits;
  CoreWorld world(kKeyed, options);
  world.join();
  world.publish_keyed("a");
  world.publish({{}});
  EXPECT_EQ(world.delivered().size(), 1u) << "what may run twice need not wait";
  world.pass(Office::kSuccessorWaits - 1ms);
  EXPECT_TRUE(world.delivered().empty());
  world.pass(1ms);
  EXPECT_EQ(world.delivered().size(), 1u);
  static_assert(Office::kSuccessorWaits > Office::kHolds);
}

TEST(Office, WithAFreshProofNothingWaits) {
  CoreHarness h;
  h.join();
  h.answer_all();  // that the worker is noted
  protocol::PublishOptions keyed;
  keyed.ordering_key = "a";
  h.publish(1, {h.event(keyed)});
  const auto [ticket, append] = h.take_call<store::Append>();
  h.answer(ticket, store::Answer{store::Appended{}});  // which is the proof
  EXPECT_EQ(h.delivered().size(), 1u);
  EXPECT_EQ(h.waiting_calls<store::NoteWorker>(), 0u);
}

// In class memory nothing else asks Redis.
struct Unproved : CoreHarness {
  Unproved() : CoreHarness(one(), in_memory()) {
    join();
    answer_all();
    now.steady += 10s;
    protocol::PublishOptions keyed;
    keyed.ordering_key = "a";
    publish(1, {event(keyed)});
  }
  static CoreOptions in_memory() {
    CoreOptions options;
    options.durability = Durability::kMemory;
    return options;
  }
};

TEST(Office, WithoutAProofLendingWaitsForOneAndGoesOnWithIt) {
  Unproved h;
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.waiting_calls<store::NoteWorker>(), 1u) << "it is asked once";
  h.answer_all();
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Office, ARedisThatDoesNotAnswerIsAskedAgain) {
  Unproved h;
  const auto [ticket, call] = h.take_call<store::NoteWorker>();
  h.answer(ticket, Result<store::Answer>{retry_later("loading")});
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.waiting_calls<store::NoteWorker>(), 0u) << "not at once";
  h.now.steady += Office::kAgainAfter;
  h.core.tick(h.now);
  h.turn();
  h.answer_all();
  EXPECT_EQ(h.delivered().size(), 1u);
}

// An answer proves what was when it was asked for, not what is when it comes.
TEST(Office, AnAnswerThatComesLateProvesNothing) {
  Unproved h;
  const auto [ticket, call] = h.take_call<store::NoteWorker>();
  h.now.steady += Office::kHolds + 1ms;
  h.answer(ticket, store::Answer{store::Noted{}});
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.waiting_calls<store::NoteWorker>(), 1u) << "so it is asked anew";
}

TEST(Office, ACallerWhoseTimeIsUpHearsWhatItWaitedFor) {
  CoreHarness h(CoreHarness::Functions{
      {"f", "max_concurrency = 1\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}});
  h.join();
  h.answer_all();
  h.feed("client", protocol::Invoke{1, "f", 1000, h.event()});
  EXPECT_TRUE(h.delivered().empty());
  h.now.steady += 1001ms;
  h.core.tick(h.now);
  h.turn();
  const auto refused = h.take<protocol::Refused>("client");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, protocol::Refusal::kTimeout);
  EXPECT_NE(refused[0].message.find("Redis"), std::string::npos) << refused[0].message;
}

TEST(Office, AProofIsRenewedBeforeItIsNeeded) {
  Office office;
  const TimePoint begin{1h};
  EXPECT_FALSE(office.holds(begin));
  EXPECT_TRUE(office.ages(begin));
  office.proved(begin);
  EXPECT_FALSE(office.ages(begin + Office::kHolds / 2));
  EXPECT_TRUE(office.ages(begin + Office::kHolds / 2 + 1ms));
  EXPECT_TRUE(office.holds(begin + Office::kHolds));
  EXPECT_FALSE(office.holds(begin + Office::kHolds + 1ms));
  office.proved(begin - 1s);
  EXPECT_TRUE(office.holds(begin + Office::kHolds)) << "an older one takes nothing away";
}

TEST(Office, IsLookedAfterOnceASecondWhenNobodyLends) {
  Office office;
  const TimePoint begin{1h};
  EXPECT_TRUE(office.wants_look(begin, false));
  office.asked(begin);
  EXPECT_FALSE(office.wants_look(begin + 1h, true)) << "one question at a time";
  office.answered();
  EXPECT_FALSE(office.wants_look(begin + 999ms, false));
  EXPECT_TRUE(office.wants_look(begin + 1s, false));
  EXPECT_TRUE(office.wants_look(begin + Office::kAgainAfter, true));
}

}  // namespace
}  // namespace fanfare::broker
