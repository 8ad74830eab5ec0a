// Dead letters in Redis: read, redriven, purged.
#include "store/keys.h"
#include "store/row.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

using enum Verdict;

class Letters : public ::testing::Test {
 protected:
  Letters() {
    store.get<Begun>(Begin{});
    store.get<Appended>(append_of(entry(1), 3));
    store.get<Moved>(bury_of({{entry(1), 3, {0}, 5}}));
    store.get<Moved>(bury_of({{entry(1), 3, {2}, 6}}, protocol::Status::kExpired));
  }
  std::vector<EntryId> ids() {
    std::vector<EntryId> all;
    auto redis = RedisSync::connect(store.server.options());
    const auto list = redis->call({"XRANGE", dead_key(kFunction), "-", "+"});
    for (std::size_t i = 0; i < (*list)->size(); ++i) {
      all.push_back(*protocol::parse_entry_id((**list)[i][0].text()));
    }
    return all;
  }
  Redrive redrive(const std::vector<std::pair<EntryId, EventId>>& letters) {
    Redrive redrive{1, std::string{kFunction}, {}};
    for (const auto& [letter, id] : letters) {
      redrive.items.push_back({letter, id, token(6), 9000, 7, "ledger", "event"});
    }
    return redrive;
  }
  using Verdicts = std::vector<Verdict>;
  TestStore store{{.append_only = false}};
};

TEST_F(Letters, AreReadWithAllThatARedriveNeeds) {
  const auto letters = ids();
  const auto list =
      store.get<LetterList>(ReadLetters{std::string{kFunction}, {letters[1], {1, 1}, letters[0]}});
  EXPECT_EQ(list.taken, 3u);
  ASSERT_EQ(list.letters.size(), 2u) << "there is no letter 1-1";
  EXPECT_EQ(list.letters[0].letter, letters[1]);
  EXPECT_EQ(list.letters[0].id, (EventId{entry(1), 2}));
  EXPECT_EQ(list.letters[0].status, protocol::Status::kExpired);
  EXPECT_EQ(list.letters[0].token, token(6));
  EXPECT_EQ(list.letters[0].record, "r2");
  EXPECT_EQ(list.letters[0].packed_event, "e2");
}

TEST_F(Letters, AreReadAsFarAsTheirBytesFit) {
  store.get<Appended>(append_of(entry(2), 3));
  Bury bury = bury_of({{entry(2), 3, {0, 1, 2}}});
  for (auto& item : bury.items) item.packed_event.assign(200'000, 'x');
  store.get<Moved>(bury);
  const auto all = ids();
  const auto list =
      store.get<LetterList>(ReadLetters{std::string{kFunction}, {all[2], all[3], all[4]}});
  EXPECT_EQ(list.taken, 2u);
  EXPECT_EQ(list.letters.size(), 2u);
}

TEST_F(Letters, RedrivenAreRowsAndNothingElse) {
  const auto letters = ids();
  const auto call = redrive({{letters[0], {entry(1), 0}}, {letters[1], {entry(1), 2}}});
  EXPECT_EQ(store.get<Moved>(call).verdicts, Verdicts(2, kOk));
  using Counts = std::map<std::string, std::string>;
  EXPECT_EQ(store.counts(), (Counts{{"accepted", "3"}, {"open", "1"}, {"later", "2"}}));
  EXPECT_EQ(store.command({"XLEN", dead_key(kFunction)}), "0");
  EXPECT_EQ(store.command({"EXISTS", results_key(kFunction, entry(1))}), "0");
  const auto due = store.get<DueRows>(Due{.function = std::string{kFunction}, .until_ms = 9000});
  ASSERT_EQ(due.rows.size(), 2u);
  EXPECT_EQ(due.rows[0].attempts, 0u);
  EXPECT_EQ(due.rows[0].packed_ledger, "ledger");
  EXPECT_EQ(due.rows[0].token, token(6));
  EXPECT_EQ(store.get<Moved>(call).verdicts, Verdicts(2, kDuplicate)) << "a repeat";
}

TEST_F(Letters, RedrivenAreNotRedrivenTwice) {
  const auto letters = ids();
  const auto call = redrive({{letters[0], {entry(1), 0}}});
  store.get<Moved>(call);
  store.get<Committed>(commit_of({{entry(1), 1, {0}, 7, Origin::kLater}}));
  EXPECT_EQ(store.get<Moved>(call).verdicts, Verdicts(1, kGone)) << "it has ended meanwhile";
  EXPECT_EQ(store.counts().at("succeeded"), "1");
  auto another = redrive({{letters[0], {entry(1), 2}}});
  EXPECT_EQ(store.get<Moved>(another).verdicts, Verdicts(1, kGone)) << "no such letter";
  store.expect_counts_add_up();
}

TEST_F(Letters, OfARepeatedBurialStayRedriven) {
  // The burial's reply was lost and it goes out again after the redrive: the delivery waits.
  store.get<Appended>(append_of(entry(2), 1));
  const Bury burial = bury_of({{entry(2), 1, {0}, 3}});
  store.get<Moved>(burial);
  auto call = redrive({{ids()[2], {entry(2), 0}}});
  call.items[0].token = token(3);
  store.get<Moved>(call);
  EXPECT_EQ(store.get<Moved>(burial).verdicts, Verdicts(1, kDuplicate));
  EXPECT_EQ(store.counts().at("later"), "1");
}

TEST_F(Letters, AreNotForABrokerThatWasReplaced) {
  store.get<Begun>(Begin{});
  const auto letters = ids();
  EXPECT_EQ(store.refusal(redrive({{letters[0], {entry(1), 0}}})), ErrorKind::kStale);
  EXPECT_EQ(store.refusal(PurgeLetters{1, std::string{kFunction}, letters}), ErrorKind::kStale);
  EXPECT_EQ(store.command({"XLEN", dead_key(kFunction)}), "2");
}

TEST_F(Letters, PurgedAreGoneAndStayCounted) {
  const auto before = store.counts();
  const PurgeLetters purge{1, std::string{kFunction}, {ids()[0], {1, 1}}};
  EXPECT_EQ(store.get<Purged>(purge).letters, 1u);
  EXPECT_EQ(store.get<Purged>(purge).letters, 0u) << "a repeat";
  EXPECT_EQ(store.command({"XLEN", dead_key(kFunction)}), "1");
  EXPECT_EQ(store.counts(), before);
}

TEST_F(Letters, RefuseCallsThatMakeNoSense) {
  EXPECT_EQ(store.refusal(ReadLetters{std::string{kFunction}, {}}), ErrorKind::kReject);
  EXPECT_EQ(store.refusal(PurgeLetters{1, "no name!", {{1, 1}}}), ErrorKind::kReject);
  EXPECT_EQ(store.refusal(redrive({{{1, 1}, {entry(1), 0}}, {{1, 2}, {entry(1), 0}}})),
            ErrorKind::kReject);
}

}  // namespace
}  // namespace fanfare::store::test
