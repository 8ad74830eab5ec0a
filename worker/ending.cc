#include "worker/ending.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <string>

namespace fanfare::worker {
namespace {

using protocol::Failure;
using protocol::Outcome;

std::string signal_name(int signal) {
  const char* abbreviation = ::sigabbrev_np(signal);
  return abbreviation ? std::string("SIG") + abbreviation : "signal " + std::to_string(signal);
}

std::string what_the_signal_means(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "the function used memory that is not its own";
    case SIGBUS:
      return "the function used memory that has no backing";
    case SIGABRT:
      return "the function aborted (a failed assertion, a second exception?)";
    case SIGFPE:
      return "the function divided by zero or overflowed";
    case SIGILL:
      return "the function ran an instruction that this processor does not have";
    case SIGKILL:
      return "somebody killed the instance from outside";
    default:
      return "the instance was ended by " + signal_name(signal);
  }
}

}  // namespace

NamedEnding name_ending(const Ending& ending, StopReason told_to_stop, Duration timeout) {
  // The kernel's own count comes first: a function that outgrows its memory while it is being
  // stopped for its time has still outgrown its memory.
  if (ending.out_of_memory) {
    return {Outcome::kOutOfMemory,
            {"OutOfMemory", "the function used more memory than its limit", true, {}}};
  }
  if (told_to_stop == StopReason::kTimeout) {
    return {Outcome::kTimeout,
            {"Timeout", "took longer than " + format_duration(timeout), true, {}}};
  }
  if (told_to_stop == StopReason::kCancel) {
    return {Outcome::kCancelled, {"Cancelled", "ended by an operator", false, {}}};
  }
  if (told_to_stop == StopReason::kDrain) {
    return {Outcome::kDrained, {"Drained", "the worker was shutting down", true, {}}};
  }
  if (ending.code == CLD_EXITED && ending.status == kSetupFailedStatus) {
    return {Outcome::kInitFailed,
            {"SetupFailed", "the instance could not be set up; its log says why", true, {}}};
  }
  if (ending.code == CLD_EXITED) {
    return {Outcome::kCrashed,
            {"Exited",
             "exited with status " + std::to_string(ending.status) + " without answering",
             true,
             {}}};
  }
  if (ending.code == 0) {
    return {Outcome::kCrashed, {"Ended", "ended, and nobody knows how", true, {}}};
  }
  return {Outcome::kCrashed,
          {signal_name(ending.status), what_the_signal_means(ending.status), true, {}}};
}

}  // namespace fanfare::worker
