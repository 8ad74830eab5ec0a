// What an event is on its way from a publisher's batch to the journal, in this order: Batch and
// Arrived (not admitted yet), Incoming (admitted; LookingUp while Redis is asked whether it has
// been published before), Chunk (journaled together). Caused comes from an outbox and not from a
// publisher. No more than data: core_intake.cc, core_claims.cc, core_publish.cc and core_outbox.cc
// move it on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/shared_bytes.h"
#include "base/time.h"
#include "broker/claim_table.h"
#include "broker/claims.h"
#include "broker/function_state.h"
#include "broker/pending.h"
#include "broker/place.h"
#include "protocol/ids.h"
#include "protocol/messages.h"

namespace fanfare::broker {

// The functions of a route, resolved once per route.
struct Target {
  std::vector<std::string> names;
  std::vector<FunctionState*> functions;
};
using BatchId = StrongId<struct BatchTag, std::uint64_t>;
struct Batch {
  Peer peer;
  std::string client;
  std::uint64_t sequence = 0;
  std::size_t unanswered = 0;  // events
  protocol::Published answer;
  std::size_t cut = 0;  // events that were recalled or are in chunks
  TimePoint arrived;
};
// What is not admitted yet of a batch.
struct Arrived {
  BatchId batch;
  std::vector<SharedBytes> events;
  std::size_t next = 0;
  bool looks_up = false;  // some of it are among LookingUp, or were
};
// One event on its way into the journal, or a refusal keeping its place in the answer.
struct Incoming {
  BatchId batch;
  std::size_t run = 1;  // events of its batch that follow it without a gap, itself included
  SharedBytes packed_event;
  std::shared_ptr<const Target> target;
  Place place;
  bool timed = false;  // it may not start at any time: its options say when
  std::uint32_t generation = 0;
  std::optional<protocol::PublishError> refusal;
  std::unique_ptr<const Claims> claims;
};
// Events of a batch whose claims are being looked up: they are not in `incoming_` yet, so that
// the events of other publishers go on.
struct LookingUp {
  std::uint64_t after;  // the last key, as they are numbered, that has to be answered
  std::vector<Incoming> events;
  std::size_t bytes = 0;
};
struct Offer {  // what a chunk brings one lane of one function
  FunctionState* function;
  protocol::Lane lane;
  std::vector<Pending> deliveries;
  bool early = false;  // lent already
};
struct Chunk {
  protocol::EntryId entry;
  std::vector<std::pair<BatchId, std::size_t>> shares;  // events per batch, in order
  std::vector<protocol::Published> parts;               // one per share
  std::vector<Offer> offers;
  std::size_t bytes = 0;
  std::uint64_t events = 0, unmatched = 0, duplicates = 0;
  std::vector<ClaimKey> claims;
  TimePoint sent;
  // Of outboxes, not of publishers: where the events lay. Then there are no shares and parts.
  std::vector<std::pair<FunctionState*, protocol::EntryId>> caused;

  struct Delayed {  // what it brings into one function's `later`
    FunctionState* function;
    std::int64_t first_due_ms;
    std::uint64_t count;
  };
  std::vector<Delayed> delayed;

  void note_sizes();  // once all events are in
  std::uint64_t deliveries() const;
  void will_not_arrive() const;
};
// An outbox entry on its way into the journal.
struct Caused {
  Incoming incoming;
  FunctionState* source;
  protocol::EntryId entry;
};

}  // namespace fanfare::broker
