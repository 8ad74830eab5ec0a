#include "base/daemon_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using testing::HasSubstr;

class DaemonArgumentsTest : public testing::Test {
 protected:
  DaemonArgumentsTest() {
    spec_.integer("worker", "slots", &slots_, 4u, "How many.", {.min = 1, .max = 1000});
    std::ofstream(file_) << "[worker]\nslots = 7\n";
  }

  // What the program would exit with, if it would; what it prints is in out_ and err_.
  std::optional<int> load(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "fanfare-worker");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const auto code = load_daemon_config({.program = "fanfare-worker",
                                          .purpose = "runs functions",
                                          .version = "1.2.3",
                                          .other_sections = {}},
                                         spec_, static_cast<int>(argv.size()), argv.data());
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  test::TempDir dir_;
  const std::string file_ = dir_.file("fanfare.toml");
  ConfigSpec spec_;
  std::uint32_t slots_ = 0;
  std::string out_, err_;
};

TEST_F(DaemonArgumentsTest, LoadsTheFileAndLetsTheProgramGoOn) {
  EXPECT_EQ(load({"--config", file_}), std::nullopt);
  EXPECT_EQ(slots_, 7u);
  EXPECT_EQ(load({"--config=" + file_}), std::nullopt);
}

TEST_F(DaemonArgumentsTest, ChecksAndShowsWithoutGoingOn) {
  EXPECT_EQ(load({"--config", file_, "--check-config"}), 0);
  EXPECT_THAT(out_, HasSubstr("the configuration is fine"));
  EXPECT_EQ(load({"--config", file_, "--show-config"}), 0);
  EXPECT_EQ(out_, "worker.slots = 7  # " + file_ + ":2\n");
  EXPECT_EQ(load({"--sample-config"}), 0);
  EXPECT_THAT(out_, HasSubstr("slots = 4"));
}

TEST_F(DaemonArgumentsTest, AnswersForItself) {
  EXPECT_EQ(load({"--version"}), 0);
  EXPECT_EQ(out_, "fanfare-worker 1.2.3\n");
  EXPECT_EQ(load({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("Usage: fanfare-worker"));
}

TEST_F(DaemonArgumentsTest, EndsWithTheUsageCodeWhenSomethingIsWrong) {
  EXPECT_EQ(load({"--what"}), 2);
  EXPECT_THAT(err_, HasSubstr("unknown argument '--what'"));
  EXPECT_EQ(load({"--config", dir_.file("missing.toml")}), 2);
  EXPECT_THAT(err_, HasSubstr("cannot read"));
  std::ofstream(file_) << "[worker]\nslotz = 7\n";
  EXPECT_EQ(load({"--config", file_, "--check-config"}), 2);
  EXPECT_THAT(err_, HasSubstr("did you mean 'slots'"));
}

}  // namespace
}  // namespace fanfare
