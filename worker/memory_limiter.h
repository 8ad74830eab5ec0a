// How a worker limits the memory of its instances: a cgroup for each, v2 or v1, or else an rlimit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace fanfare::worker {

// A memory cgroup for one instance. Give its entry_fd to ZygoteClient::fork. Destroy after the
// instance was reaped: whatever the instance left running in it is killed then.
class MemoryLeaf {
 public:
  ~MemoryLeaf();  // gives the cgroup back to its limiter, which may use it again
  MemoryLeaf(const MemoryLeaf&) = delete;
  MemoryLeaf& operator=(const MemoryLeaf&) = delete;

  // The way in for a process that is being made. v2: the cgroup's folder, to be born in
  // (CLONE_INTO_CGROUP). v1: its `tasks`, to which the new process, while it is one thread, writes
  // 0. Not cgroup.procs: that moves whole processes and takes a lock over all forks of the machine,
  // which makes the kernel wait for an RCU grace period: 7 ms where `tasks` takes 27 µs.
  int entry_fd() const;
  std::uint64_t oom_kills() const;  // processes killed in it for memory, since it was made

 private:
  friend class MemoryLimiter;
  struct Group;
  struct Groups;
  MemoryLeaf(std::shared_ptr<Groups> groups, std::unique_ptr<Group> group);
  std::shared_ptr<Groups> groups_;
  std::unique_ptr<Group> group_;
};

// How memory is limited on this machine. One per worker.
class MemoryLimiter {
 public:
  enum class Means : std::uint8_t { kCgroupV2, kCgroupV1, kRlimit };

  struct Places {  // where to look; tests put a fixture here
    std::string cgroup_root = "/sys/fs/cgroup";
    std::string own_cgroups = "/proc/self/cgroup";
    std::string name;           // of the worker's folder in the hierarchy; empty: fanfare-<pid>
    bool sweep_orphans = true;  // else what killed workers left running lives on: tests only
  };
  // The best means that works, tried out by making a leaf. Looks for orphans, too.
  static MemoryLimiter detect() { return detect(Places{}); }
  static MemoryLimiter detect(const Places& places);

  MemoryLimiter(MemoryLimiter&&) = default;
  MemoryLimiter& operator=(MemoryLimiter&&) = delete;
  ~MemoryLimiter();  // with the last leaf the worker's folder is removed, too

  Means means() const { return means_; }
  // "cgroup v2", "cgroup v1", "rlimit"; and why not something better, one line each.
  std::string_view name() const;
  const std::vector<std::string>& reasons() const { return reasons_; }

  // Workers that were killed could not clean up: kills what their instances left running in leaves
  // beside ours, and removes these. What has been killed keeps its leaf for a moment, so call it
  // now and then, until nothing is left; then it costs nothing.
  void sweep_orphans();

  // A leaf that holds `bytes`: the one that is ready, one that was given back and has the same
  // limit, or else a new one (some 100 µs). Only when means() is not kRlimit: there, give the limit
  // to the zygote (ZygoteOptions::data_bytes_max).
  Result<std::unique_ptr<MemoryLeaf>> make_leaf(std::uint64_t bytes);
  // Has the next leaf of `bytes` ready, so that make_leaf need not ask the kernel for anything. One
  // at a time: whatever was ready and holds another number of bytes is given back.
  void get_ready(std::uint64_t bytes);

 private:
  MemoryLimiter(Means means, const std::string& folder, std::vector<std::string> reasons);
  Result<std::unique_ptr<MemoryLeaf::Group>> find_group(std::uint64_t bytes);
  Result<std::unique_ptr<MemoryLeaf::Group>> make_group(std::uint64_t bytes);
  Means means_;
  std::vector<std::string> reasons_;
  std::vector<std::string> orphans_;            // folders of workers that are no more
  int sweeps_ = 0;                              // of them
  std::shared_ptr<MemoryLeaf::Groups> groups_;  // none with kRlimit
};

}  // namespace fanfare::worker
