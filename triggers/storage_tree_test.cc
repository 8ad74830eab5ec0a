#include "triggers/storage_tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/support/temp_dir.h"

namespace fanfare::triggers {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class StorageTreeTest : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text = "hello") {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  Look look(const std::string& path) { return tree().look(path, nullptr); }
  StorageTree& tree() {
    if (!tree_) tree_.emplace(*StorageTree::open(root));
    return *tree_;
  }
  std::set<std::string> scan(const std::string& from = "") {
    const StorageNames names("b", {".*", "*.part"});
    std::set<std::string> found;
    StorageScan scan(tree(), names,
                     {[&](const std::string& path, int) { found.insert(path + '/'); },
                      [&](const std::string& path, const FileVersion&) { found.insert(path); },
                      [&](const std::string& path, int) { found.insert("?" + path); }});
    scan.add(from);
    while (!scan.done()) scan.step(2);
    return found;
  }

  test::TempDir dir;
  const fs::path root = [this] {
    fs::create_directory(dir.path() / "bucket");
    return dir.path() / "bucket";
  }();
  std::optional<StorageTree> tree_;
};

TEST_F(StorageTreeTest, SeesAFileAndWhetherItIsAnotherVersion) {
  write("a");
  const Look first = look("a");
  EXPECT_EQ(first.state, Look::State::kFile);
  EXPECT_EQ(first.version.size, 5u);
  EXPECT_EQ(first.writers, Look::Writers::kNone);
  EXPECT_TRUE(look("a").version.is_same(first.version));
  write("b");
  fs::rename(root / "b", root / "a");
  EXPECT_FALSE(look("a").version.is_same(first.version)) << "replaced by another file of that size";
}

TEST_F(StorageTreeTest, TellsWhetherSomebodyWrites) {
  write("a");
  const std::string path = root / "a";
  const int writer = ::open(path.c_str(), O_WRONLY);
  EXPECT_EQ(look("a").writers, Look::Writers::kSome);
  close(writer);
  EXPECT_EQ(look("a").writers, Look::Writers::kNone);
  const int reader = ::open(path.c_str(), O_RDONLY);
  EXPECT_EQ(look("a").writers, Look::Writers::kNone);
  close(reader);

  // A shared mapping writes on when its descriptor is closed.
  const int mapped = ::open(path.c_str(), O_RDWR);
  void* memory = mmap(nullptr, 5, PROT_WRITE, MAP_SHARED, mapped, 0);
  close(mapped);
  EXPECT_EQ(look("a").writers, Look::Writers::kSome);
  munmap(memory, 5);
  EXPECT_EQ(look("a").writers, Look::Writers::kNone);
}

TEST_F(StorageTreeTest, SeesNothingWhereThereIsNoRegularFile) {
  fs::create_directory(root / "directory");
  write("file");
  fs::create_symlink("file", root / "link");
  ASSERT_EQ(mkfifo((root / "fifo").c_str(), 0600), 0);
  for (const char* path : {"directory", "link", "fifo", "none", "none/x", "file/x"}) {
    EXPECT_EQ(look(path).state, Look::State::kAbsent) << path;
  }
}

TEST_F(StorageTreeTest, ReachesNothingOutside) {
  std::ofstream(dir.path() / "secret") << "x";
  fs::create_directory(dir.path() / "elsewhere");
  std::ofstream(dir.path() / "elsewhere/file") << "x";
  fs::create_directory_symlink(dir.path() / "elsewhere", root / "link");
  EXPECT_EQ(look("link/file").state, Look::State::kAbsent);
  EXPECT_EQ(look("../secret").state, Look::State::kAbsent);
  EXPECT_THAT(scan(), ElementsAre("/"));
  EXPECT_THAT(scan("link"), IsEmpty());
}

TEST_F(StorageTreeTest, ReadsAllThatLiesBelowWithoutWhatIsIgnored) {
  for (const char* path : {"a", "d/b", "d/e/c", "d/x.part", ".hidden", ".git/config", "x.part/y"}) {
    write(path);
  }
  write(std::string("not\xFFtext"));
  EXPECT_THAT(scan(), UnorderedElementsAre("/", "a", "d/", "d/b", "d/e/", "d/e/c",
                                           std::string("not\xFFtext")));
  EXPECT_THAT(scan("d/e"), UnorderedElementsAre("d/e/", "d/e/c"));
  EXPECT_THAT(scan("none"), IsEmpty());
}

TEST_F(StorageTreeTest, ReachesPathsLongerThanTheKernelTakesAtOnce) {
  fs::path deep = root;
  const std::string part(100, 'd');
  std::string relative;
  fs::current_path(root);
  for (int i = 0; i < 9; ++i) relative += (i ? "/" : "") + part;
  write(relative + "/file");
  EXPECT_TRUE(scan().contains(relative + "/file"));
  EXPECT_EQ(look(relative + "/file").state, Look::State::kFile);
  EXPECT_EQ(look(std::string(5000, 'x')).state, Look::State::kAbsent);
  fs::current_path("/");
}

TEST_F(StorageTreeTest, KnowsWhetherItsPathStillLeadsToIt) {
  EXPECT_TRUE(tree().still_in_place());
  fs::rename(root, dir.path() / "moved");
  EXPECT_FALSE(tree().still_in_place());
  fs::create_directory(root);
  EXPECT_FALSE(tree().still_in_place());
  EXPECT_FALSE(tree().is_deleted());
  fs::remove(dir.path() / "moved");
  EXPECT_TRUE(tree().is_deleted());
}

// What the watcher may not read it cannot ask for writers, and says so; it is not gone.
TEST_F(StorageTreeTest, TellsWhatItMayNotReadFromWhatIsNotThere) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  write("theirs");
  write("closed/inside");
  ::chmod(dir.path().c_str(), 0755);
  ::chmod((root / "theirs").c_str(), 0600);
  ::chmod((root / "closed").c_str(), 0700);
  tree();
  ASSERT_EQ(seteuid(65534), 0);
  const Look theirs = look("theirs"), inside = look("closed/inside");
  const auto found = scan();
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(theirs.state, Look::State::kFile);
  EXPECT_EQ(theirs.version.size, 5u);
  EXPECT_EQ(theirs.writers, Look::Writers::kUnknown);
  EXPECT_EQ(inside.state, Look::State::kUnreadable);
  EXPECT_THAT(found, UnorderedElementsAre("/", "theirs", "?closed"));
}

TEST(StorageNames, LooksAtEachPartOfAPath) {
  const StorageNames names("b", {".*", "*.tmp", "cache"});
  for (const char* path : {"a", "a/b.txt", "a.tmp.txt", "caches/x"}) {
    EXPECT_TRUE(names.has(path)) << path;
  }
  for (const char* path : {".a", "a/.b/c", "a.tmp", "d.tmp/x", "x/cache/y", "cache"}) {
    EXPECT_FALSE(names.has(path)) << path;
  }
  EXPECT_FALSE(names.has(std::string(1025, 'k')));
}

}  // namespace
}  // namespace fanfare::triggers
