// The broker's decisions: what is journaled, acknowledged, lent, taken back, retried and buried.
//
// A message, an answer of the store or a tick goes in, together with `now`; frames to send and
// calls to make come out. No sockets, no Redis, no clock, no threads: one caller drives it (the
// shell's loop, a test, the simulation), so every hard case is a short test.
//
// A turn: any number of on_…() calls, then flush(), then take_frames() and take_calls(). Grouping
// happens in flush(): all events of the turn are journaled together, all deliveries of the turn
// lent together.
//
// What holds, whatever happens:
// - A publisher is answered only after the journal's answer (class memory: never journaled).
// - A delivery is in exactly one place: unread in the journal, waiting here, lent, or moving.
// - What is lent returns when its worker is lost, drains or reports anew without it. Only failures
// of
//   the function itself use up its retries.
// - Nothing here cannot be rebuilt from Redis: see start() and survey in core_store.cc.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "broker/answer.h"
#include "broker/claim_table.h"
#include "broker/core_intake.h"
#include "broker/core_options.h"
#include "broker/core_purpose.h"
#include "broker/counters.h"
#include "broker/deployment.h"
#include "broker/function_state.h"
#include "broker/measures.h"
#include "broker/office.h"
#include "broker/package_shelf.h"
#include "broker/relay_table.h"
#include "broker/retry.h"
#include "broker/router.h"
#include "broker/session.h"
#include "broker/topic_table.h"
#include "protocol/caused_event.h"
#include "protocol/event.h"
#include "protocol/messages.h"
#include "protocol/tracepoint.h"
#include "store/calls.h"

namespace fanfare::broker {

struct OutgoingFrame {
  Peer peer;
  std::string frame;
};
struct OutgoingCall {
  Ticket ticket;
  store::Call call;
};

class Core {
 public:
  Core(CoreOptions options, Now now);
  ~Core();

  // ---- in ----
  void on_frame(const Peer& peer, std::string_view frame, Now now);
  void on_not_one_frame(const Peer& peer);
  // A peer of another machine may not send this, or may not connect: see remote_door.h.
  void on_not_allowed(const Peer& peer, std::string_view frame, std::string why);
  void on_connection_refused(ConnectionRefusal why);
  // Peers whose ids begin so may not be workers any more: what they hold goes to others at once.
  void on_workers_barred(std::string_view peers, Now now);
  void on_cut_off(std::size_t connections);
  void note_remote_connections(std::size_t count) { remote_connections_ = count; }
  void on_answer(Ticket ticket, Result<store::Answer> answer, Now now);
  // Of take_relayed() and take_packages_wanted().
  void on_relay_answer(Ticket ticket, Result<store::Answer> answer);
  void on_package(const std::string& digest, Result<std::string> bytes, Now now);
  // The store may have lost its last changes (class everysec): what it says is open now counts.
  void on_store_restarted();
  // ZeroMQ could not deliver to this peer: it is gone, or does not read.
  void on_peer_gone(const Peer& peer, Now now);
  // A worker on this host ended (seen through its pidfd); harmless if the session is gone already.
  void on_worker_died(SessionId session, Now now);
  void tick(Now now);   // leases, timeouts, due retries
  void flush(Now now);  // the end of a turn
  // Whether flush() has left something that needs no news: another turn is to follow at once.
  bool wants_turn() const { return (!arrived_.empty() || !begun_.empty()) && may_admit(); }
  // Batches that nothing will take up again: Redis was asked nothing, and no turn is wanted. None,
  // after any turn; for tests.
  std::size_t batches_forgotten() const {
    return purposes_.empty() && !wants_turn() && !ended_ ? batches_.size() : 0;
  }
  void begin_drain();  // no new events or invocations; what is journaled stays there

  // ---- out ----
  // Published last, so also behind whatever else its publisher is told in this turn.
  std::vector<OutgoingFrame> take_frames();
  std::vector<OutgoingCall> take_calls() { return std::exchange(calls_, {}); }
  // Calls of workers that have no way to Redis, for a connection of their own: on_relay_answer() is
  // owed for each, whatever it is.
  std::vector<OutgoingCall> take_relayed() { return std::exchange(relayed_, {}); }
  // Digests of packages that such workers want read from Redis.
  std::vector<std::string> take_packages_wanted() { return shelf_.take_wanted(); }
  // Sessions that joined since the last call, so that the shell can watch those on its own host.
  std::vector<Session> take_joined() { return std::exchange(joined_, {}); }
  Duration until_next_tick(Now now) const;

  // Set once this broker can do no more good: another one took over, or Redis refused for good.
  const std::optional<Error>& ended() const { return ended_; }
  // Invocations that workers run by themselves at this moment, as they last said; by function.
  std::map<std::string, std::uint64_t> running_locally() const;
  bool accepting() const { return intake_open_ && !draining_ && !ended_; }
  bool settled() const;  // Redis owes no answer: a draining broker may end

  std::size_t remote_connections() const { return remote_connections_; }
  const Counters& counters() const { return counters_; }
  const Measures& measures() const { return measures_; }
  // Bytes of events that were taken in and are not journaled yet.
  std::size_t intake_bytes() const {
    return arrived_bytes_ + incoming_bytes_ + looking_up_bytes_ + appending_bytes_;
  }
  std::size_t waits() const { return waiters_.size(); }  // for results
  std::uint32_t epoch() const { return epoch_; }
  const std::map<std::string, std::unique_ptr<FunctionState>>& functions() const {
    return functions_;
  }
  const OutboxState& triggers_outbox() const { return triggers_.outbox; }
  const std::map<SessionId, Session>& sessions() const { return sessions_; }
  const CoreOptions& options() const { return options_; }
  RateMeter::Rates rates() const { return rate_.rates(); }

 private:
  enum class Phase { kStarting, kRecovering, kRunning };

  struct Waiter {
    Peer peer;
    std::uint64_t request;
    protocol::EventId event;
    std::string function;
    TimePoint deadline;
  };

  // core_office.cc: whether it is still this broker that lends
  void check_office(Now now);
  void ask_office(Now now);
  void on_office(const ForOffice& asked, bool answered);
  bool may_lend_alone(const FunctionState& function, Now now);
  bool waits_for_office(const FunctionState& function) const;
  bool former_is_out(Now now) const;

  // core.cc: start, time, plumbing
  void begin_again(store::Call call, Purpose purpose, const Error& error, Now now);
  struct FrameHandler;
  struct AnswerHandler;
  void send(const Peer& peer, const protocol::Message& message);
  void refuse(const Peer& peer, std::uint64_t request, protocol::Refusal code, std::string message);
  void refuse_unreadable(const Peer& peer, std::string_view frame, const Error& error);
  void call(store::Call call, Purpose purpose);
  void end(Error error);
  void note_rates(Now now);
  FunctionState* find_function(std::string_view name);
  bool is_deployed(const std::string& name) const;
  FunctionState* find_source(std::string_view name);  // with an outbox: also triggers_
  void touch(FunctionState& function);

  // core_publish.cc: from a publisher's batch to journaled deliveries
  void on_publish(const Peer& peer, std::string_view frame, Now now);
  bool answer_repeat(const Peer& peer, const protocol::PublishView& publish);
  bool has_gone_on(const protocol::PublishView& publish) const;
  void on_recalled(const Peer& peer, std::string_view frame, Result<store::Answer>& answer,
                   Now now);
  void take_batch(const Peer& peer, const protocol::PublishView& publish,
                  protocol::Published so_far, Now now);
  void refuse_batch(const Peer& peer, const protocol::PublishView& publish, protocol::Refusal code,
                    const std::string& message);
  bool may_admit() const { return incoming_.size() < kIncomingMax; }
  void admit_in_turns(Now now);
  std::size_t admit_some(Arrived& arrived, Now now);
  Incoming admit(SharedBytes packed, BatchId batch);
  void apply_options(Incoming& incoming, const protocol::PublishOptions& options) const;
  void count_refused(protocol::Refusal code, std::uint64_t events);
  std::shared_ptr<const Target> target_of(const protocol::EventView& event);
  std::uint32_t appends_at_once() const;
  void cut_chunks(Now now);
  static store::Append::Guard& guard_of(const Batch& batch, store::Append& append);
  static bool has_streams_left(const store::Append& append, const Incoming& incoming);
  std::unique_ptr<Chunk> cut_chunk(Now now, store::Append& append);
  void trace_arrival(const Chunk& chunk) const;
  void add_to_offers(Chunk& chunk, store::Append& append, const Incoming& incoming,
                     const protocol::EventId& id, Now now) const;
  bool is_memory_only(const Chunk& chunk) const;
  void on_appended(Chunk& chunk, const Result<store::Answer>& answer, Now now);
  void accept_chunk(Chunk& chunk, Now now);
  void refuse_chunk(Chunk& chunk, const Error& error, Now now);
  void answer_part(BatchId id, std::size_t events, const protocol::Published& part, Now now);
  void note_journaled(const Chunk& chunk, Now now);
  void remember_answer(const std::string& client, const protocol::Published& answer);
  protocol::EntryId next_entry(Now now);

  // core_claims.cc: events that have been published before
  bool looks_at_claims() const;
  bool want_claims(const Incoming& incoming, Now now);
  void set_aside(std::size_t first);
  void look_up_claims();
  void on_looked_up(ForLookup& purpose, const Result<store::Answer>& answer, Now now);
  void take_looked_up();
  bool must_wait(const Incoming& incoming, const protocol::EntryId& entry) const;
  std::optional<Claimed> settle_claims(Incoming& incoming);
  void make_claims(const Incoming& incoming, const protocol::EventId& id, Chunk& chunk,
                   store::Append& append);
  void confirm_claims(const Chunk& chunk, Now now);
  void release_claims(const Chunk& chunk);
  void look_up_anew();

  // core_outbox.cc: from outboxes to journaled deliveries
  void want_outbox(FunctionState& function);
  void look_at_outboxes(Now now);
  void look_at_triggers(Now now);
  void on_outbox_counts(const ForOutboxCounts& purpose, const Result<store::Answer>& answer,
                        Now now);
  void read_outboxes(Now now);
  void read_outbox(FunctionState& function, Now now);
  void on_outbox_page(FunctionState& function, Result<store::Answer>& answer, Now now);
  // core_circle.cc
  void note_waits(FunctionState& source);
  bool held_by_outbox(const FunctionState& function) const;
  bool waits_in_a_circle(const FunctionState& function) const;
  void lend_one(FunctionState& function, std::size_t running_max, Now now);
  bool take_caused(FunctionState& source, store::OutboxPage::Entry& entry);
  std::shared_ptr<const Target> target_named(const std::string& name);
  void cut_caused(Now now);
  void on_republished(Chunk& chunk, const Result<store::Answer>& answer, Now now);
  void bury_undeliverable(FunctionState& function, Pending delivery, Now now);
  void bury_recursion(FunctionState& function, Pending delivery, Now now);
  static store::Effects effects_of_burial(const FunctionState& function, const Pending& delivery,
                                          const protocol::ResultRecord& record);

  // core_delay.cc: events that are not to run yet
  static void append_delayed(FunctionState& function, const protocol::EventId& id,
                             const SharedBytes& packed_event, std::int64_t due_ms,
                             std::int64_t accepted_ms, Chunk& chunk, store::Append& append);
  void accept_delayed(const Chunk& chunk);

  // core_dispatch.cc: from waiting to lent
  void dispatch(FunctionState& function, Now now);
  void lend_waiting(FunctionState& function, std::size_t running_max, Now now);
  bool all_are_back(Now now) const;
  void maybe_open_keys(FunctionState& function, Now now);
  // What is to be lent next.
  enum class Next : std::uint8_t { kAny, kSuspect, kFresh };
  std::size_t room_of(const FunctionState& function, const CreditLine& line, Next next) const;
  CreditLine* choose_worker(FunctionState& function, Next next, Now now);
  bool take_next(FunctionState& function, Session& session, Next kind, Now now, Pending& out);
  bool renew_numbers(FunctionState& function, Pending delivery, Now now);
  void lend(FunctionState& function, Session& session, std::vector<Pending> deliveries, Now now,
            bool early = false);
  bool make_ready(FunctionState& function, Pending&& delivery, Now now);
  bool put_off(FunctionState& function, Pending& delivery, Now now);
  void read_on(FunctionState& function, Now now);
  void on_invoke(const Peer& peer, const Session* worker, const protocol::Invoke& invoke, Now now);
  static std::deque<Pending>::iterator behind_nested(std::deque<Pending>& invocations);

  // core_early.cc: lent while the journal is being written
  bool may_start_early(const FunctionState& function, const Offer& offer, Now now) const;
  void start_early(Chunk& chunk, Now now);
  void settle_early(const Chunk& chunk, bool there, Now now);

  // core_local.cc: what workers run by themselves
  bool may_run_locally(const FunctionState& function) const;
  void note_local(FunctionState& function);
  void note_all_local();
  protocol::Local local_functions() const;
  void greet_with_local(const Session& session);
  void tell_local();
  void on_local_report(Session& session, std::vector<protocol::Heartbeat::LocalRow>& rows);

  // core_workers.cc: sessions, reports, losses
  void on_hello(const Peer& peer, protocol::Hello hello, Now now);
  void on_credit(Session& session, const protocol::Credit& credit);
  void on_heartbeat(Session& session, protocol::Heartbeat& heartbeat, Now now);
  void on_done(Session& session, protocol::Done& done, Now now);
  void on_done_row(Session& session, protocol::Done::Row& row, Now now);
  std::optional<Lease> end_lease(Session& session, FunctionState* function,
                                 const protocol::EventId& id, protocol::AttemptToken token,
                                 bool ended_there);
  void on_success(FunctionState& function, const Lease& lease);
  void on_failure(FunctionState& function, Lease lease, protocol::Done::Row& row, Now now);
  void settle(FunctionState& function, const protocol::EventId& id);
  void take_back(FunctionState& function, Lease lease, protocol::Outcome why, Now now,
                 const protocol::Failure& failure = {}, const std::string& worker = {});
  void lose_session(SessionId id, protocol::Outcome why, Now now);
  // Deliveries taken out of a function's queue, to be looked up by their ids.
  using TakenOut = std::unordered_map<protocol::EventId, Pending>;
  std::map<FunctionState*, TakenOut> take_out(const std::vector<protocol::HeldDelivery>& held);
  void adopt(FunctionState& function, const protocol::HeldDelivery& held, TakenOut& waiting,
             SessionId session, Now now);
  void grant(FunctionState& function, Pending delivery, SessionId session,
             protocol::AttemptToken token, Now now);
  void doubt(FunctionState& function, const protocol::EventId& id);
  bool is_suspect(const Pending& delivery) const;
  void wait_again(FunctionState& function, Pending delivery, Now now);
  bool lend_if_announced(FunctionState& function, Pending& delivery, Now now);
  Session* session_of(const Peer& peer);
  void broadcast_functions();
  std::vector<protocol::FunctionSpec> function_specs() const;

  // core_relay.cc: workers that have no way to Redis
  void note_held_functions(Session& session, const std::vector<protocol::HeldDelivery>& held) const;
  Result<void> check_relayed(const Session& session, const store::Call& call) const;
  void on_relayed(Session& session, std::uint64_t request, Result<store::Call> call,
                  std::size_t frame_bytes);
  void answer_relay(const Session& session, std::uint64_t request, Result<store::Answer> answer);
  void on_fetch_package(Session& session, const protocol::FetchPackage& fetch, Now now);
  void send_package_parts();

  // core_endings.cc: retries, dead letters
  void postpone(FunctionState& function, Pending delivery, protocol::AttemptToken token,
                std::int64_t due_ms);
  void bury(FunctionState& function, Pending delivery, protocol::AttemptToken token,
            protocol::DeadReason reason, const protocol::Failure& failure, std::string log_tail,
            Now now);
  void expire(FunctionState& function, Pending delivery, Now now);
  void end_as(FunctionState& function, Pending delivery, protocol::AttemptToken token,
              protocol::ResultRecord record, Now now);
  void flush_endings();
  void count_as_moved_by_others(FunctionState& function, protocol::Origin origin,
                                store::Verdict verdict);
  void count_as_buried(FunctionState& function, const store::Bury::Item& item);
  void on_postponed(ForPostpone& purpose, Result<store::Answer>& answer, Now now);
  void on_buried(ForBury& purpose, Result<store::Answer>& answer, Now now);
  protocol::AttemptToken own_token() const;
  protocol::AttemptToken move_token(const Pending& delivery, protocol::AttemptToken ended) const;

  // core_store.cc: recovery and reading
  void on_begun(const store::Begun& begun, Now now);
  void on_registry(store::FunctionList list, Now now);
  void survey(FunctionState& function);
  void check_readable(FunctionState& function, const Error& error);
  void on_survey_failed(FunctionState& function, const Error& error, Now now);
  void on_surveyed(FunctionState& function, const store::Surveyed& surveyed);
  void end_survey(FunctionState& function);
  static void correct_counts(FunctionState& function, const store::Surveyed::Counts& redis);
  void maybe_open_intake();
  void recount(Now now);
  void read_anew(FunctionState& function);
  void on_paged(FunctionState& function, protocol::Lane lane, store::Paged paged, Now now);
  static void end_reading_again(FunctionState& function);
  static void recall_attempts(FunctionState& function, Pending& pending);
  void on_due(FunctionState& function, const store::Due& page, store::DueRows* rows, Now now);
  void take_due(FunctionState& function, store::DueRows::Row row, Now now);
  Pending pending_of(store::DueRows::Row row, std::int64_t* wished_ms = nullptr) const;
  void register_function(store::Registered registered);
  void rebuild_router();
  void maybe_open_dispatch(Now now);
  Place place_of(const protocol::PublishOptions& options) const;
  static bool must_wait_in_later(const FunctionState& function, const Pending& delivery);
  void release_vanished(FunctionState& function);
  static void note_holders(FunctionState& function, const store::Surveyed& surveyed);
  void release_unnamed(FunctionState& function, const Survey& survey);

  // core_await.cc, core_admin.cc, core_deliveries.cc
  void on_await(const Peer& peer, const protocol::Await& await, Now now);
  bool has_just_ended(const protocol::EventId& id, const std::string& function) const;
  void notify_waiters(const protocol::EventId& id, const std::string& function);
  void expire_waits(Now now);
  void expire_invocations(FunctionState& function, Now now);
  struct AdminCall;  // core_admin.h
  struct AdminVerb;
  static const AdminVerb* admin_verb(std::string_view name);
  void on_admin(const Peer& peer, const protocol::Admin& admin, Now now);
  void answer_status(const AdminCall& call);
  void answer_metrics(const AdminCall& call);
  void answer_functions(const AdminCall& call);
  void answer_describe(const AdminCall& call);
  void answer_deliveries(const AdminCall& call);

  // core_deploy.cc: deployments, and back
  struct TrackedDeployment {
    Deployment deployment;
    std::optional<AdminRequest> asker;  // to be answered once it is over
  };
  static nlohmann::json json_of(const Deployment& deployment);
  nlohmann::json json_of_outcome(const std::string& name, const Deployment& deployment);
  nlohmann::json workers_of(const FunctionState& function) const;
  const Deployment* deployment_of(const std::string& name) const;
  void deploy(const AdminCall& call);
  static DeployWishes wishes_of(const AdminCall& call);
  bool fits_in_greeting(const store::Deploy& call) const;
  void begin_deployment(const AdminRequest& admin, const DeployWishes& wishes, store::Deploy call,
                        Now now);
  void forget_outcomes();
  void ask_to_prepare(Deployment& deployment, const Session& session);
  void ask_newcomer(const Session& session);
  void on_prepared(Session& session, const protocol::Prepared& prepared, Now now);
  void lose_in_deployments(SessionId session, Now now);
  void expire_deployments(Now now);
  bool may_be_tried_by_more(const Deployment& deployment, Now now);
  void settle_deployment(TrackedDeployment& tracked, Now now);
  void finish_deployment(TrackedDeployment& tracked, protocol::Refusal code, std::string why);
  bool is_being_deployed(const std::string& digest, const std::string& but = {}) const;
  void drop_package_of(const Deployment& deployment);
  void answer_deployment(const AdminCall& call);
  void list_generations(const AdminCall& call);
  void on_generations(ForGenerations& purpose, const Result<store::Answer>& answer, Now now);
  void roll_back(const ForGenerations& purpose, const FunctionState& function,
                 const std::vector<store::Generation>& generations, Now now);
  std::vector<std::string> missing_destinations(const protocol::Manifest& manifest);
  void remove(const AdminCall& call);
  void on_deployed(ForDeploy& purpose, const Result<store::Answer>& answer, Now now);
  void on_removed(ForRemove& purpose, const Result<store::Answer>& answer);

  // core_letters.cc: what operators do with dead letters
  void redrive(const AdminCall& call);
  void purge_letters(const AdminCall& call);
  void on_letters(ForLetters& purpose, Result<store::Answer>& answer, Now now);
  void on_redriven(ForRedrive& purpose, const Result<store::Answer>& answer);
  void on_letters_purged(ForPurgeLetters& purpose, const Result<store::Answer>& answer);
  void note_redriven(FunctionState& function, const store::Redrive::Item& item,
                     protocol::Status status);
  void answer_redrive(const ForRedrive& purpose, std::size_t redriven, std::size_t waiting);
  void answer_admin(const AdminCall& call, std::string answer);
  void refuse_admin(const AdminCall& call, protocol::Refusal code, std::string message);
  void refuse_admin(const Peer& peer, std::uint64_t request, protocol::Refusal code,
                    std::string message);

  // core_control.cc: operators hold functions up
  void pause(const AdminCall& call);
  void resume(const AdminCall& call);
  void set_state(const AdminCall& call, bool paused);
  void on_state_set(ForSetState& purpose, const Result<store::Answer>& answer);

  // core_topics.cc: who subscribes to what is published to topics
  struct TopicChange {
    AdminRequest admin;
    std::string verb, body;
    std::string answer = {};
    std::vector<TopicPut> puts = {};
    std::size_t done = 0, under_way = 0;  // of puts
  };
  void on_topics(store::TopicList list);
  void subscribe_to_topics();
  void answer_topics(const AdminCall& call);
  void change_topics(const AdminCall& call);
  void begin_topic_changes();
  void write_topics(TopicChange& change);
  void on_topics_set(const Result<store::Answer>& answer);
  void refuse_topics(const TopicChange& change, const Error& full);

  // core_cancel.cc: operators end deliveries, wherever they are
  struct Cancellation {  // of one event, for one function or all
    AdminRequest admin;  // its function is empty if none was named
    protocol::EventId event;
    struct Fate {
      std::string result;
      bool certain = false;  // else what it will be, if nothing ends it before
    };
    std::map<std::string, Fate> fates;  // by function
    std::string failure;                // Redis could not be asked
  };
  void cancel(const AdminCall& call);
  std::optional<std::string> cancel_held(FunctionState& function, const protocol::EventId& id,
                                         Now now);
  std::optional<Pending> take_waiting(FunctionState& function, const protocol::EventId& id);
  void cut_off(FunctionState& function, Lease lease, Now now);
  void tell_to_drop(const FunctionState& function, const protocol::EventId& id, const Cut& cut);
  void end_cancelled(FunctionState& function, Pending delivery, protocol::AttemptToken token,
                     protocol::DeadReason reason, Now now);
  void on_found(ForFind& purpose, Result<store::Answer>& answer, Now now);
  std::string cancel_found(FunctionState& function, const protocol::EventId& id,
                           store::Found& found, Now now);
  void cancel_after_move(FunctionState& function, Pending delivery, protocol::DeadReason reason,
                         Now now);
  void tell_cancellations(const FunctionState& function, const protocol::EventId& id,
                          std::string_view ended_as);
  void answer_if_certain(CancellationId id);

  // core_purge.cc: operators empty queues
  void purge(const AdminCall& call);
  void purge_on(FunctionState& function, Now now);
  void read_purged_rows(FunctionState& function);
  void on_purged_rows(ForPurgedRows& purpose, Result<store::Answer>& answer, Now now);
  static bool is_purged(const FunctionState& function, const Pending& delivery);
  bool purge_is_over(const FunctionState& function) const;

  // core_drain.cc: operators make workers quiet
  void answer_workers(const AdminCall& call);
  void drain_worker(const AdminCall& call);
  void resume_worker(const AdminCall& call);
  void set_quiet(const AdminCall& call, bool quiet);
  void on_wish_allowed(const ForWish& purpose, const Result<store::Answer>& answer);
  Session* session_named(const std::string& worker);
  void greet_with_wish(Session& session);
  void remind_of_wish(Session& session);
  void tell_wish(Session& session);
  void follow_state(Session& session);

  CoreOptions options_;
  Phase phase_ = Phase::kStarting;
  bool intake_open_ = false;  // once opened it stays so, until this broker drains or ends
  bool draining_ = false;
  std::optional<Error> ended_;
  std::uint32_t epoch_ = 0;
  Counters counters_;
  std::size_t remote_connections_ = 0;  // the shell's
  Measures measures_;
  RateMeter rate_;  // of events and of deliveries
  std::mt19937_64 random_;
  TimePoint started_at_;
  TimePoint ticked_at_;
  Office office_;
  bool lending_waits_for_office_ = false;
  TimePoint dispatch_opens_at_;
  TimePoint began_at_;         // took office
  std::int64_t began_ms_ = 0;  // the same, Unix ms
  std::vector<std::string> awaited_workers_;
  bool awaited_known_ = false;  // Redis has said who they are
  Backoff begin_backoff_ = kMendingBackoff;

  std::vector<OutgoingFrame> frames_, last_frames_;  // the latter to publishers, see take_frames()
  std::vector<OutgoingCall> calls_;
  std::vector<Session> joined_;
  std::uint64_t next_ticket_ = 1;
  std::unordered_map<Ticket, Purpose> purposes_;
  struct Postponed {
    TimePoint at;
    store::Call call;
    Purpose purpose;
  };
  std::vector<Postponed> repeat_later_;  // calls Redis could not take for now

  Router router_;
  std::uint64_t routes_forgotten_ = 0;  // by router_, when targets_ was last right
  std::unordered_map<const Route*, std::shared_ptr<const Target>> targets_;
  std::unordered_map<std::string, std::shared_ptr<const Target>> targets_by_name_;
  TopicTable topics_;
  bool topics_known_ = false;              // Redis has said which there are
  std::deque<TopicChange> topic_changes_;  // asked for; the first is under way
  std::map<std::string, std::unique_ptr<FunctionState>> functions_;
  std::vector<FunctionState*> touched_;  // may have something to lend
  const WindowShare shared_by_windows_ = std::make_shared<std::size_t>(0);
  FunctionState triggers_;      // no function: the owner of the outbox that schedules fire into
  bool triggers_fire_ = false;  // there has been something in it

  ClaimTable claims_;
  std::vector<ClaimKey> to_look_up_;
  std::uint64_t keys_numbered_ = 0;   // of all that had to be looked up so far
  std::set<std::uint64_t> lookups_;   // under way, by the number of their first key
  std::deque<LookingUp> looking_up_;  // in the order of `after`
  std::size_t looking_up_bytes_ = 0;

  static constexpr std::size_t kIncomingMax = 2 * protocol::kChunkEventsMax;
  std::deque<Arrived> arrived_, begun_;  // of whose events none, and some, are admitted
  bool newcomer_goes_ = false;           // the last ones that were admitted were a batch's first
  std::size_t arrived_bytes_ = 0;
  std::deque<Incoming> incoming_;
  std::size_t incoming_bytes_ = 0;
  std::size_t memory_bytes_ = 0;
  std::uint32_t appends_in_flight_ = 0;
  std::size_t appending_bytes_ = 0;
  std::deque<Caused> caused_;
  std::size_t caused_bytes_ = 0;
  bool append_refused_ = false;           // the latest
  std::uint32_t republishing_ = 0;        // appends of caused events under way
  std::vector<FunctionState*> outboxes_;  // that may be read on
  std::size_t looks_under_way_ = 0;
  TimePoint look_at_;
  std::uint64_t next_batch_ = 1;
  std::unordered_map<BatchId, Batch> batches_;
  std::unordered_map<std::string, BatchId> open_batches_;  // by client
  // The latest answer per client, in two generations so that old clients are forgotten.
  std::unordered_map<std::string, protocol::Published> answers_, older_answers_;
  std::uint32_t layout_ = 1;  // of what lies in Redis
  protocol::EntryId last_entry_;

  std::uint64_t next_session_ = 1;
  std::map<SessionId, Session> sessions_;
  std::unordered_map<Peer, SessionId> session_by_peer_;
  RelayTable relays_;
  PackageShelf shelf_;
  std::vector<OutgoingCall> relayed_;
  std::uint64_t next_invocation_ = 1;
  std::size_t invocation_bytes_ = 0;  // events of those that wait or are lent
  bool local_changed_ = false;        // workers are to be told
  bool local_opened_ = false;         // as of accepting(), when that was looked at last
  // The latest that ended, round and round: an Await may have been under way meanwhile.
  struct Ended {
    protocol::EventId id;
    const FunctionState* function = nullptr;
  };
  std::vector<Ended> just_ended_;
  std::size_t next_ended_ = 0;
  std::vector<Waiter> waiters_;
  std::uint64_t next_cancellation_ = 1, next_purge_ = 1, next_survey_ = 1;
  std::map<CancellationId, Cancellation> cancellations_;
  std::uint64_t next_deployment_ = 1;  // beside the epoch: no two brokers give the same number
  std::map<std::string, TrackedDeployment> deployments_;  // by function: the latest
  // What operators wish of workers, by name: true = quiet, false = not (any more). A worker without
  // an entry decides: an earlier broker may have told it.
  std::map<std::string, bool> worker_wishes_;

  struct Endings {
    store::Postpone postpone;
    store::Bury bury;
  };
  // By name, not by address: the same inputs give the same calls in the same order.
  struct ByName {
    bool operator()(const FunctionState* a, const FunctionState* b) const {
      return a->name < b->name;
    }
  };
  std::map<FunctionState*, Endings, ByName> endings_;
};

}  // namespace fanfare::broker
