#include "triggers/storage_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint kBegin{};
const WallTime kWall = wall_from_ms(1'764'324'672'345);
constexpr std::int64_t kLongAgo = 1'000'000'001;

FileVersion numbered_version(std::uint64_t inode) {
  return {1, inode, kLongAgo, 100};
}

Look file_look(std::uint64_t inode, Look::Writers writers = Look::Writers::kNone) {
  return {Look::State::kFile, numbered_version(inode), kLongAgo, 2 * kLongAgo, writers};
}
const Look kNothingThere{};

// A core that has scanned an empty bucket.
struct CoreFixture {
  explicit CoreFixture(StorageCoreOptions options = {}) : core(named(), options) { scan({}); }
  static StorageLedger named() {
    StorageLedger ledger;
    EXPECT_TRUE(ledger.apply(PublisherNamed{"lasting-x", 1, 0}));
    return ledger;
  }

  void scan(const std::map<std::string, FileVersion>& files, TimePoint now = kBegin) {
    core.scan_begins();
    for (const auto& [path, version] : files) core.scan_saw(path, version, now);
    core.scan_ended();
    while (!core.sweep(now)) {
    }
  }
  // Looks at all that is due; everything looks like this.
  std::vector<std::string> look_at_due(const Look& look, TimePoint now = kBegin) {
    const auto paths = core.take_due(now);
    for (const auto& path : paths) core.looked(path, look, now);
    return paths;
  }
  // What a batch announces: "+a" or "-a".
  std::vector<std::string> announce(TimePoint now = kBegin, bool taken = true) {
    const auto batch = core.next_batch(kWall);
    if (!batch) return {};
    core.begun(*batch);
    std::vector<std::string> said;
    for (const auto& a : batch->announcements) {
      said.push_back((a.change == StorageChange::kCreated ? "+" : "-") + a.path);
    }
    core.settle(std::vector<StorageCore::Answer>(said.size(), {taken, false}), now);
    return said;
  }

  StorageCore core;
};

TEST(StorageCore, AnnouncesAFileThatWasClosedAndNotAgain) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  EXPECT_THAT(f.look_at_due(file_look(1)), ElementsAre("a"));
  EXPECT_THAT(f.announce(), ElementsAre("+a"));
  f.core.sign("a", Sign::kClosed, kBegin);  // opened for writing, and nothing was written
  f.look_at_due(file_look(1));
  EXPECT_THAT(f.announce(), IsEmpty());
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(2));
  EXPECT_THAT(f.announce(), ElementsAre("+a"));
}

// The scan cannot know of "a" yet: that the broker has it is told afterwards.
TEST(StorageCore, AnnouncesARemovalThatOnlyAScanDuringTheBatchCouldHaveSeen) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  const auto batch = f.core.next_batch(kWall);
  ASSERT_TRUE(batch);
  f.core.begun(*batch);
  f.core.signs_lost();  // "a" is removed, and the kernel has no room to tell
  f.scan({});
  f.core.settle({{.taken = true, .duplicate = false}}, kBegin);
  EXPECT_THAT(f.look_at_due(kNothingThere), ElementsAre("a"));
  EXPECT_THAT(f.announce(), ElementsAre("-a"));
}

TEST(StorageCore, AnnouncesARemovalWhileItWasDownWithABatchInFlight) {
  CoreFixture before;
  before.core.sign("a", Sign::kClosed, kBegin);
  before.look_at_due(file_look(1));
  const auto batch = before.core.next_batch(kWall);
  ASSERT_TRUE(batch);
  before.core.begun(*batch);

  StorageCore core(before.core.ledger(), {});
  core.scan_begins();
  core.scan_ended();
  while (!core.sweep(kBegin)) {
  }
  core.settle({{.taken = true, .duplicate = true}}, kBegin);
  const auto due = core.take_due(kBegin);
  ASSERT_THAT(due, ElementsAre("a"));
  core.looked("a", kNothingThere, kBegin);
  const auto next = core.next_batch(kWall);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->announcements.front().change, StorageChange::kRemoved);
}

TEST(StorageCore, DoesNotAnnounceAFileThatSomebodyStillWrites) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1, Look::Writers::kSome));
  EXPECT_THAT(f.announce(), IsEmpty());
  EXPECT_EQ(f.core.next_due(), kBegin + 1s) << "in case that nobody tells of its closing";
  f.core.sign("a", Sign::kClosed, kBegin + 100ms);
  EXPECT_THAT(f.look_at_due(file_look(1), kBegin + 100ms), ElementsAre("a"));
  EXPECT_THAT(f.announce(), ElementsAre("+a"));
}

TEST(StorageCore, LooksAgainMoreAndMoreSeldomAtAFileThatIsWrittenForLong) {
  CoreFixture f;
  f.core.sign("a", Sign::kFound, kBegin);
  TimePoint now = kBegin;
  std::vector<Duration> pauses;
  for (int i = 0; i < 9; ++i) {
    f.look_at_due(file_look(1, Look::Writers::kSome), now);
    pauses.push_back(*f.core.next_due() - now);
    now = *f.core.next_due();
  }
  EXPECT_THAT(pauses, ElementsAre(1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s));
}

TEST(StorageCore, WhereWritersCannotBeAskedForBelievesTheClosing) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1, Look::Writers::kUnknown));
  EXPECT_THAT(f.announce(), ElementsAre("+a"));
}

TEST(StorageCore, WhereWritersCannotBeAskedForWaitsUntilAFoundFileHasSettled) {
  CoreFixture f({.settle = 5s});
  f.core.sign("a", Sign::kFound, kBegin);
  f.look_at_due(file_look(1, Look::Writers::kUnknown));
  EXPECT_EQ(f.core.next_due(), kBegin + 5s);
  f.look_at_due(file_look(2, Look::Writers::kUnknown), kBegin + 5s);  // it has changed
  EXPECT_EQ(f.core.next_due(), kBegin + 10s);
  f.look_at_due(file_look(2, Look::Writers::kUnknown), kBegin + 10s);
  EXPECT_THAT(f.announce(), ElementsAre("+a"));
}

// Another write within the same tick of the file system's clock would leave the same stamp.
TEST(StorageCore, WaitsUntilTheNextChangeWouldShow) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  Look look = file_look(1);
  look.looked_ns = look.changed_ns + 5'000'000;
  f.look_at_due(look);
  EXPECT_EQ(f.core.next_due(), kBegin + 15ms);
  look.looked_ns = look.changed_ns + 20'000'000;
  f.look_at_due(look, kBegin + 15ms);
  EXPECT_THAT(f.announce(), ElementsAre("+a"));

  f.core.sign("b", Sign::kClosed, kBegin);
  look.changed_ns = 7'000'000'000;  // whole seconds: a file system with no finer stamps
  look.looked_ns = look.changed_ns + 100'000'000;
  f.look_at_due(look);
  EXPECT_EQ(f.core.next_due(), kBegin + 2s);
}

TEST(StorageCore, AnnouncesAMoveAsARemovalAndACreation) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  f.announce();
  f.core.sign("a", Sign::kGone, kBegin);
  f.core.sign("b", Sign::kClosed, kBegin);
  for (const auto& path : f.core.take_due(kBegin)) {
    f.core.looked(path, path == "a" ? kNothingThere : file_look(1), kBegin);
  }
  EXPECT_THAT(f.announce(), ElementsAre("-a", "+b"));
}

TEST(StorageCore, SaysNothingOfAFileThatIsGoneBeforeItWasAnnounced) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(kNothingThere);
  EXPECT_THAT(f.announce(), IsEmpty());
}

TEST(StorageCore, AnnouncesAllThatLayBelowADirectoryThatIsGone) {
  CoreFixture f;
  for (const char* path : {"d/a", "d/e/b", "d!", "dd/c"}) f.core.sign(path, Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  f.announce();
  f.core.directory_gone("d", kBegin);
  f.look_at_due(kNothingThere);
  EXPECT_THAT(f.announce(), ElementsAre("-d/a", "-d/e/b"));
}

TEST(StorageCore, AnnouncesAlsoWhatWasBeingAnnouncedWhenItsDirectoryWent) {
  CoreFixture f;
  for (const char* path : {"d/a", "d!", "dd/c"}) f.core.sign(path, Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  const auto batch = f.core.next_batch(kWall);
  ASSERT_TRUE(batch);
  f.core.begun(*batch);
  f.core.directory_gone("d", kBegin);
  f.core.settle(std::vector<StorageCore::Answer>(3, {.taken = true, .duplicate = false}), kBegin);
  f.look_at_due(kNothingThere);
  EXPECT_THAT(f.announce(), ElementsAre("-d/a"));
}

TEST(StorageCore, FindsByAScanWhatCameChangedAndWentUnseen) {
  CoreFixture f;
  for (const char* path : {"a", "b", "c"}) f.core.sign(path, Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  f.announce();
  f.core.signs_lost();
  EXPECT_TRUE(f.core.scan_wanted());
  f.scan({{"a", numbered_version(1)}, {"b", numbered_version(2)}, {"d", numbered_version(3)}});
  for (const auto& path : f.core.take_due(kBegin)) {
    f.core.looked(path, path == "c" ? kNothingThere : file_look(2), kBegin);
  }
  EXPECT_THAT(f.announce(), ElementsAre("+b", "+d", "-c"));
}

TEST(StorageCore, BelievesItsEyesAndNotTheScan) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  f.announce();
  f.scan({});  // it could not be read, say
  EXPECT_THAT(f.look_at_due(file_look(1)), ElementsAre("a"));
  EXPECT_THAT(f.announce(), IsEmpty());
  f.scan({});
  f.look_at_due({.state = Look::State::kUnreadable});
  EXPECT_THAT(f.announce(), IsEmpty());
  EXPECT_EQ(f.core.counters().unreadable, 1u);
  EXPECT_EQ(f.core.ledger().files(), 1u);
}

TEST(StorageCore, ForgetsWithoutAWordWhatItIsToIgnoreFromNowOn) {
  CoreFixture f;
  f.core.sign("a.log", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  f.announce();
  f.core.take_records();
  f.scan({});
  f.look_at_due({.state = Look::State::kForeign});
  EXPECT_THAT(f.announce(), IsEmpty());
  EXPECT_THAT(f.core.take_records(), ElementsAre(LedgerRecord{Forgotten{"a.log"}}));
}

TEST(StorageCore, IfAskedKnowsWhatTheFirstScanFindsWithoutAWord) {
  CoreFixture f({.announce_existing = false});
  StorageCore core(CoreFixture::named(), {.announce_existing = false});
  core.scan_begins();
  core.sign("new", Sign::kClosed, kBegin);  // told by the kernel: it came after the beginning
  core.scan_saw("old", numbered_version(1), kBegin);
  core.scan_saw("new", numbered_version(2), kBegin);
  core.scan_ended();
  EXPECT_TRUE(core.sweep(kBegin));
  EXPECT_THAT(core.take_due(kBegin), ElementsAre("new"));
  EXPECT_TRUE(core.ledger().surveyed());
  core.scan_begins();
  core.scan_saw("later", numbered_version(3), kBegin);
  EXPECT_THAT(core.take_due(kBegin), ElementsAre("later"));
}

TEST(StorageCore, LooksAtNothingWhileABatchIsInFlight) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  const auto batch = f.core.next_batch(kWall);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->publisher, "lasting-x");
  EXPECT_EQ(batch->sequence, 1u);
  EXPECT_EQ(batch->announcements.at(0).sequencer, 1'764'324'672'345'000'000u);
  f.core.begun(*batch);
  f.core.sign("a", Sign::kGone, kBegin);
  EXPECT_THAT(f.core.take_due(kBegin), IsEmpty());
  EXPECT_EQ(f.core.next_due(), std::nullopt);
  EXPECT_FALSE(f.core.next_batch(kWall));
  f.core.settle({{true, false}}, kBegin);
  f.look_at_due(kNothingThere);
  const auto next = f.core.next_batch(kWall);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->sequence, 2u);
  EXPECT_GT(next->announcements.at(0).sequencer, batch->announcements.at(0).sequencer);
}

TEST(StorageCore, TriesAgainLaterWhatTheBrokerRefuses) {
  CoreFixture f;
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  EXPECT_THAT(f.announce(kBegin, false), ElementsAre("+a"));
  EXPECT_EQ(f.core.ledger().files(), 0u);
  EXPECT_EQ(f.core.next_due(), kBegin + 1s);
  f.look_at_due(file_look(1), kBegin + 1s);
  f.announce(kBegin + 1s, false);
  EXPECT_EQ(f.core.next_due(), kBegin + 3s);
  f.look_at_due(kNothingThere, kBegin + 3s);  // gone meanwhile
  EXPECT_THAT(f.announce(), IsEmpty());
  EXPECT_EQ(f.core.counters().refused, 2u);
}

TEST(StorageCore, DropsSignsThatItHasNoRoomForAndAsksForAScan) {
  CoreFixture f({.room = 4});
  EXPECT_FALSE(f.core.scan_wanted());
  for (const char* path : {"a", "b", "c", "d", "e"}) f.core.sign(path, Sign::kClosed, kBegin);
  EXPECT_EQ(f.core.waiting(), 4u);
  EXPECT_EQ(f.core.counters().signs_dropped, 1u);
  EXPECT_TRUE(f.core.scan_wanted());
  EXPECT_FALSE(f.core.has_room_to_scan());
  f.look_at_due(file_look(1));
  f.announce();
  EXPECT_TRUE(f.core.has_room_to_scan());
}

TEST(StorageCore, SweepsAsFarAsThereIsRoom) {
  CoreFixture f({.room = 4});
  for (int i = 0; i < 8; ++i) {
    f.core.sign(std::to_string(i), Sign::kClosed, kBegin);
    f.look_at_due(file_look(1));
    f.announce();
  }
  f.core.scan_begins();
  f.core.scan_ended();
  EXPECT_FALSE(f.core.sweep(kBegin));
  EXPECT_EQ(f.core.waiting(), 4u);
  f.look_at_due(kNothingThere);
  EXPECT_THAT(f.announce(), ElementsAre("-0", "-1", "-2", "-3"));
  EXPECT_TRUE(f.core.sweep(kBegin));
  f.look_at_due(kNothingThere);
  EXPECT_THAT(f.announce(), ElementsAre("-4", "-5", "-6", "-7"));
}

// Files that are open for days, in any number, leave room for others.
TEST(StorageCore, KeepsRoomForOthersBesideWhatIsBeingWritten) {
  CoreFixture f({.room = 8, .batch_max = 8});
  for (int i = 0; i < 8; ++i) f.core.sign(std::to_string(i), Sign::kFound, kBegin);
  f.look_at_due(file_look(1, Look::Writers::kSome));
  EXPECT_EQ(f.core.waiting(), 4u);
  f.core.sign("a", Sign::kClosed, kBegin);
  f.look_at_due(file_look(1));
  EXPECT_THAT(f.announce(), ElementsAre("+a"));
}

}  // namespace
}  // namespace fanfare::triggers
