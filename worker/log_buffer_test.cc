#include "worker/log_buffer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fanfare::worker {
namespace {

class LogBufferTest : public ::testing::Test {
 protected:
  LogBuffer log_ = std::move(LogBuffer::create()).value();

  void print(std::string_view text) {
    ASSERT_EQ(::write(log_.memfd(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::uint64_t resident_bytes() const {
    struct stat status{};
    ::fstat(log_.memfd(), &status);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
};

TEST_F(LogBufferTest, ReadsARange) {
  print("first second");
  EXPECT_EQ(log_.tail({6, 12}).text, "second");
  EXPECT_FALSE(log_.tail({6, 12}).truncated);
}

TEST_F(LogBufferTest, KeepsTheEndOfALongRangeAndSaysSo) {
  print("0123456789");
  const auto tail = log_.tail({0, 10}, 4);
  EXPECT_EQ(tail.text, "6789");
  EXPECT_TRUE(tail.truncated);
}

TEST_F(LogBufferTest, ReadsNoFurtherThanWhatIsThere) {
  print("short");
  EXPECT_EQ(log_.tail({0, ~0ull}).text, "short");
  EXPECT_EQ(log_.tail({10, 20}).text, "");
  EXPECT_EQ(log_.tail({4, 2}).text, "");
}

TEST_F(LogBufferTest, AppendsAlsoAfterItStartedAfresh) {
  print("old");
  ASSERT_EQ(::ftruncate(log_.memfd(), 0), 0);
  log_.restarted();
  print("new");
  EXPECT_EQ(log_.tail({0, 100}).text, "new");
}

TEST_F(LogBufferTest, GivesPagesBackOnceItHasGrownLarge) {
  const std::string line(4096, 'x');
  for (int i = 0; i < 512; ++i) print(line);
  print("the end");
  log_.trim();
  EXPECT_LE(resident_bytes(), LogBuffer::kKeptBytes + 2 * 4096);
  EXPECT_EQ(log_.tail({0, log_.size()}, 7).text, "the end");
  const auto gone = log_.tail({0, 4096});
  EXPECT_EQ(gone.text, "");
  EXPECT_TRUE(gone.truncated);
}

TEST_F(LogBufferTest, LeavesASmallOneAlone) {
  print(std::string(100'000, 'x'));
  const std::uint64_t before = resident_bytes();
  log_.trim();
  EXPECT_EQ(resident_bytes(), before);
}

}  // namespace
}  // namespace fanfare::worker
