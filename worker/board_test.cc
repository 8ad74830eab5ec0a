#include "worker/board.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

namespace fanfare::worker {
namespace {

using protocol::Outcome;

// A worker's board and the instance's view of the same memory.
class BoardTest : public ::testing::Test {
 protected:
  Board worker_ = std::move(Board::create()).value();
  Board instance_ = std::move(Board::attach(worker_.memfd())).value();

  struct Entry {
    ResultHeader header;
    std::string payload;
  };
  std::optional<Entry> read(std::size_t sheet, std::size_t& offset) const {
    Entry entry;
    if (!worker_.read(sheet, offset, entry.header, entry.payload)) return std::nullopt;
    return entry;
  }

  void finish(std::size_t sheet, std::uint32_t item, std::string_view data) {
    instance_.begin_item(sheet, 1000);
    instance_.finish_item(sheet, {.item = item, .data_size = data.size()}, {.data = data});
  }
};

TEST_F(BoardTest, ShowsNothingOfABatchThatHasNotBegun) {
  instance_.begin_batch(0, 1, 1);
  EXPECT_FALSE(worker_.counts(0, 2));
  EXPECT_TRUE(worker_.counts(0, 1));
}

TEST_F(BoardTest, WhatIsRecalledIsNotStartedAndWhatIsStartedNotRecalled) {
  EXPECT_TRUE(instance_.begin_batch(0, 5, 3));
  EXPECT_TRUE(instance_.begin_item(0, 1));
  EXPECT_EQ(worker_.recall(0, 5), 1u);
  EXPECT_FALSE(instance_.begin_item(0, 2));
  EXPECT_EQ(worker_.counts(0, 5)->started, 1u);
  EXPECT_TRUE(instance_.begin_batch(0, 6, 1)) << "the next one";
  EXPECT_TRUE(instance_.begin_item(0, 3));
}

TEST_F(BoardTest, ABatchThatIsRecalledBeforeItBeginsNeverDoes) {
  EXPECT_TRUE(instance_.begin_batch(0, 1, 1));
  EXPECT_EQ(worker_.recall(1, 2), 0u);
  EXPECT_EQ(worker_.recall(1, 4), 0u) << "a younger one on the same sheet";
  EXPECT_FALSE(instance_.begin_batch(1, 2, 8));
  EXPECT_FALSE(instance_.begin_batch(1, 4, 8));
  EXPECT_TRUE(instance_.begin_batch(1, 6, 8));
}

TEST_F(BoardTest, EachItemIsStartedOrRecalledHoweverTheTwoMeet) {
  constexpr std::uint32_t kItems = 200;
  for (std::uint64_t batch = 1; batch <= 500; ++batch) {
    ASSERT_TRUE(instance_.begin_batch(0, batch, kItems));
    std::uint32_t started = 0;
    std::thread instance([&] {
      while (started < kItems && instance_.begin_item(0, 1)) ++started;
    });
    const std::uint32_t kept = worker_.recall(0, batch);
    instance.join();
    ASSERT_EQ(started, kept);
  }
}

TEST_F(BoardTest, CarriesResultsInOrder) {
  instance_.begin_batch(0, 7, 2);
  finish(0, 0, "first");
  finish(0, 1, "");

  const auto counts = worker_.counts(0, 7);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->finished, 2u);
  std::size_t offset = 0;
  const auto first = read(0, offset);
  ASSERT_TRUE(first);
  EXPECT_EQ(split(first->header, first->payload).data, "first");
  const auto second = read(0, offset);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->header.item, 1u);
  EXPECT_TRUE(second->payload.empty());
}

TEST_F(BoardTest, SplitsTheTextsOfAFailure) {
  instance_.begin_batch(1, 1, 1);
  instance_.begin_item(1, 5);
  instance_.finish_item(1, {.outcome = Outcome::kFunctionError, .type_size = 4, .message_size = 7},
                        {.type = "Type", .message = "message"});
  std::size_t offset = 0;
  const auto entry = read(1, offset);
  ASSERT_TRUE(entry);
  const ResultTexts texts = split(entry->header, entry->payload);
  EXPECT_EQ(texts.type, "Type");
  EXPECT_EQ(texts.message, "message");
  EXPECT_EQ(texts.data, "");
}

TEST_F(BoardTest, SaysWhichItemRunsAndSinceWhen) {
  instance_.begin_batch(0, 1, 2);
  finish(0, 0, "x");
  instance_.begin_item(0, 123456);
  const auto counts = worker_.counts(0, 1);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->started, 2u);
  EXPECT_EQ(counts->finished, 1u);
  EXPECT_EQ(counts->started_at, TimePoint(Duration(123456)));
}

TEST_F(BoardTest, KeepsRoomForTheHeadersOfItemsToCome) {
  const std::string large(kInlineResultMax, 'x');
  instance_.begin_batch(0, 1, kBatchItemsMax);
  ASSERT_TRUE(instance_.fits(0, large.size()));
  finish(0, 0, large);
  EXPECT_FALSE(instance_.fits(0, large.size()));
  // Nothing but headers from here on, up to the last item.
  for (std::uint32_t item = 1; item < kBatchItemsMax; ++item) {
    ASSERT_TRUE(instance_.fits(0, 0));
    instance_.begin_item(0, 1);
    instance_.finish_item(
        0, {.item = item, .flags = ResultHeader::kInMemfd, .data_size = large.size()}, {});
  }
  std::size_t offset = 0;
  for (std::uint32_t item = 0; item < kBatchItemsMax; ++item) {
    const auto entry = read(0, offset);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->header.item, item);
  }
}

TEST_F(BoardTest, RefusesALargerResultThanTheInlineLimit) {
  instance_.begin_batch(0, 1, 1);
  EXPECT_TRUE(instance_.fits(0, kInlineResultMax));
  EXPECT_FALSE(instance_.fits(0, kInlineResultMax + 1));
}

TEST_F(BoardTest, CarriesProgressUntilItIsCleared) {
  EXPECT_FALSE(worker_.progress());
  instance_.set_progress(0.25, "a quarter");
  const auto progress = worker_.progress();
  ASSERT_TRUE(progress);
  EXPECT_DOUBLE_EQ(progress->fraction, 0.25);
  EXPECT_EQ(progress->note, "a quarter");
  instance_.clear_progress();
  EXPECT_FALSE(worker_.progress());
}

TEST_F(BoardTest, KeepsProgressWithinItsBounds) {
  instance_.set_progress(17.0, std::string(1000, 'n'));
  EXPECT_DOUBLE_EQ(worker_.progress()->fraction, 1.0);
  EXPECT_EQ(worker_.progress()->note.size(), kProgressNoteMax);
  instance_.set_progress(0.0 / 0.0, "");
  EXPECT_DOUBLE_EQ(worker_.progress()->fraction, 0.0);
}

TEST_F(BoardTest, CannotBeShrunkUnderItsReader) {
  EXPECT_NE(::ftruncate(worker_.memfd(), 0), 0);
  EXPECT_NE(::fcntl(worker_.memfd(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

// Whatever foreign code writes there, reading stays within the area.
TEST_F(BoardTest, RejectsHeadersThatPointOffTheBoard) {
  const auto write_header = [&](std::size_t at, const ResultHeader& header) {
    ASSERT_EQ(::pwrite(worker_.memfd(), &header, sizeof header, static_cast<off_t>(4096 + at)),
              static_cast<ssize_t>(sizeof header));
  };
  std::size_t offset = 0;
  write_header(0, {.data_size = ~0ull});
  EXPECT_FALSE(read(0, offset));
  write_header(0, {.data_size = kInlineResultMax + 1});
  EXPECT_FALSE(read(0, offset));
  EXPECT_EQ(offset, 0u);

  offset = kSheetBytes - sizeof(ResultHeader);
  write_header(offset, {.content_type_size = 1});
  EXPECT_FALSE(read(0, offset));
  offset = kSheetBytes - 8;
  EXPECT_FALSE(read(0, offset));
}

TEST(Board, RefusesAMemfdOfAnotherSizeOrLayout) {
  const Fd other(::memfd_create("other", MFD_CLOEXEC));
  for (const off_t size : {off_t{0}, static_cast<off_t>(4096 + kSheets * kSheetBytes)}) {
    ASSERT_EQ(::ftruncate(other.get(), size), 0);
    const auto board = Board::attach(other.get());
    ASSERT_FALSE(board);
    EXPECT_NE(board.error().message.find("not of one build"), std::string::npos);
  }
}

}  // namespace
}  // namespace fanfare::worker
