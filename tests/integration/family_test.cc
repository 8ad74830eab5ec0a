// What a function has started dies with its attempt.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/integration/installation.h"
#include "worker/memory_limiter.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;

// Not there, or dead and only not collected yet by whoever adopted it.
bool is_gone(pid_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(stat, line)) return true;
  const auto name_end = line.rfind(')');
  return name_end == std::string::npos || line.compare(name_end + 2, 1, "Z") == 0;
}

// As the worker finds it: where there is no cgroup, nothing knows of those who left the group.
bool has_cgroups() {
  const auto limiter = worker::MemoryLimiter::detect();
  return limiter.means() != worker::MemoryLimiter::Means::kRlimit;
}

class Family : public ::testing::TestWithParam<std::pair<const char*, Outcome>> {};

TEST_P(Family, DiesWithTheAttempt) {
  const auto& [how, outcome] = GetParam();
  Installation installation;
  // Who ends by itself may take its time, as on a machine whose disk stands still.
  const std::string timeout = outcome == Outcome::kTimeout ? "2s" : "30s";
  installation.deploy("functions-testing/family",
                      fmt::format("timeout = \"{}\"\n[retry]\nprofile = \"none\"\n", timeout));
  const std::string file = installation.file("pids");
  std::ofstream(file).close();
  namespace fs = std::filesystem;  // instances run as somebody else
  fs::permissions(file, fs::perms::all);
  fs::permissions(fs::path(file).parent_path(), fs::perms::all);
  const auto id = installation.publish("family", fmt::format("{} {}", how, file));
  const auto record = installation.result("family", id, 40s);
  const auto ledger = protocol::unpack_ledger(record.ledger);
  ASSERT_EQ(ledger->size(), 1u);
  EXPECT_EQ(ledger->at(0).outcome, outcome);

  pid_t child = 0, grandchild = 0;
  std::ifstream(file) >> child >> grandchild;
  ASSERT_GT(child, 1);
  ASSERT_GT(grandchild, 1);
  EXPECT_TRUE(eventually([&] { return is_gone(child); }, 10s))
      << "it ignores SIGTERM, but is in the instance's process group";
  const bool kept = has_cgroups();
  const bool caught = eventually([&] { return is_gone(grandchild); }, kept ? 10s : 100ms);
  EXPECT_EQ(caught, kept) << "it left the group, and only a cgroup knows of it";
  if (!caught) ::kill(grandchild, SIGKILL);
}

INSTANTIATE_TEST_SUITE_P(Functions, Family,
                         ::testing::Values(std::pair{"hang", Outcome::kTimeout},
                                           std::pair{"crash", Outcome::kCrashed}),
                         [](const auto& instance) { return std::string(instance.param.first); });

}  // namespace
}  // namespace fanfare::test
