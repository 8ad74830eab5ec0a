// The worker's child processes on its loop: zygotes and instances, watched through descriptors.
//
// Starts, feeds, watches and ends them as the core says, and tells it what it sees. Decides nothing
// but the order: an instance's last results are handed in before its end.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "base/process.h"
#include "worker/core.h"
#include "worker/memory_limiter.h"
#include "worker/zygote_client.h"

namespace fanfare::worker {

class Processes {
 public:
  struct Options {
    std::string program;             // fanfare-instance; what takes its place in the meantime is
                                     // not run by this worker (decision 45)
    std::uint32_t uid = 0, gid = 0;  // what instances become; 0 = stay
    std::string storage_dir;         // FANFARE_STORAGE of functions; empty = none
    Protections protections;
  };
  Processes(Loop& loop, Core& core, Options options);
  ~Processes();  // kills what is left

  // `folder` holds the function's package. The core hears of what becomes of it in later turns.
  Result<void> start_zygote(ZygoteId id, const protocol::Manifest& manifest,
                            const std::string& folder);
  void stop_zygote(ZygoteId id);
  std::string printed_by(ZygoteId id) const;  // the last of it; empty if it does not run
  bool fork(ZygoteId zygote, InstanceId id);
  Result<InstanceHandle::Sent> run(InstanceId id, std::span<const Item> items);
  std::optional<InstanceHandle::Running> running(InstanceId id) const;
  std::vector<InstanceHandle::Kept> recall(InstanceId id);
  void give_rows(InstanceId id, std::uint64_t number, const Result<store::Rows>& rows);
  void give_invoked(InstanceId id, std::uint64_t number, const InvokeAnswer& answer);
  std::optional<Progress> progress(InstanceId id) const;
  std::optional<InstanceHandle::Output> output(InstanceId id);
  void kill(InstanceId id, int signal);

  // Now and then: gives back the memory of endless logs, buries processes that nobody knows, and
  // kills those that an earlier worker left.
  void housekeeping();
  // The most that an instance has had in use so far, bytes; 0 if it is not there.
  std::uint64_t peak_memory_bytes(InstanceId id) const;
  std::string_view describe_limits() const { return limiter_.name(); }

 private:
  void bury_strangers();
  struct Instance {
    std::unique_ptr<MemoryLeaf> leaf;  // goes after the handle
    std::unique_ptr<InstanceHandle> handle;
    std::unique_ptr<FdWatch> channel;
    std::unique_ptr<PidWatch> end;
    int signal_when_born = 0;  // that came before the process did
    // An answer that its socket had no room for; kept until it has.
    struct Answer {
      std::uint64_t number = 0;
      std::variant<Result<store::Rows>, InvokeAnswer> what;
    };
    std::optional<Answer> answer;
  };
  struct Zygote {
    std::uint64_t memory_bytes = 0;
    std::unique_ptr<ZygoteClient> client;
    std::unique_ptr<FdWatch> control;
    std::map<std::uint64_t, InstanceId> tickets;  // asked for, not forked yet
  };

  void equip();
  void on_zygote(ZygoteId id);
  void on_forked(Zygote& zygote, Forked& forked);
  void on_fork_failed(Zygote& zygote, const ForkFailed& failed);
  void drop(ZygoteId id, const std::string& why);
  void on_channel(InstanceId id);
  void take_results(InstanceId id, Instance& instance);
  void give(InstanceId id, Instance::Answer answer);
  void send_answer(Instance& instance);
  void on_end(InstanceId id);

  Loop& loop_;
  Core& core_;
  Options options_;
  const Fd program_;  // as it was at the start; none: the path is what is tried
  MemoryLimiter limiter_;
  std::map<ZygoteId, Zygote> zygotes_;
  std::map<InstanceId, std::unique_ptr<Instance>> instances_;
  ItemResults results_;  // kept for its memory
  // What the next instance will need, of whichever function; and a cgroup is ready as the last one
  // was. Asking the kernel for it takes as long as a good part of a fork, and no cold start has to
  // wait for it.
  std::optional<Equipment> spare_;
  std::optional<std::uint64_t> last_leaf_bytes_;  // none: nothing was forked, or no cgroups here
  Timer equip_{loop_, [this] { equip(); }};
};

}  // namespace fanfare::worker
