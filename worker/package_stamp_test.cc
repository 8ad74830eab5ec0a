// What a glance at an unpacked package notices.
#include "worker/package_stamp.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace fanfare::worker {
namespace {

namespace fs = std::filesystem;

class Stamp : public ::testing::Test {
 protected:
  Stamp() {
    std::string pattern = (fs::temp_directory_path() / "fanfare-stamp-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    put("a.so", "bytes");
    put("data.bin", "more");
  }
  ~Stamp() override { fs::remove_all(folder_); }
  void put(const std::string& name, const std::string& bytes) {
    std::ofstream(fs::path{folder_} / name, std::ios::binary) << bytes;
  }
  PackageStamp stamp() { return PackageStamp::of(folder_, {"a.so", "data.bin"}).value(); }

  std::string folder_;
};

TEST_F(Stamp, HoldsWhileNothingIsTouchedAndWhateverLiesBeside) {
  const PackageStamp stamp = this->stamp();
  EXPECT_TRUE(stamp.still_holds(folder_));
  put("written by the function", "x");
  EXPECT_TRUE(stamp.still_holds(folder_));
}

TEST_F(Stamp, NoticesOtherBytesAlsoOfTheSameLengthWithTheTimePutBack) {
  const PackageStamp stamp = this->stamp();
  const std::string path = folder_ + "/a.so";
  struct stat before{};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
  put("a.so", "other");
  const timespec times[] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  EXPECT_FALSE(stamp.still_holds(folder_));
}

TEST_F(Stamp, NoticesAFileThatIsGoneAnotherOneOrOfAnotherMode) {
  PackageStamp stamp = this->stamp();
  fs::permissions(folder_ + "/a.so", fs::perms{0600});
  EXPECT_FALSE(stamp.still_holds(folder_));
  stamp = this->stamp();
  put("new", "bytes");
  fs::rename(folder_ + "/new", folder_ + "/a.so");
  EXPECT_FALSE(stamp.still_holds(folder_));
  stamp = this->stamp();
  fs::remove(folder_ + "/data.bin");
  EXPECT_FALSE(stamp.still_holds(folder_));
  EXPECT_FALSE(PackageStamp::of(folder_, {"data.bin"}));
}

}  // namespace
}  // namespace fanfare::worker
