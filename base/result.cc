#include "base/result.h"

namespace fanfare {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kReject:
      return "rejected";
    case ErrorKind::kRetryLater:
      return "retry later";
    case ErrorKind::kReconnect:
      return "connection lost";
    case ErrorKind::kStale:
      return "stale";
    case ErrorKind::kFatal:
      return "fatal";
  }
  return "unknown";
}

}  // namespace fanfare
