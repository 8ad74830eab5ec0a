// How successes are grouped, committed and repeated.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using protocol::Outcome;

CoreOptions one_slot() {
  return {.name = "w1", .slots = 1};
}

// Joins, and lets it learn that "f" takes about 10 µs.
void learn_quick(Worker& w) {
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 10us);
  w.answer_commits();
  w.done_rows();
}

std::vector<protocol::Delivery> chunk(std::uint64_t entry, std::uint16_t size,
                                      std::uint8_t from = 0, int count = -1) {
  std::vector<protocol::Delivery> all;
  const int until = count < 0 ? size : from + count;
  for (int i = from; i < until; ++i) {
    all.push_back(Worker::delivery(entry, static_cast<std::uint8_t>(i), size));
  }
  return all;
}

std::size_t items_in(const store::Commit& call) {
  std::size_t items = 0;
  for (const auto& group : call.groups) items += group.items.size();
  return items;
}

TEST(WorkerCommit, OneEntryIsOneGroupWithItsSlots) {
  Worker w(one_slot());
  learn_quick(w);
  w.deliver(chunk(7, 20));
  w.finish(w.effects.forked[0], 20, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const auto& groups = w.effects.commits[0].second.groups;
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].entry.ms, 7u);
  EXPECT_EQ(groups[0].entry_size, 20u);
  ASSERT_EQ(groups[0].items.size(), 20u);
  EXPECT_EQ(groups[0].items[3].index, 3u);
  EXPECT_EQ(groups[0].items[3].slot, 3u);
}

TEST(WorkerCommit, DeliveriesOfOneEntryInSeveralFramesAreOneGroup) {
  Worker w(one_slot());
  learn_quick(w);
  w.deliver(chunk(7, 20, 0, 10));
  w.deliver(chunk(7, 20, 10, 10));
  w.finish(w.effects.forked[0], 20, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  ASSERT_EQ(w.effects.commits[0].second.groups.size(), 1u);
}

// A broker and its successor may both lend a delivery to one worker.
TEST(WorkerCommit, TwoAttemptsOfADeliveryAreCommittedInTwoCalls) {
  for (const std::uint16_t entry_size : {std::uint16_t{1}, std::uint16_t{2}}) {
    Worker w(one_slot());
    learn_quick(w);
    auto attempts = chunk(7, entry_size, 0, 1);
    attempts.push_back(attempts[0]);
    attempts[1].token = protocol::make_token(3, 1);
    w.deliver(attempts);
    w.finish(w.effects.forked[0], 2, 10us);
    w.pass(5ms);
    ASSERT_EQ(w.effects.commits.size(), 2u) << "entry size " << entry_size;
    for (const auto& [id, call] : w.effects.commits) {
      ASSERT_EQ(items_in(call), 1u);
      EXPECT_EQ(call.groups[0].items[0].index, 0u);
    }
    EXPECT_NE(w.effects.commits[0].second.groups[0].items[0].token,
              w.effects.commits[1].second.groups[0].items[0].token);
  }
}

TEST(WorkerCommit, OneEntryInTwoLanesIsTwoGroups) {
  Worker w(one_slot());
  learn_quick(w);
  auto first = chunk(7, 2), second = chunk(7, 2);
  for (auto& d : second) {
    d.lane = protocol::Lane{5};
    d.id.index = static_cast<std::uint8_t>(d.id.index + 2);
  }
  w.deliver(first);
  w.deliver(second);
  w.finish(w.effects.forked[0], 4, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  EXPECT_EQ(w.effects.commits[0].second.groups.size(), 2u);
}

TEST(WorkerCommit, APartialEntryOfAQuickFunctionWaitsForItsRestButNotForLong) {
  Worker w(one_slot());
  learn_quick(w);
  w.deliver(chunk(7, 20));
  w.finish(w.effects.forked[0], 15, 10us);
  EXPECT_TRUE(w.effects.commits.empty());
  EXPECT_LE(w.core->until_next_tick(w.now), 1ms);
  w.pass(1ms);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  EXPECT_EQ(items_in(w.effects.commits[0].second), 15u);
  w.answer_commits();
  w.finish(w.effects.forked[0], 5, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  EXPECT_EQ(items_in(w.effects.commits[0].second), 5u);
  w.answer_commits();
  EXPECT_EQ(w.core->held(), 0u);
}

TEST(WorkerCommit, APartialEntryOfASlowFunctionDoesNotWait) {
  Worker w;
  w.join();
  w.deliver(chunk(7, 4));
  w.finish(w.effects.forked[0], 1, 100ms);
  EXPECT_EQ(w.effects.commits.size(), 1u);
}

TEST(WorkerCommit, WhileOneFlightIsInTheAirTheNextOneFills) {
  Worker w(one_slot());
  learn_quick(w);
  w.deliver_entries(10, 29);
  w.finish(w.effects.forked[0], 5, 10us);
  EXPECT_EQ(w.effects.commits.size(), 1u);
  w.finish(w.effects.forked[0], 5, 10us);
  w.finish(w.effects.forked[0], 10, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  w.answer_commits();
  ASSERT_EQ(w.effects.commits.size(), 1u);
  EXPECT_EQ(items_in(w.effects.commits[0].second), 15u);
}

TEST(WorkerCommit, AFullCallDoesNotWaitForTheFlightBeforeIt) {
  Worker w(one_slot());
  learn_quick(w);
  w.deliver_entries(1000, 1999);
  w.finish(w.effects.forked[0], 10, 10us);
  EXPECT_EQ(w.effects.commits.size(), 1u);
  for (int i = 0; i < 30; ++i) w.finish(w.effects.forked[0], 10, 10us);
  EXPECT_EQ(w.effects.commits.size(), 2u);
  for (const auto& [id, call] : w.effects.commits) EXPECT_LE(items_in(call), 256u);
}

TEST(WorkerCommit, CallsStayBelow256DeliveriesAnd256KiBAndDoNotSplitEntriesThatFit) {
  Worker w({.name = "w1", .slots = 1, .batch_work = 1s});
  learn_quick(w);
  w.deliver(chunk(50, 200));
  w.deliver(chunk(51, 200));
  std::vector<ItemResult> results;
  for (auto& batch : w.effects.batches[w.effects.forked[0]]) {
    for (std::size_t i = 0; i < batch.ids.size(); ++i) {
      results.push_back(Worker::result(batch, i, w.now.steady, 10us));
    }
  }
  ASSERT_EQ(results.size(), 400u);
  w.effects.batches.clear();
  w.core->on_results(w.effects.forked[0], results, w.now);
  w.turn();
  ASSERT_EQ(w.effects.commits.size(), 2u);
  for (const auto& [id, call] : w.effects.commits) {
    ASSERT_EQ(call.groups.size(), 1u);
    EXPECT_EQ(call.groups[0].items.size(), 200u);
  }
  w.answer_commits();

  w.deliver(chunk(60, 10));
  w.finish(w.effects.forked[0], 10, 10us, [](ItemResult& r) { r.output.assign(100 * 1024, 'x'); });
  EXPECT_EQ(w.effects.commits.size(), 5u);
  std::set<std::uint8_t> seen;
  for (const auto& [id, call] : w.effects.commits) {
    for (const auto& item : call.groups.at(0).items) seen.insert(item.index);
    EXPECT_EQ(items_in(call), 2u);
  }
  EXPECT_EQ(seen.size(), 10u);
}

TEST(WorkerCommit, ALostReplyIsRepeatedByteForByteAndTheSecondAnswerCounts) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0]);
  const auto first = w.effects.commits.at(0);
  w.effects.commits.clear();
  w.core->on_commit_failed(first.first, reconnect("gone"), w.now);
  w.turn();
  EXPECT_TRUE(w.effects.commits.empty()) << "not at once: Redis needs a moment";
  w.pass(50ms);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  EXPECT_EQ(w.effects.commits[0].first, first.first);
  EXPECT_EQ(w.effects.commits[0].second.groups[0].items[0].record,
            first.second.groups[0].items[0].record);
  w.answer_commits(store::Verdict::kDuplicate);
  EXPECT_EQ(w.done_rows().at(0).outcome, Outcome::kOk);
  EXPECT_EQ(w.core->counters().commits_duplicate, 1u);
}

TEST(WorkerCommit, WhileRedisIsAwayResultsGatherInsteadOfKnocking) {
  Worker w(one_slot());
  learn_quick(w);
  w.deliver_entries(1000, 1999);
  w.finish(w.effects.forked[0], 1, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  w.core->on_commit_failed(w.effects.commits.at(0).first, reconnect("gone"), w.now);
  w.effects.commits.clear();
  for (int i = 0; i < 30; ++i) w.finish(w.effects.forked[0], 10, 10us);
  EXPECT_TRUE(w.effects.commits.empty());
  w.pass(50ms);
  EXPECT_EQ(w.effects.commits.size(), 1u);
  w.answer_commits();
  std::size_t items = 0;
  for (const auto& [id, call] : w.effects.commits) items += items_in(call);
  EXPECT_EQ(items, 300u) << "all the others at once";
}

TEST(WorkerCommit, ResultsArePackedAsFarAsTheLayoutOfTheSessionsDataAllows) {
  for (const std::uint32_t layout : {1u, 2u, 3u}) {
    Worker w;
    w.core->on_connected(w.now);
    w.receive(protocol::Welcome{.session = ++w.session,
                                .epoch = 1,
                                .functions = {Worker::function("f")},
                                .layout = layout});
    w.deliver_entries(1, 1);
    w.finish(w.effects.forked[0]);
    ASSERT_EQ(w.effects.commits.size(), 1u);
    EXPECT_EQ(w.effects.commits[0].second.packed, layout >= 2);
  }
}

TEST(WorkerCommit, AResultThatAnotherAttemptBeatIsDroppedAndCounted) {
  Worker w;
  w.join();
  w.deliver_entries(1, 2);
  w.finish(w.effects.forked[0]);
  w.answer_commits(store::Verdict::kFenced);
  w.finish(w.effects.forked[1]);
  w.answer_commits(store::Verdict::kGone);
  EXPECT_EQ(w.done_rows().size(), 2u) << "the broker may forget them";
  EXPECT_EQ(w.core->counters().commits_fenced, 1u);
  EXPECT_EQ(w.core->counters().commits_gone, 1u);
  EXPECT_EQ(w.core->counters().committed, 0u);
}

// Redis as it answers when one delivery's keys were spoilt by hand: each call that names entry
// `spoilt` is refused whole.
void refuse_spoilt(Worker& w, std::uint64_t spoilt) {
  while (!w.effects.commits.empty()) {
    const auto commits = std::exchange(w.effects.commits, {});
    for (const auto& [id, call] : commits) {
      const bool refused =
          std::ranges::any_of(call.groups, [&](const auto& g) { return g.entry.ms == spoilt; });
      if (refused) {
        w.core->on_commit_failed(id, reject("WRONGTYPE"), w.now);
      } else {
        std::vector<store::Verdict> verdicts(items_in(call), store::Verdict::kOk);
        w.core->on_commit_answer(id, {std::move(verdicts)}, w.now);
      }
    }
    w.turn();
  }
}

TEST(WorkerCommit, ADeliveryWhoseResultRedisRefusesDoesNotHoldUpTheOthersAndIsNoFailure) {
  Worker w(one_slot());
  learn_quick(w);
  auto first = chunk(1000, 3), second = chunk(1001, 1), third = chunk(1002, 5);
  first.insert(first.end(), second.begin(), second.end());
  first.insert(first.end(), third.begin(), third.end());
  w.deliver(first);
  w.finish(w.effects.forked[0], 9, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  refuse_spoilt(w, 1001);
  const auto rows = w.done_rows();
  EXPECT_EQ(rows.size(), 8u);
  for (const auto& row : rows) {
    EXPECT_EQ(row.outcome, Outcome::kOk);
    EXPECT_NE(row.id.entry.ms, 1001u);
  }
  EXPECT_EQ(w.core->counters().commits_refused, 1u);
  EXPECT_EQ(w.core->held(), 1u) << "its result is kept";
  EXPECT_FALSE(w.effects.warnings.empty());

  w.deliver_entries(2000, 2009);
  w.finish(w.effects.forked[0], 10, 10us);
  ASSERT_EQ(w.effects.commits.size(), 1u) << "it does not count as a call in the air";
  w.answer_commits();
  EXPECT_EQ(w.core->held(), 1u);
  w.done_rows();

  w.pass(1s);
  ASSERT_EQ(w.effects.commits.size(), 1u) << "tried again";
  w.answer_commits();  // somebody has mended the key
  const auto late = w.done_rows();
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].outcome, Outcome::kOk);
  EXPECT_EQ(late[0].id.entry.ms, 1001u);
  EXPECT_EQ(w.core->held(), 0u);
}

TEST(WorkerCommit, AFunctionWhoseResultsRedisRefusesTakesNoMoreAndOthersGoOn) {
  Worker w({.name = "w1", .slots = 1, .uncommitted_max = 4, .set_aside_max = 2});
  w.join({Worker::function("f"), Worker::function("g")});
  for (std::uint64_t entry = 1; entry <= 3; ++entry) {
    w.deliver_entries(entry, entry);
    w.finish(w.effects.forked[0], 1, 50ms);
    refuse_spoilt(w, entry);
  }
  EXPECT_EQ(w.credit("f"), 3u) << "what it had when the second one was refused";
  EXPECT_EQ(w.credit("g"), 1u);
  w.pass(2s);
  while (!w.effects.commits.empty()) w.answer_commits();  // somebody has mended the key
  EXPECT_EQ(w.credit("f"), 4u);
}

TEST(WorkerCommit, LargeResultsThatRedisRefusesBoundAFunctionByTheirBytes) {
  Worker w({.name = "w1", .slots = 2, .uncommitted_bytes_max = 2000, .set_aside_bytes_max = 1500});
  w.join({Worker::function("f"), Worker::function("g")});
  for (std::uint64_t entry = 1; entry <= 3; ++entry) {
    w.deliver_entries(entry, entry);
    w.finish(w.effects.forked[0], 1, 50ms, [](ItemResult& r) { r.output.resize(1000); });
    refuse_spoilt(w, entry);
  }
  EXPECT_EQ(w.credit("f"), 4u) << "what it had when the second one was refused";
  w.deliver_entries(4, 4, "g");
  w.finish(w.effects.forked.back(), 1, 50ms);
  w.answer_commits();
  EXPECT_EQ(w.credit("g"), 3u) << "what waits for a person does not count for others";
}

TEST(WorkerCommit, ARefusedResultIsTriedLessAndLessOften) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0]);
  std::size_t tries = 0;
  for (int second = 0; second < 300; ++second) {
    tries += w.effects.commits.size();
    refuse_spoilt(w, 1);
    w.pass(1s);
  }
  EXPECT_GE(tries, 10u);
  EXPECT_LE(tries, 16u);
  EXPECT_EQ(w.core->held(), 1u);
  EXPECT_TRUE(w.done_rows().empty());
}

TEST(WorkerCommit, ARefusalAfterALostReplyLetsOtherResultsGo) {
  Worker w(one_slot());
  learn_quick(w);
  w.deliver_entries(1000, 1001);
  w.finish(w.effects.forked[0], 1, 10us);
  w.core->on_commit_failed(w.effects.commits.at(0).first, reconnect("gone"), w.now);
  w.effects.commits.clear();
  w.finish(w.effects.forked[0], 1, 10us);
  w.pass(50ms);
  refuse_spoilt(w, 1000);
  EXPECT_EQ(w.done_rows().size(), 1u);
  EXPECT_EQ(w.core->held(), 1u);
}

TEST(WorkerCommit, ALeavingWorkerDoesNotWaitForeverForARefusedResult) {
  Worker w({.name = "w1", .slots = 1, .grace = 5s});
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0]);
  refuse_spoilt(w, 1);
  w.core->begin_drain(w.now);
  for (int second = 0; second < 15 && !w.core->finished(); ++second) {
    refuse_spoilt(w, 1);
    w.pass(1s);
  }
  EXPECT_TRUE(w.core->finished());
  EXPECT_TRUE(w.done_rows().empty()) << "it stays in the journal, for another worker";
}

TEST(WorkerCommit, ATooLargeResultFailsForGood) {
  Worker w;
  w.join({Worker::function("f", "[result]\nmax_bytes = 1000\n")});
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 1ms, [](ItemResult& r) { r.output.assign(1001, 'x'); });
  EXPECT_TRUE(w.effects.commits.empty());
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].failure.type, "ResultTooLarge");
  EXPECT_FALSE(rows[0].failure.retryable);
  EXPECT_EQ(w.core->counters().results_too_large, 1u);
}

TEST(WorkerCommit, AFunctionThatStoresNoResultsCommitsEmptyRecords) {
  Worker w;
  w.join({Worker::function("f", "[result]\nttl = \"0s\"\n")});
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0]);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  EXPECT_EQ(w.effects.commits[0].second.result_ttl_ms, 0);
  EXPECT_EQ(w.effects.commits[0].second.groups[0].items[0].record.size(), 0u);
}

// The worker uses the same results again and again (ItemResults).
TEST(WorkerCommit, ARecordHasTheTextsOfItsOwnResultAlone) {
  Worker w(one_slot());
  learn_quick(w);
  constexpr std::array<std::size_t, 5> kSizes{64, 0, 3 * ItemResults::kKeptMax, 10, 300};
  const auto output_of = [&](std::uint64_t entry, std::size_t item) {
    return std::string(kSizes[(entry + item) % kSizes.size()], static_cast<char>('a' + item));
  };
  const auto type_of = [](std::uint64_t entry, std::size_t item) {
    return item == 2 ? std::string{} : fmt::format("text/of-entry-{}-item-{}", entry, item);
  };
  ItemResults results;
  for (std::uint64_t entry = 100; entry < 110; ++entry) {
    w.deliver(chunk(entry, 4));
    const FakeEffects::Given batch = w.effects.batches[w.effects.forked[0]].front();
    ASSERT_EQ(batch.ids.size(), 4u);
    w.effects.batches.clear();
    for (std::size_t item = 0; item < batch.ids.size(); ++item) {
      ItemResult& result = results.add();
      result.batch = batch.number;
      result.item = static_cast<std::uint32_t>(item);
      result.output = output_of(entry, item);
      result.content_type = type_of(entry, item);
      const bool fails = item == 1;
      result.outcome = fails ? Outcome::kFunctionError : Outcome::kOk;
      if (fails) result.failure = {.type = "ValueError", .message = "no", .retry_after_ms = {}};
      if (item == 3) result.log_tail = fmt::format("printed by {}", entry);
    }
    w.core->on_results(w.effects.forked[0], results.all(), w.now);
    results.clear();
    w.pass(2ms);
    ASSERT_EQ(w.effects.commits.size(), 1u);
    const auto& items = w.effects.commits[0].second.groups.at(0).items;
    ASSERT_EQ(items.size(), 3u);
    for (const auto& item : items) {
      const auto record = protocol::unpack_result(item.record);
      ASSERT_TRUE(record) << record.error().message;
      EXPECT_EQ(record->output, output_of(entry, item.index));
      EXPECT_EQ(record->content_type, type_of(entry, item.index));
      EXPECT_EQ(record->error_type + record->error_message, "");
      EXPECT_EQ(record->log_tail, item.index == 3 ? fmt::format("printed by {}", entry) : "");
    }
    w.answer_commits();
    const auto rows = w.done_rows();
    const auto failed =
        std::ranges::find(rows, Outcome::kFunctionError, &protocol::Done::Row::outcome);
    ASSERT_NE(failed, rows.end());
    EXPECT_EQ(failed->failure.type, "ValueError");
  }
}

TEST(WorkerCommit, TheLedgerOfEarlierAttemptsIsKept) {
  Worker w;
  w.join();
  auto second = Worker::delivery(1);
  protocol::append_row(second.packed_ledger, {.number = 1, .outcome = Outcome::kTimeout});
  second.attempt = 2;
  w.deliver({second});
  w.finish(w.effects.forked[0]);
  const auto record =
      protocol::unpack_result(w.effects.commits.at(0).second.groups[0].items[0].record);
  const auto ledger = protocol::unpack_ledger(record->ledger);
  ASSERT_EQ(ledger->size(), 2u);
  EXPECT_EQ(ledger->at(0).outcome, Outcome::kTimeout);
  EXPECT_EQ(ledger->at(1).number, 2u);
}

}  // namespace
}  // namespace fanfare::worker
