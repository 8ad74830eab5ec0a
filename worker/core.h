// The worker's decisions: what runs where, when it is stopped, what is committed and reported.
//
// Frames of the broker, results and deaths of instances, answers of Redis and ticks go in, together
// with `now`; what is to be done goes out through Effects. No sockets, no Redis, no clock, no
// threads: one caller drives it (the shell's loop, a test, the simulation).
//
// A turn: any number of on_…() calls, tick(), then flush(). flush() does what gains by grouping:
// batches for instances, commits, Done and Credit messages.
//
// What holds, whatever happens:
// - A delivery that arrived is waiting, in an instance, uncommitted, committing, or in a Done that
//   was not acknowledged; every Hello names all of them.
// - A success is committed first and reported then. Failures are only reported. A success that
//   Redis refuses stays a success: it waits here, and costs its function no attempt. Only rows that
//   its function's store cannot take make a failure of it.
// - What an instance had not begun when it died is no failure: it goes to another one at once.
// - An instance that waits for a function that it has invoked lends its slot to invocations of that
//   kind, and to nothing else: a worker has as many instances at work as slots, and no chain of
//   functions waits for a slot that one of its own links holds.
// - A generation that was deployed takes the place of the one before as soon as it is known here:
//   what runs is finished where it is, what waits runs on the new one. See core_prepare.cc.
// - The broker's absence stops nothing that is here. Redis' absence stops new work, once
//   CoreOptions::uncommitted_max results wait for it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/failpoint.h"
#include "base/time.h"
#include "protocol/caused_event.h"
#include "protocol/messages.h"
#include "protocol/record.h"
#include "protocol/tracepoint.h"
#include "store/calls.h"
#include "worker/counters.h"
#include "worker/effects.h"
#include "worker/function.h"
#include "worker/held.h"
#include "worker/line_budget.h"
#include "worker/measures.h"
#include "worker/meter.h"
#include "worker/relay.h"

namespace fanfare::worker {

// Switched off one by one in tests that show what each protects against. All on in production.
struct Protections {
  bool commit_before_done = true;  // else a success is reported when its result arrives
  bool repeat_commits = true;      // else a commit whose reply was lost is forgotten
  bool repeat_done = true;         // else a Done lost on its way is not sent again
  bool announce_held = true;       // else Hello names nothing
  bool kill_after_grace = true;    // else SIGTERM is all an instance that is late gets
  bool sweep_orphans = true;       // else what killed workers left running lives on
  bool limit_memory = true;        // else instances may take what there is
  bool repeat_relayed = true;      // else what was asked of a broker that died is forgotten
  bool take_back_unborn = true;  // else what waits for an instance that is never born is forgotten
  bool let_old_finish = true;    // else a deployment kills what the generation before is at
  bool wait_for_journal = true;  // else what came early is committed though it is not there
};

struct CoreOptions {
  std::string name;  // of the worker, unique per broker
  std::string host;  // this_host_id()
  std::int32_t pid = 0;
  std::uint64_t pid_started = 0;
  std::uint32_t slots = 4;                        // instances at once
  Duration grace = std::chrono::seconds{30};      // of a drain
  Duration kill_grace = std::chrono::seconds{1};  // from SIGTERM to SIGKILL
  // A zygote that is ready has twice as long to answer what it is asked for.
  Duration init_timeout = std::chrono::seconds{10};
  std::uint64_t max_uses = 10'000'000;  // attempts per instance

  // How far ahead of the instances deliveries are fetched.
  Duration prefetch = std::chrono::milliseconds{1};        // of work per slot
  std::size_t prefetch_deliveries_max = 4096;              // per function
  std::size_t prefetch_bytes_max = 4u << 20;               // per function
  Duration one_each_from = std::chrono::milliseconds{20};  // service time: no prefetch above
  std::size_t held_max = 50'000;                           // in all, so that a Hello can name them
  std::size_t uncommitted_max = 20'000;
  std::size_t uncommitted_bytes_max = 64u << 20;
  // Of one function, refused by Redis one by one: with as many it takes no more work. They do not
  // count in the bounds above, where all functions would stop.
  std::size_t set_aside_max = 256;
  std::size_t set_aside_bytes_max = 8u << 20;

  // Batches for instances.
  Duration batch_work = std::chrono::microseconds{500};
  Duration single_from = std::chrono::milliseconds{1};  // service time: batches of one above
  std::size_t batch_bytes_max = 64 * 1024;

  // Commits.
  std::size_t commit_deliveries_max = 256;
  std::size_t commit_bytes_max = 256 * 1024;
  std::size_t commit_calls_max = 32;  // in flight
  Duration hold_partial = std::chrono::milliseconds{1};

  std::size_t forks_per_second = 500;
  std::size_t forks_at_once = 64;

  // The log.
  enum class Reports : std::uint8_t { kNone, kFailures, kAll };
  Reports reports = Reports::kAll;  // a line per attempt
  std::uint32_t reports_per_second = 1000;
  std::uint32_t output_lines_per_second = 1000;  // of what functions print; 0 = none

  // Metering.
  Duration usage_ttl{};                 // of an hour's rows; 0 = no metering
  std::uint32_t usage_rows_max = 1000;  // of an hour; then tenants share one

  // Invocations that come from here are run here, where the broker lets them be; else it is asked
  // about each.
  bool local = true;

  // Redis is reached through the broker (relay.h): Hello says so, and work is taken only from a
  // broker that relays.
  bool relayed = false;

  Protections protections;
  Failpoint failpoint;  // tests only
  protocol::Tracepoint tracepoint;
};

class Core {
 public:
  Core(CoreOptions options, Effects& effects, Now now);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // ---- the broker ----
  void on_connected(Now now);
  void on_disconnected(Now now);
  // Copies what it keeps.
  void on_frame(std::string_view frame, Now now);
  void on_not_one_frame();

  // ---- zygotes and instances ----
  void on_zygote_started(ZygoteId zygote, Now now);
  void on_zygote_ready(ZygoteId zygote, Now now);
  // It never was ready, and never will be: what waits is told `failure`.
  void on_zygote_failed(ZygoteId zygote, protocol::Failure failure, std::string log_tail, Now now);
  // It ended after it had been ready.
  void on_zygote_gone(ZygoteId zygote, Now now);
  void on_instance_started(InstanceId instance, std::int32_t pid, Now now);
  void on_fork_failed(InstanceId instance, std::string_view why, Now now);
  // In the order in which the instance finished them. May take the texts.
  void on_results(InstanceId instance, std::span<ItemResult> results, Now now);
  // It broke the rules of its board: it is killed.
  void on_instance_broken(InstanceId instance, std::string_view why, Now now);
  // Its running item waits for rows of its function's store.
  void on_rows_asked(InstanceId instance, const RowRequest& request, Now now);
  // Its running item waits for another function.
  void on_invoke_asked(InstanceId instance, InvokeRequest request, Now now);

  // ---- callers on this host, which have not asked the broker ----
  // Answered by Effects::answer_caller, once; `request` is the caller's own.
  void on_call(CallerId caller, protocol::Invoke message, Now now);
  // What it waited for goes on, if it has begun.
  void on_caller_gone(CallerId caller);

  // It is dead, and all its results were handed in.
  struct End {
    Ending ending;
    std::optional<InstanceHandle::Running> running;  // when it died
    std::string log_tail;                            // what that one had printed
    bool log_truncated = false;
    std::string printed;  // the part of it that output() has not handed out
    std::uint64_t printed_cut = 0;
  };
  void on_instance_ended(InstanceId instance, End end, Now now);

  // ---- Redis ----
  void on_commit_answer(CommitId id, const store::Committed& answer, Now now);
  // kReconnect, kRetryLater, kFatal: sent again, after a while. kReject, kStale: sent again in
  // halves; what is refused alone keeps its result here and is tried now and then.
  void on_commit_failed(CommitId id, const Error& error, Now now);

  // Of Effects::meter.
  void on_meter_answer(Now now);
  void on_meter_failed(const Error& error, Now now);

  // Rows, or why not: kReject is told to the instance; anything else passes, and is asked again
  // while the instance lives.
  void on_rows(ReadId id, Result<store::Answer> answer, Now now);

  // ---- time ----
  void tick(Now now);
  void flush(Now now);
  // When tick() has something to do, at the latest. Short when little is known.
  Duration until_next_tick(Now now) const;

  // ---- leaving ----
  // No new work; what waits is handed back, what runs may finish within the grace.
  void begin_drain(Now now);
  // Ends the grace now.
  void stop_at_once(Now now);
  bool draining() const { return draining_; }
  protocol::WorkerState state() const {
    return draining_ ? protocol::WorkerState::kTerminating
           : quiet_  ? protocol::WorkerState::kQuiet
                     : protocol::WorkerState::kRunning;
  }
  // Nothing is held any more and the broker knows it (or cannot be told).
  bool finished() const { return finished_; }

  const Counters& counters() const { return counters_; }
  const Measures& measures() const { return measures_; }
  std::uint64_t unmetered() const { return meter_.attempts_lost(); }
  const CoreOptions& options() const { return options_; }
  bool joined() const { return link_ == Link::kJoined; }
  std::uint64_t session() const { return session_; }  // 0: not joined
  RelayTerms relay_terms() const { return relay_terms_; }
  // Joined, to a broker through which Redis cannot be reached as it has to be: no work is taken.
  bool lacks_relay() const { return options_.relayed && joined() && relay_terms_.calls == 0; }
  std::size_t held() const { return pool_.in_use(); }
  std::size_t uncommitted() const { return uncommitted_; }  // with a result
  std::size_t instances() const { return instances_.size(); }
  // The instance beside the slots, see core_express.cc.
  std::optional<InstanceId> express() const {
    return express_ ? std::optional{express_->id} : std::nullopt;
  }
  std::size_t slots_taken() const { return instances_.size() - borrowed_ - (express_ ? 1 : 0); }
  std::size_t commits_in_flight() const { return commits_.size(); }
  std::size_t unacknowledged_done() const { return sent_done_.size(); }
  const std::map<std::string, std::unique_ptr<Function>, std::less<>>& functions() const {
    return functions_;
  }
  void want_reports(CoreOptions::Reports wanted) { options_.reports = wanted; }

 private:
  enum class Link : std::uint8_t { kDown, kGreeting, kJoined };
  using RowsOfWriters = std::unordered_map<const Held*, protocol::AttemptRow>;
  struct Flight {
    store::Commit call;
    Function* function = nullptr;
    std::vector<Held*> held;  // in the order of the verdicts
    std::size_t bytes = 0;
    std::size_t writes = 0;  // deliveries and their effects
    TimePoint sent;
    bool publishes = false;  // some of these effects
    std::uint32_t failures = 0;
    bool set_aside = false;  // refused, alone: tried again without holding up the others
    std::optional<TimePoint> again_at;
    RowsOfWriters rows_of_writers;               // see Success
    std::optional<protocol::Done::Row> invoked;  // of an invocation: its answer, once this is in
  };
  struct SentDone {
    std::uint64_t number;
    std::size_t rows;
    std::string frame;
  };

  // core.cc: the turn, drain
  Function* find(std::string_view name);
  Instance* instance_of(InstanceId id);
  void touch(Function& function);
  void due(TimePoint at);
  void note_finished(Now now);
  void hand_back_queued(Function& function);

  // core_session.cc: the broker
  void greet(Now now);
  void join(protocol::Welcome welcome, Now now);
  void on_functions(std::vector<protocol::FunctionSpec> specs, Now now);
  void replace(Instance& instance, Now now);
  void tell_broken(protocol::Heartbeat& heartbeat) const;
  void on_deliver(std::string_view frame, Now now);
  void on_heartbeat_ack(const protocol::HeartbeatAck& ack);
  void send_heartbeat(Now now);
  void send_done();
  void send_credit();
  std::size_t window(const Function& function) const;
  std::size_t room_for(const Function& function, std::size_t wanted, std::size_t has) const;
  static bool goes_alone(const Held& held);
  std::vector<protocol::HeldDelivery> everything_held() const;

  // core_prepare.cc: generations that are about to be deployed
  void on_prepare(protocol::Prepare message, Now now);
  void answer_prepare(const protocol::FunctionSpec& spec, std::uint64_t number,
                      std::optional<protocol::Failure> failure, std::string log_tail);
  void drop_candidate(Function& function);
  void drop_candidates();
  Function* function_of_candidate(ZygoteId zygote);
  void on_candidate_started(Function& function, Now now);
  void on_candidate_ready(Function& function, Now now);
  void on_candidate_failed(Function& function, protocol::Failure failure, std::string log_tail);
  void check_candidate(Function& function, Now now);
  protocol::Failure init_timeout() const;
  void settle_candidate(Function& function, Now now);
  bool adopt_candidate(Function& function, Now now);
  static void forget_failures(Function& function);

  // core_running.cc: what instances are at
  static Held* item_at(const Instance& instance, const InstanceHandle::Running& running);
  std::optional<Instance::Told> progress_of(const Instance& instance);
  void look_at_progress(Now now);
  void look_soon(Now now);
  bool anything_runs() const;
  std::vector<protocol::RunningAttempt> running_attempts(Now now);

  // core_schedule.cc: from waiting to running
  void schedule(Function& function, Now now);
  bool feed(Instance& instance, Now now);
  std::size_t batch_limit(const Function& function) const;
  static std::size_t next_together(const Function& function);
  static bool is_gathered(const Function& function, Now now);
  Instance* instance_with_room(const Function& function) const;
  static bool is_worth_a_fork(const Function& function, std::size_t queued);
  bool wants_instance(const Function& function, Now now) const;
  static Duration stuck_after(const Function& function);
  bool pause_is_over(Function& function, Now now);
  bool has_zygote(Function& function, Now now);
  bool may_fork(Now now);
  bool fork(Function& function, Now now);
  void bring_back(Function& function, Now now);
  std::size_t instances_max(const Function& function) const;
  void fail_queued(Function& function, Now now);
  void end_zygote(Function& function, Now now);
  void lose_unborn(Function& function, ZygoteId zygote, Now now);
  void lose_zygote(Function& function, std::string why, Now now);
  void check_zygote_answers(Function& function, Now now);

  // core_share.cc: who goes next
  void enqueue(Function& function, Held& held);
  static void forget_old_turns(Function& function);
  void note_work(Function& function);
  static void note_use(Function& function, std::span<const ItemResult> results);
  double share_of(const Function& function) const;
  static std::optional<TimePoint> turn_ends_at(const Instance& instance, const Function& next,
                                               Now now);
  bool may_take_from(const Function& from, const Function& function) const;
  static bool has_due_work(const Function& function, Now now);
  bool someone_needs_the_slot(const Function& function, Now now) const;
  bool take_idle_slot(Function& function, Now now);
  void make_room_for(Function& function, Now now);
  void find_room_sooner(Function& function, Now now);
  void pass_slot_on(const Function& from);
  void need_not_leave(Instance& instance);
  bool give_way(Instance& instance, Now now);

  // core_instances.cc: results, deadlines, deaths
  void on_result(Instance& instance, Held& held, ItemResult& result, Now now);
  void settle_after_results(Instance& instance, Now now);
  void measure(Function& function, std::span<const ItemResult> results);
  void retire(Instance& instance, Now now);
  void stop(Instance& instance, StopReason why, Now now);
  void check_deadline(Instance& instance, Now now);
  // core_recall.cc
  void look_for_long_ones_soon(Now now);
  void recall_what_waits(Instance& instance, Now now);
  void take_back_waiting(Instance& instance, Now now);
  void remove(Instance& instance);
  void finish_ended(std::span<Held* const> running, const Instance& instance, const End& end,
                    Now now);
  void take_back_items(Instance& instance, const End* end, Now now);
  void note_start_failure(Function& function, protocol::Failure failure, std::string log, Now now);
  void reap_idle(Function& function, Now now);
  IdleTimes::Advice keep_alive(const Function& function) const;
  Duration keep_for(const Function& function) const;

  // core_cancel.cc: operators' wishes
  void on_cancel(const protocol::Cancel& message, Now now);
  void cancel_one(Function& function, const protocol::HeldDelivery& delivery, Now now);
  void stop_if_cancelled(Instance& instance, Now now);
  void drop_cancelled(Held& held, protocol::AttemptRow* ran, Now now);
  void set_quiet(bool quiet, Now now);
  static Held* cancelled_at(const Instance& instance, const InstanceHandle::Running& running);

  // core_commit.cc: how deliveries end
  // May take the texts, and leave others in their place.
  void finish(Held& held, ItemResult& end, protocol::AttemptRow& row, Now now);
  void conclude(const Held& held, const protocol::AttemptRow& row, Now now);
  // Into the one buffer for it: good until the next.
  std::string_view make_record(const Held& held, ItemResult& end, const protocol::AttemptRow& row,
                               Now now);
  static store::Effects effects_of_success(const Held& held, ItemResult& end, Now now);
  static store::Effects asked_for(const Held& held, ItemResult& end, Now now);
  void hand_back(Held& held);
  void throttle(Held& held, const protocol::Failure& why);
  void report_done(Held& held, protocol::Done::Row row);
  void report_committed(Held& held);
  void leave(Held& held);
  void enter(Held& held, bool early);
  void release_entry(Function& function, Entry& entry);

  // core_early.cc: deliveries that came before the journal had them
  bool awaits_journal(const Entry& entry) const;
  void on_journaled(const protocol::Journaled& message, Now now);
  static bool is_disowned(const Held& held) {
    return held.entry && held.entry->journal == Entry::Journal::kNever;
  }
  void disown(Entry& entry, Now now);
  void disown_awaited(Now now);
  void release(Held& held);
  bool may_commit(const Function& function) const;
  bool holds_back(const Function& function, const Entry& entry, Now now);
  void commit_done(Function& function, Now now);
  static bool names(const store::Commit& call, const Entry& entry, std::uint8_t index);
  void add_to_flight(Flight& flight, Function& function, Entry& entry, Now now);

  // core_report.cc: what the log gets
  void report(const Held& held, const protocol::AttemptRow& row, Now now);
  void print(const Held& held, std::string_view text, std::uint64_t bytes_cut, Now now);
  void print_what_runs(Now now);
  void say_left_out(Now now);

  // core_meter.cc: what attempts use
  void meter(const Held& held, const protocol::AttemptRow& row, Now now);
  void gather_usage();
  void send_usage(Now now);
  bool usage_is_told(Now now);

  // core_rows.cc: functions' stores
  struct Read {
    InstanceId instance;
    std::uint64_t number = 0;  // of the instance's request
    store::Call call;
    std::uint32_t failures = 0;
    std::optional<TimePoint> again_at;
  };
  void repeat_reads(Now now);
  void forget_reads(InstanceId instance);
  void fail_writer(Flight& flight, Held& held, protocol::AttemptRow row, store::Verdict why,
                   Now now);

  // core_invoke.cc: functions that wait for functions
  struct Invoking {
    enum class Way : std::uint8_t { kWaits, kSent, kHere };  // kWaits: for a broker

    InstanceId instance;
    std::uint64_t number = 0;  // of the instance's request
    std::string function;      // which it invokes
    TimePoint ends_at;
    TimePoint met_by;  // until then it waits for a broker
    std::size_t data_bytes = 0;
    std::string packed_event;  // while it waits
    Way way = Way::kWaits;
    Held* held = nullptr;   // kHere
    TimePoint moves_on_at;  // kHere, unless it has begun by then
  };
  std::vector<protocol::Cause> causes_of(const Instance& instance,
                                         const InstanceHandle::Running& running) const;
  void route(std::uint64_t request, Invoking& invoking, Now now);
  void ask_broker(std::uint64_t request, Invoking& invoking, Now now);
  void route_those_left(Now now);
  void on_invoked(const protocol::Invoked& message);
  bool on_invoke_refused(const protocol::Refused& message);
  void answer_invoking(std::uint64_t request, const InvokeAnswer& answer);
  void lose_invoking(std::string_view why);
  void expire_invoking(Now now);
  void forget_invoking(Instance& instance);
  std::size_t lent() const;
  std::size_t nested_max() const;
  std::size_t borrowers() const { return borrowed_ - spare_; }  // that are at work
  static bool has_nested(const Function& function);
  static std::size_t nested_in_front(const Function& function);
  static bool is_nested(std::string_view packed_event);
  static void put_nested_first(Function& function);
  bool finds_no_slot(Function& function, Now now);
  bool settle_borrowed(Instance& instance, Now now);
  bool may_use_spare(const Function& function) const;
  void move_in(Instance& instance);
  void move_spare_in(Function& function, Now now);
  void reap_spare(Function& function, Now now);
  void not_idle(Instance& instance);

  // core_local.cc: invocations that never leave this host
  void on_local(const protocol::Local& message);
  void forbid_local();
  bool finds_room(const Function& function, bool nested, Now now) const;
  bool may_run_here(const Function& function, std::size_t data_bytes) const;
  Held& take_local(Function& function, std::uint64_t number, std::string packed_event, bool nested,
                   Now now);
  bool run_here(std::uint64_t number, Invoking& invoking, Now now);
  static bool waits_here(const Held& held);
  void take_out(Held& held);
  void move_on(std::uint64_t number, Invoking& invoking, Now now);
  enum class LocalNews : std::uint8_t { kNone, kMovesOn, kNotBegun, kNotFinished };
  LocalNews look_at_local(Held& held, TimePoint ends_at, TimePoint moves_on_at, Now now);
  static const char* why_late(LocalNews news);
  struct Calling {
    CallerId caller;
    std::uint64_t request = 0;
    TimePoint ends_at, moves_on_at;
    Held* held = nullptr;
  };
  void answer_calling(const Calling& calling, Function& function, bool comes_back,
                      const protocol::Done::Row& row);
  void expire_callings(Now now);
  void end_local(Held& held, const protocol::Done::Row& row);
  void tell_local(protocol::Heartbeat& heartbeat);
  bool local_is_told() const;

  // core_express.cc: a place for what is quick, where all else is long
  enum class Express : std::uint8_t { kNo, kYes, kSoon };  // kSoon: once whoever is there has left
  bool wants_express(const Function& function) const;
  Express express_for(const Function& function, Now now) const;
  void ask_for_express(Function& function, Now now);
  void go_express(Instance& instance);
  bool long_ones_hold_all_slots() const;
  void leave_express(Instance& instance, Now now);

  // core_flights.cc: commits on their way
  void send_commit(Flight flight, Now now);
  void commit_invocation(Held& held, store::Effects effects,
                         std::unique_ptr<protocol::AttemptRow> row_of_writer,
                         protocol::Done::Row answer, Now now);
  void repeat_commits(Now now);
  void on_commit_refused(CommitId id, const Error& error, Now now);
  bool has_too_much_uncommitted() const;
  bool is_refused_too_much(const Function& function) const;
  std::size_t in_air() const { return commits_.size() - set_aside_; }

  CoreOptions options_;
  Effects& effects_;
  Counters counters_;
  Measures measures_;

  // ---- session ----
  Link link_ = Link::kDown;
  std::uint64_t session_ = 0;
  std::uint32_t epoch_ = 0;     // of the broker that this session is with
  RelayTerms relay_terms_;      // of this session
  bool packs_results_ = false;  // the layout of this session's data allows it
  Duration heartbeat_ = std::chrono::seconds{2};
  TimePoint next_heartbeat_;
  TimePoint next_look_;       // at what functions report of their progress
  TimePoint greet_again_at_;  // unless the broker is heard before
  std::uint64_t delivers_ = 0;
  std::vector<protocol::Done::Row> done_rows_;
  std::vector<protocol::Done::Committed> done_committed_;
  std::set<std::string> done_outboxes_;
  std::uint64_t next_done_ = 1;
  std::deque<SentDone> sent_done_;
  std::size_t sent_rows_ = 0;  // in sent_done_
  std::size_t rows_since_heartbeat_ = 0;
  std::size_t credit_open_ = 0;  // granted in this session and not used yet
  bool credit_short_ = false;    // some function got less than its window

  // ---- functions ----
  std::map<std::string, std::unique_ptr<Function>, std::less<>> functions_;
  std::size_t usable_ = 0;  // of them
  struct ByName {
    bool operator()(const Function* one, const Function* other) const {
      return one->spec.name < other->spec.name;
    }
  };
  std::set<Function*, ByName> staffed_;  // of them, those that have instances
  std::vector<Function*> touched_, touched_now_;
  std::unordered_map<InstanceId, std::unique_ptr<Instance>> instances_;
  std::uint64_t next_zygote_ = 1, next_instance_ = 1, next_commit_ = 1, next_read_ = 1;
  double fork_tokens_ = 0;
  TimePoint fork_tokens_at_;
  std::vector<Item> items_;  // scratch of feed()

  // ---- deliveries ----
  Pool<Held> pool_;
  Pool<Entry> entry_pool_;
  std::vector<Entry*> awaited_;  // those of which the broker has yet to say whether they are there
  Pool<Frame> frame_pool_;
  std::map<CommitId, Flight> commits_;
  std::map<ReadId, Read> reads_;                // at most one per instance
  std::map<std::uint64_t, Invoking> invoking_;  // by request; at most one per instance
  std::map<std::uint64_t, Calling> calling_;    // numbered with them
  std::uint64_t next_invoking_ = std::uint64_t{1}
                                 << 63;     // far from numbers of other things: relay.h
  std::uint64_t locals_ = 0;                // that were taken, ever
  std::uint64_t local_bytes_max_ = 0;       // of their data
  bool local_came_back_ = false;            // some of invoking_: for the broker now
  bool tell_soon_ = false;                  // that what nobody waits for any more goes on here
  std::size_t borrowed_ = 0;                // instances in slots that were lent
  std::size_t spare_ = 0;                   // of these, idle ones
  Instance* express_ = nullptr;             // the one beside the slots
  const Function* express_next_ = nullptr;  // for which the former one left, if it still wants to
  std::size_t uncommitted_ = 0;             // deliveries with a result that is not committed
  std::size_t uncommitted_bytes_ = 0;
  std::size_t failed_flights_ = 0;  // sent again, or about to be, and not answered yet
  std::size_t set_aside_ = 0;       // refused, alone; not among failed_flights_
  std::size_t set_aside_bytes_ = 0;
  protocol::AttemptRow row_;       // scratch of finish()
  protocol::ResultRecord record_;  // of make_record()
  std::string packed_record_;      // likewise

  // ---- the log ----
  LineBudget report_budget_, output_budget_;
  std::uint64_t output_bytes_cut_ = 0;  // not said yet
  TimePoint said_left_out_at_;

  // ---- metering ----
  Meter meter_;
  std::int64_t usage_hour_ = 0;
  TimePoint next_meter_;

  TimePoint next_tick_;
  bool draining_ = false;
  bool quiet_ = false;  // as the broker last said
  bool finished_ = false;
  TimePoint drain_ends_at_;
  std::optional<TimePoint> goodbye_ends_at_;
};

}  // namespace fanfare::worker
