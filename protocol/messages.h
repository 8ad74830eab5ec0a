// Every message that travels between processes over ZeroMQ, as plain values.
//
// On the wire a message is one frame: a msgpack array [version, kind, fields…] in the order of the
// struct's members, so anyone can read docs/protocol.md beside this file. std::string members named
// `packed…`/`data`/`record`/`log_tail` are bin, the others str and UTF-8; structs are arrays in
// turn; optionals are nil when absent. Messages to people (`message`, Failure's `type`) come from
// users' code: they are made valid UTF-8 and cut to 1 KiB, never refused. Decoding checks version,
// kind, arity (more fields than known are ignored), types, and limits: 16 MiB a frame, 65,536 array
// elements, depth 8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/result.h"
#include "protocol/ids.h"
#include "protocol/record.h"
#include "protocol/relay_messages.h"

namespace fanfare::protocol {

inline constexpr std::uint8_t kProtocolVersion = 1;

// What a peer is told when it cannot have what it asked for. Numbers are final.
enum class Refusal : std::uint8_t {
  kMalformed = 1,    // the message or event cannot be read
  kVersion = 2,      // the peer speaks another version; the message names both
  kTooLarge = 3,     // over max_event_bytes, result_max_bytes, or the frame limit
  kQueueFull = 4,    // the function's queue or Redis is full: try again later
  kUnavailable = 5,  // Redis away, draining, or no worker in time: try again later
  kNoSuchFunction = 6,
  kInvalid = 7,      // well-formed, but a value is out of range
  kUnsupported = 8,  // an option this broker cannot keep
  kTimeout = 9,      // the caller's own time ran out
  kInternal = 10,
  kNotAllowed = 11,  // the peer's key does not have the role for it
};
std::string_view to_string(Refusal refusal);  // "malformed", "too_large", "queue_full", …

inline constexpr std::size_t kBatchEventsMax = 4096;
inline constexpr std::size_t kBatchBytesMax = 4u << 20;  // unless there is one event only

// ---- client → broker ----

// A batch of events. One batch is in flight per connection; the client accumulates the next
// meanwhile. (client, sequence) is the repeat guard: a batch whose answer never came is sent again
// unchanged with `repeat` set, and gets the first answer. kind 1
struct Publish {
  std::string client;          // 16 random bytes, hex: one per publisher process; is_function_name
  std::uint64_t sequence = 0;  // from 1, one more for each new batch
  bool repeat = false;
  std::vector<std::string> packed_events;  // at most 4,096 and 4 MiB a batch, or one event
  bool operator==(const Publish&) const = default;
};

// Runs of neighbouring events of the batch that fared alike, in order. For kAccepted: ids are
// entry.index, entry.index+1, … and `detail` indexes `routes`. For kDuplicate the same, of the
// first publish. For kRefused: `detail` indexes `errors`, and the entry is 0-0.
struct PublishRun {
  enum class Fate : std::uint8_t { kAccepted = 0, kDuplicate = 1, kRefused = 2 };
  Fate fate = Fate::kAccepted;
  EventId first;
  std::uint32_t count = 0;
  std::uint32_t detail = 0;
  bool operator==(const PublishRun&) const = default;
};
struct PublishError {
  Refusal code = Refusal::kMalformed;
  std::string message;
  bool operator==(const PublishError&) const = default;
};
// kind 2. An event whose route is empty was unmatched: accepted, counted, delivered to nobody.
struct Published {
  std::uint64_t sequence = 0;
  std::vector<PublishRun> runs;
  std::vector<std::vector<std::string>> routes;  // distinct sets of function names
  std::vector<PublishError> errors;
  bool operator==(const Published&) const = default;
};

// Synchronous invocation: runs the function once, nothing is journaled. From a client, or from a
// worker for a function that waits in an instance: then the event has a generation, and goes before
// those of clients, because a slot waits for it. kind 3
struct Invoke {
  std::uint64_t request = 0;
  std::string function;
  std::uint32_t timeout_ms = 30000;  // queueing included; 1 to 86,400,000
  std::string packed_event;          // type "function.invoked" unless the caller says otherwise
  bool operator==(const Invoke&) const = default;
};
struct Invoked {  // kind 4
  std::uint64_t request = 0;
  std::string record;  // packed ResultRecord
  bool operator==(const Invoked&) const = default;
};

// Waits until a delivery of an event ends (of `function`, or whichever ends next). A caller sends
// it, then looks in Redis: what ended before the broker heard of the wait is there already. kind 5
struct Await {
  std::uint64_t request = 0;
  EventId event;
  std::string function;  // empty = all of the event's functions
  std::uint32_t timeout_ms = 30000;
  bool operator==(const Await&) const = default;
};
// `ended` names the function whose delivery ended just now. Both empty: the time is up, or the
// broker holds no such delivery (any more): the results in Redis are the answer. `pending` names
// others of this event that the broker is sure to hold still. kind 6
struct Awaited {
  std::uint64_t request = 0;
  std::vector<std::string> ended;
  std::vector<std::string> pending;
  bool operator==(const Awaited&) const = default;
};

// Everything operators ask: verb and JSON body; docs/protocol.md lists the verbs. kind 7, answered
// by kind 8 with a JSON body (or text for metrics).
struct Admin {
  std::uint64_t request = 0;
  std::string verb, data;
  bool operator==(const Admin&) const = default;
};
struct AdminReply {
  std::uint64_t request = 0;
  std::string data;
  bool operator==(const AdminReply&) const = default;
};

// To any peer, instead of the answer it hoped for; request 0 = not tied to one. kind 9
struct Refused {
  std::uint64_t request = 0;
  Refusal code = Refusal::kMalformed;
  std::string message;
  bool operator==(const Refused&) const = default;
};

// ---- worker ↔ broker ----

// Where a delivery's state lies, hence how it is committed.
enum class Origin : std::uint8_t {
  kJournal = 0,  // a journal entry's `open` state
  kLater = 1,    // a row of `later`
  kMemory = 2,   // durability class memory: nothing lies in Redis yet
  kInvoke = 3,   // synchronous: its result goes back to the caller, not to Redis
};

// One delivery, lent to a worker.
struct Delivery {
  EventId id;                    // of kInvoke: entry = (invoke number, 0)
  std::uint8_t slot = 0;         // position of its state in the entry's `open` field
  std::uint16_t entry_size = 1;  // deliveries in the entry for this function, 1-256
  Lane lane;
  Origin origin = Origin::kJournal;
  AttemptToken token;
  std::uint32_t attempt = 1;     // number of this attempt; counts only those against the budget + 1
  std::int64_t accepted_ms = 0;  // Unix ms
  std::string packed_ledger;     // rows of earlier attempts, empty for the first
  std::string packed_event;
  bool operator==(const Delivery&) const = default;
};

struct HeldDelivery {
  std::string function;
  EventId id;
  AttemptToken token;
  bool operator==(const HeldDelivery&) const = default;
};

// What a worker does with new work. It goes from running to quiet and back as operators wish, and
// into terminating once, for good.
enum class WorkerState : std::uint8_t {
  kRunning = 0,
  kQuiet = 1,        // takes no new work, finishes what runs, stays
  kTerminating = 2,  // was told to stop: the same, and leaves within its grace
};
std::string_view to_string(WorkerState state);  // "running", "quiet", "terminating"

// First message of a connection, and again whenever the broker asks by Reset. Names everything the
// worker still holds, so that a new session of it or a restarted broker runs nothing twice. kind 20
struct Hello {
  std::string name;  // the worker's name, e.g. host + number; unique per broker
  std::string host;  // boot id and PID namespace, see this_host_id(); the broker's = same host
  std::int32_t pid = 0;
  std::uint64_t pid_started = 0;  // field 22 of /proc/PID/stat, so that a pid reused is noticed
  std::uint32_t slots = 0;        // instances it will run at once, at most
  std::vector<HeldDelivery> held;
  std::optional<WorkerState> state;  // absent: an older build, which knows no Cancel and no Quiet
  bool relayed =
      false;  // it has no way to Redis of its own: what it wants there goes by the broker
  std::vector<std::string> prepares;  // runtimes of functions that it can be sent Prepare for
  std::string version;                // of its build; empty: an older one
  bool early = false;                 // it can be sent what the journal may not have yet: Deliver
  bool local = false;  // it runs invocations of its own host by itself, if it is sent Local
  bool operator==(const Hello&) const = default;
};
struct FunctionSpec {
  std::string name;
  std::string manifest_toml;
  std::string digest;            // SHA-256 hex of the package; its bytes lie in Redis under it
  std::uint64_t generation = 0;  // grows with each deploy
  bool operator==(const FunctionSpec&) const = default;
};
// kind 21
struct Welcome {
  std::uint64_t session = 0;
  std::uint32_t epoch = 0;
  std::uint32_t heartbeat_ms = 2000;
  std::uint32_t lease_ms = 30000;
  std::vector<FunctionSpec> functions;
  // What a worker may have asked of Redis through this broker (relay_messages.h) and not have the
  // answer of, in calls and in bytes of frames; a single call may have any size. 0: this broker
  // relays nothing, it is of an older build.
  std::uint32_t relay_calls = 0;
  std::uint64_t relay_bytes = 0;
  // Of what lies in Redis; 1 where an older build does not say. From 2 on a worker may pack
  // results.
  std::uint32_t layout = 1;
  bool operator==(const Welcome&) const = default;
};
struct Functions {  // the whole set, after a change. kind 22
  std::vector<FunctionSpec> functions;
  bool operator==(const Functions&) const = default;
};

// How many deliveries of a function may have been sent in this session, in all: a total, so a lost
// or repeated Credit does no harm. kind 23
struct Credit {
  struct Row {
    std::string function;
    std::uint64_t total = 0;
    bool warm = false;
    bool operator==(const Row&) const = default;
  };
  std::vector<Row> rows;
  bool operator==(const Credit&) const = default;
};

struct Deliver {  // kind 24
  std::string function;
  std::vector<Delivery> deliveries;
  // Their entry is on its way into the journal. They may be run, but nothing of them is committed
  // until Journaled says that it is there. Only to workers whose Hello says `early`.
  bool early = false;
  bool operator==(const Deliver&) const = default;
};

// How deliveries ended, in one batch. Ok rows were committed by the worker beforehand; the others
// are the broker's to postpone or bury. Kept by the worker and sent again after a reconnect until a
// HeartbeatAck says that `number` has arrived. kind 25
struct Done {
  struct Row {
    std::string function;
    EventId id;
    AttemptToken token;
    Outcome outcome = Outcome::kOk;
    Status final_status = Status::kSucceeded;
    Failure failure;         // meaningful unless outcome is ok; nil then
    std::string packed_row;  // AttemptRow; empty when ok
    std::string log_tail;    // empty when ok
    std::string record;      // packed ResultRecord, only of kInvoke
    bool operator==(const Row&) const = default;
  };
  // What was committed needs few words: the deliveries of one journal entry, by index and token.
  struct Committed {
    std::string function;
    EntryId entry;
    std::string packed;  // 5 bytes per delivery: index u8, token u32 big-endian
    void add(std::uint8_t index, AttemptToken token);
    std::size_t count() const { return packed.size() / 5; }
    EventId id(std::size_t i) const { return {entry, static_cast<std::uint8_t>(packed[5 * i])}; }
    AttemptToken token(std::size_t i) const;
    bool operator==(const Committed&) const = default;
  };
  std::uint64_t number = 0;
  std::vector<Row> rows;
  std::vector<Committed> committed;
  // Functions whose outbox a commit of theirs has written to: the broker may want to look there.
  std::vector<std::string> outboxes;
  bool operator==(const Done&) const = default;

  // All of it as rows, in no other order than their own: for who does not count nanoseconds.
  std::vector<Row> all_rows() const;
};

// An attempt that a worker's instance is at.
struct RunningAttempt {
  static constexpr std::uint32_t kProgressWhole = 1'000'000;

  std::string function;
  EventId id;
  AttemptToken token;
  std::uint32_t running_ms = 0;           // since its start: no clock but the worker's is asked
  std::optional<std::uint32_t> progress;  // in millionths, as the function says; nil: it has not
  std::string note;                       // the function's own words
  bool operator==(const RunningAttempt&) const = default;
};
inline constexpr std::size_t kRunningInHeartbeatMax = 256;
inline constexpr std::size_t kBrokenInHeartbeatMax = 64;

// Every heartbeat_ms, and sooner when a function reports progress, from the loop that does the
// work. kind 26, answered by kind 27
struct Heartbeat {
  std::uint64_t session = 0;
  std::uint64_t delivered = 0;  // Deliver messages received in this session
  struct Row {
    std::string function;
    std::uint32_t instances = 0, busy = 0, queued = 0;
    bool operator==(const Row&) const = default;
  };
  std::vector<Row> rows;
  // What runs, in no order; of more than kRunningInHeartbeatMax those that report progress, then
  // those that have run longest.
  std::vector<RunningAttempt> running;
  WorkerState state = WorkerState::kRunning;
  std::uint32_t waiting = 0;  // instances that wait for a function that they have invoked
  // Functions whose present generation does not start there, and why; kBrokenInHeartbeatMax.
  struct Broken {
    std::string function;
    std::uint64_t generation = 0;
    Failure failure;
    bool operator==(const Broken&) const = default;
  };
  std::vector<Broken> broken;
  // Invocations that it runs by itself, see Local: what has come since the heartbeat before.
  struct LocalRow {
    std::string function;
    std::uint64_t ended = 0;      // attempts
    std::uint64_t timed_out = 0;  // invocations whose callers were told that their time is up
    std::uint32_t here = 0;       // now: running, or about to
    bool operator==(const LocalRow&) const = default;
  };
  std::vector<LocalRow> local;
  bool operator==(const Heartbeat&) const = default;
};
struct HeartbeatAck {
  std::uint64_t session = 0;
  std::uint64_t done_number = 0;
  bool operator==(const HeartbeatAck&) const = default;
};
struct Bye {  // kind 28: nothing is held any more
  std::uint64_t session = 0;
  bool operator==(const Bye&) const = default;
};
struct Reset {  // kind 29: unknown session, say Hello
  bool operator==(const Reset&) const = default;
};

// These deliveries have been ended by an operator. The worker drops those that wait, stops the
// attempt of those that run, and reports each as `cancelled`; what it would still commit is refused
// by Redis. Those it does not hold under that token mean nothing to it. kind 30
struct Cancel {
  std::vector<HeldDelivery> deliveries;
  bool operator==(const Cancel&) const = default;
};
// An operator's wish, after Welcome and whenever it changes. Quiet: the worker takes no new work,
// hands back what waits and finishes what runs. A worker that is terminating ignores it. kind 31
struct Quiet {
  bool quiet = true;  // false: take work again
  bool operator==(const Quiet&) const = default;
};

// A function is about to be deployed: the worker fetches its package, verifies it, loads it and
// runs its init, beside the generation that goes on meanwhile, and says Prepared. Functions makes
// it the present one; it may be ready then. Sent to workers whose Hello names its runtime. kind 40
struct Prepare {
  FunctionSpec function;     // its generation is 0: it has none yet
  bool drop = false;         // it was not deployed after all: forget it, no answer
  std::uint64_t number = 0;  // of the deployment, of the broker's own numbering; Prepared has it
  bool operator==(const Prepare&) const = default;
};
struct Prepared {  // kind 41
  std::uint64_t session = 0;
  std::string function, digest;    // of Prepare
  std::uint64_t number = 0;        // of Prepare
  std::optional<Failure> failure;  // why it would not run there; nil: it would
  std::string log_tail;            // what its init printed, of a failure
  bool operator==(const Prepared&) const = default;
};

// What became of entries that early deliveries belong to: those that the journal has may be
// committed, what ran of the others is dropped and not reported. kind 42
struct Journaled {
  std::vector<EntryId> there, refused;
  bool operator==(const Journaled&) const = default;
};
// Of which functions a worker may run invocations by itself that come from its own host, without
// asking: those of which nothing is counted over all workers, and nothing holds them up. All of
// them, after Welcome and whenever that changes; no others. Sent to workers whose Hello wants it;
// Heartbeat::local tells the broker what came of it. kind 43
struct Local {
  std::vector<std::string> functions;
  std::uint64_t event_bytes_max = 0;  // larger data go to the broker, which refuses them
  bool operator==(const Local&) const = default;
};

using Message =
    std::variant<Publish, Published, Invoke, Invoked, Await, Awaited, Admin, AdminReply, Refused,
                 Hello, Welcome, Functions, Credit, Deliver, Done, Heartbeat, HeartbeatAck, Bye,
                 Reset, Cancel, Quiet, Commit, Committed, ReadRows, RowsRead, TellUsage, UsageTold,
                 FetchPackage, PackagePart, Prepare, Prepared, Journaled, Local>;

template <typename M, typename Variant>
inline constexpr bool kIsAlternative = false;
template <typename M, typename... Ms>
inline constexpr bool kIsAlternative<M, std::variant<Ms...>> = (std::is_same_v<M, Ms> || ...);
template <typename M>
concept WireMessage = kIsAlternative<M, Message>;

// Encodes one message, without copying it into a Message first.
template <WireMessage M>
std::string encode(const M& message);
std::string encode(const Message& message);
// Rejects with what is wrong and where. A wrong version says both versions, so the peer can be
// told.
Result<Message> decode(std::string_view frame);

// The way of an event avoids copying its bytes. These read in place; views live as long as `frame`.
struct PublishView {
  std::string_view client;
  std::uint64_t sequence = 0;
  bool repeat = false;
  std::vector<std::string_view> packed_events;
};
Result<PublishView> view_publish(std::string_view frame);
// The kind of a frame without decoding the rest; 0 if it is not a message of ours. kinds.h has the
// numbers; deliver_view.h reads and writes Deliver in place.
std::uint8_t peek_kind(std::string_view frame);

// The number by which the answer to a frame is found, read in place: its request, a batch's
// sequence; 0 if it has none, or cannot be read so far.
std::uint64_t request_of(std::string_view frame);

// What to answer a peer whose frame `decode` or a view rejected with `error`: kVersion if that was
// why, else kMalformed, and the request's number if the frame names one.
Refused refusal_of(std::string_view frame, const Error& error);

}  // namespace fanfare::protocol
