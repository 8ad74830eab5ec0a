#include "cli/log_source.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;

class LogSourceTest : public ::testing::Test {
 protected:
  void append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  static std::string line(int number) {
    return "2026-11-28T06:12:01.123Z info fanfare-worker: OUTPUT event=1-0.0 function=f "
           "attempt=1: " +
           std::to_string(number) + "\n";
  }
  std::vector<std::string> read() {
    std::vector<std::string> texts;
    const auto done = source_.read([&](LogEntry entry) {
      EXPECT_EQ(entry.worker, "w");
      texts.push_back(entry.text);
    });
    EXPECT_TRUE(done);
    return texts;
  }
  using Texts = std::vector<std::string>;

  test::TempDir dir_;
  const std::string path_ = dir_.file("worker-1.log");
  LogSource source_{"w", path_};
};

TEST_F(LogSourceTest, ReadsWhatIsThereThenWhatIsAdded) {
  append(line(1) + "something else\n" + line(2));
  EXPECT_EQ(read(), (Texts{"1", "2"}));
  EXPECT_EQ(read(), Texts{});
  append(line(3).substr(0, 50));
  EXPECT_EQ(read(), Texts{}) << "half a line waits for its end";
  append(line(3).substr(50) + line(4));
  EXPECT_EQ(read(), (Texts{"3", "4"}));
}

TEST_F(LogSourceTest, GoesOnInTheNewFileWhenTheOldWasRenamed) {
  append(line(1));
  EXPECT_EQ(read(), Texts{"1"});
  append(line(2));
  fs::rename(path_, path_ + ".1");
  append(line(3));
  EXPECT_EQ(read(), (Texts{"2", "3"}));
  fs::rename(path_, path_ + ".1");  // and nothing new has been written yet
  EXPECT_EQ(read(), Texts{});
  append(line(4));
  EXPECT_EQ(read(), Texts{"4"});
}

TEST_F(LogSourceTest, TheOlderFileComesFirst) {
  append(line(1));
  fs::rename(path_, path_ + ".1");
  append(line(2));
  EXPECT_EQ(read(), (Texts{"1", "2"}));
}

TEST_F(LogSourceTest, AFileThatSomebodyCutToNothingBeginsAgain) {
  append(line(1) + line(2));
  EXPECT_EQ(read(), (Texts{"1", "2"}));
  fs::resize_file(path_, 0);
  append(line(3));
  EXPECT_EQ(read(), Texts{"3"});
}

TEST_F(LogSourceTest, SaysWhichFileIsNotThere) {
  const auto read = source_.read([](LogEntry) {});
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find(path_), std::string::npos);
}

}  // namespace
}  // namespace fanfare::cli
