// How deliveries end or move on, in a real Redis.
#include <gmock/gmock.h>

#include "store/library_fixture.h"
#include "store/row.h"

namespace fanfare::store::test {
namespace {

using enum Verdict;

TEST_F(Library, LetsAWorkerCommitUnderANewBroker) {
  store.get<Appended>(append_of(entry(1), 1));
  store.get<Begun>(Begin{});
  EXPECT_EQ(commit({{entry(1), 1, {0}}}), Verdicts{kOk});
}

TEST_F(Library, DeletesAnEntryWithItsLastDelivery) {
  store.get<Appended>(append_of(entry(1), 3));
  EXPECT_EQ(commit({{entry(1), 3, {0, 2}}}), (Verdicts{kOk, kOk}));
  EXPECT_EQ(length(), "1");
  EXPECT_EQ(commit({{entry(1), 3, {1}}}), Verdicts{kOk});
  EXPECT_EQ(length(), "0");
  EXPECT_EQ(states_left(), "0");
  EXPECT_EQ(store.counts(), (Counts{{"accepted", "3"}, {"succeeded", "3"}}));
}

TEST_F(Library, StoresResultsWithTheirTokenUnderATtl) {
  store.get<Appended>(append_of(entry(1), 2));
  commit({{entry(1), 2, {0, 1}, 9}});
  const std::string key = results_key(kFunction, entry(1));
  const std::string value = store.command({"HGET", key, "1"});
  const auto stored = view_stored_result(value);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->token, token(9));
  EXPECT_EQ(stored->record, "r1");
  EXPECT_EQ(store.command({"TTL", key}), "60");
}

TEST_F(Library, StoresResultsOfNeighboursThatEndTogetherInOneValue) {
  store.get<Appended>(append_of(entry(1), 6));
  const std::string key = results_key(kFunction, entry(1));
  const auto result = [&](int index) {
    const std::string value =
        store.command({"FCALL_RO", "fanfare2_result", "1", key, std::to_string(index)});
    return value == "(nil)" ? "" : value.substr(kResultHead);
  };
  const auto commit_packed = [&](std::vector<std::uint8_t> indexes, std::uint32_t attempt = 1) {
    return store.get<Committed>(packed(commit_of({{entry(1), 6, std::move(indexes), attempt}})))
        .verdicts;
  };
  EXPECT_EQ(commit_packed({0, 1, 2}), (Verdicts{kOk, kOk, kOk}));
  EXPECT_EQ(store.command({"HLEN", key}), "2") << "it, and that there is such a one";
  EXPECT_EQ(store.command({"HEXISTS", key, "0-2"}), "1");
  EXPECT_EQ(store.command({"TTL", key}), "60");
  EXPECT_EQ(commit_packed({3, 5}), (Verdicts{kOk, kOk})) << "no neighbours";
  EXPECT_EQ(store.command({"HEXISTS", key, "5"}), "1");
  EXPECT_EQ(result(2), "r2");
  EXPECT_EQ(result(5), "r5");
  EXPECT_EQ(result(4), "");
  EXPECT_EQ(commit_packed({1, 2, 3, 4}), (Verdicts{kDuplicate, kDuplicate, kDuplicate, kOk}));
  EXPECT_EQ(result(4), "r4");
  EXPECT_EQ(length(), "0");
  // The entry and its states are gone: the results say who it was.
  EXPECT_EQ(commit_packed({0, 1, 4}), (Verdicts{kDuplicate, kDuplicate, kDuplicate}));
  EXPECT_EQ(commit_packed({2, 4, 5}, 2), (Verdicts{kFenced, kFenced, kFenced}));
  EXPECT_EQ(commit({{entry(1), 6, {1}, 1}}), Verdicts{kDuplicate});
}

TEST_F(Library, StoresNoResultsWithoutATtl) {
  store.get<Appended>(append_of(entry(1), 2));
  EXPECT_EQ(commit({{entry(1), 2, {0, 1}}}, 0), (Verdicts{kOk, kOk}));
  EXPECT_EQ(exists(results_key(kFunction, entry(1))), "0");
  EXPECT_EQ(length(), "0");
}

TEST_F(Library, KnowsARepeatedCommitWhileTheEntryIsOpen) {
  store.get<Appended>(append_of(entry(1), 3));
  commit({{entry(1), 3, {0}, 1}});
  EXPECT_EQ(commit({{entry(1), 3, {0}, 1}}), Verdicts{kDuplicate});
  EXPECT_EQ(commit({{entry(1), 3, {0}, 2}}), Verdicts{kFenced});
  EXPECT_EQ(commit({{entry(1), 3, {0, 1}, 1}}), (Verdicts{kDuplicate, kOk}));
}

TEST_F(Library, KnowsARepeatedCommitAfterTheEntryHasGone) {
  store.get<Appended>(append_of(entry(1), 2));
  store.get<Appended>(append_of(entry(2), 1));
  commit({{entry(1), 2, {0, 1}}, {entry(2), 1, {0}}});
  const auto before = store.snapshot();
  EXPECT_EQ(commit({{entry(1), 2, {0, 1}}, {entry(2), 1, {0}}}), Verdicts(3, kDuplicate));
  EXPECT_EQ(commit({{entry(1), 2, {0, 1}, 2}, {entry(2), 1, {0}, 2}}), Verdicts(3, kFenced));
  EXPECT_EQ(store.snapshot(), before);
}

TEST_F(Library, AnswersGoneWhenNoResultTellsWhoCommitted) {
  store.get<Appended>(append_of(entry(1), 2));
  store.get<Appended>(append_of(entry(2), 1));
  commit({{entry(1), 2, {0, 1}}, {entry(2), 1, {0}}}, 0);
  const auto before = store.snapshot();
  EXPECT_EQ(commit({{entry(1), 2, {0, 1}}, {entry(2), 1, {0}}}, 0), Verdicts(3, kGone));
  EXPECT_EQ(commit({{entry(1), 2, {0, 1}}, {entry(2), 1, {0}}}), Verdicts(3, kGone));
  EXPECT_EQ(store.snapshot(), before);
}

TEST_F(Library, AnswersInTheOrderOfTheItemsWhateverItIs) {
  store.get<Appended>(append_of(entry(1), 3));
  store.get<Appended>(append_of(entry(2), 1));
  commit({{entry(1), 3, {2}, 1}});
  EXPECT_EQ(commit({{entry(2), 1, {0}, 1}, {entry(1), 3, {2, 0}, 2}}),
            (Verdicts{kOk, kFenced, kOk}));
}

TEST_F(Library, PutsAPostponedDeliveryIntoLaterUnderItsId) {
  store.get<Appended>(append_of(entry(1), 2));
  EXPECT_EQ(postpone({{entry(1), 2, {1}}}, 5000), Verdicts{kOk});
  EXPECT_EQ(store.counts(), (Counts{{"accepted", "2"}, {"open", "1"}, {"later", "1"}}));
  const auto due = store.get<DueRows>(Due{.function = std::string{kFunction}, .until_ms = 5000});
  ASSERT_EQ(due.rows.size(), 1u);
  EXPECT_EQ(due.rows[0].id, (EventId{entry(1), 1}));
  EXPECT_EQ(due.rows[0].due_ms, 5000);
  EXPECT_EQ(due.rows[0].attempts, 1u);
  EXPECT_EQ(due.rows[0].accepted_ms, 7);
  EXPECT_EQ(due.rows[0].packed_ledger, "ledger");
  EXPECT_EQ(due.rows[0].packed_event, "e1");
  const auto page = store.get<Paged>(Page{std::string{kFunction}, {}, {}});
  ASSERT_EQ(page.entries.size(), 1u);
  ASSERT_EQ(page.entries[0].open.size(), 1u);
  EXPECT_EQ(page.entries[0].open[0].index, 0);
}

TEST_F(Library, KnowsARepeatedPostpone) {
  store.get<Appended>(append_of(entry(1), 1));
  store.get<Appended>(append_of(entry(2), 2));
  const std::vector<Ends> both{{entry(1), 1, {0}}, {entry(2), 2, {0, 1}}};
  EXPECT_EQ(postpone(both), Verdicts(3, kOk));
  const auto before = store.snapshot();
  EXPECT_EQ(postpone(both), Verdicts(3, kDuplicate));
  EXPECT_EQ(store.snapshot(), before);
  EXPECT_EQ(postpone({{entry(1), 1, {0}, 1, Origin::kLater}}), Verdicts{kDuplicate});
  EXPECT_EQ(postpone({{entry(1), 1, {0}, 2, Origin::kLater}}, 9000), Verdicts{kOk});
}

TEST_F(Library, RefusesTheCommitOfAnAttemptThatWasPostponed) {
  store.get<Appended>(append_of(entry(1), 1));
  store.get<Appended>(append_of(entry(2), 2));
  postpone({{entry(1), 1, {0}}, {entry(2), 2, {0}}});
  // The very token of the attempt: its worker was given up too early.
  EXPECT_EQ(commit({{entry(1), 1, {0}}, {entry(2), 2, {0}}}), (Verdicts{kFenced, kFenced}));
}

TEST_F(Library, EndsADeliveryThatLiesInLater) {
  store.get<Appended>(append_of(entry(1), 2));
  postpone({{entry(1), 2, {0, 1}}});
  EXPECT_EQ(length(), "0");
  EXPECT_EQ(commit({{entry(1), 2, {0}, 2, Origin::kLater}}), Verdicts{kOk});
  EXPECT_EQ(commit({{entry(1), 2, {0}, 2, Origin::kLater}}), Verdicts{kDuplicate});
  EXPECT_EQ(commit({{entry(1), 2, {0}, 3, Origin::kLater}}), Verdicts{kFenced});
  EXPECT_EQ(bury({{entry(1), 2, {1}, 2, Origin::kLater}}), Verdicts{kOk});
  EXPECT_EQ(store.command({"ZCARD", later_key(kFunction)}), "0");
  EXPECT_EQ(exists(rows_key(kFunction)), "0");
  EXPECT_EQ(store.counts(), (Counts{{"accepted", "2"}, {"succeeded", "1"}, {"dead", "1"}}));
}

TEST_F(Library, CountsDeliveriesOfTheMemoryClassWhenTheyEndOrMove) {
  EXPECT_EQ(commit({{entry(1), 1, {0, 1}, 1, Origin::kMemory}}), (Verdicts{kOk, kOk}));
  EXPECT_EQ(commit({{entry(1), 1, {1, 2}, 1, Origin::kMemory}}), (Verdicts{kDuplicate, kOk}));
  EXPECT_EQ(postpone({{entry(1), 1, {3}, 1, Origin::kMemory}}), Verdicts{kOk});
  EXPECT_EQ(postpone({{entry(1), 1, {3}, 1, Origin::kMemory}}), Verdicts{kDuplicate});
  EXPECT_EQ(commit({{entry(1), 1, {3}, 1, Origin::kMemory}}), Verdicts{kFenced});
  EXPECT_EQ(bury({{entry(1), 1, {4}, 1, Origin::kMemory}}), Verdicts{kOk});
  EXPECT_EQ(store.counts(),
            (Counts{{"accepted", "5"}, {"succeeded", "3"}, {"later", "1"}, {"dead", "1"}}));
}

TEST_F(Library, BuriesWithALetterAndAResult) {
  store.get<Appended>(append_of(entry(1), 3));
  EXPECT_EQ(bury({{entry(1), 3, {0}}}), Verdicts{kOk});
  EXPECT_EQ(bury({{entry(1), 3, {1}}}, protocol::Status::kExpired), Verdicts{kOk});
  EXPECT_EQ(bury({{entry(1), 3, {2}}}, protocol::Status::kCancelled), Verdicts{kOk});
  EXPECT_EQ(store.command({"XLEN", dead_key(kFunction)}), "2") << "none for a cancelled one";
  EXPECT_EQ(store.command({"HLEN", results_key(kFunction, entry(1))}), "3");
  EXPECT_EQ(length(), "0");
  EXPECT_EQ(store.counts(),
            (Counts{{"accepted", "3"}, {"dead", "1"}, {"expired", "1"}, {"cancelled", "1"}}));
}

TEST_F(Library, BuriesOnce) {
  store.get<Appended>(append_of(entry(1), 1));
  store.get<Appended>(append_of(entry(2), 2));
  const std::vector<Ends> both{{entry(1), 1, {0}}, {entry(2), 2, {1}}};
  EXPECT_EQ(bury(both), Verdicts(2, kOk));
  EXPECT_EQ(bury(both), Verdicts(2, kDuplicate));
  EXPECT_EQ(commit(both), Verdicts(2, kFenced)) << "also for the token it was buried under";
  EXPECT_EQ(store.command({"XLEN", dead_key(kFunction)}), "2");
}

TEST_F(Library, DropsOldAndSurplusLetters) {
  std::uint64_t trimmed = 0;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    store.get<Appended>(append_of(entry(i), 1));
    Bury call = bury_of({{entry(i), 1, {0}}});
    call.dead_max_count = 100;
    trimmed += store.get<Moved>(call).letters_trimmed;
  }
  const auto left = std::stoul(store.command({"XLEN", dead_key(kFunction)}));
  EXPECT_LE(left, 200u);  // whole nodes go
  EXPECT_EQ(left + trimmed, 300u) << "what goes is told";
  store.get<Appended>(append_of(entry(400), 1));
  Bury call = bury_of({{entry(400), 1, {0}}});
  call.now_ms = 4'000'000'000'000;  // everything is older than the maximum age
  store.get<Moved>(call);
  EXPECT_LT(std::stoi(store.command({"XLEN", dead_key(kFunction)})), 101);
}

TEST(LibraryWhenFull, StillLetsDeliveriesEnd) {
  TestStore store;
  store.get<Begun>(Begin{});
  for (std::uint64_t i = 1; i <= 4; ++i) store.get<Appended>(append_of(entry(i), 2));
  store.command({"CONFIG", "SET", "maxmemory", "1mb"});
  EXPECT_EQ(store.refusal(append_of(entry(9), 1)), ErrorKind::kRetryLater);
  EXPECT_EQ(store.get<Committed>(commit_of({{entry(1), 2, {0, 1}}})).verdicts, Verdicts(2, kOk));
  EXPECT_EQ(store.get<Moved>(postpone_of({{entry(2), 2, {0, 1}}})).verdicts, Verdicts(2, kOk));
  EXPECT_EQ(store.get<Moved>(bury_of({{entry(3), 2, {0, 1}}})).verdicts, Verdicts(2, kOk));
  store.expect_counts_add_up();
  store.command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_FALSE(store.get<Appended>(append_of(entry(9), 1)).repeated);
}

}  // namespace
}  // namespace fanfare::store::test
