// Which numbers the enumerations on the wire have. For this folder's sources only.
#pragma once

#include "protocol/messages.h"
#include "protocol/record.h"

namespace fanfare::protocol {

constexpr bool is_known(Refusal value) {
  return value >= Refusal::kMalformed && value <= Refusal::kNotAllowed;
}
constexpr bool is_known(PublishRun::Fate value) {
  return value <= PublishRun::Fate::kRefused;
}
constexpr bool is_known(Origin value) {
  return value <= Origin::kInvoke;
}
constexpr bool is_known(WorkerState value) {
  return value <= WorkerState::kTerminating;
}
constexpr bool is_known(Status value) {
  return value <= Status::kCancelled;
}
constexpr bool is_known(DeadReason value) {
  return value <= DeadReason::kRecursion || value == DeadReason::kCancelled ||
         value == DeadReason::kPurged;
}
constexpr bool is_known(Outcome value) {
  return value <= Outcome::kInitFailed ||
         (value >= Outcome::kWorkerLost && value <= Outcome::kRedriven);
}

}  // namespace fanfare::protocol
