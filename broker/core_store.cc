// Taking office, reading back what Redis holds, and the registry of functions.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "broker/core.h"
#include "broker/event_times.h"
#include "broker/ledger.h"

namespace fanfare::broker {
namespace {

constexpr Duration kRecountPause = std::chrono::seconds{10};
constexpr Duration kIdleRecountPause = std::chrono::seconds{1};

// Whether this broker has nothing of a function to lend, and nothing lent.
bool is_idle(const FunctionState& function) {
  return function.surveyed && function.leases.empty() && function.moving.empty() &&
         function.waiting() == 0 && !function.queue.has_unread() && !function.later.next_due_ms() &&
         !function.later.reading();
}

// What a page of the journal brings may be here already, after Redis was restarted.
bool is_held(const FunctionState& function, const protocol::EventId& id) {
  return function.leases.contains(id) || function.moving.contains(id) || function.later.holds(id) ||
         function.early.contains(id) ||
         std::ranges::any_of(function.suspects, [&](const Pending& one) { return one.id == id; });
}

}  // namespace

// The order of a start: epoch (fences every older broker) → functions and their counts, topics →
// intake opens, while the workers of the former broker are waited for → lending opens.
void Core::on_begun(const store::Begun& begun, Now now) {
  options_.failpoint("broker.office.taken");
  epoch_ = begun.epoch;
  last_entry_ = begun.last_entry;
  layout_ = begun.layout;
  began_at_ = now.steady;
  began_ms_ = to_ms(now.wall);
  dispatch_opens_at_ = now.steady + options_.announce_grace;
  call(store::ListWorkers{}, ForWorkers{});
  call(store::ListFunctions{}, ForRegistry{});
  call(store::ListTopics{}, ForTopics{});
}

void Core::on_registry(store::FunctionList list, Now now) {
  for (auto& registered : list.functions) register_function(std::move(registered));
  rebuild_router();
  if (phase_ == Phase::kStarting) phase_ = Phase::kRecovering;
  maybe_open_intake();
  maybe_open_dispatch(now);
}

// Without the counts nobody could say which queue is full, and without the topics who gets what.
void Core::maybe_open_intake() {
  if (!topics_known_) return;
  intake_open_ = intake_open_ || std::ranges::all_of(functions_, [](const auto& function) {
                   return function.second->looked_at();
                 });
}

void Core::register_function(store::Registered registered) {
  auto& function = functions_[registered.name];
  if (!function)
    function = std::make_unique<FunctionState>(registered.name, options_.window, shared_by_windows_,
                                               options_.later);
  auto manifest =
      protocol::parse_manifest(registered.manifest_toml, "function.toml", registered.name);
  if (!manifest) {
    // Deployed by a version that knew more: its events keep queueing, nothing else stops.
    spdlog::error("function {}: its stored manifest cannot be read, it will not run: {}",
                  registered.name, manifest.error().message);
  }
  function->deployed = manifest.has_value();
  if (manifest) function->manifest = *std::move(manifest);
  function->rate.set(function->manifest.rate_per_second);
  function->registered = std::move(registered);
  if (!function->surveyed) survey(*function);
  touch(*function);
}

void Core::rebuild_router() {
  targets_.clear();
  targets_by_name_.clear();
  router_ = Router{options_.route_names_max};
  routes_forgotten_ = 0;
  for (const auto& [name, function] : functions_) {
    if (!function->deployed) continue;
    for (const auto& text : function->manifest.patterns) {
      auto pattern = protocol::compile_pattern(text);
      if (pattern) {
        router_.subscribe(name, *pattern);
      } else {
        spdlog::error("function {}: a stored pattern cannot be used: {}", name,
                      pattern.error().message);
      }
    }
  }
  subscribe_to_topics();
}

void Core::survey(FunctionState& function) {
  function.surveying = true;
  Survey& begun = function.survey.emplace();
  begun.number = next_survey_++;
  begun.held_later = static_cast<std::int64_t>(function.later.size());
  begun.held_open = static_cast<std::int64_t>(function.waiting() + function.leases.size() +
                                              function.moving.size());
  call(store::Survey{function.name}, ForSurvey{&function, begun.number});
}

// Something of this function cannot be read or written: a survey tells whether one of its keys is
// not what it should be.
void Core::check_readable(FunctionState& function, const Error& error) {
  if (error.kind == ErrorKind::kReject && !function.surveying && !ended_) survey(function);
}

void Core::on_survey_failed(FunctionState& function, const Error& error, Now now) {
  if (ended_) return;
  function.survey.reset();
  if (error.kind == ErrorKind::kReject && function.trouble != error.message) {
    function.trouble = error.message;
    spdlog::error("function {} stands still until this is mended, all others go on: {}",
                  function.name, error.message);
  }
  repeat_later_.push_back({function.survey_backoff.fail(now.steady), store::Survey{function.name},
                           ForSurvey{&function}});
  maybe_open_intake();
}

// A survey's first answer says how much there is and where; with those behind it come all that keep
// an ordering key.
void Core::on_surveyed(FunctionState& function, const store::Surveyed& surveyed) {
  Survey& survey = *function.survey;
  const bool again = function.surveyed;  // only counted anew
  if (!std::exchange(survey.begun, true)) {
    options_.failpoint("broker.survey.taken");
    const bool idle = is_idle(function);
    if (!again) {
      // When it is read anew, what is lent may have ended in Redis already, and its report is still
      // to come: it counts as open until then.
      if (function.reading_again) {
        correct_counts(function, surveyed.counts);
      } else {
        function.counts = surveyed.counts;
      }
      // What this broker appended before the survey's answer came is in both: the window refuses
      // what it has read, because a lane marked unread is read from where the window stands.
      for (const auto lane : surveyed.lanes) function.queue.mark_unread(lane);
    } else if (options_.durability != Durability::kMemory) {
      correct_counts(function, surveyed.counts);
    } else if (idle) {  // Redis knows little of what runs
      function.counts = surveyed.counts;
    }
    survey.next_due_ms = surveyed.next_due_ms;
    // Nothing is held here and yet something is open: what ended here has not ended in Redis.
    survey.read_anew = again && idle && surveyed.counts.open + surveyed.counts.later > 0;
    survey.all_holders = !again || idle;  // else it is for the counts
    for (const auto& id : function.queue.keys().parked()) survey.unnamed.insert(id);
  }
  note_holders(function, surveyed);
  if (!surveyed.next.empty() && survey.all_holders) {
    return call(store::Survey{function.name, surveyed.next}, ForSurvey{&function, survey.number});
  }
  end_survey(function);
}

void Core::end_survey(FunctionState& function) {
  const Survey survey = *std::exchange(function.survey, std::nullopt);
  if (survey.all_holders) release_unnamed(function, survey);
  function.surveying = false;
  function.survey_backoff.succeed();
  if (!std::exchange(function.trouble, {}).empty()) {
    spdlog::info("function {} can be read again and goes on", function.name);
  }
  if (std::exchange(function.surveyed, true)) {
    if (survey.read_anew) read_anew(function);
    return;
  }
  function.recount_at = ticked_at_ + kRecountPause;
  if (function.reading_again) end_reading_again(function);  // there may be nothing to read
  if (survey.next_due_ms) function.later.note_placed(*survey.next_due_ms);
  touch(function);
  maybe_open_intake();
}

// Redis has the say of what is open. What is lent, moving, suspected or came from `later` goes on;
// the rest is read from its beginning.
void Core::read_anew(FunctionState& function) {
  ++function.reading;
  function.reading_again = true;
  function.ended_while_paging.clear();
  for (Pending& one : function.queue.forget_journal()) {
    function.lent_before.insert_or_assign(one.id, std::move(one));
  }
  function.later.begin_anew();
  function.surveyed = false;
  survey(function);
}

void Core::on_store_restarted() {
  if (phase_ == Phase::kStarting || ended_) return;
  look_up_anew();
  for (auto& [name, function] : functions_) {
    read_anew(*function);
    function->outbox.begin_anew({});
    want_outbox(*function);
  }
  triggers_.outbox.begin_anew({});
  want_outbox(triggers_);
}

// A delivery that ended without this broker's hearing of it (its worker committed, and died or was
// given up before it said so) stays in the counts kept here, and with the class everysec a restart
// of Redis may take some away. So they are read anew: soon when nothing is held, else now and then,
// one function per tick, the one that has waited longest.
void Core::recount(Now now) {
  if (phase_ != Phase::kRunning || ended_) return;
  FunctionState* next = nullptr;
  for (auto& [name, function] : functions_) {
    const bool in_doubt = function->counts.open != 0 || function->counts.later != 0;
    if (!function->surveyed || function->surveying || !in_doubt) continue;
    const bool idle = is_idle(*function);
    if (options_.durability == Durability::kMemory && !idle) continue;
    const Duration early = idle ? kRecountPause - kIdleRecountPause : Duration{};
    if (now.steady + early < function->recount_at) continue;
    if (!next || function->recount_at < next->recount_at) next = function.get();
  }
  if (!next) return;
  next->recount_at = now.steady + kRecountPause;
  survey(*next);
}

// What this broker has asked Redis to do is in both counts, for answers come in the order of the
// calls. What workers have committed is not: until their reports have come it is open here and not
// there, be it lent, or waiting once more since its worker was given up. That is at most what was
// held here when the survey was asked for, so a difference within that says nothing and stays. What
// remains of an error is therefore never more than what is held at one time, and nothing when the
// function is idle.
void Core::correct_counts(FunctionState& function, const store::Surveyed::Counts& redis) {
  const Survey& survey = *function.survey;
  const auto corrected = [](std::int64_t here, std::int64_t ended, std::int64_t there,
                            std::int64_t held) {
    const std::int64_t excess = here + ended - there;
    return here - (excess < 0 ? excess : std::max<std::int64_t>(0, excess - held));
  };
  auto& counts = function.counts;
  const std::int64_t open = corrected(counts.open, survey.ended_open, redis.open, survey.held_open);
  const std::int64_t later =
      corrected(counts.later, survey.ended_later, redis.later, survey.held_later);
  counts = redis;
  counts.open = open;
  counts.later = later;
  counts.succeeded = redis.accepted - open - later - redis.dead - redis.expired - redis.cancelled;
}

// Deliveries wait until the workers that were registered have said what they hold, or for the grace
// time, so that a restart of the broker does not run everything twice.
void Core::maybe_open_dispatch(Now now) {
  if (phase_ != Phase::kRecovering) return;
  const bool surveyed = std::all_of(functions_.begin(), functions_.end(),
                                    [](const auto& f) { return f.second->looked_at(); });
  const bool all_here = awaited_known_ && awaited_workers_.empty();
  const bool waited =
      now.steady >= dispatch_opens_at_ || !options_.protections.wait_for_announcements;
  if (!surveyed || !(all_here || waited)) return;
  phase_ = Phase::kRunning;
  for (auto& [name, function] : functions_) touch(*function);
}

void Core::on_paged(FunctionState& function, protocol::Lane lane, store::Paged paged, Now now) {
  std::vector<Pending> ready;
  protocol::EntryId last;
  for (auto& entry : paged.entries) {
    last = entry.entry;
    for (auto& item : entry.open) {
      Pending pending;
      pending.id = {entry.entry, item.index};
      pending.slot = item.slot;
      pending.entry_size = entry.entry_size;
      pending.lane = lane;
      pending.accepted_ms = pending.age_from_ms = static_cast<std::int64_t>(entry.entry.ms);
      pending.packed_event = std::move(item.packed_event);
      if (const auto options = options_of(pending.packed_event)) {
        const EventTimes times = times_of(*options, pending.accepted_ms);
        pending.age_from_ms = std::max(pending.accepted_ms, times.due_ms);
        pending.due_ms = times.due_ms;
        pending.expires_ms = times.expires_ms;
        const Place place = place_of(*options);
        pending.flow = place.flow;
        pending.ordered = place.ordered;
        pending.generation = options->generation;
      }
      if (function.queue.was_taken_ahead(pending.id) || is_held(function, pending.id) ||
          function.ended_while_paging.contains(pending.id)) {
        continue;
      }
      recall_attempts(function, pending);
      if (!lend_if_announced(function, pending, now) && !put_off(function, pending, now)) {
        ready.push_back(std::move(pending));
      }
    }
  }
  function.queue.on_paged(lane, last, paged.more, std::move(ready));
  if (!function.queue.is_paging()) function.ended_while_paging.clear();
  if (function.reading_again) end_reading_again(function);
  touch(function);
}

// Page by page: what a page under way may still have is remembered only until the last one of those
// under way has come. What lies behind where its lane has been read to, and has not come again, has
// ended, unless it is lent or moving by now.
void Core::end_reading_again(FunctionState& function) {
  for (auto at = function.lent_before.begin(); at != function.lent_before.end();) {
    if (function.queue.will_be_read(at->second)) {
      ++at;
      continue;
    }
    const protocol::EventId id = at->first;
    at = function.lent_before.erase(at);
    if (!function.leases.contains(id) && !function.moving.contains(id)) {
      function.queue.release_key(id);
    }
  }
  function.reading_again = function.queue.has_unread();
}

// Attempts go on being numbered where this broker's last one stopped: no token twice.
void Core::recall_attempts(FunctionState& function, Pending& pending) {
  const auto before = function.lent_before.extract(pending.id);
  if (!before) return;
  const Pending& known = before.mapped();
  pending.dispatches = known.dispatches;
  pending.worker_losses = known.worker_losses;
  pending.attempts = known.attempts;
  pending.moved_by = known.moved_by;
  pending.packed_ledger = known.packed_ledger;
}

// `wished_ms` is when its publisher wished that it starts, 0 = at once.
Pending Core::pending_of(store::DueRows::Row row, std::int64_t* wished_ms) const {
  Pending pending;
  pending.id = row.id;
  pending.origin = protocol::Origin::kLater;
  pending.attempts = row.attempts;
  pending.accepted_ms = pending.age_from_ms = row.accepted_ms;
  pending.due_ms = row.due_ms;
  pending.moved_by = row.token;
  // Attempts go on being numbered where this broker's last one stopped: no token twice.
  if (row.token.value >> 12 == epoch_) pending.dispatches = row.token.value & 0xFFFu;
  const History history = history_of(row.packed_ledger);
  pending.worker_losses = history.worker_losses;
  pending.packed_ledger = std::move(row.packed_ledger);
  pending.packed_event = std::move(row.packed_event);
  if (const auto options = options_of(pending.packed_event)) {
    const EventTimes times = times_of(*options, pending.accepted_ms);
    if (wished_ms) *wished_ms = times.due_ms;
    // An operator has decided that a redriven one shall run, now: its publisher's times are over.
    if (!history.redriven) {
      pending.age_from_ms = std::max(pending.accepted_ms, times.due_ms);
      pending.expires_ms = times.expires_ms;
      pending.generation = options->generation;
    }
    const Place place = place_of(*options);
    pending.lane = place.lane;
    pending.flow = place.flow;
    pending.ordered = place.ordered;
  }
  return pending;
}

void Core::on_due(FunctionState& function, const store::Due& page, store::DueRows* rows, Now now) {
  if (rows && std::ranges::any_of(
                  rows->rows, [&](const auto& row) { return row.token.value >> 12 > epoch_; })) {
    return end(stale("a younger broker has been at work; another broker has taken over"));
  }
  rows ? function.due_backoff.succeed() : void(function.due_backoff.fail(now.steady));
  if (rows) touch(function);
  const bool taken = function.later.begin_page(page, rows);
  if (taken) {
    for (auto& row : rows->rows) {
      if (!function.later.take_row(row) || function.moving.contains(row.id)) continue;
      take_due(function, std::move(row), now);
    }
  }
  function.later.end_page();
  if (taken) release_vanished(function);
}

void Core::take_due(FunctionState& function, store::DueRows::Row row, Now now) {
  const std::int64_t due_ms = row.due_ms;
  std::int64_t wished_ms = 0;
  Pending pending = pending_of(std::move(row), &wished_ms);
  if (due_ms == kUndeliverableDueMs) {
    function.later.hold(pending.id, pending.bytes());
    return bury_undeliverable(function, std::move(pending), now);
  }
  if (must_wait_in_later(function, pending)) {
    return function.later.skip_row(due_ms, pending.flow);
  }
  function.later.hold(pending.id, pending.bytes());
  // It expires before its delay is over, and is due at its expiry.
  if (pending.expires_ms != 0 && pending.expires_ms <= wished_ms) {
    return expire(function, std::move(pending), now);
  }
  make_ready(function, std::move(pending), now);
}

// Of rows that wait for their ordering key only so many are held here, or the row of the one that
// has the key might find no room. What is left out is read again when there is room, and with it
// what was due after it and has its key.
bool Core::must_wait_in_later(const FunctionState& function, const Pending& delivery) {
  const KeyTable& keys = function.queue.keys();
  if (!delivery.ordered || function.announced.contains(delivery.id)) return false;
  if (function.later.has_skipped(delivery.flow)) return !keys.is_holder(delivery.id);
  return !function.later.has_room_for_blocked() && keys.would_wait(delivery);
}

Place Core::place_of(const protocol::PublishOptions& options) const {
  if (options_.protections.keep_key_order && options_.protections.tenants_take_turns) {
    return broker::place_of(options);
  }
  protocol::PublishOptions looked_at = options;
  if (!options_.protections.keep_key_order) looked_at.ordering_key.clear();
  if (!options_.protections.tenants_take_turns) looked_at.tenant.clear();
  return broker::place_of(looked_at);
}

// Holders of a key that `later` should have by its own saying, and has not: a worker that this
// broker had given up, or never heard of, has committed them.
void Core::release_vanished(FunctionState& function) {
  const auto next_due_ms = function.later.next_due_ms();
  const auto gone = [&](const protocol::EventId&, std::int64_t due_ms) {
    return !next_due_ms || due_ms < *next_due_ms;
  };
  for (const auto& id : function.queue.keys().parked_if(gone)) function.queue.release_key(id);
  touch(function);
}

// Who holds a key while it waits in `later` for its retry: Redis has the say.
void Core::note_holders(FunctionState& function, const store::Surveyed& surveyed) {
  KeyTable& keys = function.queue.keys();
  for (const auto& holder : surveyed.holders) {
    function.survey->unnamed.erase(holder.id);
    if (function.leases.contains(holder.id) || function.moving.contains(holder.id) ||
        function.later.holds(holder.id) || function.survey->ended.contains(holder.id)) {
      continue;
    }
    keys.hold(flow_of(holder.ordering_key), holder.id);
    keys.park(holder.id, holder.due_ms);
  }
}

// Those that waited in `later` when the survey began, and still would, have ended unheard if it has
// not named them.
void Core::release_unnamed(FunctionState& function, const Survey& survey) {
  if (survey.unnamed.empty()) return;
  const auto gone = [&](const protocol::EventId& id, std::int64_t) {
    return survey.unnamed.contains(id);
  };
  for (const auto& id : function.queue.keys().parked_if(gone)) function.queue.release_key(id);
  touch(function);
}

}  // namespace fanfare::broker
