// Appending, and reading what was appended, in a real Redis.
#include <gmock/gmock.h>

#include <set>

#include "store/library_fixture.h"
#include "store/row.h"

namespace fanfare::store::test {
namespace {

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

}  // namespace
}  // namespace fanfare::store::test
