#include "base/trace_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

TEST(TraceFile, HasWhatWasNotedWhileItIsStillBeingWritten) {
  const test::TempDir folder;
  auto first = TraceFile::create(folder.path(), "broker");
  ASSERT_TRUE(first) << first.error().message;
  (*first)->note({.high = 7, .low = 8, .point = 3, .at_ns = 42});
  (*first)->note({.high = 7, .low = 9, .point = 1, .at_ns = 41});
  const auto records = TraceFile::read_all(folder.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].low, 8u);
  EXPECT_EQ(records[0].point, 3u);
  EXPECT_EQ(records[0].at_ns, 42);
  EXPECT_EQ(records[1].low, 9u);
}

TEST(TraceFile, TakesNoMoreThanItsBound) {
  const test::TempDir folder;
  auto file = TraceFile::create(folder.path(), "worker");
  ASSERT_TRUE(file) << file.error().message;
  for (std::size_t i = 0; i < TraceFile::kRecordsMax + 5; ++i) {
    (*file)->note({.high = i, .low = 0, .point = 1, .at_ns = 0});
  }
  EXPECT_EQ(TraceFile::read_all(folder.path()).size(), TraceFile::kRecordsMax);
}

TEST(TraceFile, LeavesOutWhatIsNoTraceAndEndsWhereAFileIsCutOff) {
  const test::TempDir folder;
  std::ofstream(folder.file("notes.txt")) << "no trace, but longer than a record of one has to be";
  std::ofstream(folder.file("cut.trace")) << "short";
  EXPECT_TRUE(TraceFile::read_all(folder.path()).empty());
  EXPECT_TRUE(TraceFile::read_all(folder.file("none")).empty());
}

TEST(TraceFile, SaysWhyItCannotBeMade) {
  const auto file = TraceFile::create("/nowhere/at/all", "worker");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("/nowhere/at/all/worker."), std::string::npos);
}

}  // namespace
}  // namespace fanfare
