// The broker's counts follow Redis' while it works, and what is on its way between them does not
// confuse them.
#include <gtest/gtest.h>

#include "broker/core.h"
#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

// Five deliveries, of which a worker has two, and a survey that is due.
struct Busy {
  CoreHarness h;
  std::vector<protocol::Delivery> lent;

  Busy() {
    h.join(2);
    h.publish(1, std::vector<std::string>(5, h.event()));
    h.answer_all();
    lent = h.delivered();
    EXPECT_EQ(lent.size(), 2u);
    h.pass(10s);
  }
  const store::Surveyed::Counts& counts() const { return h.core.functions().at("f")->counts; }
  void answer(store::Surveyed::Counts counts) {
    store::Surveyed surveyed;
    surveyed.counts = counts;
    h.answer(h.take_call<store::Survey>().first, store::Answer{surveyed});
  }
};

TEST(Recount, MendsWhatHasDriftedWhileSomethingRuns) {
  Busy b;
  b.answer({.accepted = 9, .open = 9});  // more than is here: say that it drifts
  b.h.done(b.h.ok_row(b.lent[0]));
  b.h.done(b.h.ok_row(b.lent[1]));
  EXPECT_EQ(b.counts().open, 7);
  b.h.pass(10s);
  b.answer({.accepted = 9, .open = 0, .succeeded = 9});
  EXPECT_EQ(b.counts().open, 3)
      << "those that wait here may have ended unheard, by another attempt";
  EXPECT_EQ(b.counts().succeeded, 6);
  b.h.credit(1000);
  for (const auto& delivery : b.h.delivered()) b.h.done(b.h.ok_row(delivery));
  EXPECT_EQ(b.counts().open, 0);
  EXPECT_EQ(b.counts().succeeded, 9);
}

TEST(Recount, LeavesAloneWhatWorkersHaveCommittedAndNotYetReported) {
  Busy b;
  b.answer({.accepted = 5, .open = 3, .succeeded = 2});
  EXPECT_EQ(b.counts().open, 5);
  b.h.done(b.h.ok_row(b.lent[0]));
  b.h.done(b.h.ok_row(b.lent[1]));
  EXPECT_EQ(b.counts().open, 3);
}

TEST(Recount, OfAnewReadQueueLeavesAloneWhatIsLentAndMayHaveEnded) {
  Busy b;
  b.answer({.accepted = 5, .open = 5});
  b.h.core.on_store_restarted();
  b.h.turn();
  b.answer({.accepted = 5, .open = 3, .succeeded = 2});
  EXPECT_EQ(b.counts().open, 5);
  b.h.done(b.h.ok_row(b.lent[0]));
  b.h.done(b.h.ok_row(b.lent[1]));
  EXPECT_EQ(b.counts().open, 3);
  EXPECT_EQ(b.counts().succeeded, 2);
}

TEST(Recount, KnowsWhatWasReportedWhileItWasUnderWay) {
  Busy b;
  b.h.done(b.h.ok_row(b.lent[0]));
  b.h.done(b.h.ok_row(b.lent[1]));
  b.answer({.accepted = 5, .open = 5});  // Redis had been asked before they were committed
  EXPECT_EQ(b.counts().open, 3);
  EXPECT_EQ(b.counts().succeeded, 2);
}

TEST(Recount, FindsWhatIsOpenThereAndNotHere) {
  Busy b;
  b.answer({.accepted = 8, .open = 8});
  EXPECT_EQ(b.counts().open, 8);
  EXPECT_EQ(b.counts().accepted, 8);
}

TEST(Recount, AsksForOneFunctionPerTickAndForEachInTurn) {
  CoreHarness::Functions functions;
  for (int i = 0; i < 30; ++i) functions["f" + std::to_string(i)] = CoreHarness::one()["f"];
  CoreHarness h(functions);
  h.publish(1, {h.event()});
  h.answer_all();
  std::map<std::string, int> asked;
  for (int tick = 0; tick < 390; ++tick) {
    h.pass(100ms);
    ASSERT_LE(h.waiting_calls<store::Survey>(), 1u);
    if (h.waiting_calls<store::Survey>() == 0) continue;
    const auto [ticket, survey] = h.take_call<store::Survey>();
    ++asked[survey.function];
    h.answer(ticket, store::Answer{store::Surveyed{.counts = {.accepted = 1, .open = 1}}});
  }
  ASSERT_EQ(asked.size(), 30u);
  for (const auto& [name, times] : asked) EXPECT_EQ(times, 3) << name;
}

}  // namespace
}  // namespace fanfare::broker
