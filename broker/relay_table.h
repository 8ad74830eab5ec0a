// Calls of workers on their way to Redis through this broker: whose they are, and whether one more
// may go.
//
// A worker is told by Welcome how much it may have under way; what goes beyond that, or finds the
// whole broker full, is refused "later" and waits at its worker, so nothing is lost and nobody's
// memory fills. A single call of a worker that has none under way may have any size, and where the
// others have filled the broker as a whole there is a little more room for such ones: so nobody
// waits for ever for the moment in which a large one would fit.
//
// A request that is under way already is a repeat (its worker was impatient, or joined anew): the
// answer to the first is the answer to both, so it is not sent to Redis twice.
//
// Pure; on the loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "broker/lease_table.h"

namespace fanfare::broker {

using Ticket = StrongId<struct TicketTag, std::uint64_t>;

struct RelayLimits {
  std::uint32_t calls_per_worker = 64;  // a worker commits up to 32 at once, and reads rows beside
  std::uint64_t bytes_per_worker = 16u << 20;  // of frames: one call has up to 11 MiB
  std::size_t calls_max = 2048;                // in all; the store behind takes twice as many
  std::uint64_t bytes_max = 48u << 20;
  // Beyond both, for workers that have none under way: one of the largest calls.
  std::size_t first_calls_max = 256;
  std::uint64_t first_bytes_max = 12u << 20;
};

class RelayTable {
 public:
  explicit RelayTable(RelayLimits limits) : limits_(limits) {}

  enum class Admission { kTaken, kUnderWay, kFull };
  Admission admit(Ticket ticket, SessionId session, std::uint64_t request, std::size_t bytes);

  struct Asked {
    SessionId session;
    std::uint64_t request = 0;
  };
  // Redis has answered: who asked. Nothing for a ticket that was never admitted.
  std::optional<Asked> end(Ticket ticket);

  std::size_t calls() const { return asked_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  const RelayLimits& limits() const { return limits_; }

 private:
  struct UnderWay {
    Asked by;
    std::size_t bytes = 0;
  };
  struct Load {
    std::set<std::uint64_t> requests;
    std::uint64_t bytes = 0;
  };

  const RelayLimits limits_;
  std::unordered_map<Ticket, UnderWay> asked_;
  std::map<SessionId, Load> load_;  // of those with something under way
  std::uint64_t bytes_ = 0;
};

}  // namespace fanfare::broker
