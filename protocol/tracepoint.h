// Where the time of an event goes: the points of its way that processes note while somebody looks.
//
// Cores pass them with the journal entry that the event lies in; what is noted is the instant that
// the point is passed, or one that the caller knows. Unless `trace` of [broker] and [worker] names
// a folder (base/trace_file.h) nothing is noted, and passing is one branch that is never taken.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "protocol/ids.h"

namespace fanfare::protocol {

// In the order of the way. Journaled and acknowledged may come later than what is below them: a
// delivery may run while its event is being journaled.
enum class Hop : std::uint32_t {
  kPublished = 1,  // publisher: handed to the client library
  kArrived,        // broker: its batch was read
  kWritten,        // broker: its chunk was given to Redis
  kJournaled,      // broker: Redis has answered, durable as its class says
  kAcknowledged,   // publisher: has the answer
  kLent,           // broker: given to a worker
  kReceived,       // worker: read
  kHandedOver,     // worker: given to an instance
  kEntered,        // instance: the handler begins
  kLeft,           // instance: the handler is done
  kResult,         // worker: has the result
  kCommitted,      // worker: Redis has stored it
  kDone,           // broker: was told
};

class Tracepoint {
 public:
  // Without an instant: now.
  using Hook = std::function<void(Hop, const EntryId&, std::optional<TimePoint>)>;

  Tracepoint() = default;
  explicit Tracepoint(Hook hook) : hook_(std::move(hook)) {}

  explicit operator bool() const { return static_cast<bool>(hook_); }

  void operator()(Hop hop, const EntryId& entry, std::optional<TimePoint> at = {}) const {
    if (hook_) [[unlikely]]
      hook_(hop, entry, at);
  }

 private:
  Hook hook_;
};

// Notes to a file of this process in `folder`; nothing, if that is empty. kFatal: why it cannot.
Result<Tracepoint> trace_to(const std::string& folder, const std::string& program);

}  // namespace fanfare::protocol
