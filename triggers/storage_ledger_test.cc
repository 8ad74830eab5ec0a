#include "triggers/storage_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/support/temp_dir.h"
#include "triggers/storage_ledger_file.h"

namespace fanfare::triggers {
namespace {

using ::testing::HasSubstr;
using Sync = StorageLedgerFile::Sync;

const FileVersion kOld{1, 2, -3, 4}, kNew{1, 2, 5, 6};

StorageBatch two_changes() {
  return {"p",
          3,
          1'764'324'672'345,
          {{StorageChange::kCreated, "a", kNew, 10}, {StorageChange::kRemoved, "b", kOld, 11}}};
}

std::vector<LedgerRecord> one_of_each() {
  return {PublisherNamed{"p", 3, 9},
          RootNoted{77},
          Surveyed{},
          Noted{std::string("b\n\xFF", 3), kOld},
          Noted{"b", kOld},
          Forgotten{std::string("b\n\xFF", 3)},
          two_changes(),
          Settled{{true, false}}};
}

std::vector<LedgerRecord> records_of(const StorageLedger& ledger) {
  std::vector<LedgerRecord> records;
  ledger.for_each_record([&](const LedgerRecord& record) { records.push_back(record); });
  return records;
}

TEST(StorageLedger, KnowsWhatIsSettledAndNotBefore) {
  StorageLedger ledger;
  for (const auto& record : one_of_each()) {
    EXPECT_EQ(ledger.find("a"), nullptr);
    ASSERT_TRUE(ledger.apply(record));
  }
  ASSERT_NE(ledger.find("a"), nullptr);
  EXPECT_EQ(*ledger.find("a"), kNew);
  EXPECT_NE(ledger.find("b"), nullptr) << "its removal was not taken";
  EXPECT_EQ(ledger.files(), 2u);
  EXPECT_EQ(ledger.next_sequence(), 4u);
  EXPECT_EQ(ledger.last_sequencer(), 11u);
  EXPECT_EQ(ledger.root_inode(), 77u);
  EXPECT_TRUE(ledger.surveyed());
  EXPECT_FALSE(ledger.in_flight());
}

TEST(StorageLedger, RefusesRecordsThatDoNotFollow) {
  StorageLedger ledger;
  EXPECT_FALSE(ledger.apply(Settled{{true}}));
  EXPECT_FALSE(ledger.apply(StorageBatch{"p", 1, 0, {}}));
  ASSERT_TRUE(ledger.apply(two_changes()));
  EXPECT_FALSE(ledger.apply(two_changes()));
  EXPECT_FALSE(ledger.apply(Settled{{true}}));
  EXPECT_TRUE(ledger.apply(Settled{{true, true}}));
}

TEST(StorageLedger, CanBeMadeAgainOfItsRecords) {
  StorageLedger ledger;
  auto all = one_of_each();
  all.pop_back();  // with a batch in flight
  for (const auto& record : all) ASSERT_TRUE(ledger.apply(record));
  StorageLedger again;
  for (const auto& record : records_of(ledger)) ASSERT_TRUE(again.apply(record));
  EXPECT_EQ(records_of(again), records_of(ledger));
  EXPECT_EQ(again.in_flight(), two_changes());
  EXPECT_EQ(again.next_sequence(), 4u);
}

TEST(StorageLedger, KnowsWhatTheDeviceIsNamedNow) {
  FileVersion moved = kOld;
  moved.device = 99;  // another number, as after a reboot
  EXPECT_TRUE(moved.is_same(kOld));
  for (auto change : {&FileVersion::inode, &FileVersion::size}) {
    FileVersion other = kOld;
    ++(other.*change);
    EXPECT_FALSE(other.is_same(kOld));
  }
}

TEST(LedgerRecord, IsReadAsItWasWritten) {
  for (const auto& record : one_of_each()) {
    const auto read = decode_ledger_record(encode(record));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, record);
  }
}

TEST(LedgerRecord, ThatIsCutOffOrJunkIsRefused) {
  for (const auto& record : one_of_each()) {
    const std::string bytes = encode(record);
    if (std::holds_alternative<Settled>(record)) continue;  // any number of answers will do
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      EXPECT_FALSE(decode_ledger_record(std::string_view(bytes).substr(0, n))) << n;
    }
    EXPECT_FALSE(decode_ledger_record(bytes + "x"));
  }
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string junk(random() % 80, '\0');
    for (char& c : junk) c = static_cast<char>(random());
    if (!junk.empty()) junk[0] = static_cast<char>(random() % 9);
    const auto read = decode_ledger_record(junk);
    if (read) {
      EXPECT_EQ(encode(*read), junk);
    }
  }
}

class StorageLedgerOnDisk : public ::testing::Test {
 protected:
  struct Opened {
    StorageLedger ledger;
    std::optional<StorageLedgerFile> file;
    std::string refusal;
  };
  Opened open() {
    Opened opened;
    auto file = StorageLedgerFile::open(path, opened.ledger);
    if (file) {
      opened.file.emplace(*std::move(file));
    } else {
      opened.refusal = file.error().message;
    }
    return opened;
  }
  void write(Opened& opened, const std::vector<LedgerRecord>& records) {
    for (const auto& record : records) ASSERT_TRUE(opened.ledger.apply(record));
    ASSERT_TRUE(opened.file->append(records, Sync::kYes));
  }

  test::TempDir dir;
  std::string path = dir.file("photos.ledger");
};

TEST_F(StorageLedgerOnDisk, IsThereAgainAfterARestart) {
  std::vector<LedgerRecord> before;
  {
    auto opened = open();
    ASSERT_TRUE(opened.file) << opened.refusal;
    EXPECT_TRUE(opened.ledger.publisher().starts_with("lasting-"));
    write(opened, one_of_each());
    before = records_of(opened.ledger);
  }
  auto again = open();
  ASSERT_TRUE(again.file) << again.refusal;
  EXPECT_EQ(records_of(again.ledger), before);
  EXPECT_EQ(again.file->bytes_cut(), 0u);
}

TEST_F(StorageLedgerOnDisk, BelongsToOneWatcherAtATime) {
  auto opened = open();
  EXPECT_THAT(open().refusal, HasSubstr("another watcher"));
  opened.file.reset();
  EXPECT_TRUE(open().file);
}

// Wherever a crash cuts it, what stood before is there, and what comes then does not use a name
// again under which something may have been published.
TEST_F(StorageLedgerOnDisk, IsCutWhereItsEndIsDamaged) {
  std::string publisher;
  std::uint64_t whole = 0;
  {
    auto opened = open();
    write(opened, {Noted{"a", kNew}});
    whole = opened.file->bytes();
    write(opened, {Noted{"b", kNew}});
    publisher = opened.ledger.publisher();
  }
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (std::size_t n = whole + 1; n < bytes.size(); ++n) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, n);
    auto opened = open();
    ASSERT_TRUE(opened.file) << opened.refusal;
    EXPECT_EQ(opened.file->bytes_cut(), n - whole);
    EXPECT_NE(opened.ledger.find("a"), nullptr);
    EXPECT_EQ(opened.ledger.find("b"), nullptr);
    EXPECT_NE(opened.ledger.publisher(), publisher);
    opened.file.reset();
    EXPECT_EQ(open().file->bytes_cut(), 0u);
  }
  for (std::size_t n = whole; n < bytes.size(); ++n) {
    std::string damaged = bytes;
    damaged[n] ^= 0x10;
    std::ofstream(path, std::ios::binary) << damaged;
    auto opened = open();
    ASSERT_TRUE(opened.file) << opened.refusal;
    EXPECT_EQ(opened.ledger.find("b"), nullptr);
  }
}

TEST_F(StorageLedgerOnDisk, ABatchInDoubtKeepsItsNameThroughDamage) {
  std::string publisher;
  {
    auto opened = open();
    publisher = opened.ledger.publisher();
    auto batch = two_changes();
    batch.publisher = publisher;
    write(opened, {batch});
  }
  std::ofstream(path, std::ios::binary | std::ios::app) << "torn";
  auto opened = open();
  ASSERT_TRUE(opened.file) << opened.refusal;
  EXPECT_EQ(opened.ledger.in_flight()->publisher, publisher);
  EXPECT_EQ(opened.ledger.in_flight()->sequence, 3u);
  EXPECT_NE(opened.ledger.publisher(), publisher);
  EXPECT_EQ(opened.ledger.next_sequence(), 1u);
}

TEST_F(StorageLedgerOnDisk, ThatIsSomethingElseIsLeftAlone) {
  std::ofstream(path) << "my diary, dear reader";
  EXPECT_THAT(open().refusal, HasSubstr("is not a storage ledger"));
  EXPECT_EQ(std::filesystem::file_size(path), 21u);
}

TEST_F(StorageLedgerOnDisk, IsWrittenAnewBeforeItGrowsWithoutBound) {
  auto opened = open();
  std::uint64_t largest = 0;
  int rewrites = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Noted noted{"file " + std::to_string(i % 100), {1, static_cast<std::uint64_t>(i), 2, 3}};
    ASSERT_TRUE(opened.ledger.apply(noted));
    ASSERT_TRUE(opened.file->append(std::vector<LedgerRecord>{noted}, Sync::kNo));
    largest = std::max(largest, opened.file->bytes());
    if (!opened.file->wants_rewrite(opened.ledger)) continue;
    ASSERT_TRUE(opened.file->rewrite(opened.ledger));
    ++rewrites;
  }
  EXPECT_GE(rewrites, 3);
  EXPECT_LT(largest, 2u << 20);
  const auto before = records_of(opened.ledger);
  opened.file.reset();
  EXPECT_EQ(records_of(open().ledger), before);
}

}  // namespace
}  // namespace fanfare::triggers
