// What the broker's core is told once, when it is made: bounds, times, and which of its protections
// are on. How they are set from outside: config.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/failpoint.h"
#include "base/result.h"
#include "base/time.h"
#include "broker/delivery_queue.h"
#include "broker/later_window.h"
#include "broker/relay_table.h"
#include "broker/router.h"
#include "protocol/event.h"
#include "protocol/messages.h"
#include "protocol/tracepoint.h"

namespace fanfare::broker {

enum class Durability { kFsync, kEverysec, kMemory };
std::string_view to_string(Durability durability);
Result<Durability> parse_durability(std::string_view text);

// Switched off one by one in tests that show what each protects against. All on in production.
struct Protections {
  bool acknowledge_after_journal = true;  // else publishers are answered as soon as a chunk is cut
  bool take_back_from_lost_workers = true;
  bool losses_spare_the_budget = true;  // else a vanished worker counts as a failed attempt
  bool repeat_guard = true;             // else a repeated batch is journaled again
  bool check_claims = true;             // else a repeated id or key makes a new event
  bool cut_appends = true;              // else an append may hold more events than fit its ids
  bool unique_tokens = true;            // else every attempt carries the same token
  bool wait_for_announcements = true;   // else a restarted broker lends at once
  bool count_refusals = true;           // else refused events are not counted
  bool bound_queues = true;             // else queue_max is not looked at
  bool answer_garbage = true;           // else what cannot be read is dropped in silence
  bool keep_key_order = true;           // else ordering keys are not looked at
  bool tenants_take_turns = true;       // else tenants are not looked at: first come, first served
  bool end_before_cutting = true;       // else a cancelled attempt is only taken from its worker
  bool empty_outboxes = true;           // else what was published stays in its outbox, too
  bool look_at_outboxes = true;         // else only what workers say of them counts
  bool open_circles = true;             // else functions may wait for one another's queues for ever
  bool answer_relays_after_redis = true;  // else a relayed commit is answered as soon as it comes
  bool prove_office = true;               // else a replaced broker lends until Redis tells it
};

struct CoreOptions {
  Durability durability = Durability::kFsync;
  std::uint32_t layout = 0;                                    // store::Begin
  std::size_t event_bytes_max = protocol::kEventDataBytesMax;  // data of one event
  std::uint64_t queue_max = 10'000'000;      // unfinished deliveries per function, then queue_full
  std::size_t intake_bytes_max = 64u << 20;  // events not yet journaled, then queue_full
  std::size_t memory_queue_bytes_max = 512u
                                       << 20;  // class memory: waiting deliveries of all functions
  std::uint64_t outbox_max =
      100'000;  // entries; a function with more is not lent, see core_circle.cc
  std::size_t invocations_max = 10'000;          // synchronous calls waiting per function
  std::size_t invocation_bytes_max = 64u << 20;  // their events, waiting or lent, of all functions
  std::size_t waits_max = 100'000;               // Await requests at once
  std::size_t cancellations_max = 1000;          // under way at once
  std::size_t purged_at_once = 1024;  // deliveries of a purge whose end Redis has not answered
  std::size_t admitted_at_once =
      protocol::kChunkEventsMax;  // of one publisher; twice that in a turn
  std::size_t route_names_max = Router::kNamesMax;
  std::uint32_t appends_in_flight_max = 8;  // full chunks; a partial one waits until none is
  WindowLimits window;
  LaterLimits later;
  // How long the same (source, id) or idempotency key is the same event; 0 = ids are not looked at.
  Duration dedup_window = std::chrono::minutes{5};
  std::size_t claims_kept_max = 262'144;  // see claim_table.h
  Duration heartbeat = std::chrono::seconds{2};
  Duration lease = std::chrono::seconds{30};  // a worker silent for so long is lost
  Duration announce_grace = std::chrono::milliseconds{300};
  std::uint32_t worker_losses_max = 5;  // then a delivery is buried: it may kill workers
  // Older dead letters go, and the oldest of more than so many of a function.
  Duration dead_max_age = std::chrono::hours{14 * 24};
  std::uint64_t dead_max_count = 100'000;
  RelayLimits relay;
  std::uint32_t generations_kept = 10;  // of a function, the present one among them
  bool start_early = true;              // deliveries may run while the journal is being written
  // For so long after it took office another one may still lend, see office.h.
  Duration former_lends{0};
  std::uint64_t seed = 1;  // of the retry jitter
  Protections protections;
  Failpoint failpoint;  // tests only
  protocol::Tracepoint tracepoint;
};

}  // namespace fanfare::broker
