// The name for how an instance ended: from what the kernel and the worker know to what users read.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "protocol/record.h"

namespace fanfare::worker {

// An instance that cannot set itself up exits with this status before it takes any item.
inline constexpr int kSetupFailedStatus = 113;

// Why the worker told the instance to stop, if it did.
enum class StopReason : std::uint8_t { kNone, kTimeout, kDrain, kCancel };

// What is known when an instance is gone.
struct Ending {
  int code = 0;    // CLD_EXITED, CLD_KILLED or CLD_DUMPED, as waitid says; 0: nobody knows
  int status = 0;  // exit status or signal
  bool out_of_memory = false;  // its memory cgroup counted a kill
  std::uint32_t peak_memory_kb = 0;
  Duration cpu_time{};  // user and system
};

struct NamedEnding {
  protocol::Outcome outcome = protocol::Outcome::kCrashed;
  protocol::Failure failure;
};

// For the item that was running. A function that exits, whatever its status, has not answered: it
// crashed. `timeout` is only said in the message.
NamedEnding name_ending(const Ending& ending, StopReason told_to_stop, Duration timeout);

}  // namespace fanfare::worker
