// Redis, as its clients see it: store::ModelStore behind connections that delay, break and stall.
//
// A call is applied when it arrives. A connection that breaks takes with it calls that have not
// arrived and answers that are on their way: to the client both look alike, its call's outcome is
// unknown. What arrived while Redis was held up is applied all the same afterwards, beside what the
// client has sent again on a new connection. A restart keeps everything that was applied.
//
// The mutations of the store's side are planted here, around the model.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "store/calls.h"
#include "store/model_store.h"
#include "tests/simulation/history.h"
#include "tests/simulation/mutation.h"
#include "tests/simulation/random.h"
#include "tests/simulation/schedule.h"

namespace fanfare::simulation {

class Redis;

// What a client does with calls whose outcome it does not know.
enum class AfterBreak {
  kRepeat,  // as store::RedisStore: sends them again, unchanged, before anything newer
  kTell,    // says kReconnect to whoever made them
};

// One process' connection.
class RedisLink {
 public:
  using Done = std::function<void(Result<store::Answer>)>;

  RedisLink(Redis& redis, AfterBreak after_break);
  ~RedisLink();  // the process has ended; what it sent may still arrive
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  // Calls are applied in the order in which they were made.
  void call(store::Call call, Done done);
  void break_connection();
  // A stopped process: answers are kept until it goes on.
  void pause() { paused_ = true; }
  void resume();

 private:
  friend class Redis;
  struct Pending {
    std::uint64_t number;
    store::Call call;
    Done done;
    bool sent = false;
    bool in_doubt = false;  // it was sent, and its connection broke
  };
  // One connection; calls that are under way hold on to it.
  struct Era {
    bool broken = false;     // answers go nowhere
    bool cut = false;        // what has not arrived never will
    bool restarted = false;  // Redis has forgotten the connection
    TimePoint last_arrival, last_answer;
    // store::RedisStore names in each append the one before it: behind one that is refused the next
    // ones find a gap, and are sent again when the refusal is known.
    bool refused = false;  // an append, and nobody knows yet
    std::deque<std::function<void()>> behind_gap;
  };
  void connect();
  void send(Pending& pending);
  void answer(std::uint64_t number, Result<store::Answer> answer);

  Redis& redis_;
  const AfterBreak after_break_;
  const Life life_ = new_life();
  bool paused_ = false;
  std::shared_ptr<Era> era_;
  std::uint64_t next_number_ = 1;
  std::deque<Pending> unanswered_;
  std::vector<std::pair<std::uint64_t, Result<store::Answer>>> kept_answers_;
};

struct RedisTempo {
  Duration delay = std::chrono::microseconds{120};  // one way, on average
  Duration slow_delay = std::chrono::milliseconds{15};
  double slow = 0.01;
};

class Redis {
 public:
  Redis(Schedule& schedule, Random& random, History& history, Trace& trace, Mutation mutation);

  RedisTempo tempo;

  // What deploying this world's functions leaves behind, before any broker begins.
  void install(const Workload& workload);
  void break_some_link();
  void stall_until(TimePoint when);
  void restart(Duration loading);
  // Until then it answers OOM to appends (to all, or to some: it is full to the brim), or MISCONF
  // to every change.
  void refuse_appends_until(TimePoint when);
  void refuse_changes_until(TimePoint when) { no_changes_until_ = when; }
  // Until then it rejects every commit of one function, as where a person spoilt one of its keys.
  void reject_commits_until(TimePoint when, std::string function);

  const store::ModelStore& model() const { return model_; }
  std::uint64_t calls() const { return calls_; }
  // Everything that must lie in the store when all deliveries have ended.
  void check_final();

 private:
  friend class RedisLink;
  struct Arrived {
    std::shared_ptr<RedisLink::Era> era;
    RedisLink* link;  // used only while its life lasts
    Life life;
    std::uint64_t number;
    store::Call call;
  };
  Duration some_delay();
  void arrive(Arrived arrived);
  void apply(Arrived& arrived);
  void apply_append(Arrived& arrived);
  void answer(const Arrived& arrived, Result<store::Answer> answer);
  void close_gap(const std::shared_ptr<RedisLink::Era>& era);
  void drain_stalled();
  Result<store::Answer> apply(const store::Call& call);
  Result<store::Answer> apply_mutated(store::Call& call);
  void overwrite_fenced(const store::Commit& commit, store::Committed& committed);
  Result<store::Answer> lose_letters(const store::Redrive& redrive);
  void write_rows_of_losers(const store::Commit& commit, const store::Committed& committed);
  void check_rows(const std::string& function);
  void forget_results(const store::Commit& commit, const store::Committed& committed);
  void check_after(const store::Call& call);
  std::optional<std::string> stored_result(const std::string& function,
                                           const protocol::EventId& id) const;
  void take_snapshot();

  Schedule& schedule_;
  Random& random_;
  History& history_;
  Trace& trace_;
  const Mutation mutation_;
  store::ModelStore model_;
  store::ModelStore snapshot_;  // for kRestartForgetsLastWrites
  std::map<std::pair<std::string, protocol::EventId>, std::string> overwritten_;
  std::set<std::pair<std::string, protocol::EventId>> forgotten_;  // for kCommitWithoutResult
  std::vector<RedisLink*> links_;
  TimePoint stalled_until_, loading_until_, no_appends_until_, no_changes_until_, no_commits_until_;
  std::string no_commits_of_;
  double appends_refused_ = 1;
  std::vector<Arrived> stalled_;
  std::uint64_t calls_ = 0;
};

}  // namespace fanfare::simulation
