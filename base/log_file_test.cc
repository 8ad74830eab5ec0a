#include "base/log_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

std::string all_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(LogFile, BeginsAnewWhenItIsFullAndLosesNoLine) {
  test::TempDir dir;
  const std::string path = dir.file("w.log");
  auto sink = LogFile::open(path, 1000);
  ASSERT_TRUE(sink);
  spdlog::logger logger("w", *sink);
  logger.set_pattern("%v");
  std::string expected;
  std::size_t renamed = 0;
  for (int i = 0; i < 250; ++i) {
    logger.info("line {:04}", i);
    expected += fmt::format("line {:04}\n", i);
    if (all_of(path).empty()) ++renamed;
  }
  EXPECT_EQ(renamed, 2u);
  const std::string kept = all_of(path + ".1") + all_of(path);
  EXPECT_GE(kept.size(), 1000u);
  EXPECT_TRUE(expected.ends_with(kept)) << "the last lines, in order and whole";
}

TEST(LogFile, GoesOnWhereAnEarlierProcessStopped) {
  test::TempDir dir;
  const std::string path = dir.file("w.log");
  std::ofstream(path) << std::string(990, 'x') << '\n';
  auto sink = LogFile::open(path, 1000);
  ASSERT_TRUE(sink);
  spdlog::logger logger("w", *sink);
  logger.set_pattern("%v");
  logger.info("the line that fills it");
  EXPECT_EQ(all_of(path), "");
  EXPECT_TRUE(all_of(path + ".1").ends_with("x\nthe line that fills it\n"));
}

TEST(LogFile, TakesStandardErrorAlongOnlyIfItGoesToTheSameFile) {
  test::TempDir dir;
  const std::string path = dir.file("w.log");
  const int saved_out = ::dup(STDOUT_FILENO), saved_err = ::dup(STDERR_FILENO);
  auto sink = LogFile::open(path, 10);
  ASSERT_TRUE(sink);
  const int same = ::open(path.c_str(), O_WRONLY | O_APPEND);
  const int other = ::open(dir.file("other").c_str(), O_WRONLY | O_CREAT, 0600);
  ::dup2(same, STDERR_FILENO);
  ::dup2(other, STDOUT_FILENO);
  spdlog::logger("w", *sink).info("long enough to fill it");
  const bool wrote =
      ::write(STDERR_FILENO, "err\n", 4) == 4 && ::write(STDOUT_FILENO, "out\n", 4) == 4;
  ::dup2(saved_out, STDOUT_FILENO);
  ::dup2(saved_err, STDERR_FILENO);
  for (const int fd : {saved_out, saved_err, same, other}) ::close(fd);
  EXPECT_TRUE(wrote);
  EXPECT_EQ(all_of(path), "err\n");
  EXPECT_EQ(all_of(dir.file("other")), "out\n");
}

TEST(LogFile, SaysWhichFileItCannotOpen) {
  const auto sink = LogFile::open("/nowhere/at/all.log", 0);
  ASSERT_FALSE(sink);
  EXPECT_NE(sink.error().message.find("/nowhere/at/all.log"), std::string::npos);
}

}  // namespace
}  // namespace fanfare
