// A whole Fanfare in one thread: real cores, simulated surroundings, one seed.
//
// World. broker::Core and worker::Core as they ship, client::PublishQueue as publishers use it, and
// store::ModelStore in Redis' place; between them a network and connections to Redis made of plain
// values, and instances that behave as each event tells them: succeed, fail some times or for good,
// refuse to be retried, crash, hang until they are killed, answer too much, kill their worker. Time
// moves from one step (an arrival, a timer, the end of a function) to the next; nothing sleeps.
// Publishers, callers (invocations, waits) and an operator (deployments, drains) keep the system
// busy, with priorities, tenants, delays and expiries; functions have destinations. Events with an
// id or an idempotency key are published again, by anybody, or others take their names.
//
// Faults, each kind switched on for about half of all seeds:
// - connections break (what is under way is lost, both ends notice late), peers are cut off for a
//   while, messages are slow; different connections overtake each other;
// - publishers, brokers, workers, instances and zygotes die at any point and come back; a broker is
//   held up and goes on, also beside a successor that has begun meanwhile; zygotes and forks fail;
// - the connection to Redis breaks with unknown outcome, Redis stalls, restarts with everything it
//   has applied, or refuses appends (full), all changes (disk) or one
//   function's results (a key that somebody spoilt) for a while; clocks step;
// - an operator pauses functions, purges queues, cancels events and makes workers quiet, and takes
//   all of that back in the end;
// - frames that cannot be read come to the broker (from strangers, workers and publishers, whose
//   batches are spoilt on their way out) and to workers.
//
// Invariants, checked at each step by History, in Redis by the call, and once more id by id when
// the last fault is over and everything has come to rest:
//  1. An acknowledged event is in the journal before its acknowledgement leaves the broker, under
//     the acknowledged id, for exactly the functions its type goes to; and each of these deliveries
//     ends, once, as succeeded, dead or expired. A refused event is never in the journal; one whose
//     batch got no answer is there at most once; nobody's event is there not at all.
//  2. A stored result never changes, and is there exactly if the delivery has ended.
//  3. A commit counts only for what has run; success is reported only after Redis has judged it.
//  4. Retries: no attempt number, no postponement and no retries_exhausted runs ahead of the
//     failures that the function itself has had; losses, drains and restarts use up nothing. Buried
//     for its worker losses is only who had that many.
//  5. No change by a broker after a younger one began.
//  6. accepted = open + later + succeeded + dead + expired + cancelled after every call, and each
//     of them equals what the calls that were applied add up to.
//  7. What one broker has lent of a function with max_concurrency, and has no reason to believe
//     over, is never more; nor are a worker's instances, or its slots.
//  8. Nothing is lent before its time, by the clock of the broker that lends it: what was due by it
//     once stays due when the clock is set back.
//  9. No needless second attempt: a broker lends a delivery again only after a report of the
//     attempt before, the loss of its worker, or of the message on its way; what workers name in
//     their Hello within the grace of a new broker, it does not lend to others. No two attempts
//     share a token.
// 10. A function that kills its workers kills at most worker_losses_max of them per broker's life.
// 11. A broker's counters add up with its answers (AnswerBook): each refusal of a frame or request
//     at every step; accepted, unmatched and refused events by reason whenever no batch is open,
//     and never fewer than it has answered. A repeated batch gets the answer it had, what was
//     refused for good stays refused. Each request is answered exactly once while its connection
//     stands. What came to a worker is counted as ok, failed or handed back once it holds nothing.
// 12. No function ever has more than queue_max unfinished deliveries in Redis.
// 13. What cannot be read is counted where it arrives, refused by a broker to the peer that sent
//     it, and changes nothing else.
// 14. No two events of one (source, id), or one idempotency key, are in the journal; whoever is
//     told that his event is a duplicate is given the id of the one that claimed it.
// 15. No worker's attempts are metered twice, however often its calls are repeated.
// 16. What an operator is told was cancelled has ended so in Redis, and stays so; what he is told
//     had ended before had ended as it is said.
// 17. Liveness: kRestAfter after the last fault (a worker killed by its function is one; invariant
//     10 bounds these) everything published has ended, and the broker's own counts agree with Redis
//     that nothing is left.
// 18. The deliveries of an ordering key end in the order in which they were accepted, those that
//     were delayed and those that are cancelled apart; and one broker has lent, and has no reason
//     to believe over, one of them at a time.
// 19. Destinations: each success, and each death, of a function with a destination for it is told
//     there in exactly one event, after that end; nothing is left in an outbox.
//
// Replay. A violation prints the seed, one line that runs it again, and the last lines of the
// trace:
//   simulation --first 4711 --seeds 1 --steps 2500 --verbose
// The same seed and steps give the same run, whatever else runs beside it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "tests/simulation/mutation.h"
#include "tests/simulation/trace.h"

namespace fanfare::simulation {

inline constexpr std::uint64_t kDefaultSteps = 2500;
// Simulated time. Retries here end within a second, a lost worker is missed for one, Redis'
// refusals are tried again each second, those of results and failed zygotes after some.
inline constexpr Duration kRestAfter = std::chrono::seconds{40};

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t steps = kDefaultSteps;  // under faults; the way to rest comes on top
  Mutation mutation = Mutation::kNone;
  Tracing tracing = Tracing::kOff;
};

struct Report {
  std::string violation;           // empty: none
  std::vector<std::string> trace;  // its last lines, if it was kept
  std::uint64_t steps = 0;
  std::uint64_t calls = 0;  // that Redis applied
  std::uint64_t executions = 0;
  std::size_t deliveries = 0;
  Duration simulated{};
};

Report simulate(const Options& options);

// What a person needs to see this violation again.
std::string replay_command(const Options& options);

}  // namespace fanfare::simulation
