// The SDK as it is installed: one header, one CMake command, no checkout needed.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "functions/testing/function_runner.h"

namespace {

namespace fs = std::filesystem;

class InstalledPackage : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fanfare-package-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    ASSERT_TRUE(cmake(std::string("--install '") + FANFARE_BUILD_DIR +
                      "' --component sdk --prefix '" + (folder_ / "prefix").string() + "'"))
        << log();
  }
  void TearDown() override { fs::remove_all(folder_); }

  bool cmake(const std::string& arguments) {
    const std::string command = std::string("'") + FANFARE_CMAKE + "' " + arguments + " >'" +
                                (folder_ / "log").string() + "' 2>&1";
    return std::system(command.c_str()) == 0;
  }
  bool configure(const fs::path& source) {
    return cmake("-S '" + source.string() + "' -B '" + (folder_ / "build").string() + "' -G '" +
                 FANFARE_GENERATOR + "' -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH='" +
                 (folder_ / "prefix").string() + "'");
  }
  std::string log() const {
    std::ifstream file(folder_ / "log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  fs::path folder_;
};

TEST_F(InstalledPackage, BuildsAFunctionThatRuns) {
  ASSERT_TRUE(configure(fs::path(FANFARE_SOURCE_DIR) / "functions/testing/outside")) << log();
  ASSERT_TRUE(cmake("--build '" + (folder_ / "build").string() + "'")) << log();
  const fs::path function = folder_ / "build/functions/greet";
  EXPECT_TRUE(fs::exists(function / "function.toml"));

  auto runner = fanfare::testing::FunctionRunner::start(function / "greet.so");
  ASSERT_TRUE(runner) << runner.error().message;
  EXPECT_EQ((*runner)->run("test", "from outside").output, "hello from outside");
}

TEST_F(InstalledPackage, SaysWhatAFunctionLacks) {
  const fs::path source = folder_ / "source";
  fs::create_directory(source);
  std::ofstream(source / "f.cc") << "#include <fanfare/function.h>\n";
  const auto configured_with = [&](const std::string& command) {
    std::ofstream(source / "CMakeLists.txt")
        << "cmake_minimum_required(VERSION 3.20)\nproject(x LANGUAGES CXX)\n"
        << "find_package(fanfare REQUIRED)\n"
        << command << "\n";
    const bool configured = configure(source);
    return configured ? "configured" : log();
  };
  EXPECT_NE(configured_with("fanfare_add_function(f f.cc)").find("no manifest at"),
            std::string::npos);
  EXPECT_NE(configured_with("fanfare_add_function(f)").find("no source files"), std::string::npos);
  EXPECT_NE(configured_with("fanfare_add_function(a.b f.cc)").find("name is made of"),
            std::string::npos);
}

}  // namespace
