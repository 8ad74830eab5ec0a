// Everything the broker accepted, refused, dropped or gave up, counted by reason.
#pragma once

#include <array>
#include <cstdint>

#include "base/zmq_connections.h"

namespace fanfare::broker {

struct Counters {
  std::uint64_t events_accepted = 0;
  std::uint64_t events_unmatched = 0;  // accepted, delivered to nobody
  std::uint64_t events_duplicate = 0;  // published before: answered with the first one's id
  std::uint64_t events_refused_malformed = 0;
  std::uint64_t events_refused_too_large = 0;
  std::uint64_t events_refused_queue_full = 0;
  std::uint64_t events_refused_unavailable = 0;
  std::uint64_t events_refused_unsupported = 0;
  std::uint64_t events_refused_no_such_function = 0;  // of their option `to`
  std::uint64_t events_refused_mismatch = 0;          // their key stands for another payload
  std::uint64_t lookups_failed = 0;                   // of claims; asked again
  std::uint64_t batches_repeated = 0;                 // answered from the repeat guard
  std::uint64_t repeats_stale = 0;                    // their publisher had gone on: dropped
  std::uint64_t frames_malformed = 0;
  std::uint64_t frames_wrong_version = 0;
  std::uint64_t frames_not_allowed = 0;  // over the network, of roles that their key does not have
  std::array<std::uint64_t, kConnectionRefusals> connections_refused{};  // by ConnectionRefusal
  std::uint64_t connections_cut_off = 0;  // their key was taken off the list

  std::uint64_t chunks_appended = 0;
  std::uint64_t appends_failed = 0;
  std::uint64_t pages_read = 0;

  std::uint64_t events_caused = 0;            // published by functions, or told to destinations
  std::uint64_t events_caused_unmatched = 0;  // of a type that nobody asked for
  std::uint64_t events_undeliverable = 0;     // their destination is not deployed: dead letters
  std::uint64_t outbox_deferred = 0;          // not taken yet: a queue is full. Tried again
  std::uint64_t outbox_unavailable = 0;       // not taken yet: a function cannot be read from Redis
  std::uint64_t outbox_unreadable = 0;        // stay in the outbox

  std::uint64_t deliveries_created = 0;
  std::uint64_t deliveries_caused = 0;      // among them: of events_caused
  std::uint64_t deliveries_dispatched = 0;  // attempts begun, as far as the broker knows
  std::uint64_t deliveries_early = 0;       // among them: while the journal was being written
  std::uint64_t deliveries_succeeded = 0;
  std::uint64_t deliveries_retried = 0;
  std::uint64_t deliveries_dead = 0;
  std::uint64_t deliveries_expired = 0;
  std::uint64_t deliveries_cancelled = 0;  // by operators, purged ones among them
  std::uint64_t deliveries_recursive = 0;  // buried, for their event's generation
  std::uint64_t attempts_failed =
      0;  // function_error, timeout, crashed, out_of_memory, init_failed
  std::uint64_t attempts_worker_lost = 0;
  std::uint64_t attempts_drained = 0;
  std::uint64_t attempts_throttled = 0;
  std::uint64_t attempts_cancelled = 0;  // cut while they ran
  std::uint64_t letters_redriven = 0;
  std::uint64_t letters_purged = 0;
  std::uint64_t letters_trimmed = 0;  // too old, or too many of a function
  std::uint64_t reports_stale = 0;    // Done rows of attempts that no longer hold the lease
  std::uint64_t moves_fenced = 0;     // postpone or bury found that another attempt had ended it
  std::uint64_t moves_gone = 0;       // or that it had ended, and nothing tells how

  std::uint64_t invocations = 0;
  std::uint64_t invocations_local = 0;  // among them: run by workers by themselves, for their hosts
  std::uint64_t invocations_timed_out = 0;
  std::uint64_t invocations_refused = 0;
  std::uint64_t invocations_lost = 0;  // their worker vanished: whether they ran is unknown
  std::uint64_t waits_refused = 0;
  std::uint64_t admin_refused = 0;
  std::uint64_t topics_refused_full = 0;  // changes: among admin_refused, as the next
  std::uint64_t topics_refused_busy = 0;  // too many wait
  std::uint64_t hellos_refused = 0;
  std::uint64_t deployments_refused = 0;  // a worker could not start what was to be deployed

  std::uint64_t relays_taken = 0;      // calls of workers, passed on to Redis
  std::uint64_t relays_repeated = 0;   // that were under way already
  std::uint64_t relays_deferred = 0;   // told to ask again: full, stopping, or Redis is away
  std::uint64_t relays_refused = 0;    // that will never do
  std::uint64_t relays_unclaimed = 0;  // answers whose worker had gone on to another session
  std::uint64_t packages_read = 0;     // for such workers

  std::uint64_t workers_joined = 0;
  std::uint64_t workers_lost = 0;
  std::uint64_t sends_failed = 0;
};

}  // namespace fanfare::broker
