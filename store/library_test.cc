// What each call does to a real Redis.
#include "store/library.h"

#include <gmock/gmock.h>

#include <set>
#include <sstream>

#include "store/keys.h"
#include "store/row.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

using enum Verdict;
using Verdicts = std::vector<Verdict>;
using Counts = std::map<std::string, std::string>;

class Library : public ::testing::Test {
 protected:
  Library() { store.get<Begun>(Begin{}); }
  ~Library() override { store.expect_counts_add_up(); }
  Verdicts commit(const std::vector<Ends>& groups, std::int64_t ttl_ms = 60'000) {
    return store.get<Committed>(commit_of(groups, ttl_ms)).verdicts;
  }
  Verdicts postpone(const std::vector<Ends>& groups, std::int64_t due_ms = 1000) {
    return store.get<Moved>(postpone_of(groups, due_ms)).verdicts;
  }
  Verdicts bury(const std::vector<Ends>& groups,
                protocol::Status status = protocol::Status::kFailed) {
    return store.get<Moved>(bury_of(groups, status)).verdicts;
  }
  std::string exists(const std::string& key) { return store.command({"EXISTS", key}); }
  std::string length() { return store.command({"XLEN", journal_key(kFunction, {})}); }
  std::string states_left() { return store.command({"HLEN", open_key(kFunction, {})}); }

  TestStore store;
};

TEST_F(Library, NamesItselfByTheDigestOfItsSource) {
  EXPECT_EQ(store.command({"FCALL_RO", "fanfare2_digest", "0"}), library_digest());
}

// While an installation is upgraded, programs of the version before load theirs where it is
// missing.
TEST_F(Library, LiesBesideTheOneOfTheVersionBefore) {
  constexpr const char* kBefore =
      "#!lua name=fanfare_v1\n"
      "local function before() return 'before' end\n"
      "redis.register_function('fanfare_append', before)\n"
      "redis.register_function('fanfare_commit', before)\n"
      "redis.register_function('fanfare_digest', before)";
  EXPECT_EQ(store.command({"FUNCTION", "LOAD", "REPLACE", kBefore}), "fanfare_v1");
  EXPECT_EQ(store.command({"FCALL", "fanfare_append", "0"}), "before");
  EXPECT_EQ(store.command({"FCALL_RO", "fanfare2_digest", "0"}), library_digest());
  EXPECT_FALSE(store.get<Appended>(append_of(entry(1), 1)).repeated);
}

TEST_F(Library, GivesEachBrokerAHigherEpoch) {
  EXPECT_EQ(store.get<Begun>(Begin{}).epoch, 2u);
  EXPECT_EQ(store.get<Begun>(Begin{}).epoch, 3u);
}

TEST_F(Library, RefusesTheLayoutOfANewerProgramAndSaysWhich) {
  store.command({"HSET", "fanfare:meta", "layout", "3"});
  EXPECT_EQ(store.refusal(Begin{}), ErrorKind::kFatal);
  EXPECT_THAT(
      store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "0"}),
      ::testing::StartsWith("(error) BADLAYOUT the data has layout 3, this program knows 2"));
  store.command({"HSET", "fanfare:meta", "layout", "else"});
  EXPECT_THAT(
      store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "0"}),
      ::testing::StartsWith("(error) BADLAYOUT the data has layout unknown, this program knows 2"));
  store.command({"HSET", "fanfare:meta", "layout", "1"});
}

TEST_F(Library, GivesNewDataTheNewestLayoutAndLeavesOlderDataAlone) {
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "2");
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  EXPECT_EQ(store.get<Begun>(Begin{}).layout, 1u);
  EXPECT_EQ(store.get<Begun>(Begin{1}).layout, 1u);
  EXPECT_EQ(store.get<Begun>(Begin{2}).layout, 2u);
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "2");
  EXPECT_EQ(store.get<Begun>(Begin{1}).layout, 2u) << "there is no way back";
}

// What an older program wrote is read as ever, and it reads what is written for it.
TEST_F(Library, ReadsEntriesOfBothLayouts) {
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  store.get<Appended>(append_of(entry(1), 3));
  EXPECT_EQ(store.snapshot().at(journal_key(kFunction, {})), "1700000000001-0 (0,e0,1,e1,2,e2,)\n");
  store.get<Begun>(Begin{2});
  store.get<Appended>(append_of(entry(2), 3, 2));
  store.get<Appended>(append_of(entry(3), 1, 2));
  commit({{entry(1), 3, {1}}, {entry(2), 3, {1}}});
  const auto paged = store.get<Paged>(Page{.function = std::string{kFunction}});
  ASSERT_EQ(paged.entries.size(), 3u);
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_EQ(paged.entries[i].entry_size, 3u);
    ASSERT_EQ(paged.entries[i].open.size(), 2u);
    EXPECT_EQ(paged.entries[i].open[1].index, 2);
    EXPECT_EQ(paged.entries[i].open[1].slot, 2);
    EXPECT_EQ(paged.entries[i].open[1].packed_event, "e2");
  }
  EXPECT_EQ(paged.entries[2].open.at(0).packed_event, "e0");
}

std::string library_with_migrations(const std::string& second) {
  std::string text = library_text();
  const auto replace = [&text](const std::string& right, const std::string& other) {
    const std::size_t at = text.find(right);
    ASSERT_NE(at, std::string::npos) << right;
    text.replace(at, right.size(), other);
  };
  replace("local kLayout = '2'", "local kLayout = '3'");
  replace(
      "local kMigrations = {['1'] = function() end}",
      "local kMigrations = {['1'] = function() call('INCR', 'first') end, ['2'] = " + second + "}");
  return text;
}

TEST_F(Library, BringsOldDataToItsLayoutStepByStepAndOnce) {
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  store.command({"FUNCTION", "LOAD", "REPLACE",
                 library_with_migrations("function(meta) call('HSET', meta, 'second', '1') end")});
  for (int time = 0; time < 2; ++time) {
    store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "3"});
    EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "3");
    EXPECT_EQ(store.command({"GET", "first"}), "1");
    EXPECT_EQ(store.command({"HGET", "fanfare:meta", "second"}), "1");
  }
  store.command({"HSET", "fanfare:meta", "layout", "1"});
}

TEST_F(Library, KeepsTheLayoutBeforeAStepThatFailed) {
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  store.command({"FUNCTION", "LOAD", "REPLACE",
                 library_with_migrations("function() error({err = 'ERR no room'}) end")});
  EXPECT_THAT(store.command({"FCALL", "fanfare2_begin", "1", "fanfare:meta", "3"}),
              ::testing::StartsWith("(error) ERR no room"));
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "layout"}), "2");
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "epoch"}), "1") << "nobody has taken office";
  store.command({"HSET", "fanfare:meta", "layout", "1"});
}

TEST_F(Library, TellsANewBrokerTheLastEntry) {
  store.get<Appended>(append_of(entry(5), 2));
  EXPECT_EQ(store.get<Begun>(Begin{}).last_entry, entry(5));
}

TEST_F(Library, TakesAnAppendOnce) {
  EXPECT_FALSE(store.get<Appended>(append_of(entry(1), 3)).repeated);
  EXPECT_TRUE(store.get<Appended>(append_of(entry(1), 3)).repeated);
  EXPECT_EQ(length(), "1");
  EXPECT_EQ(store.counts(), (Counts{{"accepted", "3"}, {"open", "3"}}));
}

TEST_F(Library, RefusesAnAppendWhoseForerunnerIsMissing) {
  store.get<Appended>(append_of(entry(1), 1));
  const auto before = store.snapshot();
  const auto answer = store.ask(append_of(entry(3), 1), entry(2));
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, ::testing::HasSubstr("GAP"));
  EXPECT_EQ(store.snapshot(), before);
  EXPECT_TRUE(store.ask(append_of(entry(3), 1), entry(1)));
}

TEST_F(Library, AppendsOneChunkToManyFunctionsAndLanes) {
  Append append = append_of(entry(1), 2);
  append.streams.push_back({"other", {}, {{1, "e1"}}});
  append.streams.push_back({std::string{kFunction}, Lane{7}, {{4, "e4"}, {9, "e9"}}});
  store.get<Appended>(append);
  EXPECT_EQ(store.get<Surveyed>(Survey{std::string{kFunction}}).lanes,
            (std::vector<Lane>{Lane{7}, protocol::kDefaultLane}));
  EXPECT_EQ(store.get<Surveyed>(Survey{"other"}).counts.open, 1);
  const auto page = store.get<Paged>(Page{std::string{kFunction}, Lane{7}, {}});
  ASSERT_EQ(page.entries.size(), 1u);
  EXPECT_EQ(page.entries[0].open[1].index, 9);
  EXPECT_EQ(page.entries[0].open[1].slot, 1);
}

TEST_F(Library, ASurveyNamesTheKeyThatHoldsTheWrongKindOfValue) {
  const std::string prefix = "fanfare:{" + std::string{kFunction} + "}:";
  for (const std::string key :
       {"counts", "later", "later:held", "later:rows", "journal:4", "open:4.7"}) {
    ASSERT_EQ(store.command({"SET", prefix + key, "by hand"}), "OK");
    const auto answer = store.ask(Survey{std::string{kFunction}});
    ASSERT_FALSE(answer) << key;
    EXPECT_EQ(answer.error().kind, ErrorKind::kReject);
    EXPECT_THAT(answer.error().message, ::testing::HasSubstr(prefix + key + " is a string"));
    EXPECT_THAT(answer.error().message, ::testing::HasSubstr("RENAME"));
    store.command({"DEL", prefix + key});
    EXPECT_TRUE(store.ask(Survey{std::string{kFunction}}));
  }
}

TEST_F(Library, ASurveyNamesAllThatKeepAnOrderingKeyInSlicesThatHoldNobodyUp) {
  constexpr std::uint64_t kHolders = 5000;
  for (std::uint64_t n = 0; n < kHolders; n += 250) {
    Append append = append_of(entry(n + 1), 250);
    store.get<Appended>(append);
    Postpone postpone;
    postpone.epoch = 1;
    postpone.function = kFunction;
    for (std::uint64_t i = 0; i < 250; ++i) {
      const auto index = static_cast<std::uint8_t>(i);
      postpone.items.push_back({.id = {entry(n + 1), index},
                                .slot = index,
                                .entry_size = 250,
                                .lane = protocol::kDefaultLane,
                                .token = token(1),
                                .due_ms = static_cast<std::int64_t>(1 + n + i),
                                .key_held = "key " + std::to_string(n + i),
                                .packed_event = "e"});
    }
    store.get<Moved>(postpone);
  }
  std::set<std::string> keys;
  Survey survey{std::string{kFunction}};
  std::size_t slices = 0;
  do {
    const auto surveyed = store.get<Surveyed>(survey);
    if (++slices == 1) {
      EXPECT_EQ(surveyed.counts.later, static_cast<std::int64_t>(kHolders));
      EXPECT_EQ(surveyed.next_due_ms, 1);
    }
    EXPECT_LE(surveyed.holders.size(), 256u) << "a slice holds Redis up for less than 2 ms";
    for (const auto& holder : surveyed.holders) {
      EXPECT_EQ(holder.ordering_key, "key " + std::to_string(holder.due_ms - 1));
      keys.insert(holder.ordering_key);
    }
    survey.cursor = surveyed.next;
  } while (!survey.cursor.empty());
  EXPECT_EQ(keys.size(), kHolders);
  EXPECT_GE(slices, kHolders / 256);
}

TEST_F(Library, ReadingNamesTheKeyThatHoldsTheWrongKindOfValue) {
  const auto named = [&](const std::string& key, const Call& call) {
    const std::string before = store.command({"TYPE", key});
    EXPECT_EQ(before, "none") << key;
    store.command({"SET", key, "by hand"});
    const auto answer = store.ask(call);
    ASSERT_FALSE(answer) << key;
    EXPECT_THAT(answer.error().message, ::testing::HasSubstr(key + " is a string"));
    store.command({"DEL", key});
  };
  const std::string function{kFunction};
  named("fanfare:{resize}:journal:4", Page{function, protocol::kDefaultLane, {}});
  named("fanfare:{resize}:later", Due{.function = function, .until_ms = 1});
  named("fanfare:functions", ListFunctions{});
  named("fanfare:workers", ListWorkers{});
}

TEST_F(Library, FencesTheCallsOfAnOldBroker) {
  store.get<Appended>(append_of(entry(1), 2));
  store.get<Begun>(Begin{});
  const auto before = store.snapshot();
  EXPECT_EQ(store.refusal(append_of(entry(2), 1)), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(postpone_of({{entry(1), 2, {0}}})), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(bury_of({{entry(1), 2, {0}}})), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(Deploy{1, "f", "", "ab"}), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(Remove{1, "f"}), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(SetState{1, "f", true}), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(NoteWorker{1, "w", "x"}), ErrorKind::kStale);
  EXPECT_EQ(store.snapshot(), before);
}

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

TEST_F(Library, PagesThroughALane) {
  for (std::uint64_t i = 1; i <= 5; ++i) store.get<Appended>(append_of(entry(i), i));
  auto page = store.get<Paged>(Page{std::string{kFunction}, {}, entry(1), 2});
  ASSERT_EQ(page.entries.size(), 2u);
  EXPECT_TRUE(page.more);
  EXPECT_EQ(page.entries[1].entry, entry(3));
  EXPECT_EQ(page.entries[1].entry_size, 3);
  EXPECT_EQ(page.entries[1].open[2].packed_event, "e2");
  page = store.get<Paged>(Page{std::string{kFunction}, {}, entry(3), 2});
  EXPECT_EQ(page.entries.size(), 2u);
  EXPECT_FALSE(page.more);
}

TEST_F(Library, BoundsAPageByItsBytes) {
  for (std::uint64_t i = 1; i <= 4; ++i) {
    Append append = append_of(entry(i), 1);
    append.streams[0].items[0].packed_event = std::string(150'000, 'x');
    store.get<Appended>(append);
  }
  const auto page = store.get<Paged>(Page{std::string{kFunction}, {}, {}, 16});
  EXPECT_EQ(page.entries.size(), 2u);
  EXPECT_TRUE(page.more);
}

TEST_F(Library, ReadsDueRowsInOrderAndSaysWhenTheNextIsDue) {
  store.get<Appended>(append_of(entry(1), 6));
  for (std::uint8_t i = 0; i < 6; ++i) postpone({{entry(1), 6, {i}}}, i < 4 ? 100 : 100 * i);
  const auto due = [this](std::int64_t from, std::int64_t until, std::optional<EventId> after,
                          std::uint32_t rows) {
    return store.get<DueRows>(Due{std::string{kFunction}, from, until, after, rows});
  };
  auto rows = due(0, 450, {}, 3);
  ASSERT_EQ(rows.rows.size(), 3u);
  EXPECT_EQ(rows.rows[2].id.index, 2);
  EXPECT_EQ(rows.next_due_ms, 100) << "more of the same instant are left";
  rows = due(100, 450, EventId{entry(1), 2}, 3);
  ASSERT_EQ(rows.rows.size(), 2u);
  EXPECT_EQ(rows.rows[0].id.index, 3);
  EXPECT_EQ(rows.rows[1].due_ms, 400);
  EXPECT_EQ(rows.next_due_ms, 500);
  EXPECT_FALSE(due(501, 900, {}, 3).next_due_ms);
  // Behind a row that lies elsewhere now, or never lay there.
  rows = due(400, 450, EventId{entry(1), 2}, 3);
  ASSERT_EQ(rows.rows.size(), 1u);
  EXPECT_EQ(rows.rows[0].id.index, 4);
  EXPECT_TRUE(due(400, 450, EventId{entry(1), 5}, 3).rows.empty());
}

TEST_F(Library, SkipsDueRowsAndSaysWhichStandsBeforeTheOthers) {
  store.get<Appended>(append_of(entry(1), 6));
  for (std::uint8_t i = 0; i < 6; ++i) postpone({{entry(1), 6, {i}}}, 100);
  const auto due = [this](std::optional<EventId> after, std::uint32_t skip) {
    return store.get<DueRows>(Due{std::string{kFunction}, 100, 100, after, 2, skip});
  };
  EXPECT_FALSE(due({}, 0).before);
  const auto rows = due(EventId{entry(1), 0}, 2);
  ASSERT_EQ(rows.rows.size(), 2u);
  ASSERT_TRUE(rows.before);
  EXPECT_EQ(rows.before->id.index, 2);
  EXPECT_EQ(rows.before->due_ms, 100);
  EXPECT_EQ(rows.rows[0].id.index, 3);
  const auto end = due({}, 6);
  ASSERT_TRUE(end.before) << "just as many as there are";
  EXPECT_EQ(end.before->id.index, 5);
  EXPECT_TRUE(end.rows.empty());
  EXPECT_FALSE(due({}, 7).before);
}

TEST_F(Library, SaysOfADueRowWhichAttemptPutItThere) {
  store.get<Appended>(append_of(entry(1), 1));
  postpone({{entry(1), 1, {0}}}, 100);
  const auto rows = store.get<DueRows>(Due{std::string{kFunction}, 0, 100, {}, 3}).rows;
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_NE(rows[0].token.value, 0u);
  EXPECT_EQ(rows[0].token.value >> 31, 0u) << "without the mark of the broker's own writing";
}

TEST_F(Library, GoesOnBehindARowThatHasEndedMeanwhile) {
  std::vector<std::uint8_t> all(200);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  store.get<Appended>(append_of(entry(1), 200));
  postpone({{entry(1), 200, all}}, 100);
  Due due{.function = std::string{kFunction}, .from_ms = 100, .until_ms = 100, .rows_max = 7};
  std::set<EventId> seen;
  while (true) {
    const auto rows = store.get<DueRows>(due);
    for (const auto& row : rows.rows) EXPECT_TRUE(seen.insert(row.id).second);
    if (rows.rows.empty()) break;
    due.after = rows.rows.back().id;
    commit({{entry(1), 1, {due.after->index}, 1, Origin::kLater}});
  }
  EXPECT_EQ(seen.size(), 200u);
}

TEST_F(Library, RecallsWhatABatchHasInTheJournal) {
  const auto guarded = [](std::uint64_t number, std::uint64_t sequence, std::string runs) {
    Append append = append_of(entry(number), 1);
    append.guards.push_back({"client", sequence, std::move(runs)});
    return append;
  };
  store.get<Appended>(guarded(9, 1, "a"));
  store.get<Appended>(guarded(10, 1, "b"));
  store.get<Appended>(guarded(10, 1, "b"));
  EXPECT_EQ(store.get<Recalled>(Recall{"client", 1}).packed_runs, "ab");
  store.get<Appended>(guarded(11, 2, "c"));
  EXPECT_EQ(store.get<Recalled>(Recall{"client", 2}).packed_runs, "c");
  EXPECT_EQ(store.get<Recalled>(Recall{"client", 1}).packed_runs, "");
  EXPECT_EQ(store.get<Recalled>(Recall{"another", 1}).packed_runs, "");
  EXPECT_NE(store.command({"TTL", guard_key("client")}), "-1");
}

TEST_F(Library, RemembersAPublisherThatKeepsItsNameForLonger) {
  Append append = append_of(entry(9), 1);
  append.guards.push_back({"lasting-client", 1, "a"});
  append.guards.push_back({"not-lasting-client", 1, "a"});
  store.get<Appended>(append);
  EXPECT_GT(std::stol(store.command({"TTL", guard_key("lasting-client")})), 89 * 86'400);
  EXPECT_LE(std::stol(store.command({"TTL", guard_key("not-lasting-client")})), 3'600);
}

TEST_F(Library, KeepsTheStateOfAFunctionThroughADeployment) {
  EXPECT_FALSE(store.get<StateSet>(SetState{1, "a", true}).existed);
  store.get<Deployed>(Deploy{1, "a", "v = 1\n", "00"});
  EXPECT_TRUE(store.get<StateSet>(SetState{1, "a", true}).existed);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "a", "v = 2\n", "01"}).generation, 2u);
  const auto held = store.get<FunctionList>(ListFunctions{}).functions.at(0);
  EXPECT_TRUE(held.paused);
  EXPECT_EQ(held.manifest_toml, "v = 2\n");
  EXPECT_EQ(held.digest, "01");
  EXPECT_EQ(held.generation, 2u);
  EXPECT_TRUE(store.get<StateSet>(SetState{1, "a", false}).existed);
  EXPECT_FALSE(store.get<FunctionList>(ListFunctions{}).functions.at(0).paused);
}

TEST_F(Library, FindsADeliveryWhereverItLies) {
  using Place = Found::Place;
  const std::string function{kFunction};
  const auto find = [&](EntryId id, std::uint8_t index) {
    return store.get<Found>(Find{function, {id, index}});
  };
  store.get<Appended>(append_of(entry(1), 3));
  store.get<Appended>(append_of(entry(2), 1));
  const auto open = find(entry(1), 2);
  EXPECT_EQ(open.place, Place::kJournal);
  EXPECT_EQ(open.lane, protocol::kDefaultLane);
  EXPECT_EQ(open.slot, 2);
  EXPECT_EQ(open.entry_size, 3);
  EXPECT_EQ(open.packed_event, "e2");
  EXPECT_EQ(find(entry(2), 0).entry_size, 1);
  EXPECT_EQ(find(entry(2), 1).place, Place::kNowhere);
  EXPECT_EQ(find(entry(3), 0).place, Place::kNowhere);

  store.get<Moved>(postpone_of({{entry(1), 3, {1}}}, 5000));
  const auto later = find(entry(1), 1);
  EXPECT_EQ(later.place, Place::kLater);
  EXPECT_EQ(later.row.due_ms, 5000);
  EXPECT_EQ(later.row.packed_event, "e1");

  auto bury = bury_of({{entry(1), 3, {0}}}, protocol::Status::kCancelled);
  bury.items[0].record = protocol::pack({.status = protocol::Status::kCancelled});
  store.get<Moved>(bury);
  const auto ended = find(entry(1), 0);
  EXPECT_EQ(ended.place, Place::kEnded);
  EXPECT_EQ(ended.status, protocol::Status::kCancelled);
  store.get<Committed>(commit_of({{entry(1), 3, {2}}}, 0));
  EXPECT_EQ(find(entry(1), 2).place, Place::kNowhere) << "its entry is closed and left no result";
}

TEST_F(Library, KeepsTheRegistryOfFunctions) {
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "a", "name = 'a'\n", "00"}).generation, 1u);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "b", "", "01"}).generation, 2u);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "a", "name = 'a'\n", "00"}).generation, 1u);
  EXPECT_TRUE(store.get<Removed>(Remove{1, "b"}).existed);
  EXPECT_FALSE(store.get<Removed>(Remove{1, "b"}).existed);
  EXPECT_EQ(store.get<Deployed>(Deploy{1, "b", "", "01"}).generation, 3u);
  const auto list = store.get<FunctionList>(ListFunctions{}).functions;
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].name, "a");
  EXPECT_EQ(list[0].manifest_toml, "name = 'a'\n");
  EXPECT_EQ(list[0].digest, "00");
  EXPECT_FALSE(list[0].paused);
}

TEST_F(Library, KeepsTheLatestGenerationsAndTheirPackages) {
  for (const char* digest : {"00", "01", "02"}) {
    store.command({"HSET", "fanfare:packages", digest, "bytes"});
  }
  store.get<Deployed>(Deploy{1, "other", "", "01", 1000, 0, 2});
  store.get<Deployed>(Deploy{1, "f", "v = 1\n", "00", 1000, 0, 2});
  store.get<Deployed>(Deploy{1, "f", "v = 2\n", "01", 2000, 0, 2});
  EXPECT_FALSE(store.get<Deployed>(Deploy{1, "f", "v = 2\n", "01", 2500, 0, 2}).changed);
  EXPECT_EQ(store.command({"HLEN", "fanfare:packages"}), "3") << "both are kept";
  EXPECT_TRUE(store.get<Deployed>(Deploy{1, "f", "v = 1\n", "02", 3000, 7, 2}).changed);

  auto list = store.get<GenerationList>(ListGenerations{"f"}).items;
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].generation, 4u);
  EXPECT_EQ(list[0].deployed_ms, 3000);
  EXPECT_EQ(list[0].from, 7u);
  EXPECT_EQ(list[0].digest, "02");
  EXPECT_TRUE(list[0].has_package);
  EXPECT_EQ(list[1].manifest_toml, "v = 2\n");
  EXPECT_EQ(store.command({"HEXISTS", "fanfare:packages", "00"}), "0") << "nobody needs it now";

  store.command({"HDEL", "fanfare:packages", "02"});
  EXPECT_FALSE(store.get<GenerationList>(ListGenerations{"f"}).items[0].has_package);
  EXPECT_TRUE(store.get<Removed>(Remove{1, "f"}).existed);
  EXPECT_TRUE(store.get<GenerationList>(ListGenerations{"f"}).items.empty());
  EXPECT_EQ(store.command({"HEXISTS", "fanfare:packages", "01"}), "1") << "another one runs it";
  store.get<Removed>(Remove{1, "other"});
  EXPECT_EQ(store.command({"HLEN", "fanfare:packages"}), "0");
}

TEST_F(Library, TakesWhatAnOlderBuildRegisteredForTheGenerationBefore) {
  store.command({"HSET", "fanfare:functions", "f", "3 active 00\nv = 1\n"});
  store.command({"HSET", "fanfare:meta", "generation", "3"});
  store.get<Deployed>(Deploy{1, "f", "v = 2\n", "01", 2000});
  // And a broker of that build deploys once more, which knows nothing of what is kept.
  store.command({"HSET", "fanfare:functions", "f", "5 active 02\nv = 3\n"});
  store.command({"HSET", "fanfare:meta", "generation", "5"});
  store.get<Deployed>(Deploy{1, "f", "v = 4\n", "03", 4000});
  const auto list = store.get<GenerationList>(ListGenerations{"f"}).items;
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(list[0].generation, 6u);
  EXPECT_EQ(list[1].generation, 5u);
  EXPECT_EQ(list[1].deployed_ms, 0) << "that is not known";
  EXPECT_EQ(list[1].manifest_toml, "v = 3\n");
  EXPECT_EQ(list[2].generation, 4u);
  EXPECT_EQ(list[3].generation, 3u);
}

TEST_F(Library, KeepsTheListOfWorkers) {
  store.get<Noted>(NoteWorker{1, "w2", "x"});
  store.get<Noted>(NoteWorker{1, "w1", "x"});
  EXPECT_EQ(store.get<WorkerList>(ListWorkers{}).names, (std::vector<std::string>{"w1", "w2"}));
  store.get<Noted>(NoteWorker{1, "w2", "x", true});
  EXPECT_EQ(store.get<WorkerList>(ListWorkers{}).names, std::vector<std::string>{"w1"});
}

TEST_F(Library, ChangesNothingWhenAKeyHoldsTheWrongType) {
  store.get<Appended>(append_of(entry(1), 2));
  const std::string keys[] = {results_key(kFunction, entry(1)), dead_key(kFunction),
                              later_key(kFunction), rows_key(kFunction), journal_key("other", {})};
  for (const std::string& key : keys) {
    store.command({"SET", key, "mine"});
    for (const Call& call :
         std::vector<Call>{commit_of({{entry(1), 2, {0, 1}}}), postpone_of({{entry(1), 2, {0, 1}}}),
                           bury_of({{entry(1), 2, {0, 1}}})}) {
      const auto before = store.snapshot();
      if (!store.ask(call)) {
        EXPECT_EQ(store.snapshot(), before) << key;
      }
    }
    Append append = append_of(entry(2), 1);
    append.streams.push_back({"other", {}, {{1, "e1"}}});
    if (key == journal_key("other", {})) {
      EXPECT_EQ(store.refusal(append), ErrorKind::kReject);
    }
    store.command({"DEL", key});
    store.command({"FLUSHALL"});
    store.get<Begun>(Begin{});
    store.get<Appended>(append_of(entry(1), 2));
  }
}

TEST_F(Library, RefusesMalformedCallsWithoutTheirText) {
  const std::string secret = "SECRET\r\n+OK";
  for (const std::string name : {"append", "commit", "postpone", "bury"}) {
    const std::string answer = store.command({"FCALL", "fanfare2_" + name, "6", "fanfare:meta", "c",
                                              "l", secret, secret, secret, "1", "1000-0", secret,
                                              secret, secret, secret, secret, secret, secret});
    EXPECT_TRUE(answer.starts_with("(error) ")) << name << ": " << answer;
    EXPECT_EQ(answer.find("SECRET"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("not found"), std::string::npos) << answer;
  }
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

// Redis serves nobody else meanwhile. Twenty tries: on a shared machine any one of them may have
// been interrupted, so the fastest is what the library takes. And all of them may run beside a busy
// neighbour: a script of the same kind of work, measured in between, says how slow the machine is.
TEST(LibrarySpeed, HoldsRedisUpForAtMostTwoMillisecondsACall) {
  TestStore store({.append_fsync = "everysec", .more = {"--slowlog-log-slower-than", "0"}});
  store.get<Begun>(Begin{});
  std::vector<std::uint8_t> all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  std::map<std::string, long> fastest;
  const std::vector<std::uint8_t> half(all.begin(), all.begin() + 128);
  const auto note = [&](const std::string& name) {
    // Newest first: id, time, microseconds, …; the reset itself comes last.
    std::istringstream log(store.command({"SLOWLOG", "GET", "1"}));
    std::string id, at, micros;
    std::getline(log, id) && std::getline(log, at) && std::getline(log, micros);
    const long took = std::stol(micros);
    const auto [known, is_new] = fastest.try_emplace(name, took);
    if (!is_new) known->second = std::min(known->second, took);
  };
  const auto timed = [&](const std::string& name, const Call& call) {
    store.command({"SLOWLOG", "RESET"});
    ASSERT_TRUE(store.ask(call));
    note(name);
  };
  const auto timed_script = [&] {
    store.command({"SLOWLOG", "RESET"});
    store.command({"EVAL",
                   "local t = {} for i = 1, 20000 do t[i % 100 + 1] = string.rep('x', i % 64) end "
                   "return #t",
                   "0"});
    note("script");
  };
  for (std::uint64_t i = 1; i <= 20; ++i) {
    for (const std::uint64_t at : {10 * i, 10 * i + 1, 10 * i + 2}) {
      Append append = append_of(entry(at), 256);
      for (auto& item : append.streams[0].items) item.packed_event = std::string(900, 'x');
      timed("append", append);
    }
    Append delayed{.epoch = 1, .entry = entry(10 * i + 3)};
    auto& group = delayed.delayed.emplace_back(Append::Delayed{std::string{kFunction}, {}});
    for (const std::uint8_t index : all) {
      group.items.push_back({index, 5000, 5, std::string(900, 'x')});
    }
    timed("append of delayed", delayed);
    timed("page", Page{std::string{kFunction}, {}, {}, 16});
    timed("commit", commit_of({{entry(10 * i), 256, all}}));
    timed("postpone", postpone_of({{entry(10 * i + 1), 256, all}}));
    timed("due", Due{.function = std::string{kFunction}, .until_ms = 5000});
    timed("commit of rows", commit_of({{entry(10 * i + 1), 256, all, 2, Origin::kLater}}));
    timed("bury", bury_of({{entry(10 * i + 2), 256, half}}));  // as many as the broker sends
    timed_script();
  }
  constexpr double kScriptMicros = 5000;  // on the machine that the bound was set on, undisturbed
  const double slowness = std::max(1.0, static_cast<double>(fastest.at("script")) / kScriptMicros);
  for (const auto& [name, micros] : fastest) {
    if (name != "script") {
      EXPECT_LE(static_cast<double>(micros), 2000 * slowness) << name << " " << slowness;
    }
    RecordProperty(name, std::to_string(micros) + " us");
  }
}

}  // namespace
}  // namespace fanfare::store::test
