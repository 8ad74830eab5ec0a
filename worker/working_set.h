// The inherited pages that an instance writes to on the way to its first result, so that it can
// have copies of its own before it comes to each of them.
//
// After a fork each first write to a page is a page fault of the instance that copies it; one call
// that asks for all pages of a range costs a fraction of as many faults (decision 38 has figures).
//
// A zygote learns the set from how its own pages fare while an instance of it lives: what only the
// zygote still has has been copied, so written to, by one of the two. So no instance has to tell
// anything, and foreign code has no say in it. (Of huge pages the kernel tells this less exactly;
// the bound holds all the same.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "worker/own_mappings.h"

namespace fanfare::worker {

struct PageRange {
  std::uintptr_t from = 0, to = 0;
  friend bool operator==(const PageRange&, const PageRange&) = default;
};

// Appends to `ranges` those pages of a mapping that only one process has, neighbours as one, at
// most `pages_max`; returns how many. `entries` are those of /proc/self/pagemap, one a page (Linux,
// Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bit 56 mapped by one process only).
std::size_t append_unshared(const Mapping& mapping, std::span<const std::uint64_t> entries,
                            std::size_t pages_max, std::vector<PageRange>& ranges);

class WorkingSet {
 public:
  // More is not learned: 4 MiB.
  static constexpr std::size_t kPagesMax = 1024;
  // Of fewer neighbours the call costs as much as their faults.
  static constexpr std::size_t kWorthPages = 4;

  // Opens what the kernel tells of this process' pages. It does so only while others may look at
  // the process, so a zygote does this first. Where it does not, nothing is ever learned.
  WorkingSet();

  // Looks at the pages of this process, a fork of which must be alive all the time. Asks
  // `interrupted` between parts, and after the last one: if that says so, nothing was learned. Of
  // several looks the one that found the most counts: an instance may have had nothing to do yet.
  // What it takes grows with the memory that the process has. Whether it has learned.
  bool learn(const std::function<bool()>& interrupted);

  // In a fork: gives it its own copies, as if it had written to them. Best effort (Linux 5.14).
  void prefault() const;

  // In a fork, too: forgets the descriptor.
  void let_go() { pagemap_.reset(); }

  std::size_t pages() const;

 private:
  Fd pagemap_;
  std::vector<PageRange> ranges_;
};

}  // namespace fanfare::worker
