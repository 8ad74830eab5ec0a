// Deliveries that came before the journal had them.
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using protocol::Outcome;

CoreOptions early_slot(bool wait_for_journal = true) {
  CoreOptions options{.name = "w1", .slots = 1};
  options.protections.wait_for_journal = wait_for_journal;
  return options;
}

// Has one entry of one delivery, which runs.
struct EarlyWorker : Worker {
  explicit EarlyWorker(CoreOptions options = early_slot()) : Worker(std::move(options)) {
    join();
    receive(protocol::Deliver{.function = "f", .deliveries = {delivery(7)}, .early = true});
  }
  InstanceId instance() const { return effects.forked.at(0); }
};

TEST(EarlyDeliveries, RunAtOnceAndAreCommittedWhenTheJournalHasThem) {
  EarlyWorker w;
  ASSERT_EQ(w.unfinished(w.instance()), 1u);
  w.finish(w.instance());
  EXPECT_TRUE(w.effects.commits.empty());
  w.receive(protocol::Journaled{.there = {{7, 0}}, .refused = {}});
  ASSERT_EQ(w.effects.commits.size(), 1u);
  w.answer_commits();
  ASSERT_EQ(w.done_rows().size(), 1u);
}

TEST(EarlyDeliveries, AreCommittedAtOnceIfTheJournalHadThemBeforeTheyEnded) {
  EarlyWorker w;
  w.receive(protocol::Journaled{.there = {{7, 0}}, .refused = {}});
  w.finish(w.instance());
  EXPECT_EQ(w.effects.commits.size(), 1u);
}

TEST(EarlyDeliveriesControl, WithoutTheProtectionAreCommittedBeforeTheJournalHasThem) {
  EarlyWorker w(early_slot(false));
  w.finish(w.instance());
  EXPECT_EQ(w.effects.commits.size(), 1u);
}

TEST(EarlyDeliveries, DoNotHoldUpOthers) {
  EarlyWorker w;
  w.finish(w.instance());
  w.deliver({Worker::delivery(8)});
  w.finish(w.instance());
  ASSERT_EQ(w.effects.commits.size(), 1u);
  EXPECT_EQ(w.effects.commits[0].second.groups.at(0).entry.ms, 8u);
}

TEST(EarlyDeliveries, OfARefusedEntryAreDroppedWithoutAWord) {
  EarlyWorker w;
  w.finish(w.instance());
  w.receive(protocol::Journaled{.there = {}, .refused = {{7, 0}}});
  w.pass(10s);
  EXPECT_TRUE(w.effects.commits.empty());
  EXPECT_TRUE(w.done_rows().empty());
  w.core->on_disconnected(w.now);
  w.core->on_connected(w.now);
  EXPECT_TRUE(w.sent<protocol::Hello>().back().held.empty());
}

TEST(EarlyDeliveries, OfAnEntryThatIsRefusedWhileTheyRunAreDroppedWhenTheyEnd) {
  EarlyWorker w;
  w.receive(protocol::Journaled{.there = {}, .refused = {{7, 0}}});
  w.finish(w.instance());
  EXPECT_TRUE(w.effects.commits.empty());
  EXPECT_TRUE(w.done_rows().empty());
  w.deliver({Worker::delivery(8)});
  w.finish(w.instance());
  EXPECT_EQ(w.effects.commits.size(), 1u) << "the slot is free again";
}

TEST(EarlyDeliveries, ThatFailAreReportedWhenTheJournalHasThem) {
  EarlyWorker w;
  w.fail(w.instance());
  EXPECT_TRUE(w.done_rows().empty());
  w.receive(protocol::Journaled{.there = {{7, 0}}, .refused = {}});
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kFunctionError);

  EarlyWorker refused;
  refused.fail(refused.instance());
  refused.receive(protocol::Journaled{.there = {}, .refused = {{7, 0}}});
  EXPECT_TRUE(refused.done_rows().empty());
  EXPECT_EQ(refused.core->held(), 0u);
}

TEST(EarlyDeliveries, WhoseSessionEndsFirstAreNobodysAnyMore) {
  for (const bool ended : {true, false}) {
    EarlyWorker w;
    if (ended) w.finish(w.instance());
    w.core->on_disconnected(w.now);
    w.core->on_connected(w.now);
    EXPECT_TRUE(w.sent<protocol::Hello>().back().held.empty());
    w.welcome();
    if (!ended) w.finish(w.instance());
    EXPECT_TRUE(w.effects.commits.empty());
    EXPECT_TRUE(w.done_rows().empty());
    w.deliver({Worker::delivery(7, 0, 1, 0x2001)});
    w.finish(w.instance());
    EXPECT_EQ(w.effects.commits.size(), 1u) << "another event, or the same one lent again";
  }
}

TEST(EarlyDeliveries, OfASessionThatIsOverDoNotShareTheEntryOfThoseThatComeByTheSameId) {
  EarlyWorker w(CoreOptions{.name = "w1", .slots = 4});
  w.receive(protocol::Deliver{.function = "f",
                              .deliveries = {Worker::delivery(8, 0, 2), Worker::delivery(8, 1, 2)},
                              .early = true});
  w.core->on_disconnected(w.now);
  w.core->on_connected(w.now);
  w.welcome();
  w.deliver({Worker::delivery(8, 0, 2, 0x2001), Worker::delivery(8, 1, 2, 0x2001)});
  std::vector<std::uint32_t> committed;
  for (int i = 0; i < 8; ++i) {
    for (const InstanceId instance : w.effects.forked) w.finish(instance);
    for (const auto& [id, call] : w.effects.commits) {
      for (const auto& item : call.groups.at(0).items) committed.push_back(item.token.value);
    }
    w.answer_commits();
  }
  EXPECT_EQ(committed, (std::vector<std::uint32_t>{0x2001, 0x2001}));
  EXPECT_EQ(w.core->held(), 0u);
}

TEST(EarlyDeliveries, ThatHaveNotBegunWhenTheirEntryIsRefusedNeverDo) {
  EarlyWorker w(early_slot());
  w.receive(protocol::Deliver{.function = "f",
                              .deliveries = {Worker::delivery(8, 0, 2), Worker::delivery(8, 1, 2)},
                              .early = true});
  w.receive(protocol::Journaled{.there = {{7, 0}}, .refused = {{8, 0}}});
  w.finish(w.instance());
  w.answer_commits();
  EXPECT_EQ(w.unfinished(w.instance()), 0u);
  EXPECT_EQ(w.core->held(), 0u);
  EXPECT_EQ(w.done_rows().size(), 1u) << "of the other entry";
}

TEST(EarlyDeliveries, ThatAreGoneThoughTheJournalHadThemHaveEndedElsewhere) {
  EarlyWorker w;
  w.receive(protocol::Journaled{.there = {{7, 0}}, .refused = {}});
  w.finish(w.instance());
  w.answer_commits(store::Verdict::kGone);
  EXPECT_EQ(w.done_rows().at(0).outcome, Outcome::kOk);
}

}  // namespace
}  // namespace fanfare::worker
