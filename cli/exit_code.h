// What the `fanfare` command tells the shell.
#pragma once

#include "base/result.h"

namespace fanfare::cli {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,       // the function or the event failed, or did not end in time
  kUsage = 2,        // the command line makes no sense
  kUnreachable = 3,  // no broker, no Redis
  kRefused = 4,      // queue full, too large, not found, not supported
};

inline ExitCode exit_code_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kReconnect:
      return kUnreachable;
    case ErrorKind::kFatal:
      return kUsage;
    case ErrorKind::kReject:
    case ErrorKind::kRetryLater:
    case ErrorKind::kStale:
      return kRefused;
  }
  return kRefused;
}

}  // namespace fanfare::cli
