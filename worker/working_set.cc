#include "worker/working_set.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif

namespace fanfare::worker {
namespace {

constexpr std::uint64_t kPresent = 1ull << 63;
constexpr std::uint64_t kOnlyHere = 1ull << 56;

// More is reserved rather than used, as sanitizers do with terabytes: to look at all of it would
// never end.
constexpr std::uintptr_t kReservationBytes = 16ull << 30;

std::uintptr_t page_bytes() {
  static const auto bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t pages_of(const PageRange& range) {
  return (range.to - range.from) / page_bytes();
}

std::size_t pages_of(const std::vector<PageRange>& ranges) {
  std::size_t pages = 0;
  for (const PageRange& range : ranges) pages += pages_of(range);
  return pages;
}

}  // namespace

std::size_t append_unshared(const Mapping& mapping, std::span<const std::uint64_t> entries,
                            std::size_t pages_max, std::vector<PageRange>& ranges) {
  constexpr std::uint64_t kUnshared = kPresent | kOnlyHere;
  std::size_t pages = 0;
  for (std::size_t i = 0; i < entries.size() && pages < pages_max; ++i) {
    if ((entries[i] & kUnshared) != kUnshared) continue;
    const std::uintptr_t from = mapping.from + i * page_bytes();
    ++pages;
    if (!ranges.empty() && ranges.back().to == from) {
      ranges.back().to += page_bytes();
    } else {
      ranges.push_back({from, from + page_bytes()});
    }
  }
  return pages;
}

WorkingSet::WorkingSet() : pagemap_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}

bool WorkingSet::learn(const std::function<bool()>& interrupted) {
  if (!pagemap_) return false;
  std::vector<PageRange> ranges;
  std::size_t left = kPagesMax;
  std::array<std::uint64_t, 256> entries;  // on the stack, which instances inherit
  for (Mapping mapping : own_mappings()) {
    if (mapping.shared || !mapping.writable) continue;
    if (mapping.to - mapping.from > kReservationBytes) continue;
    while (mapping.from < mapping.to && left > 0) {
      if (interrupted()) return false;
      const std::size_t count =
          std::min<std::size_t>(entries.size(), (mapping.to - mapping.from) / page_bytes());
      const ssize_t got =
          ::pread(pagemap_.get(), entries.data(), count * sizeof entries[0],
                  static_cast<off_t>(mapping.from / page_bytes() * sizeof entries[0]));
      if (got <= 0) break;
      const std::size_t read = static_cast<std::size_t>(got) / sizeof entries[0];
      left -= append_unshared(mapping, {entries.data(), read}, left, ranges);
      mapping.from += read * page_bytes();
    }
  }
  std::erase_if(ranges, [](const PageRange& range) { return pages_of(range) < kWorthPages; });
  if (interrupted() || pages_of(ranges) < pages()) return false;
  ranges_ = std::move(ranges);
  return true;
}

void WorkingSet::prefault() const {
  for (const PageRange& range : ranges_) {
    ::madvise(reinterpret_cast<void*>(range.from), range.to - range.from, MADV_POPULATE_WRITE);
  }
}

std::size_t WorkingSet::pages() const {
  return pages_of(ranges_);
}

}  // namespace fanfare::worker
