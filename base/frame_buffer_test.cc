#include "base/frame_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace fanfare {
namespace {

constexpr std::size_t kMiB = 1 << 20;

TEST(FrameBuffer, PutsTheFrameTogetherFromPieces) {
  FrameBuffer buffer;
  buffer.begin(11);
  buffer.append("hello");
  EXPECT_FALSE(buffer.whole());
  const std::string_view rest = " world";
  std::copy(rest.begin(), rest.end(), buffer.room().begin());
  buffer.came(rest.size());
  EXPECT_TRUE(buffer.whole());
  EXPECT_EQ(buffer.frame(), "hello world");
}

TEST(FrameBuffer, OffersRoomForWhatIsMissingAlone) {
  FrameBuffer buffer;
  buffer.begin(100);
  EXPECT_EQ(buffer.room().size(), 100u);
  buffer.append(std::string(99, 'x'));
  EXPECT_EQ(buffer.room().size(), 1u);
}

TEST(FrameBuffer, TakesLittleForALargeFrameThatHasNotCome) {
  FrameBuffer buffer;
  buffer.begin(16 * kMiB);
  EXPECT_LE(buffer.room().size(), kMiB);
  EXPECT_LE(buffer.capacity(), kMiB);
}

TEST(FrameBuffer, GrowsWithALargeFrameAndKeepsWhatHasCome) {
  std::string large(16 * kMiB, '\0');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i * 2654435761u >> 24);
  FrameBuffer buffer;
  buffer.begin(large.size());
  std::size_t at = 0;
  while (!buffer.whole()) {
    const auto room = buffer.room();
    ASSERT_FALSE(room.empty());
    std::copy_n(large.begin() + static_cast<std::ptrdiff_t>(at), room.size(), room.begin());
    buffer.came(room.size());
    at += room.size();
    EXPECT_LE(buffer.capacity(), std::max(2 * at, kMiB));
  }
  EXPECT_TRUE(buffer.frame() == large);
  EXPECT_EQ(buffer.capacity(), large.size());
}

FrameBuffer frame_of(FrameBuffers& buffers, std::size_t bytes) {
  FrameBuffer one = buffers.take(bytes);
  one.begin(bytes);
  one.append(std::string(bytes, 'x'));
  return one;
}

TEST(FrameBuffers, GiveTheMemoryOfAnEarlierFrameToTheNext) {
  FrameBuffers buffers;
  FrameBuffer first = frame_of(buffers, 300'000);
  const char* const memory = first.frame().data();
  buffers.give_back(std::move(first));
  FrameBuffer second = buffers.take(100'000);
  second.begin(200'000);
  second.append("second");
  EXPECT_EQ(second.frame().data(), memory);
  EXPECT_EQ(second.frame(), "second");
}

TEST(FrameBuffers, GiveNoneToAFrameThatHasHardlyCome) {
  FrameBuffers buffers;
  buffers.give_back(frame_of(buffers, 300'000));
  EXPECT_EQ(buffers.take(FrameBuffers::kSpareFrom - 1).capacity(), 0u);
  EXPECT_EQ(buffers.take(FrameBuffers::kSpareFrom).capacity(), 300'000u);
}

TEST(FrameBuffers, KeepNoMoreThanTheyMay) {
  FrameBuffers buffers;
  buffers.give_back(frame_of(buffers, 5 * kMiB));
  EXPECT_EQ(buffers.take(kMiB).capacity(), 0u) << "too large alone";
  buffers.give_back(frame_of(buffers, 1000));
  EXPECT_EQ(buffers.take(kMiB).capacity(), 0u) << "not worth it";
  for (int i = 0; i < 3; ++i) {
    FrameBuffer one;
    one.begin(3 * kMiB / 2);
    one.append(std::string(3 * kMiB / 2, 'x'));
    buffers.give_back(std::move(one));
  }
  EXPECT_GT(buffers.take(kMiB).capacity(), 0u);
  EXPECT_GT(buffers.take(kMiB).capacity(), 0u);
  EXPECT_EQ(buffers.take(kMiB).capacity(), 0u) << "the third was beyond what they keep";
}

TEST(FrameBuffer, LeavesNothingBehindWhereItWasMovedFrom) {
  FrameBuffer from;
  from.begin(3);
  from.append("one");
  const FrameBuffer to = std::move(from);
  EXPECT_EQ(to.frame(), "one");
  // NOLINTNEXTLINE(bugprone-use-after-move): what a move leaves behind is what this test is about.
  EXPECT_EQ(from.frame(), "");
  EXPECT_EQ(from.capacity(), 0u);
}

}  // namespace
}  // namespace fanfare
