#include "triggers/directory_watches.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/temp_dir.h"

namespace fanfare::triggers {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using What = DirectoryNews::What;

class DirectoryWatchesTest : public ::testing::Test {
 protected:
  void watch(const std::string& path) {
    fs::create_directories(root / path);
    const std::string whole = root / path;
    const int fd = open(whole.c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(watches.watch(path, fd));
    close(fd);
  }
  void write(const std::string& path) { std::ofstream(root / path) << "x"; }
  std::vector<std::string> told() {
    static const std::map<What, std::string> kWords{{What::kAppeared, "appeared "},
                                                    {What::kClosed, "closed "},
                                                    {What::kGone, "gone "},
                                                    {What::kDirectoryAppeared, "directory "},
                                                    {What::kDirectoryGone, "directory gone "},
                                                    {What::kRootGone, "root gone"},
                                                    {What::kLost, "lost"}};
    std::vector<std::string> all;
    while (watches.read(
        [&](const DirectoryNews& news) { all.push_back(kWords.at(news.what) + news.path); })) {
    }
    return all;
  }

  test::TempDir dir;
  const fs::path root = dir.path() / "bucket";
  DirectoryWatches watches = *DirectoryWatches::open();
};

TEST_F(DirectoryWatchesTest, TellWhatHappensToFiles) {
  watch("");
  watch("d");
  told();
  write("a");
  EXPECT_THAT(told(), ElementsAre("appeared a", "closed a"));
  fs::rename(root / "a", root / "d/b");
  EXPECT_THAT(told(), ElementsAre("gone a", "closed d/b"));
  fs::create_hard_link(root / "d/b", root / "c");
  EXPECT_THAT(told(), ElementsAre("appeared c"));
  fs::remove(root / "d/b");
  EXPECT_THAT(told(), ElementsAre("gone d/b"));
}

TEST_F(DirectoryWatchesTest, TellOfDirectoriesAndForgetThoseThatAreGone) {
  watch("");
  fs::create_directory(root / "d");
  EXPECT_THAT(told(), ElementsAre("directory d"));
  watch("d");
  EXPECT_EQ(watches.size(), 2u);
  fs::remove(root / "d");
  EXPECT_THAT(told(), ElementsAre("directory gone d"));
  EXPECT_EQ(watches.size(), 1u);
}

TEST_F(DirectoryWatchesTest, FollowADirectoryOnlyUnderTheNameThatItWasWatchedBy) {
  watch("");
  watch("d");
  watch("d/e");
  watch("dd");
  told();
  fs::rename(root / "d", root / "f");
  EXPECT_THAT(told(), ElementsAre("directory gone d", "directory f"));
  watches.unwatch_below("d");
  EXPECT_EQ(watches.size(), 2u);
  write("f/x");
  write("f/e/y");
  EXPECT_THAT(told(), IsEmpty()) << "under no name of old";
  watch("f");
  watch("f/e");
  write("f/e/y");
  EXPECT_THAT(told(), ElementsAre("closed f/e/y"));
}

TEST_F(DirectoryWatchesTest, TellUnderTheNewNameIfADirectoryIsWatchedAgain) {
  watch("");
  watch("d");
  fs::rename(root / "d", root / "f");
  watch("f");  // the same directory
  EXPECT_EQ(watches.size(), 2u);
  told();
  write("f/x");
  EXPECT_THAT(told(), ElementsAre("appeared f/x", "closed f/x"));
}

TEST_F(DirectoryWatchesTest, TellWhenTheRootGoes) {
  watch("");
  fs::rename(root, dir.path() / "moved");
  EXPECT_THAT(told(), ElementsAre("root gone"));
  fs::remove_all(dir.path() / "moved");
  EXPECT_THAT(told(), ElementsAre("root gone"));
}

// The kernel's own queue: 16,384 events unless the system says otherwise.
TEST_F(DirectoryWatchesTest, TellWhenTheKernelHasLostNews) {
  std::size_t queue = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> queue;
  if (queue == 0 || queue > 100'000) GTEST_SKIP() << "the kernel's queue has " << queue;
  watch("");
  const std::string a = root / "a", b = root / "b";
  write("a");
  for (std::size_t i = 0; i < queue / 2 + 10; ++i) {
    ASSERT_EQ(rename(a.c_str(), b.c_str()), 0);
    ASSERT_EQ(rename(b.c_str(), a.c_str()), 0);
  }
  EXPECT_THAT(told(), Contains("lost"));
}

}  // namespace
}  // namespace fanfare::triggers
