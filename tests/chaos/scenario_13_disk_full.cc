// The disk under Redis' append-only file is full, and has room again later.
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/support/temp_dir.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

void or_throw(int done, const char* doing) {
  if (done != 0) throw CannotHere(std::string(doing) + ": " + std::strerror(errno));
}

// A file system of a size, that nobody else sees: it lives in a mount namespace of this thread's
// and its children's. Needs root.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size) {
    or_throw(unshare(CLONE_NEWNS), "a mount namespace of its own (needs root)");
    or_throw(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "making mounts private");
    or_throw(mount("tmpfs", path().c_str(), "tmpfs", 0, ("size=" + size).c_str()), "mounting");
  }
  ~SmallDisk() { umount2(path().c_str(), MNT_DETACH); }
  void resize(const std::string& size) const {
    or_throw(mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()),
             "remounting");
  }
  const std::filesystem::path& path() const { return dir_.path(); }

 private:
  test::TempDir dir_;
};

Outcome run_disk_full(const Run& run) {
  const SmallDisk disk("1536k");
  RigOptions options;
  options.durability = run.without() ? "everysec" : "fsync";
  options.redis.append_fsync = run.without() ? "everysec" : "always";
  options.redis_dir = disk.path();
  Rig rig(options);
  rig.publish({.rate = 1000,
               .seconds = run.lengthy ? 10.0 : 3.0,
               .seed = run.seed,
               .mix = {{"ok", 1}},
               .data_bytes = 400});
  if (run.control) {
    // Nothing but appends is written: so it is one that is acknowledged and not written.
    rig.worker(0).supervised = false;
    rig.kill(rig.worker(0));
  }
  Outcome outcome;
  // With `always` Redis ends when it cannot write; with `everysec` it says so and goes on.
  const bool full = rig.run_until(
      [&] {
        return !rig.redis().running() ||
               (run.without() &&
                rig.redis().command({"INFO", "persistence"}).find("aof_last_write_status:err") !=
                    std::string::npos);
      },
      20s);
  if (full) ++outcome.times;
  rig.kill_redis();
  rig.run_for(300ms);
  disk.resize("256m");
  rig.start_redis();
  if (run.control) rig.start(rig.worker(0));
  const std::int64_t healed_ns = Rig::now_ns();
  rig.come_to_rest(40s);
  outcome.history = rig.collect();
  // The first publication that was acknowledged after there was room again.
  std::int64_t first_ns = 0;
  for (const Submission& one : outcome.history.submissions) {
    if (one.fate != Submission::Fate::kAccepted || one.answered_ns < healed_ns) continue;
    if (first_ns == 0 || one.answered_ns < first_ns) first_ns = one.answered_ns;
  }
  const double ms = first_ns == 0 ? 1e6 : static_cast<double>(first_ns - healed_ns) / 1e6;
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms from room on the disk to the next acknowledgement",
                                    .value = ms,
                                    .at_most = 5000});
  outcome.figures = {{"ms from room on the disk to the next acknowledgement", ms}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario disk_full() {
  return {
      .number = 13,
      .name = "disk full",
      .injected = "the append-only file's disk is full; later it has room, and Redis is restarted",
      .without = "class fsync (the run is in class everysec)",
      .bites = {Invariant::kNoLoss},
      .own_faults = true,
      .run = run_disk_full};
}

}  // namespace fanfare::chaos
