#include "worker/working_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace fanfare::worker {
namespace {

using testing::ElementsAre;

constexpr std::uint64_t kPresent = 1ull << 63, kOnlyHere = 1ull << 56;
const auto kPage = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));

Mapping mapping(std::uintptr_t first_page, std::uintptr_t pages) {
  return {.from = first_page * kPage,
          .to = (first_page + pages) * kPage,
          .writable = true,
          .shared = false,
          .of_file = false};
}

TEST(UnsharedPages, AreThoseOnlyOneProcessHas) {
  std::vector<PageRange> ranges;
  const std::array entries{kPresent, kPresent | kOnlyHere, kPresent | kOnlyHere,
                           kPresent, std::uint64_t{0},     kPresent | kOnlyHere,
                           kOnlyHere};
  EXPECT_EQ(append_unshared(mapping(10, 7), entries, 100, ranges), 3u);
  EXPECT_THAT(ranges,
              ElementsAre(PageRange{11 * kPage, 13 * kPage}, PageRange{15 * kPage, 16 * kPage}));
}

TEST(UnsharedPages, OfNeighboursAreOneRange) {
  std::vector<PageRange> ranges;
  append_unshared(mapping(10, 1), std::array{kPresent | kOnlyHere}, 100, ranges);
  append_unshared(mapping(11, 1), std::array{kPresent | kOnlyHere}, 100, ranges);
  append_unshared(mapping(13, 1), std::array{kPresent | kOnlyHere}, 100, ranges);
  EXPECT_THAT(ranges,
              ElementsAre(PageRange{10 * kPage, 12 * kPage}, PageRange{13 * kPage, 14 * kPage}));
}

TEST(UnsharedPages, AreNeverMoreThanAllowed) {
  std::vector<PageRange> ranges;
  const std::vector<std::uint64_t> entries(50, kPresent | kOnlyHere);
  EXPECT_EQ(append_unshared(mapping(10, 50), entries, 7, ranges), 7u);
  EXPECT_THAT(ranges, ElementsAre(PageRange{10 * kPage, 17 * kPage}));
}

// Memory of this process, every page of it there.
class Memory {
 public:
  explicit Memory(std::size_t pages) : bytes_(pages * kPage) {
    void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    at_ = static_cast<char*>(at);
    ::madvise(at, bytes_, MADV_NOHUGEPAGE);
    write_all();
  }
  ~Memory() { ::munmap(at_, bytes_); }
  void write_all() const {
    for (std::size_t i = 0; i < bytes_; i += kPage) at_[i] = 1;
  }

 private:
  std::size_t bytes_;
  char* at_ = nullptr;
};

// A fork that does something, says so and waits for its end.
class Fork {
 public:
  explicit Fork(const std::function<void()>& act) {
    std::array<int, 2> done{};
    if (::pipe(done.data()) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      act();
      [[maybe_unused]] const ssize_t told = ::write(done[1], "!", 1);
      for (;;) ::pause();
    }
    ::close(done[1]);
    char told = 0;
    [[maybe_unused]] const ssize_t read = ::read(done[0], &told, 1);
    ::close(done[0]);
  }
  ~Fork() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
};

long faults() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_minflt;
}

// The page faults that a fork has while it writes to 64 pages.
long faults_of_a_fork(const Memory& memory, const WorkingSet* prepared) {
  int status = 0;
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (prepared) prepared->prefault();
    const long before = faults();
    memory.write_all();
    ::_exit(static_cast<int>(std::min(faults() - before, 200L)));
  }
  ::waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

TEST(AWorkingSet, IsWhatAForkHasWrittenTo) {
  const Memory written(64), untouched(512);
  WorkingSet set;
  const Fork fork([&] { written.write_all(); });
  ASSERT_TRUE(set.learn([] { return false; }));
  EXPECT_GE(set.pages(), 64u);
  EXPECT_LE(faults_of_a_fork(written, &set), 8);
  EXPECT_GE(faults_of_a_fork(written, nullptr), 64) << "the control";
}

TEST(AWorkingSet, IsNothingOfAForkThatEndsMeanwhile) {
  WorkingSet set;
  const Memory written(64);
  const Fork fork([&] { written.write_all(); });
  int asked = 0;
  EXPECT_FALSE(set.learn([&] { return ++asked == 3; }));
  EXPECT_EQ(set.pages(), 0u);
  EXPECT_EQ(asked, 3);
}

TEST(AWorkingSet, IsFoundBesideTerabytesThatAreOnlyReserved) {
  constexpr std::size_t kBytes = 4ull << 40;
  void* reserved = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) GTEST_SKIP() << "this machine does not give that much";
  const Memory written(64);
  WorkingSet set;
  const Fork fork([&] { written.write_all(); });
  EXPECT_TRUE(set.learn([] { return false; }));
  EXPECT_GE(set.pages(), 64u);
  ::munmap(reserved, kBytes);
}

TEST(AWorkingSet, DoesNotShrinkToThatOfAForkThatHadNothingToDo) {
  const Memory written(64);
  WorkingSet set;
  {
    const Fork fork([&] { written.write_all(); });
    ASSERT_TRUE(set.learn([] { return false; }));
  }
  const std::size_t pages = set.pages();
  const Fork idle([] {});
  (void)set.learn([] { return false; });
  EXPECT_GE(set.pages(), pages);
}

}  // namespace
}  // namespace fanfare::worker
