#include "worker/memory_limiter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace fanfare::worker {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "fanfare-cgroup-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const fs::path& path() const { return path_; }
  void write(const fs::path& file, std::string_view text) const {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
  }

 private:
  fs::path path_;
};

// What a forked child does: the zygote's children are born in a leaf of cgroup v2.
bool enter(const MemoryLeaf& leaf) {
  struct stat entry{};
  if (::fstat(leaf.entry_fd(), &entry) != 0) return false;
  const int file = S_ISDIR(entry.st_mode) ? ::openat(leaf.entry_fd(), "cgroup.procs", O_WRONLY)
                                          : leaf.entry_fd();
  return ::write(file, "0", 1) == 1;
}

// Runs in a child that enters the leaf and takes memory; says how it ended.
int status_of_child_taking(const MemoryLeaf& leaf, std::size_t bytes) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!enter(leaf)) ::_exit(9);
    char* memory = static_cast<char*>(std::malloc(bytes));
    if (!memory) ::_exit(8);
    std::memset(memory, 1, bytes);
    ::_exit(memory[bytes / 2] == 1 ? 0 : 7);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

// Empty if there is none. Other tests make and remove folders meanwhile.
fs::path folder_named(const std::string& name) {
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (int tries = 0; tries < 100; ++tries) {
    fs::recursive_directory_iterator at("/sys/fs/cgroup", options, error);
    for (; !error && at != fs::recursive_directory_iterator{}; at.increment(error)) {
      if (at->path().filename() == name) return at->path();
    }
    if (!error) break;
  }
  return {};
}

bool has_folder_of(pid_t worker) {
  return !folder_named("fanfare-" + std::to_string(worker)).empty();
}

TEST(MemoryLimiter, EndsAProcessThatOutgrowsItsLeafAndCountsIt) {
  auto limiter = MemoryLimiter::detect();
  if (limiter.means() == MemoryLimiter::Means::kRlimit) {
    GTEST_SKIP() << "no writable memory cgroup here: " << limiter.reasons().back();
  }
  auto leaf = limiter.make_leaf(32 << 20);
  ASSERT_TRUE(leaf) << leaf.error().message;
  EXPECT_EQ(status_of_child_taking(**leaf, 4 << 20), 0);
  EXPECT_EQ((*leaf)->oom_kills(), 0u);

  const int status = status_of_child_taking(**leaf, 256 << 20);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ((*leaf)->oom_kills(), 1u);
}

TEST(MemoryLimiter, LeavesNothingBehind) {
  fs::path folder;
  {
    auto limiter = MemoryLimiter::detect({.name = "fanfare-test-leaves-nothing"});
    if (limiter.means() == MemoryLimiter::Means::kRlimit) GTEST_SKIP() << limiter.reasons().back();
    ASSERT_TRUE(limiter.make_leaf(32 << 20));
    folder = folder_named("fanfare-test-leaves-nothing");
    ASSERT_FALSE(folder.empty());
  }
  EXPECT_FALSE(fs::exists(folder));
}

fs::path folder_of(const MemoryLeaf& leaf) {
  return fs::read_symlink("/proc/self/fd/" + std::to_string(leaf.entry_fd()));
}

TEST(MemoryLimiter, HasALeafReadyForWhoeverNeedsOneOfThatSize) {
  // Sanitizers take several times what a process asks for.
  constexpr std::size_t kSmall = 32 << 20, kBetween = 64 << 20, kLarge = 1 << 30;
  auto limiter = MemoryLimiter::detect({.name = "fanfare-test-has-one-ready"});
  if (limiter.means() == MemoryLimiter::Means::kRlimit) GTEST_SKIP() << limiter.reasons().back();
  const auto leaves = [folder = folder_named("fanfare-test-has-one-ready")] {
    return std::ranges::count_if(fs::directory_iterator(folder),
                                 [](const auto& entry) { return entry.is_directory(); });
  };
  limiter.get_ready(kLarge);
  const auto made = leaves();
  const auto small = limiter.make_leaf(kSmall);
  ASSERT_TRUE(small);
  EXPECT_TRUE(WIFSIGNALED(status_of_child_taking(**small, kBetween))) << "it has its own limit";
  EXPECT_EQ(leaves(), made + 1);
  const auto large = limiter.make_leaf(kLarge);
  ASSERT_TRUE(large);
  EXPECT_EQ(leaves(), made + 1) << "that one was there";
  EXPECT_EQ(status_of_child_taking(**large, kBetween), 0);

  limiter.get_ready(kSmall);
  limiter.get_ready(kLarge);
  EXPECT_EQ(leaves(), made + 3);
  const auto other = limiter.make_leaf(kSmall);
  ASSERT_TRUE(other) << "what was ready and is not wanted is like one that was given back";
  EXPECT_EQ(leaves(), made + 3);
}

TEST(MemoryLimiter, UsesALeafAgainThatWasGivenBack) {
  auto limiter = MemoryLimiter::detect();
  if (limiter.means() == MemoryLimiter::Means::kRlimit) GTEST_SKIP() << limiter.reasons().back();
  auto leaf = limiter.make_leaf(32 << 20);
  ASSERT_TRUE(leaf);
  const fs::path first = folder_of(**leaf);
  status_of_child_taking(**leaf, 256 << 20);
  leaf->reset();

  leaf = limiter.make_leaf(32 << 20);
  ASSERT_TRUE(leaf);
  EXPECT_EQ(folder_of(**leaf), first);
  EXPECT_EQ((*leaf)->oom_kills(), 0u);  // the kill was its predecessor's
  EXPECT_TRUE(WIFSIGNALED(status_of_child_taking(**leaf, 256 << 20)));
  EXPECT_EQ((*leaf)->oom_kills(), 1u);
  const auto other = limiter.make_leaf(48 << 20);
  ASSERT_TRUE(other);
  EXPECT_NE(folder_of(**other), first);
}

TEST(MemoryLimiter, KillsWhatAnInstanceLeftRunning) {
  auto limiter = MemoryLimiter::detect();
  if (limiter.means() == MemoryLimiter::Means::kRlimit) GTEST_SKIP() << limiter.reasons().back();
  auto leaf = limiter.make_leaf(32 << 20);
  ASSERT_TRUE(leaf);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setsid();  // out of the instance's process group
    if (!enter(**leaf)) ::_exit(9);
    ::kill(::getpid(), SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, WUNTRACED), pid);
  ASSERT_TRUE(WIFSTOPPED(status));
  leaf->reset();
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(MemoryLimiter, RemovesWhatAKilledWorkerLeft) {
  const Folder root;
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ::waitpid(gone, nullptr, 0);
  const fs::path orphan = "memory/fanfare-" + std::to_string(gone);
  const fs::path alive = "memory/fanfare-" + std::to_string(::getppid());
  root.write("own", "4:memory:/\n");
  fs::create_directories(root.path() / orphan / "1");
  fs::create_directories(root.path() / alive);
  (void)MemoryLimiter::detect(
      {.cgroup_root = root.path(), .own_cgroups = root.path() / "own", .name = "w"});
  EXPECT_FALSE(fs::exists(root.path() / orphan));
  EXPECT_TRUE(fs::exists(root.path() / alive));
}

// A worker that is killed cannot sweep its leaves: the next one does.
TEST(MemoryLimiter, KillsWhatInstancesOfAKilledWorkerLeftRunning) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t worker = ::fork();
  if (worker == 0) {
    auto limiter = MemoryLimiter::detect();
    if (limiter.means() == MemoryLimiter::Means::kRlimit) ::_exit(0);
    auto leaf = limiter.make_leaf(32 << 20);
    pid_t left = leaf ? ::fork() : -1;
    if (left == 0) {
      ::setsid();
      if (!enter(**leaf)) ::_exit(9);
      left = ::getpid();
      (void)!::write(pipe[1], &left, sizeof left);
      while (true) ::pause();
    }
    while (true) ::pause();
  }
  ::close(pipe[1]);
  pid_t left = 0;
  const ssize_t got = ::read(pipe[0], &left, sizeof left);
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
  if (got == 0) GTEST_SKIP() << "no writable memory cgroup here";
  ASSERT_EQ(got, static_cast<ssize_t>(sizeof left));
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, left, 0));
  ASSERT_GE(pidfd, 0);
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 0) << "nobody has killed it yet";

  auto next = MemoryLimiter::detect();
  EXPECT_EQ(::poll(&ended, 1, 1000), 1);
  ::close(pidfd);
  for (int i = 0; i < 100 && has_folder_of(worker); ++i) {
    ::usleep(10'000);
    next.sweep_orphans();
  }
  EXPECT_FALSE(has_folder_of(worker));
}

// Pids come round: a new worker may have that of one that was killed, and finds its folder.
TEST(MemoryLimiter, TakesOverTheFolderOfAKilledWorkerThatHadItsPid) {
  const std::string name = "fanfare-test-same-pid";
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t left = ::fork();
  if (left == 0) {
    auto limiter = MemoryLimiter::detect({.name = name});
    auto leaf = limiter.make_leaf(32 << 20);
    const bool there = leaf && enter(**leaf);
    (void)!::write(pipe[1], &there, sizeof there);
    while (true) ::pause();
  }
  bool there = false;
  ASSERT_EQ(::read(pipe[0], &there, sizeof there), static_cast<ssize_t>(sizeof there));
  ::close(pipe[0]);
  ::close(pipe[1]);
  if (there) {
    auto limiter = MemoryLimiter::detect({.name = name});
    EXPECT_NE(limiter.means(), MemoryLimiter::Means::kRlimit) << limiter.reasons().back();
    EXPECT_TRUE(limiter.make_leaf(32 << 20));
  }
  int status = 0;
  pid_t ended = 0;
  for (int i = 0; there && ended == 0 && i < 100; ++i) {
    ended = ::waitpid(left, &status, WNOHANG);
    ::usleep(10'000);
  }
  EXPECT_TRUE(!there || ended == left) << "what a killed worker left lives on";
  if (ended == 0) {
    ::kill(left, SIGKILL);
    ::waitpid(left, &status, 0);
  }
  if (!there) GTEST_SKIP() << "no writable memory cgroup here";
  const auto next =
      MemoryLimiter::detect({.name = name});  // removes the leaf that was still in use
}

TEST(MemoryLimiter, FallsBackToRlimitsAndSaysWhy) {
  const Folder empty;
  empty.write("own", "0::/\n");
  const auto limiter =
      MemoryLimiter::detect({.cgroup_root = empty.path(), .own_cgroups = empty.path() / "own"});
  EXPECT_EQ(limiter.means(), MemoryLimiter::Means::kRlimit);
  EXPECT_EQ(limiter.name(), "rlimit");
  ASSERT_EQ(limiter.reasons().size(), 2u);
  EXPECT_NE(limiter.reasons()[0].find("memory controller is not available"), std::string::npos);
  EXPECT_EQ(limiter.reasons()[1], "cgroup v1: no memory hierarchy");
}

// Only the order of steps can be seen in plain folders: the leaf itself needs the kernel's files.
TEST(MemoryLimiter, MovesItsWorkerIntoALeafBeforeItUsesTheUnifiedHierarchy) {
  const Folder root;
  root.write("own", "0::/user.slice\n");
  root.write("user.slice/cgroup.controllers", "cpu memory pids\n");
  root.write("user.slice/cgroup.subtree_control", "");
  root.write("user.slice/w-self/cgroup.procs", "");
  root.write("user.slice/w/cgroup.subtree_control", "");
  const auto limiter = MemoryLimiter::detect(
      {.cgroup_root = root.path(), .own_cgroups = root.path() / "own", .name = "w"});
  const auto read = [&](const fs::path& file) {
    std::string text;
    std::getline(std::ifstream(root.path() / file), text);
    return text;
  };
  EXPECT_EQ(read("user.slice/w-self/cgroup.procs"), "0");
  EXPECT_EQ(read("user.slice/cgroup.subtree_control"), "+memory");
  EXPECT_EQ(read("user.slice/w/cgroup.subtree_control"), "+memory");
  EXPECT_NE(limiter.reasons()[0].find("limiting"), std::string::npos) << limiter.reasons()[0];
}

}  // namespace
}  // namespace fanfare::worker
