// Events that lie beside their entry: put there by an append, read like others, gone with it.
#include <gmock/gmock.h>

#include "base/redis_sync.h"
#include "store/decode.h"
#include "store/encode.h"
#include "store/fetching.h"
#include "store/keys.h"
#include "store/library.h"
#include "store/staging.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

class Beside : public ::testing::Test {
 protected:
  Beside() { store.get<Begun>(Begin{}); }
  ~Beside() override { store.expect_counts_add_up(); }
  bool exists(const std::string& key) { return store.command({"EXISTS", key}) == "1"; }
  static std::string events_of(EntryId id) { return events_key(kFunction, {}, id); }
  static std::string staged_of(EntryId id) { return staged_key(kFunction, {}, id, 1); }

  TestStore store;
};

TEST_F(Beside, LieLargeEventsAndTheirEntryIsEmpty) {
  store.get<Appended>(large(append_of(entry(1), 3)));
  store.get<Appended>(large(append_of(entry(2), 1)));
  EXPECT_EQ(store.snapshot().at(journal_key(kFunction, {})),
            "1700000000001-0 (events,,)\n1700000000002-0 (0,,)\n");
  for (const EntryId id : {entry(1), entry(2)}) {
    EXPECT_FALSE(exists(staged_of(id)));
    EXPECT_EQ(store.command({"TTL", events_of(id)}), "-1") << "accepted events do not expire";
  }
}

TEST_F(Beside, LieNoSmallEventsAndNoneOfLayoutOne) {
  Append small = append_of(entry(1), 3);
  small.beside = true;
  store.get<Appended>(small);
  EXPECT_FALSE(exists(events_of(entry(1))));
  store.command({"HSET", "fanfare:meta", "layout", "1"});
  EXPECT_EQ(store.refusal(large(append_of(entry(2), 3))), ErrorKind::kReject)
      << "a program of layout 1 would not find them";
  Append within = large(append_of(entry(3), 3));
  within.beside = false;
  store.get<Appended>(within);
  EXPECT_FALSE(exists(events_of(entry(3))));
}

TEST_F(Beside, AreEventsReadLikeOthers) {
  const Append three = large(append_of(entry(1), 3));
  store.get<Appended>(three);
  store.get<Appended>(large(append_of(entry(2), 1)));
  const auto paged = store.get<Paged>(Page{.function = std::string{kFunction}});
  ASSERT_EQ(paged.entries.size(), 2u);
  ASSERT_EQ(paged.entries[0].open.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& item = three.streams[0].items[i];
    EXPECT_TRUE(paged.entries[0].open[i].packed_event == item.packed_event);
    const auto found = store.get<Found>(Find{std::string{kFunction}, {entry(1), item.index}});
    EXPECT_TRUE(found.packed_event == std::string_view{item.packed_event});
  }
  EXPECT_EQ(paged.entries[1].open.at(0).packed_event, paged.entries[0].open[0].packed_event);
}

// However the last delivery of an entry leaves it.
TEST_F(Beside, GoEventsWithTheirEntry) {
  store.get<Appended>(large(append_of(entry(1), 3)));
  store.get<Committed>(commit_of({{entry(1), 3, {0, 2}}}));
  EXPECT_TRUE(exists(events_of(entry(1))));
  store.get<Moved>(postpone_of({{entry(1), 3, {1}}}));
  EXPECT_FALSE(exists(events_of(entry(1))));

  store.get<Appended>(large(append_of(entry(2), 1)));
  store.get<Moved>(bury_of({{entry(2), 1, {0}}}));
  EXPECT_FALSE(exists(events_of(entry(2))));

  store.get<Appended>(large(append_of(entry(3), 1)));
  store.get<Committed>(packed(commit_of({{entry(3), 1, {0}}})));
  EXPECT_FALSE(exists(events_of(entry(3))));
  EXPECT_EQ(store.command({"KEYS", "*journal:*:*"}), "");
}

TEST_F(Beside, IsARepeatTakenForWhatItIs) {
  const Append append = large(append_of(entry(1), 3));
  EXPECT_FALSE(store.get<Appended>(append).repeated);
  EXPECT_TRUE(store.get<Appended>(append).repeated);
  EXPECT_EQ(store.command({"STRLEN", events_of(entry(1))}), "12303");
  store.get<Committed>(commit_of({{entry(1), 3, {0, 1, 2}}}));
  EXPECT_TRUE(store.get<Appended>(append).repeated);
  EXPECT_FALSE(exists(events_of(entry(1)))) << "its entry has ended";
}

// A broker that was replaced stages under its own epoch, and what it staged is nobody's.
TEST_F(Beside, IsWhatARefusedAppendStagedGoneByItself) {
  store.get<Begun>(Begin{});
  EXPECT_EQ(store.refusal(large(append_of(entry(1), 3))), ErrorKind::kStale);
  EXPECT_FALSE(exists(events_of(entry(1))));
  const auto left = std::stoll(store.command({"PTTL", staged_of(entry(1))}));
  EXPECT_GT(left, 0);
  EXPECT_LE(left, kStagedMs);
}

TEST_F(Beside, StaysNothingWhereTheJournalIsSomethingElse) {
  store.command({"SET", journal_key(kFunction, {}), "mine"});
  EXPECT_EQ(store.refusal(large(append_of(entry(1), 1))), ErrorKind::kReject);
  EXPECT_FALSE(exists(events_of(entry(1))));
  store.command({"DEL", journal_key(kFunction, {})});
}

TEST_F(Beside, IsAMissingValueNamed) {
  store.get<Appended>(large(append_of(entry(1), 3)));
  store.command({"DEL", events_of(entry(1))});
  const auto paged = store.ask(Page{.function = std::string{kFunction}});
  ASSERT_FALSE(paged);
  EXPECT_THAT(paged.error().message, ::testing::HasSubstr(events_of(entry(1)) + " is not there"));
}

class LargeResults : public Beside {
 protected:
  using Verdicts = std::vector<Verdict>;
  LargeResults() { store.get<Appended>(append_of(entry(1), 6)); }
  Verdicts commit(std::vector<std::uint8_t> indexes, std::uint32_t attempt = 1) {
    return store.get<Committed>(large(commit_of({{entry(1), 6, std::move(indexes), attempt}})))
        .verdicts;
  }
  // Its first two bytes.
  std::string result(int index) {
    const std::string value =
        store.command({"FCALL_RO", "fanfare2_result", "1", results, std::to_string(index)});
    return value == "(nil)" ? "" : value.substr(4, 2);
  }
  static std::string span(std::uint8_t first, std::uint8_t last) {
    return span_key(kFunction, entry(1), first, last);
  }

  const std::string results = results_key(kFunction, entry(1));
};

TEST_F(LargeResults, LieBesideTheOthers) {
  EXPECT_EQ(commit({0, 1, 2}), Verdicts(3, Verdict::kOk));
  EXPECT_EQ(store.command({"HGET", results, "0-2"}), "");
  EXPECT_EQ(store.command({"STRLEN", span(0, 2)}), std::to_string(3 * (5 + 4 + 2 + kBesideMin)));
  EXPECT_EQ(store.command({"TTL", span(0, 2)}), "3600");
  EXPECT_EQ(store.command({"TTL", results}), "3600");
  EXPECT_EQ(commit({3, 5}), Verdicts(2, Verdict::kOk)) << "no neighbours";
  EXPECT_FALSE(exists(span(3, 5)));
  EXPECT_EQ(result(0) + result(1) + result(2) + result(3) + result(4) + result(5), "r0r1r2r3r5");
  const auto found = store.get<Found>(Find{std::string{kFunction}, {entry(1), 1}});
  EXPECT_EQ(found.place, Found::Place::kEnded);
  EXPECT_EQ(store.command({"KEYS", "*:results:*:*:*"}), "") << "what was staged was moved";
}

TEST_F(LargeResults, ExpireEachByItsOwnCommit) {
  store.get<Committed>(large(commit_of({{entry(1), 6, {0, 1}}}), 100'000));
  store.get<Committed>(large(commit_of({{entry(1), 6, {2, 3}}}), 200'000));
  EXPECT_EQ(store.command({"TTL", span(0, 1)}), "100");
  EXPECT_EQ(store.command({"TTL", span(2, 3)}), "200");
  EXPECT_EQ(store.command({"TTL", results}), "200");
}

// What a call of several has done before it fails stays, and it goes on from there.
TEST_F(LargeResults, AreTakenOnceHoweverOftenTheirCallComes) {
  store.get<Appended>(append_of(entry(2), 2));
  const std::string other = results_key(kFunction, entry(2));
  const Commit both = large(commit_of({{entry(1), 6, {0, 1}}, {entry(2), 2, {0, 1}}}));
  store.command({"SET", other, "mine"});
  EXPECT_EQ(store.refusal(both), ErrorKind::kReject);
  EXPECT_TRUE(exists(span(0, 1)));
  EXPECT_FALSE(exists(span_key(kFunction, entry(2), 0, 1)));
  store.command({"DEL", other});
  EXPECT_EQ(store.get<Committed>(both).verdicts,
            (Verdicts{Verdict::kDuplicate, Verdict::kDuplicate, Verdict::kOk, Verdict::kOk}));
  EXPECT_EQ(store.get<Committed>(both).verdicts, Verdicts(4, Verdict::kDuplicate));
  EXPECT_EQ(result(0) + result(1), "r0r1");
}

TEST_F(LargeResults, SayWhoseTheyAre) {
  EXPECT_EQ(commit({0, 1, 2, 3, 4, 5}), Verdicts(6, Verdict::kOk));
  EXPECT_EQ(commit({0, 1, 2, 3, 4, 5}), Verdicts(6, Verdict::kDuplicate));
  EXPECT_EQ(commit({2, 3}, 2), Verdicts(2, Verdict::kFenced));
  store.command({"UNLINK", span(0, 5)});
  EXPECT_EQ(commit({0, 1}), Verdicts(2, Verdict::kGone)) << "they have expired";
  EXPECT_EQ(result(3), "");
}

TEST_F(LargeResults, AreTakenAsFarAsTheyAreWanted) {
  EXPECT_EQ(commit({1}, 7), Verdicts(1, Verdict::kOk));
  EXPECT_EQ(commit({0, 1, 2}), (Verdicts{Verdict::kOk, Verdict::kFenced, Verdict::kOk}));
  EXPECT_FALSE(exists(span(0, 2)));
  EXPECT_EQ(result(0) + result(1) + result(2), "r0r1r2");
  EXPECT_EQ(store.command({"HGET", results, "1"}).substr(0, 4), std::string("\0\0\x10\7", 4));
}

TEST_F(LargeResults, AreRefusedIfTheyDidNotCome) {
  Commit packed_alone = large(commit_of({{entry(1), 6, {0, 1}}}));
  Arguments arguments;
  encode(packed_alone, std::nullopt, arguments);
  auto redis = RedisSync::connect(store.server.options());
  const auto reply = redis->call(arguments.all());
  EXPECT_THAT(std::string{(*reply)->text()}, ::testing::StartsWith("UNSTAGED"));
  EXPECT_FALSE(exists(results));
  EXPECT_EQ(commit({0, 1}), Verdicts(2, Verdict::kOk));
}

TEST_F(LargeResults, StayNoneWhereResultsAreSomethingElse) {
  store.command({"SET", results, "mine"});
  EXPECT_EQ(store.refusal(large(commit_of({{entry(1), 6, {0, 1}}}))), ErrorKind::kReject);
  EXPECT_FALSE(exists(span(0, 1)));
  store.command({"DEL", results});
}

// A page whose events are fetched, step by step.
class BesideApart : public Beside {
 protected:
  OwnedReply ask_page() {
    encode(page, std::nullopt, arguments);
    auto reply = redis.call(arguments.all());
    arguments.clear();
    return *std::move(reply);
  }
  void fetch() {
    fetching.encode(arguments);
    fetching.take(**redis.call(arguments.all()));
    arguments.clear();
  }
  Paged read() {
    page.apart = fetching.last();
    return std::get<Paged>(decode(page, *ask_page(), &fetching).value());
  }

  RedisSync redis = RedisSync::connect(store.server.options()).value();
  Page page{.function = std::string{kFunction}, .apart = Fetching::kAll};
  Fetching fetching;
  Arguments arguments;
};

TEST_F(BesideApart, AreFetchedEventsTheSame) {
  store.get<Appended>(large(append_of(entry(1), 3)));
  store.get<Appended>(append_of(entry(2), 2));
  store.get<Appended>(large(append_of(entry(3), 1)));
  store.get<Committed>(commit_of({{entry(1), 3, {1}}}));
  EXPECT_TRUE(fetching.note(page, *ask_page()));
  fetch();
  const Paged fetched = read();
  page.apart.reset();
  const auto whole = store.get<Paged>(page);
  ASSERT_EQ(fetched.entries.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto &one = fetched.entries[i], &other = whole.entries[i];
    EXPECT_EQ(one.entry, other.entry);
    EXPECT_EQ(one.entry_size, other.entry_size);
    ASSERT_EQ(one.open.size(), other.open.size());
    for (std::size_t k = 0; k < one.open.size(); ++k) {
      EXPECT_EQ(one.open[k].index, other.open[k].index);
      EXPECT_EQ(one.open[k].slot, other.open[k].slot);
      EXPECT_TRUE(one.open[k].packed_event == other.open[k].packed_event);
    }
  }
  EXPECT_EQ(fetched.entries[0].open.size(), 2u);
  EXPECT_FALSE(fetched.more);
}

TEST_F(BesideApart, IsNothingToFetchWhereNothingLiesBeside) {
  store.get<Appended>(append_of(entry(1), 2));
  const OwnedReply answer = ask_page();
  EXPECT_FALSE(fetching.note(page, *answer));
  const auto paged = std::get<Paged>(decode(page, *answer, &fetching).value());
  EXPECT_EQ(paged.entries.at(0).open.size(), 2u);
}

TEST_F(BesideApart, IsWhatEndedMeanwhileNoLongerThere) {
  store.get<Appended>(large(append_of(entry(1), 1)));
  store.get<Appended>(large(append_of(entry(2), 1)));
  EXPECT_TRUE(fetching.note(page, *ask_page()));
  store.get<Committed>(commit_of({{entry(1), 1, {0}}}));
  fetch();
  const Paged paged = read();
  ASSERT_EQ(paged.entries.size(), 1u);
  EXPECT_EQ(paged.entries[0].entry, entry(2));
  EXPECT_FALSE(paged.more);
}

// Otherwise a lane to which something is appended all the time were never read to its end.
TEST_F(BesideApart, HasAPageWhatCameMeanwhileWhole) {
  store.get<Appended>(large(append_of(entry(1), 1)));
  EXPECT_TRUE(fetching.note(page, *ask_page()));
  store.get<Committed>(commit_of({{entry(1), 1, {0}}}));
  store.get<Appended>(large(append_of(entry(2), 2)));
  fetch();
  const Paged paged = read();
  ASSERT_EQ(paged.entries.size(), 1u);
  EXPECT_EQ(paged.entries[0].entry, entry(2));
  EXPECT_EQ(paged.entries[0].open.size(), 2u);
  EXPECT_FALSE(paged.more);
}

TEST_F(BesideApart, IsNoPageOfEntriesWhoseEventsWereNotFetched) {
  store.get<Appended>(large(append_of(entry(1), 1)));
  EXPECT_FALSE(decode(page, *ask_page(), &fetching));
  EXPECT_FALSE(decode(page, *ask_page()));
}

TEST_F(BesideApart, BoundsAPageByTheBytesThatAreLeftOut) {
  for (std::uint64_t i = 1; i <= 4; ++i) {
    Append append = large(append_of(entry(i), 1));
    append.streams[0].items[0].packed_event = std::string(150'000, 'x');
    store.get<Appended>(append);
  }
  const OwnedReply answer = ask_page();
  EXPECT_EQ((*answer).size(), 3u) << "whether there is more, and two entries";
  EXPECT_EQ((*answer)[0].integer(), 1);
}

TEST_F(BesideApart, IsAMissingValueNamed) {
  store.get<Appended>(large(append_of(entry(1), 3)));
  store.command({"DEL", events_of(entry(1))});
  const OwnedReply answer = ask_page();
  ASSERT_TRUE(answer->is_error());
  EXPECT_THAT(std::string{answer->text()},
              ::testing::HasSubstr(events_of(entry(1)) + " is not there"));
}

TEST_F(Beside, IsAnAppendWhoseEventsDidNotComeRefused) {
  const std::string name{kFunction};
  EXPECT_THAT(store.command({"FCALL", "fanfare2_append", "4", "fanfare:meta", journal_key(name, {}),
                             open_key(name, {}), counts_key(name), "1", to_string(entry(1)), "",
                             "1", "0", "0", "3", ""}),
              ::testing::StartsWith("(error) UNSTAGED the events of an append are not there"));
  EXPECT_EQ(store.command({"HGET", "fanfare:meta", "last_entry"}), "(nil)");
  EXPECT_FALSE(exists(journal_key(name, {})));
}

}  // namespace
}  // namespace fanfare::store::test
