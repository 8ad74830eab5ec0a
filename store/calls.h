// Everything Fanfare asks of Redis while events flow, as plain values: a call goes out, an answer
// comes back. The cores speak only these, so a test can answer them from a model, and one shell
// (redis_store) turns them into FCALLs of the function library in store/library/.
//
// Every call is atomic, checks everything before its first write, and carries at most 256
// deliveries and 256 KiB (one larger delivery travels alone). A lost reply is an unknown outcome:
// the same call goes out again, byte for byte, and is taken once.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/shared_bytes.h"
#include "protocol/ids.h"
#include "protocol/messages.h"
#include "protocol/record.h"
#include "store/generation_calls.h"
#include "store/row_calls.h"
#include "store/schedule_calls.h"
#include "store/topic_calls.h"
#include "store/usage.h"

namespace fanfare::store {

using protocol::AttemptToken;
using protocol::EntryId;
using protocol::EventId;
using protocol::Lane;
using protocol::Origin;

// The name of a claim: a hash of a caller's (source, id) or idempotency key, 16 bytes.
using ClaimKey = std::array<std::uint8_t, 16>;

// Of what lies in Redis; docs/redis.md says what each brought.
inline constexpr std::uint32_t kLayoutNewest = 2;

// The broker takes office: its epoch, one more than the last one's, fences every older broker.
struct Begin {
  // Data of an older layout are brought to this one; 0: they stay as they are, so that the programs
  // that wrote them can still read them. New data have this layout, or the newest.
  std::uint32_t layout = 0;
};
struct Begun {
  std::uint32_t epoch = 0;
  EntryId last_entry;  // ids of new entries must exceed it, whatever the clock says
  std::uint32_t layout = kLayoutNewest;
};

// What the end of a delivery brings about beside its result: written in the same atomic step, if
// and only if its verdict is ok. Another attempt, or a repeat, brings about nothing.
struct Publish {             // an entry of the function's outbox, for the broker to publish
  std::string to;            // a function's name: for it alone; empty: for all whose patterns match
  std::string packed_event;  // with its generation
};
struct RowWrites {  // to the function's own store: the delivery fails if they are refused
  // Unix ms by the worker's clock: rows that expire by then are gone. Like the limits, those of the
  // first in a call count for the whole of it.
  std::int64_t now_ms = 0;
  RowLimits limits;
  std::string packed;  // protocol/row_writes.h
};
using Effect = std::variant<Publish, RowWrites>;
using Effects = std::vector<Effect>;

// An entry of a function's outbox. Ids grow, and none is ever given twice.
struct OutboxEntry {
  std::string function;
  EntryId id;
  friend auto operator<=>(const OutboxEntry&, const OutboxEntry&) = default;
};

// Journals, and functions whose `later` gets something, of a chunk; one event alone may have more.
inline constexpr std::size_t kAppendStreamsMax = 1024;
inline constexpr std::size_t kAppendStreamsOfOneMax = 32'768;

// Events of a stream, or results of neighbours, in bytes as they are kept, from which a value of
// their own is cheaper: Lua hashes each byte of what it is given, 1.7 ns each, and a command less
// is some 3 us.
inline constexpr std::size_t kBesideMin = 4096;

// One chunk: the same entry id in the journal of every function that gets some of its events.
// Answer: Appended. `fenced` if the epoch is not the acting one. A repeat (entry ≤ high-water mark)
// changes nothing and answers `repeated`.
struct Append {
  std::uint32_t epoch = 0;
  EntryId entry;
  struct Stream {
    std::string function;
    Lane lane;
    struct Item {
      std::uint8_t index = 0;
      SharedBytes packed_event;
    };
    std::vector<Item> items;  // ascending index; an item's position is its `slot`
  };
  std::vector<Stream> streams;  // one function may appear with several lanes
  // The repeat guard: for each publish batch with events in this chunk, what its answer says of
  // them (opaque bytes, appended to what the guard holds for the same sequence).
  struct Guard {
    std::string client;
    std::uint64_t sequence = 0;
    std::string packed_runs;
  };
  std::vector<Guard> guards;
  // The outbox entries that these events were: deleted in the same step, so that none is lost or
  // appended twice. One that is not there (any more) refuses the whole call, kRetryLater.
  std::vector<OutboxEntry> taken;
  // What the events of this chunk claim, so that no other event gets it within the window: callers'
  // ids and idempotency keys, by their hash. All must be free: else the call is rejected and
  // nothing is written. A claim that another append made is free again when its window has passed,
  // by Redis' clock.
  struct Claim {
    ClaimKey key;
    std::string packed;  // what a later lookup is answered, opaque
  };
  std::vector<Claim> claims;         // each key once; at most two per event
  std::int64_t claim_window_ms = 0;  // above 0 if there are claims
  // Events that are not to run yet: rows of `later` from the beginning, never in a journal. Under
  // the same entry, with indexes that no stream of the function has.
  struct Delayed {
    std::string function;  // each once
    struct Item {
      std::uint8_t index = 0;
      std::int64_t due_ms = 0;       // Unix ms
      std::int64_t accepted_ms = 0;  // Unix ms
      SharedBytes packed_event;
    };
    std::vector<Item> items;  // ascending index
  };
  std::vector<Delayed> delayed;
  // For data of layout 2: the events of a stream that have kBesideMin bytes or more lie beside
  // their entry, in a value of their own. What it means does not change.
  bool beside = false;
};
struct Appended {
  bool repeated = false;
};

// What lies under claims, of at most 256 keys. Read only. Answer: in the order of the keys.
struct Lookup {
  std::vector<ClaimKey> keys;
};
struct LookedUp {
  std::vector<std::optional<std::string>> packed;  // nothing where a key is free
};

// A worker ends deliveries that succeeded. Not fenced by the epoch: a worker cut off from its
// broker may still commit what it holds. Answer: Committed, one verdict per item in order of
// groups.
struct Commit {
  std::string function;
  std::int64_t result_ttl_ms = 0;  // 0 = results are not stored, items carry empty records
  bool packed = false;  // for data of layout 2: results of neighbours may lie in one value
  // And if such a value has kBesideMin bytes or more, it may lie beside the others. What the call
  // means does not change; RedisStore decides.
  bool beside = false;
  struct Item {
    std::uint8_t index = 0;
    std::uint8_t slot = 0;
    AttemptToken token;
    SharedBytes record;  // packed ResultRecord
    Effects effects;
  };
  struct Group {  // of one entry
    EntryId entry;
    Lane lane;
    Origin origin = Origin::kJournal;  // kJournal, kLater or kMemory
    std::uint16_t entry_size = 1;
    std::vector<Item> items;
  };
  std::vector<Group> groups;
};
enum class Verdict : std::uint8_t {
  kOk = 0,
  kDuplicate = 1,  // this very attempt had committed: a repeat after a lost reply
  kFenced = 2,     // another attempt ended or moved the delivery: drop the result
  kGone = 3,       // the entry is closed and no result tells who did it
  // Of a commit with RowWrites: nothing of this delivery was written and it is open as before.
  kStoreFull = 4,   // the function's store would be larger than its limits
  kNotANumber = 5,  // an increment of what is no number, or beyond ±(2^53 - 1)
};
struct Committed {
  std::vector<Verdict> verdicts;
};

// Moves deliveries to `later` (retry, delay), or gives those that lie there a new due time.
// Fenced by the epoch. Answer: Moved.
struct Postpone {
  std::uint32_t epoch = 0;
  std::string function;
  struct Item {
    EventId id;
    std::uint8_t slot = 0;
    std::uint16_t entry_size = 1;
    Lane lane;
    Origin origin = Origin::kJournal;
    AttemptToken token;          // of the attempt that ended thus; for a repeat to be known
    std::int64_t due_ms = 0;     // Unix ms
    std::uint32_t attempts = 0;  // that count against the budget, so far
    std::int64_t accepted_ms = 0;
    // The ordering key that stays with it until it has ended; empty: none, or it does not hold it.
    std::string key_held;
    std::string packed_ledger;
    std::string packed_event;
  };
  std::vector<Item> items;
};

// Ends deliveries for good without success: a dead letter (kFailed, kExpired with a reason), or
// kCancelled; stores the result record too. Fenced by the epoch. Answer: Moved.
struct Bury {
  std::uint32_t epoch = 0;
  std::string function;
  std::int64_t result_ttl_ms = 0;
  std::int64_t now_ms = 0;  // of the dead letter; letters older than max_age go
  std::int64_t dead_max_age_ms = 14LL * 24 * 3600 * 1000;
  std::uint64_t dead_max_count = 100000;
  struct Item {
    EventId id;
    std::uint8_t slot = 0;
    std::uint16_t entry_size = 1;
    Lane lane;
    Origin origin = Origin::kJournal;
    AttemptToken token;
    protocol::Status status = protocol::Status::kFailed;
    protocol::DeadReason reason = protocol::DeadReason::kRetriesExhausted;
    std::string record;  // packed ResultRecord: ledger, error, log tail
    std::string packed_event;
    Effects effects;
  };
  std::vector<Item> items;
};
struct Moved {
  std::vector<Verdict> verdicts;
  std::uint64_t letters_trimmed = 0;  // Bury: older letters that had to go
};

// Reads dead letters by their ids in the stream, which are entry ids of its own, as far as they fit
// into 256 KiB (the first whatever its size). Read only.
struct ReadLetters {
  std::string function;
  std::vector<EntryId> letters;
};
struct LetterList {
  struct Letter {
    EntryId letter;
    EventId id;
    protocol::Status status = protocol::Status::kFailed;
    protocol::DeadReason reason = protocol::DeadReason::kRetriesExhausted;
    AttemptToken token;  // of the attempt it died by
    std::string record;  // packed ResultRecord
    std::string packed_event;
  };
  std::vector<Letter> letters;  // those that are there, in the order asked for
  std::size_t taken = 0;        // how many of those asked for were looked at
};

// Letters become deliveries again: rows of `later`, with no attempts against the budget; the
// burial's results go. Per letter atomic: it is here or there. Fenced by the epoch. Answer: Moved;
// `fenced` where the delivery has a row already, `gone` where there is no such letter.
struct Redrive {
  std::uint32_t epoch = 0;
  std::string function;
  struct Item {
    EntryId letter;
    EventId id;
    AttemptToken token;  // for a repeat to be known; attempts that follow are numbered behind it
    std::int64_t due_ms = 0;
    std::int64_t accepted_ms = 0;
    std::string packed_ledger;  // says that it was redriven
    std::string packed_event;
  };
  std::vector<Item> items;  // each event once
};

// Letters go for good. Counts stay: they say how deliveries ended. Fenced by the epoch.
struct PurgeLetters {
  std::uint32_t epoch = 0;
  std::string function;
  std::vector<EntryId> letters;
};
struct Purged {
  std::uint64_t letters = 0;  // that were there; 0 for a repeat
};

// Reads the next entries of a lane after `after`, oldest first, with their open states. Read only.
struct Page {
  std::string function;
  Lane lane;
  EntryId after;
  std::uint32_t entries_max = 16;
  // Of entries up to this one, events that lie beside come by a way of their own (fetching.h).
  std::optional<EntryId> apart = {};
};
struct Paged {
  struct Item {
    std::uint8_t index = 0;
    std::uint8_t slot = 0;
    SharedBytes packed_event;
  };
  struct Entry {
    EntryId entry;
    std::uint16_t entry_size = 1;
    std::vector<Item> open;  // those not ended or moved yet
  };
  std::vector<Entry> entries;
  bool more = false;  // the lane goes on after the last entry
};

// Reads rows of `later` that are due from `from_ms` to `until_ms`, earliest first, ids of one
// instant in the order of their texts. Rows stay until they end; `after` goes on behind one that
// was read before, whether it is still there or not. `skip` leaves out so many rows first, due or
// not, so that several pages can be asked for at once; `before` then tells what it skipped last.
// Read only.
struct Due {
  std::string function;
  std::int64_t from_ms = 0;      // inclusive
  std::int64_t until_ms = 0;     // inclusive
  std::optional<EventId> after;  // with from_ms: only rows behind (from_ms, after)
  std::uint32_t rows_max = 256;
  std::uint32_t skip = 0;
};
struct DueRows {
  struct Row {
    EventId id;
    std::int64_t due_ms = 0;
    std::uint32_t attempts = 0;
    std::int64_t accepted_ms = 0;
    std::string packed_ledger;
    std::string packed_event;
    AttemptToken token;  // of the attempt that put it there: the next must not repeat it
  };
  std::vector<Row> rows;
  std::optional<std::int64_t> next_due_ms;  // of the earliest row not returned
  struct Place {
    EventId id;
    std::int64_t due_ms = 0;
  };
  std::optional<Place> before =
      {};  // with a skip: the row before the first, if that many were skipped
};

// What a starting broker reads of one function. Who keeps ordering keys is answered in slices: a
// survey that is not over goes on with `cursor`, and then answers holders alone. Whoever was one
// all the time is named, at least once. Read only.
struct Survey {
  std::string function;
  std::string cursor;  // empty: from the beginning
};
struct Surveyed {
  std::vector<Lane> lanes;  // with a journal that is not empty
  std::optional<std::int64_t> next_due_ms;
  // Deliveries in `later` that keep their ordering key.
  struct Holder {
    EventId id;
    std::string ordering_key;
    std::int64_t due_ms = 0;
  };
  std::vector<Holder> holders;
  std::string next;  // the cursor to go on with; empty: that was all
  struct Counts {
    std::int64_t accepted = 0, open = 0, later = 0, succeeded = 0, dead = 0, expired = 0,
                 cancelled = 0;
  } counts;  // accepted = the sum of the others, at any instant
};

// How many entries the outboxes of these functions have: at most 1,024 functions. Read only.
struct CountOutboxes {
  std::vector<std::string> functions;
};
struct OutboxCounts {
  std::vector<std::uint64_t> entries;  // in the order of the functions
};

// Reads a function's outbox after `after`, oldest first, at most 256 entries and 256 KiB (and the
// entry that goes beyond it). Read only.
struct ReadOutbox {
  std::string function;
  EntryId after;
  std::uint32_t entries_max = 256;
};
struct OutboxPage {
  struct Entry {
    EntryId id;
    std::string to;
    std::string packed_event;
  };
  std::vector<Entry> entries;
  bool more = false;  // the outbox goes on after the last entry
};

// Where one delivery of a function lies, or what it ended as. Read only.
struct Find {
  std::string function;
  EventId id;
};
struct Found {
  enum class Place : std::uint8_t { kNowhere, kJournal, kLater, kEnded };
  Place place = Place::kNowhere;
  // kJournal: it is open.
  Lane lane;
  std::uint8_t slot = 0;
  std::uint16_t entry_size = 1;
  std::string packed_event;
  // kLater
  DueRows::Row row;
  // kEnded: unless its function stores no results, or the result has expired.
  std::optional<protocol::Status> status;
};

// What the repeat guard holds for a publisher's batch: the runs appended so far. Read only.
struct Recall {
  std::string client;
  std::uint64_t sequence = 0;
};
struct Recalled {
  std::string packed_runs;
};  // empty: nothing of this batch is in the journal

// The registry of functions.
struct Registered {
  std::string name, manifest_toml, digest;
  std::uint64_t generation = 0;
  bool paused = false;
};
struct ListFunctions {};
struct FunctionList {
  std::vector<Registered> functions;
};
struct Deploy {
  std::uint32_t epoch = 0;
  std::string name, manifest_toml, digest;
  std::int64_t now_ms = 0;
  std::uint64_t from = 0;   // the generation that this goes back to, if it does
  std::uint32_t kept = 10;  // generations of the function, this one among them
};
struct Deployed {
  std::uint64_t generation = 0;
  bool changed = true;
};  // unchanged digest and manifest: as it was
struct Remove {
  std::uint32_t epoch = 0;
  std::string name;
};
struct Removed {
  bool existed = false;
};  // queue, results and letters stay until purged
// A paused function keeps queueing and is lent to nobody. A deploy keeps the state.
struct SetState {
  std::uint32_t epoch = 0;
  std::string name;
  bool paused = false;
};
struct StateSet {
  bool existed = false;
};

// Who is registered, so that a restarted broker knows whom to wait for.
struct NoteWorker {
  std::uint32_t epoch = 0;
  std::string name;
  std::string packed;
  bool gone = false;
};
struct ListWorkers {};
struct WorkerList {
  std::vector<std::string> names;
};
struct Noted {};

// What a worker's attempts have used since it last said so. Counted once however often it is sent:
// `worker` names the process, and `sequence` is above that of its call before.
struct Meter {
  struct Row {
    std::int64_t hour = 0;
    std::string function, tenant;
    Usage usage;
  };
  static constexpr std::size_t kRowsMax = 256;

  std::string worker;
  std::uint64_t sequence = 0;
  std::int64_t ttl_ms = 90LL * 24 * 3600 * 1000;  // of an hour
  std::uint32_t hour_rows_max = 1000;  // rows of an hour; then further tenants share kOtherTenants
  std::vector<Row> rows;
};
struct Metered {
  bool repeated = false;
};

using Call = std::variant<Begin, Append, Commit, Postpone, Bury, Page, Due, Survey, Recall,
                          ListFunctions, Deploy, Remove, NoteWorker, ListWorkers, CountOutboxes,
                          ReadOutbox, SetState, Lookup, GetRows, ListRows, WriteRows, Meter, Find,
                          ReadLetters, Redrive, PurgeLetters, SetSchedule, Fire, ListSchedules,
                          GetRevision, SetTopics, ListTopics, ListGenerations, DropPackage>;
using Answer = std::variant<Begun, Appended, Committed, Moved, Paged, DueRows, Surveyed, Recalled,
                            FunctionList, Deployed, Removed, WorkerList, Noted, OutboxCounts,
                            OutboxPage, StateSet, LookedUp, Rows, RowsWritten, Metered, Found,
                            LetterList, Purged, ScheduleSet, Fired, ScheduleList, Revision,
                            TopicsSet, TopicList, GenerationList, PackageDropped>;

}  // namespace fanfare::store
