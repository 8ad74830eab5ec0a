// What the function library does to Redis, done to plain values in memory: for tests and
// simulations.
//
// Answers every call as the library would, with the same verdicts, counts and refusals; a test
// drives both with the same calls and compares. Results and claims do not expire by themselves,
// dead letters are not trimmed, and there is no `everysec`: what has been answered stays. No I/O,
// no clock, no threads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "store/calls.h"
#include "store/grouping.h"
#include "store/model_rows.h"

namespace fanfare::store {

class ModelStore {
 public:
  struct Entry {
    std::vector<Append::Stream::Item> items;  // by slot
    std::vector<std::uint32_t> states;        // by slot; 0 = open
  };
  struct Row {
    AttemptToken token;
    std::int64_t due_ms = 0;
    std::uint32_t attempts = 0;
    std::int64_t accepted_ms = 0;
    std::string packed_ledger, packed_event;
  };
  struct Stored {
    AttemptToken token;
    std::string record;
  };
  struct Letter {
    EntryId letter;  // its own id, unique in the model
    AttemptToken token;
    EventId id;
    protocol::Status status{};
    protocol::DeadReason reason{};
    std::int64_t at_ms = 0;
    std::string record, packed_event;
  };
  struct Function {
    std::map<Lane, std::map<EntryId, Entry>> journal;  // unfinished entries only
    std::map<EventId, Row> later;
    std::set<std::pair<std::int64_t, std::string>> by_due;  // (due ms, event id as text)
    std::map<EventId, std::string> held;  // id → the ordering key that it keeps in `later`
    std::map<EventId, Stored> results;
    std::vector<Letter> dead;
    std::map<EntryId, Publish> outbox;
    Surveyed::Counts counts;
    ModelRows store;
  };

  // The answer, or the refusal that RedisStore would hand to its caller.
  Result<Answer> call(const Call& call);

  // What lies in the store, for checks.
  const std::map<std::string, Function>& functions() const { return functions_; }
  const Function* find(const std::string& function) const;
  std::uint32_t epoch() const { return epoch_; }
  EntryId last_entry() const { return last_entry_; }
  // By hour, then by usage_field().
  const std::map<std::int64_t, std::map<std::string, Usage>>& usage() const { return usage_; }

  std::size_t holders_at_once = 256;  // that a survey answers
  std::set<std::string> packages;     // digests of those that whoever deploys has put there

  // As if every result of the function had outlived its ttl.
  void expire_results(const std::string& function) { functions_[function].results.clear(); }
  // As if the window of every claim had passed.
  void expire_claims() { claims_.clear(); }

 private:
  struct Judged;
  struct Answering;
  struct Guard {
    std::uint64_t sequence = 0;
    std::map<EntryId, std::string> runs;
  };

  std::map<std::string, Function> functions_;
  std::map<std::string, Registered> registry_;
  std::map<std::string, std::string> workers_;
  std::map<std::string, Guard> guards_;
  std::map<ClaimKey, std::string> claims_;
  std::map<std::string, ScheduleList::Item> schedules_;
  std::uint64_t schedules_revision_ = 0;
  std::map<std::string, std::string> topics_;
  std::map<std::string, std::vector<Generation>> generations_;  // by function, the newest first
  std::map<std::string, std::uint64_t> metered_;                // worker → sequence
  std::map<std::int64_t, std::map<std::string, Usage>> usage_;
  std::uint32_t epoch_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t outbox_entries_ = 0;  // ever made; numbers them
  std::uint64_t letters_ = 0;         // ever written
  EntryId last_entry_;
};

}  // namespace fanfare::store
