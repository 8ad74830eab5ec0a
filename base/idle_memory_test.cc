#include "base/idle_memory.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace fanfare {
namespace {

using namespace std::chrono_literals;

#if !defined(FANFARE_SANITIZED)  // their allocators have their own ways
long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
  }
  return 0;
}

TEST(IdleMemory, IsGivenBackOnceNothingIsDoneAnyMore) {
  Loop loop;
  std::uint64_t done = 0;
  bool busy = true;
  Timer work(loop, [&] { done += busy; });
  work.start_every(1ms);
  // Many small blocks, and one above them that stays.
  std::vector<std::unique_ptr<char[]>> blocks;
  for (int i = 0; i < 64'000; ++i) blocks.push_back(std::make_unique<char[]>(1024));
  const auto above = std::make_unique<char[]>(1024);
  blocks.clear();
  blocks.shrink_to_fit();
  const long before = resident_kib();
  ASSERT_GT(before, 64'000);
  IdleMemory idle(loop, [&] { return done; }, {.period = 50ms});
  loop.run_until([] { return false; }, 300ms);
  EXPECT_GT(resident_kib(), before - 8'000) << "it is busy";
  busy = false;
  EXPECT_TRUE(loop.run_until([&] { return resident_kib() < before - 50'000; }, 5s));
  EXPECT_NE(above.get(), nullptr);
}
#endif

TEST(IdleMemory, LetsTheKernelMakeHugePagesOnlyWhileThereIsWork) {
  const auto may_have_them = [] { return ::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0; };
  if (!may_have_them())
    GTEST_SKIP() << "who started this process has switched huge pages off for it";
  Loop loop;
  std::uint64_t done = 0;
  bool busy = true;
  Timer work(loop, [&] { done += busy; });
  work.start_every(1ms);
  IdleMemory idle(loop, [&] { return done; }, {.period = 20ms, .huge_pages = true});
  loop.run_until([] { return false; }, 100ms);
  EXPECT_TRUE(may_have_them());
  busy = false;
  EXPECT_TRUE(loop.run_until([&] { return !may_have_them(); }, 5s));
  busy = true;
  EXPECT_TRUE(loop.run_until([&] { return may_have_them(); }, 5s));
}

}  // namespace
}  // namespace fanfare
