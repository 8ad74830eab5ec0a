// Effects of deliveries that end, and outboxes, in a real Redis: what conformance_test.cc cannot
// say because Redis gives outbox entries ids of its own.
#include "store/encode.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

using ::testing::ElementsAre;

Commit telling(Commit commit) {
  for (auto& group : commit.groups) {
    for (auto& item : group.items) {
      item.effects = {Publish{"other", "told" + std::to_string(item.index)}};
    }
  }
  return commit;
}

class Outboxes : public ::testing::Test {
 protected:
  Outboxes() { store.get<Begun>(Begin{}); }

  std::vector<OutboxPage::Entry> outbox() {
    return store.get<OutboxPage>(ReadOutbox{std::string{kFunction}, {}, 256}).entries;
  }
  std::vector<std::string> events() {
    std::vector<std::string> all;
    for (const auto& entry : outbox()) all.push_back(entry.packed_event);
    return all;
  }
  // An append of the outbox entries, for "other".
  Append republish(EntryId id, const std::vector<OutboxPage::Entry>& entries) {
    Append append = append_of(id, 0);
    append.streams[0].function = "other";
    for (const auto& entry : entries) {
      append.taken.push_back({std::string{kFunction}, entry.id});
      append.streams[0].items.push_back(
          {static_cast<std::uint8_t>(append.streams[0].items.size()), entry.packed_event});
    }
    return append;
  }

  TestStore store{{.append_only = false}};
};

TEST_F(Outboxes, GetWhatACommitPublishesForThoseThatGoThrough) {
  store.get<Appended>(append_of(entry(1), 3));
  store.get<Committed>(commit_of({{entry(1), 3, {1}, 9}}));  // another attempt has won this one
  const auto answer = store.get<Committed>(telling(commit_of({{entry(1), 3, {0, 1, 2}, 1}})));
  EXPECT_THAT(answer.verdicts, ElementsAre(Verdict::kOk, Verdict::kFenced, Verdict::kOk));
  EXPECT_THAT(events(), ElementsAre("told0", "told2"));
  EXPECT_EQ(outbox()[0].to, "other");
}

TEST_F(Outboxes, GetNothingTwiceFromARepeat) {
  store.get<Appended>(append_of(entry(1), 2));
  const Call call = telling(commit_of({{entry(1), 2, {0, 1}}}));
  store.get<Committed>(call);
  const auto again = store.get<Committed>(call);
  EXPECT_THAT(again.verdicts, ElementsAre(Verdict::kDuplicate, Verdict::kDuplicate));
  EXPECT_THAT(events(), ElementsAre("told0", "told1"));
}

TEST_F(Outboxes, GetWhatABurialPublishes) {
  store.get<Appended>(append_of(entry(1), 2));
  Bury bury = bury_of({{entry(1), 2, {1}}});
  bury.items[0].effects = {Publish{"", "it failed"}};
  store.get<Moved>(bury);
  EXPECT_THAT(events(), ElementsAre("it failed"));
  EXPECT_EQ(outbox()[0].to, "");
}

TEST_F(Outboxes, LoseAnEntryInTheStepThatAppendsIt) {
  store.get<Appended>(append_of(entry(1), 2));
  store.get<Committed>(telling(commit_of({{entry(1), 2, {0, 1}}})));
  const Call call = republish(entry(2), {outbox()[0]});
  EXPECT_FALSE(store.get<Appended>(call).repeated);
  EXPECT_THAT(events(), ElementsAre("told1"));
  const auto page = store.get<Paged>(Page{"other", {}, {}, 16});
  ASSERT_EQ(page.entries.size(), 1u);
  EXPECT_EQ(page.entries[0].open[0].packed_event, "told0");
  EXPECT_TRUE(store.get<Appended>(call).repeated) << "the answer to the first was lost";
  EXPECT_THAT(events(), ElementsAre("told1"));
}

TEST_F(Outboxes, RefuseAnAppendOfWhatIsNotThereAndThenNothingOfItIsAppended) {
  store.get<Appended>(append_of(entry(1), 2));
  store.get<Committed>(telling(commit_of({{entry(1), 2, {0, 1}}})));
  const auto both = outbox();
  store.get<Appended>(republish(entry(2), {both[0]}));
  const auto before = store.snapshot();
  EXPECT_EQ(store.refusal(republish(entry(3), both)), ErrorKind::kRetryLater);
  EXPECT_EQ(store.snapshot(), before);
}

TEST_F(Outboxes, AreCountedAndReadInPages) {
  store.get<Appended>(append_of(entry(1), 5));
  store.get<Committed>(telling(commit_of({{entry(1), 5, {0, 1, 2, 3, 4}}})));
  EXPECT_THAT(store.get<OutboxCounts>(CountOutboxes{{"other", std::string{kFunction}}}).entries,
              ElementsAre(0u, 5u));
  const auto first = store.get<OutboxPage>(ReadOutbox{std::string{kFunction}, {}, 3});
  EXPECT_EQ(first.entries.size(), 3u);
  EXPECT_TRUE(first.more);
  const auto rest =
      store.get<OutboxPage>(ReadOutbox{std::string{kFunction}, first.entries.back().id, 3});
  EXPECT_EQ(rest.entries.size(), 2u);
  EXPECT_FALSE(rest.more);
}

TEST_F(Outboxes, DrainIntoAFullRedisThatTakesNoOtherAppends) {
  store.get<Appended>(append_of(entry(1), 2));
  store.command({"CONFIG", "SET", "maxmemory", "1"});
  store.get<Committed>(telling(commit_of({{entry(1), 2, {0, 1}}})));
  EXPECT_EQ(store.refusal(append_of(entry(2), 1)), ErrorKind::kRetryLater);
  store.get<Appended>(large(republish(entry(2), outbox())));
  EXPECT_TRUE(outbox().empty());
}

TEST_F(Outboxes, ACallWithoutEffectsIsTheSameAsBeforeThereWereAny) {
  Arguments arguments;
  const Call commit = commit_of({{entry(1), 1, {0}}});
  encode(commit, std::nullopt, arguments);
  EXPECT_EQ(arguments.all()[1], "fanfare2_commit");
  EXPECT_EQ(arguments.all().size(), 3u + 6 + 1 + 2 + 2);
}

}  // namespace
}  // namespace fanfare::store::test
