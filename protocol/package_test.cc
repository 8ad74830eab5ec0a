#include "protocol/package.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/result.h"

namespace fanfare::protocol {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

class Package : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "fanfare-package-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    fs::create_directory(source());
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path source() const { return root_ / "source"; }
  fs::path target() const { return root_ / "target"; }
  void put(const std::string& path, const std::string& bytes) const {
    fs::create_directories((source() / path).parent_path());
    std::ofstream{source() / path, std::ios::binary} << bytes;
  }
  static std::string get(const fs::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
  std::size_t entries_in_root() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator{root_}, {}));
  }

  fs::path root_;
};

TEST_F(Package, CarriesFilesAndModesToAnotherFolder) {
  put("function.toml", "timeout = \"5s\"\n");
  put("wordcount.so",
      "\x7F"
      "ELF\0\xFF"s);
  put("data/deep/table.csv", "");
  chmod((source() / "wordcount.so").c_str(), 0755);
  const auto package = pack_directory(source().string());
  ASSERT_TRUE(package) << package.error().message;
  const auto unpacked = unpack_package(*package, target().string() + "/");
  ASSERT_TRUE(unpacked) << unpacked.error().message;
  EXPECT_EQ(get(target() / "function.toml"), "timeout = \"5s\"\n");
  EXPECT_EQ(get(target() / "wordcount.so"),
            "\x7F"
            "ELF\0\xFF"s);
  EXPECT_TRUE(fs::is_empty(target() / "data/deep/table.csv"));
  EXPECT_EQ(fs::status(target() / "wordcount.so").permissions(), fs::perms{0755});
  EXPECT_EQ(fs::status(target() / "function.toml").permissions(), fs::perms{0644});
  EXPECT_EQ(entries_in_root(), 2u) << "nothing is left lying about";
}

TEST_F(Package, HasTheSameBytesForTheSameFiles) {
  put("b", "2");
  put("a", "1");
  const auto first = pack_directory(source().string());
  fs::remove_all(source());
  put("a", "1");
  put("b", "2");
  EXPECT_EQ(*pack_directory(source().string()), *first);
  EXPECT_EQ(*first,
            "\x82\xA1"
            "a\x92\xCD\x01\xA4\xC4\x01"
            "1\xA1"
            "b\x92\xCD\x01\xA4\xC4\x01"
            "2"s);
}

TEST_F(Package, LeavesATargetThatStandsAlready) {
  put("a", "new");
  const auto package = pack_directory(source().string());
  fs::create_directory(target());
  std::ofstream{target() / "a"} << "old";
  EXPECT_TRUE(unpack_package(*package, target().string()));
  EXPECT_EQ(get(target() / "a"), "old");
  EXPECT_EQ(entries_in_root(), 2u);
}

TEST_F(Package, RefusesLinksAndWhatIsNoFolder) {
  put("a", "1");
  fs::create_symlink("/etc/hostname", source() / "link");
  EXPECT_FALSE(pack_directory(source().string()));
  EXPECT_FALSE(pack_directory((source() / "a").string()));
  EXPECT_FALSE(pack_directory((root_ / "absent").string()));
}

TEST_F(Package, RefusesTooManyFiles) {
  for (int i = 0; i < 1000; ++i) put(std::to_string(i), "");
  EXPECT_TRUE(pack_directory(source().string()));
  put("one-more", "");
  EXPECT_FALSE(pack_directory(source().string()));
}

TEST_F(Package, RefusesTooManyBytes) {
  put("a", "");
  put("b", "1");
  fs::resize_file(source() / "a", kPackageBytesMax);
  EXPECT_FALSE(pack_directory(source().string()));
}

TEST_F(Package, WritesNothingForAPackageThatIsMalformed) {
  const std::string file =
      "\x92\xCD\x01\xA4\xC4\x01"
      "1";
  for (const std::string& bad : {
           ""s, "\xC0"s,
           "\x81\xA1"
           "a"s,
           "\x81\xA1"
           "a" +
               file + "x",                                                 // shape
           "\x81\xA0" + file, "\x81\xA2.." + file, "\x81\xA4../a" + file,  // leaves
           "\x81\xA2/a" + file,
           "\x81\xA4"
           "a/.." +
               file,
           "\x81\xA3./a" + file,
           "\x81\xA2"
           "a/" +
               file,
           "\x81\xA4"
           "a//b" +
               file,
           "\x81\xA3"
           "a\0b"s +
               file,
           "\x82\xA1"
           "a" +
               file +
               "\xA1"
               "a" +
               file,
           "\x82\xA1"
           "b" +
               file +
               "\xA1"
               "a" +
               file,                                  // order
           "\xDF\xFF\xFF\xFF\xFF"s, "\xDE\x03\xE9"s,  // bombs
       }) {
    EXPECT_FALSE(unpack_package(bad, target().string())) << testing::PrintToString(bad);
  }
  EXPECT_EQ(entries_in_root(), 1u);
}

// The function runs as another user than the worker.
TEST_F(Package, ItsFoldersAreForEverybodyWhateverTheUmask) {
  put("lib/deep/a", "1");
  const mode_t before = ::umask(0077);
  const auto package = pack_directory(source().string());
  ASSERT_TRUE(unpack_package(*package, target().string()));
  ::umask(before);
  for (const char* folder : {"", "lib", "lib/deep"}) {
    EXPECT_EQ(fs::status(target() / folder).permissions(), fs::perms{0755}) << folder;
  }
  EXPECT_TRUE(compare_unpacked(*package, target().string()));
  fs::permissions(target() / "lib", fs::perms{0750});
  EXPECT_FALSE(compare_unpacked(*package, target().string()));
}

TEST_F(Package, SaysWhyItCouldNotBeWritten) {
  put("a", "1");
  const auto unpacked =
      unpack_package(*pack_directory(source().string()), (root_ / "no/where").string());
  ASSERT_FALSE(unpacked);
  EXPECT_NE(unpacked.error().message.find("No such file"), std::string::npos);
}

TEST_F(Package, LeavesNothingWhenAPathIsBothFileAndFolder) {
  const std::string file =
      "\x92\xCD\x01\xA4\xC4\x01"
      "1";
  EXPECT_FALSE(
      unpack_package("\x82\xA1"
                     "a" +
                         file +
                         "\xA3"
                         "a/b" +
                         file,
                     target().string()));
  EXPECT_EQ(entries_in_root(), 1u);
}

}  // namespace
}  // namespace fanfare::protocol
