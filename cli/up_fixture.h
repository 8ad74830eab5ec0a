// `fanfare up` on a directory of its own, for tests of whole installations.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/child.h"
#include "cli/child_output.h"
#include "tests/support/temp_dir.h"

namespace fanfare::cli {

inline const std::string kFanfare = FANFARE_BIN_DIR "/fanfare";

inline std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;  // of a process that has just ended there is none, and no exception
  text << file.rdbuf();
  return text.str();
}

class Up {
 public:
  explicit Up(const std::string& directory, std::vector<std::string> more = {},
              bool make_directory = true)
      : directory_(directory) {
    if (make_directory) std::filesystem::create_directories(directory);
    std::vector<std::string> command{kFanfare, "--data", directory, "up"};
    command.insert(command.end(), more.begin(), more.end());
    log_ = directory + ".log";
    std::filesystem::remove(log_);
    auto child = Child::start(loop_,
                              {.name = "up",
                               .command = command,
                               .environment = {},
                               .log_file = log_,
                               .death_signal = SIGTERM},
                              [this](const ChildEnd& end) { end_ = end; });
    if (!child) throw std::runtime_error(child.error().message);
    child_ = *std::move(child);
    wait([this] { return end_ || log().find("fanfare: ready") != std::string::npos; });
  }
  std::string log() const { return read_file(log_); }
  int stop() {
    child_->send_signal(SIGTERM);
    wait([this] { return end_.has_value(); });
    return end_ ? end_->exit_code : -1;
  }
  void kill_hard() {
    child_->send_signal(SIGKILL);
    wait([this] { return end_.has_value(); });
  }
  bool wait(const std::function<bool()>& done) {
    Timer poll(loop_, [] {});
    poll.start_every(std::chrono::milliseconds{5});
    return loop_.run_until(done, std::chrono::seconds{30});
  }
  ChildOutput run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {kFanfare, "--data", directory_});
    auto ended = run_and_capture(arguments, std::chrono::seconds{60});
    EXPECT_TRUE(ended);
    return *std::move(ended);
  }
  // Programs that work on this directory.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const std::string command = read_file(entry.path() / "cmdline");
      const bool ours = command.find(directory_ + "/") != std::string::npos;
      if (ours) found.push_back(std::stoi(name));
    }
    return found;
  }
  pid_t pid_of(const std::string& program) const {
    for (const pid_t pid : processes()) {
      if (read_file("/proc/" + std::to_string(pid) + "/cmdline").find(program) != std::string::npos)
        return pid;
    }
    return -1;
  }

 private:
  Loop loop_;
  std::string directory_, log_;
  std::optional<ChildEnd> end_;
  std::unique_ptr<Child> child_;
};

class UpTest : public ::testing::Test {
 protected:
  test::TempDir dir_;
  std::string data_ = dir_.file("data");
};

// A function of the tests, for events whose type is its name.
inline std::string test_function(const test::TempDir& dir, const std::string& name) {
  const std::string folder = dir.file("mine/" + name);
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(FANFARE_BINARY_DIR "/functions-testing/" + name + "/" + name + ".so",
                             folder + "/" + name + ".so");
  std::ofstream(folder + "/function.toml")
      << "[[on]]\npattern = '{\"type\": [\"" << name << "\"]}'\n";
  return dir.file("mine");
}

}  // namespace fanfare::cli
