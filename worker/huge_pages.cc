#include "worker/huge_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>

#include "worker/own_mappings.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace fanfare::worker {
namespace {

std::uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (!file) return 0;
  std::uint64_t all = 0, resident = 0;
  const int read = std::fscanf(file, "%" SCNu64 " %" SCNu64, &all, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// Heap and other private, writable memory that belongs to no file.
bool is_large_heap(const Mapping& mapping) {
  constexpr std::uintptr_t kWorthBytes = 4 << 20;
  return mapping.writable && !mapping.shared && !mapping.of_file &&
         mapping.to - mapping.from >= kWorthBytes;
}

}  // namespace

void use_huge_pages_for_large_heaps() {
  if (resident_bytes() < kLargeHeapBytes) return;
  for (const Mapping& mapping : own_mappings()) {
    if (!is_large_heap(mapping)) continue;
    void* from = reinterpret_cast<void*>(mapping.from);
    if (::madvise(from, mapping.to - mapping.from, MADV_HUGEPAGE) != 0) continue;
    ::madvise(from, mapping.to - mapping.from, MADV_COLLAPSE);
  }
}

}  // namespace fanfare::worker
