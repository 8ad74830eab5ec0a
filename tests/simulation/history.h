// The checker: what has happened so far, and whether that may happen.
//
// Every part of the simulated world tells it what it did, at the moment it did it; it believes
// nobody else. What it demands is written in simulation.h. The first thing that may not happen ends
// the run.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/publish_queue.h"
#include "protocol/messages.h"
#include "store/calls.h"
#include "tests/simulation/key_order.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/trace.h"
#include "tests/simulation/workload.h"

namespace fanfare::simulation {

using WorkerLife = std::uint32_t;  // one process of a worker, from its start to its end
using BrokerLife = std::uint32_t;

// One event for one function.
struct DeliveryKey {
  std::size_t function = 0;
  protocol::EventId id;
  friend auto operator<=>(const DeliveryKey&, const DeliveryKey&) = default;
};
struct DeliveryKeyHash {
  std::size_t operator()(const DeliveryKey& key) const {
    return std::hash<protocol::EventId>{}(key.id) * 31 + key.function;
  }
};

// An attempt as the world, not the broker, knows it.
struct Attempt {
  protocol::AttemptToken token;
  WorkerLife worker = 0;
  BrokerLife broker = 0;  // that lent it, or was told of it by its worker
  bool early = false;     // lent before the journal had it: a worker may let go of it in silence
  bool received = false;  // the worker has it
  bool closed = false;    // the broker has a reason to think that it is over
  bool reported = false;  // a broker has had its worker's report
  bool lost = false;      // its worker was lost, or never got it
};

enum class Place : std::uint8_t { kOpen, kLater, kSucceeded, kDead, kExpired, kCancelled };
std::string_view to_string(Place place);

struct DeliveryHistory {
  Tag tag = 0;
  bool journaled = false;  // else it was lent early, and the tag says nothing yet
  Place place = Place::kOpen;
  protocol::AttemptToken ended_by;
  protocol::AttemptToken moved_by;       // to `later`: earlier attempts count for nothing any more
  std::int64_t due_ms = 0;               // while it lies in `later`
  std::uint32_t own_failures = 0;        // that a worker has reported
  bool refused_retry = false;            // one of them was not retryable
  std::uint32_t losses = 0;              // attempts lost with their worker
  std::optional<TimePoint> redriven_at;  // the latest time; then its publisher's times are over
  std::uint32_t failures_before = 0, losses_before = 0;  // the latest redrive
  std::uint32_t executions = 0;
  std::optional<std::string> result;  // as stored, once it is
  // Ends that a destination has to hear of, and those that one has an event of. A redriven delivery
  // has several.
  std::uint32_t to_tell_success = 0, told_success = 0, to_tell_failure = 0, told_failure = 0;
  std::vector<Attempt> attempts;

  bool ended() const { return place != Place::kOpen && place != Place::kLater; }
};

class History {
 public:
  History(const Workload& workload, const Schedule& schedule, Trace& trace)
      : workload_(workload), schedule_(schedule), trace_(trace) {}

  template <typename... Args>
  void violate(fmt::format_string<Args...> format, Args&&... args) {
    if (violated()) return;
    violation_ = fmt::format(format, std::forward<Args>(args)...);
    trace_.say("VIOLATION: {}", violation_);
  }
  const std::string& violation() const { return violation_; }
  bool violated() const { return !violation_.empty(); }

  // ---- publishers ----
  Tag next_tag() const { return static_cast<Tag>(published_.size()); }
  // Tags are given in order: this one is next_tag().
  Tag submit(FunctionSet expected, std::optional<std::int64_t> not_before_ms,
             std::string_view packed_event);
  // The same event once more: it has an id or a key.
  void submit_again(Tag tag) { ++published_[tag].submissions; }
  void on_receipt(Tag tag, const Result<client::Receipt>& receipt);

  // ---- the store, each call at the moment it is applied ----
  void on_applied(const store::Call& call, const store::Answer& answer);
  void on_counts(std::size_t function, const store::Surveyed::Counts& counts);
  // What the function keeps in its store as the number of its successes.
  void on_count_row(std::size_t function, const std::string& value);
  void on_stored_result(const DeliveryKey& key, const std::optional<std::string>& value);

  // ---- brokers ----
  void set_queue_max(std::uint64_t deliveries) { queue_max_ = deliveries; }
  // What a broker has told an operator that a delivery of `function` was cancelled as.
  void on_cancel_answered(const std::string& function, const protocol::EventId& id,
                          std::string_view result, TimePoint asked_at);
  void on_began(BrokerLife broker, std::uint32_t epoch);
  void on_acknowledged(const protocol::Published& answer);
  void on_lent(BrokerLife broker, WorkerLife worker, std::int64_t broker_wall_ms,
               const protocol::Deliver& deliver, bool can_arrive);
  void on_hello_taken(BrokerLife broker, WorkerLife worker, const protocol::Hello& hello,
                      Duration grace);
  void on_done_taken(const protocol::Done& done);
  // The broker has given this worker up: its lease ran out, it died, or it said Bye.
  void on_worker_given_up(BrokerLife broker, WorkerLife worker, bool was_lost);

  // ---- workers ----
  void on_received(WorkerLife worker, const protocol::Deliver& deliver);
  void on_connection_broken(WorkerLife worker);
  void on_worker_died(WorkerLife worker);
  void on_execution(WorkerLife worker, const DeliveryKey& key, std::uint32_t attempt);
  void on_instance_failure(WorkerLife worker, const DeliveryKey& key);
  void on_done_sent(WorkerLife worker, const protocol::Done& done);
  // So many attempts have ended in this process at most, when it tells Redis what they used.
  void on_usage_told(const std::string& worker, std::uint64_t attempts_ended) {
    attempts_ended_[worker] = attempts_ended;
  }

  // ---- the end ----
  bool all_ended() const;  // as the counts say
  std::string what_is_open() const;
  // When nothing moves any more: every promise, id by id.
  void check_final();

  const Workload& workload() const { return workload_; }
  std::optional<std::size_t> function(std::string_view name) const { return workload_.find(name); }
  std::size_t deliveries() const { return deliveries_.size(); }
  std::uint64_t executions() const { return executions_; }
  std::uint32_t acting_epoch() const { return acting_epoch_; }
  // Some event that was journaled lately.
  std::optional<protocol::EventId> some_event(Random& random) const;
  const DeliveryHistory* find(const DeliveryKey& key) const;
  const std::unordered_map<DeliveryKey, DeliveryHistory, DeliveryKeyHash>& all() const {
    return deliveries_;
  }
  std::string describe(const DeliveryKey& key) const;

 private:
  enum class Fate : std::uint8_t { kPending, kAcknowledged, kRefused, kUnknown };
  struct Published {
    FunctionSet expected = 0;
    std::optional<std::int64_t> not_before_ms;
    Fate fate = Fate::kPending;
    protocol::EventId acknowledged;
    std::optional<protocol::EventId> appended;
    std::vector<store::ClaimKey> claims;
    std::uint32_t submissions = 1;
    std::optional<DeliveryKey> cause;  // it tells of this delivery's end, and no publisher made it
  };
  struct BrokerHistory {
    std::uint32_t epoch = 0;
    TimePoint began;
    std::set<std::string> registered;  // workers, when it took office
    std::set<DeliveryKey> lent;        // at least once, by this broker
  };

  void applied(const store::Meter& call, const store::Metered& answer);
  void applied(const store::Append& call, const store::Appended& answer);
  std::optional<Tag> tag_of_told(const protocol::EventId& id, std::string_view packed_event);
  const std::string& destination_of(const DeliveryKey& key, Place place) const;
  void note_to_tell(const DeliveryKey& key, DeliveryHistory& delivery);
  void check_told(const DeliveryKey& key, const DeliveryHistory& delivery);
  void applied(const store::Commit& call, const store::Committed& answer);
  void applied(const store::Postpone& call, const store::Moved& answer);
  void applied(const store::Bury& call, const store::Moved& answer);
  DeliveryHistory* append_one(const std::string& function, const protocol::EventId& id,
                              std::string_view packed_event);
  void on_duplicate(Tag tag, const client::Receipt& receipt);
  void check_is_first(const Published& published, const protocol::EventId& id);
  void applied(const store::Redrive& call, const store::Moved& answer);
  void check_bound(const std::string& function);
  void check_fence(std::uint32_t epoch, std::string_view what);
  void check_reason(const DeliveryKey& key, const DeliveryHistory& delivery,
                    protocol::DeadReason reason);
  DeliveryHistory* open_delivery(const DeliveryKey& key, std::string_view what);
  std::optional<DeliveryKey> key_of(const std::string& function, const protocol::EventId& id);
  void lend_one(BrokerLife broker, WorkerLife worker, std::int64_t broker_wall_ms,
                const DeliveryKey& key, const protocol::Delivery& delivery, bool can_arrive);
  static void lose(DeliveryHistory& delivery, Attempt& attempt);
  void check_concurrency(BrokerLife broker, std::size_t function);
  void check_key_is_free(BrokerLife broker, const DeliveryKey& key);
  void check_key_order(const DeliveryKey& key, Place place);

  const Workload& workload_;
  const Schedule& schedule_;
  Trace& trace_;
  std::string violation_;
  std::vector<Published> published_;
  // Who had an id or a key first: by what lies in the journal, and by what was claimed (which
  // events that nobody gets do, too).
  std::map<store::ClaimKey, protocol::EventId> journaled_, claimed_;
  std::map<protocol::EventId, Tag> told_;  // events that tell destinations of an end
  std::size_t to_tell_ = 0;                // ends that a destination has no event of yet
  std::unordered_map<DeliveryKey, DeliveryHistory, DeliveryKeyHash> deliveries_;
  std::array<store::Surveyed::Counts, kFunctionsMax> counts_{};
  std::uint64_t queue_max_ = 0;
  std::uint32_t acting_epoch_ = 0;
  std::set<std::string> registered_workers_;
  std::map<std::uint32_t, std::set<std::string>> registered_at_;  // by epoch
  std::map<BrokerLife, BrokerHistory> brokers_;
  std::map<WorkerLife, std::vector<DeliveryKey>> under_way_;  // lent and not arrived
  std::map<WorkerLife, std::set<DeliveryKey>> lent_to_;
  std::set<WorkerLife> dead_workers_;
  std::map<std::pair<BrokerLife, std::size_t>, std::set<DeliveryKey>> lent_by_;
  std::map<std::pair<WorkerLife, DeliveryKey>, int> instance_failures_;
  std::set<std::pair<DeliveryKey, std::uint32_t>> failures_counted_;
  std::set<std::pair<DeliveryKey, std::uint32_t>> judged_;  // attempts whose commit was looked at
  std::map<std::string, std::uint64_t> attempts_ended_, metered_;  // by a worker's process
  std::uint64_t executions_ = 0;
  KeyOrder key_order_;
};

// Synchronous invocations have numbers of their own, far below any entry's time.
inline bool is_invocation(const protocol::EventId& id) {
  return id.entry.ms < 1'000'000'000'000;
}

}  // namespace fanfare::simulation
