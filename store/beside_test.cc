// Events that lie beside their entry: put there by an append, read like others, gone with it.
#include <gmock/gmock.h>

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
