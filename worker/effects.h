// What the worker's core has done by others: the only way out of its decisions.
//
// The shell implements it with sockets, processes and Redis; tests and the simulation with plain
// containers. Nothing here may call back into the core before it returns.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "protocol/manifest.h"
#include "protocol/messages.h"
#include "protocol/record.h"
#include "store/calls.h"
#include "worker/instance_handle.h"

namespace fanfare::worker {

using ZygoteId = StrongId<struct ZygoteTag, std::uint64_t>;
using InstanceId = StrongId<struct InstanceTag, std::uint64_t>;
using CommitId = StrongId<struct CommitTag, std::uint64_t>;
using CallerId = StrongId<struct CallerTag, std::uint64_t>;  // a connection of the local lane
using ReadId = StrongId<struct ReadTag, std::uint64_t>;

// One attempt that ended, for the log.
struct AttemptReport {
  std::string_view function;
  protocol::EventId id;
  const protocol::AttemptRow& row;
  std::uint32_t memory_limit_mb = 0;
};

// A line that a function printed, without its end; not cut in the middle unless it is very long.
struct OutputLine {
  std::string_view function;
  protocol::EventId id;
  std::uint32_t attempt = 1;
  std::string_view text;
};

// What the log has no room for.
struct LeftOut {
  std::uint64_t reports = 0;
  std::uint64_t output_lines = 0;
  std::uint64_t output_bytes = 0;  // of attempts that printed more than is looked at
  bool any() const { return reports + output_lines + output_bytes > 0; }
};

class Effects {
 public:
  virtual ~Effects() = default;

  // A frame for the broker. It may be lost with the connection; the core repeats what matters.
  virtual void send(std::string frame) = 0;

  // Gets the function's package and starts its zygote. True if the process runs already, so that
  // instances can be asked for; else on_zygote_started says when. on_zygote_ready or
  // on_zygote_failed follows in both cases, unless it is stopped before.
  virtual bool start_zygote(ZygoteId zygote, const protocol::FunctionSpec& spec,
                            const protocol::Manifest& manifest) = 0;
  // Instances that have started go on; of those asked for nothing more is heard.
  virtual void stop_zygote(ZygoteId zygote) = 0;
  // The last that its init printed, until it is stopped.
  virtual std::string printed_by(ZygoteId zygote) = 0;

  // Asks for an instance; batches may be sent to it at once. False: not now, ask again later.
  // on_instance_started or on_fork_failed follows.
  virtual bool fork(ZygoteId zygote, InstanceId instance) = 0;

  // Hands a batch to an instance and says how many of the items, from the first, were taken, and
  // under which number. kRetryLater: its socket is full; kReconnect: it is gone, its end follows.
  virtual Result<InstanceHandle::Sent> run(InstanceId instance, std::span<const Item> items) = 0;

  // What the instance is at right now, read from its board.
  virtual std::optional<InstanceHandle::Running> running(InstanceId instance) = 0;

  // Takes back what the instance has not started, and says how many items of each batch that lost
  // some it keeps.
  virtual std::vector<InstanceHandle::Kept> recall(InstanceId instance) = 0;

  // What the item that runs there has reported, if it has.
  virtual std::optional<Progress> progress(InstanceId instance) = 0;

  // What the item that runs there has printed since this was asked, whole lines only. Nothing if
  // results of items before it wait to be taken: what they printed comes with those.
  virtual std::optional<InstanceHandle::Output> output(InstanceId instance) = 0;

  // To the whole process group. on_instance_ended follows once it is dead.
  virtual void kill(InstanceId instance, int signal) = 0;

  // on_commit_answer or on_commit_failed follows. `call` stays as it is until then.
  virtual void commit(CommitId id, const store::Commit& call) = 0;

  // on_meter_answer or on_meter_failed follows. `call` stays as it is until then.
  virtual void meter(const store::Meter& call) = 0;

  // Reads rows of a function's store: GetRows or ListRows. on_rows follows.
  virtual void read_rows(ReadId id, store::Call call) = 0;

  // Answers the request for rows that an instance waits for; if it is gone, nobody does.
  virtual void give_rows(InstanceId instance, std::uint64_t number,
                         const Result<store::Rows>& rows) = 0;

  // The same for the end of a function that the instance has invoked.
  virtual void give_invoked(InstanceId instance, std::uint64_t number,
                            const InvokeAnswer& answer) = 0;

  // Answers a caller of this host: Invoked or Refused. Empty: it is not for here.
  virtual void answer_caller(CallerId caller, std::uint64_t request, std::string frame) = 0;

  // An attempt ended, and CoreOptions wants a line about it.
  virtual void report(const AttemptReport& report) = 0;
  // A function has printed.
  virtual void print(const OutputLine& line) = 0;
  virtual void say_left_out(const LeftOut& left_out) = 0;

  // Something an operator should know. The shell limits the rate.
  virtual void warn(std::string_view line) = 0;
};

}  // namespace fanfare::worker
