// A delivery in the broker's hands: everything needed to lend it to a worker, and again after a
// loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/shared_bytes.h"
#include "protocol/ids.h"
#include "protocol/messages.h"

namespace fanfare::broker {

struct Pending {
  protocol::EventId id;
  std::uint8_t slot = 0;
  std::uint16_t entry_size = 1;
  protocol::Lane lane;
  protocol::Origin origin = protocol::Origin::kJournal;
  std::uint32_t generation = 0;     // of its event
  std::uint16_t worker_losses = 0;  // attempts that ended because their worker vanished
  std::uint32_t dispatches = 0;     // under this broker; numbers the attempt tokens
  std::uint32_t attempts = 0;       // that counted against the retry budget
  std::int64_t accepted_ms = 0;     // Unix ms
  // From when its age counts, Unix ms: acceptance, or when its publisher wished that it starts.
  std::int64_t age_from_ms = 0;
  std::int64_t due_ms = 0;          // of kLater: its score, to know the row again
  std::int64_t expires_ms = 0;      // Unix ms, 0 = never
  std::uint64_t flow = 0;           // its tenant or ordering key, see place.h
  bool ordered = false;             // flow is an ordering key
  protocol::AttemptToken moved_by;  // of kLater: who put it there; up to it all are counted
  std::string packed_ledger;
  SharedBytes packed_event;

  std::size_t bytes() const { return sizeof(Pending) + packed_ledger.size() + packed_event.size(); }
};

}  // namespace fanfare::broker
