#include "worker/huge_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <vector>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace fanfare::worker {
namespace {

struct Range {
  std::uintptr_t from, to;
};

std::uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (!file) return 0;
  std::uint64_t all = 0, resident = 0;
  const int read = std::fscanf(file, "%" SCNu64 " %" SCNu64, &all, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// Heap and other private, writable memory that belongs to no file.
std::vector<Range> large_anonymous_ranges() {
  constexpr std::uintptr_t kWorthBytes = 4 << 20;
  std::vector<Range> ranges;
  std::FILE* file = std::fopen("/proc/self/maps", "re");
  if (!file) return ranges;
  char line[512];
  while (std::fgets(line, sizeof line, file)) {
    Range range{};
    char rights[5] = {};
    std::uint64_t inode = 0;
    const int read = std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %" SCNu64,
                                 &range.from, &range.to, rights, &inode);
    const bool anonymous = read == 4 && inode == 0 && rights[1] == 'w' && rights[3] == 'p';
    if (anonymous && range.to - range.from >= kWorthBytes) ranges.push_back(range);
  }
  std::fclose(file);
  return ranges;
}

}  // namespace

void use_huge_pages_for_large_heaps() {
  if (resident_bytes() < kLargeHeapBytes) return;
  for (const Range& range : large_anonymous_ranges()) {
    void* from = reinterpret_cast<void*>(range.from);
    if (::madvise(from, range.to - range.from, MADV_HUGEPAGE) != 0) continue;
    ::madvise(from, range.to - range.from, MADV_COLLAPSE);
  }
}

}  // namespace fanfare::worker
