// From outboxes into the journal: what deliveries published when they ended, and what triggers
// publish by changing Redis themselves (schedules that fire).
//
// A pass over an outbox begins when a worker's Done, a burial or the look that is taken every
// second says that there is something in it. Each entry is appended and deleted in one step, so it
// becomes an event once, whatever is killed in between. These appends are groups of their own, also
// in class memory: what a commit has brought about does not get lost with the broker.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "broker/core.h"

namespace fanfare::broker {
namespace {

constexpr Duration kLookPause = std::chrono::seconds{1};
constexpr Duration kOutboxRest = std::chrono::seconds{1};  // after an error of Redis
constexpr std::size_t kInHandMax = 1024;                   // entries, per function
constexpr std::uint64_t kLeftMax = 1024;                   // entries that a pass may step over
constexpr std::size_t kOutboxesPerCall = 1024;
constexpr std::uint32_t kEntriesPerRead = 256;

}  // namespace

void Core::want_outbox(FunctionState& function) {
  function.outbox.unread = true;
  if (std::ranges::find(outboxes_, &function) == outboxes_.end()) outboxes_.push_back(&function);
}

// A worker that was cut off commits without a word to this broker, and a former broker may have
// left something: so Redis is asked, too.
void Core::look_at_outboxes(Now now) {
  if (!accepting() || looks_under_way_ > 0 || now.steady < look_at_) return;
  if (!options_.protections.look_at_outboxes) return;
  look_at_ = now.steady + kLookPause;
  std::vector<std::string> names;
  const auto ask = [&] {
    if (names.empty()) return;
    ++looks_under_way_;
    call(store::CountOutboxes{names}, ForOutboxCounts{names});
    names.clear();
  };
  for (const auto& [name, function] : functions_) {
    names.push_back(name);
    if (names.size() == kOutboxesPerCall) ask();
  }
  names.emplace_back(store::kTriggers);
  ask();
}

void Core::on_outbox_counts(const ForOutboxCounts& purpose, const Result<store::Answer>& answer,
                            Now now) {
  --looks_under_way_;
  const auto* counts = answer ? std::get_if<store::OutboxCounts>(&*answer) : nullptr;
  for (std::size_t i = 0; counts && i < purpose.functions.size(); ++i) {
    FunctionState* const function = find_source(purpose.functions[i]);
    if (!function) continue;
    OutboxState& outbox = function->outbox;
    if (outbox.entries >= options_.outbox_max) touch(*function);
    outbox.entries = counts->entries[i];
    if (outbox.entries <= outbox.in_hand.size() || outbox.reading || outbox.unread) continue;
    outbox.begin_anew(now.steady);
    want_outbox(*function);
  }
}

// Triggers say nothing to the broker. Once they have fired their outbox is looked into with every
// tick, so that events do not wait for the look above.
void Core::look_at_triggers(Now now) {
  OutboxState& outbox = triggers_.outbox;
  const bool at_rest = !outbox.unread && !outbox.reading && outbox.in_hand.empty();
  if (triggers_fire_ && at_rest && accepting()) outbox.begin_anew(now.steady);
  read_outbox(triggers_, now);
}

void Core::read_outboxes(Now now) {
  for (FunctionState* function : std::exchange(outboxes_, {})) read_outbox(*function, now);
}

void Core::read_outbox(FunctionState& function, Now now) {
  OutboxState& outbox = function.outbox;
  if (!accepting() || !outbox.unread || outbox.reading || now.steady < outbox.rests_until) return;
  if (outbox.in_hand.size() >= kInHandMax || caused_bytes_ >= options_.intake_bytes_max) return;
  outbox.reading = true;
  outbox.unread = false;
  call(store::ReadOutbox{function.name, outbox.read_to, kEntriesPerRead}, ForOutbox{&function});
}

void Core::on_outbox_page(FunctionState& function, Result<store::Answer>& answer, Now now) {
  OutboxState& outbox = function.outbox;
  outbox.reading = false;
  auto* page = answer ? std::get_if<store::OutboxPage>(&*answer) : nullptr;
  if (!page) {
    outbox.begin_anew(now.steady + kOutboxRest);
    return note_waits(function);  // for nobody, as far as is known
  }
  if (&function == &triggers_ && !page->entries.empty()) triggers_fire_ = true;
  for (auto& entry : page->entries) {
    outbox.read_to = entry.id;
    if (outbox.in_hand.contains(entry.id)) continue;
    ++(take_caused(function, entry) ? outbox.taken : outbox.left);
  }
  const bool passed = !page->more || outbox.left >= kLeftMax;
  if (passed) note_waits(function);
  if (passed && outbox.left > 0) return outbox.end_pass(now.steady);
  if (page->more || outbox.unread) want_outbox(function);
}

// Takes an entry in hand. False if it stays in the outbox for now.
bool Core::take_caused(FunctionState& source, store::OutboxPage::Entry& entry) {
  const auto event = protocol::view_event(entry.packed_event);
  const auto options = event ? protocol::unpack_options(event->packed_options)
                             : Result<protocol::PublishOptions>(event.error());
  if (!options) {
    ++counters_.outbox_unreadable;
    if (source.outbox.left > 0) return false;  // said of the first of a pass only
    spdlog::warn("entry {} of the outbox of function {} cannot be read and stays there: {}",
                 to_string(entry.id), source.name, options.error().message);
    return false;
  }
  Caused caused{{}, &source, entry.id};
  Incoming& incoming = caused.incoming;
  apply_options(incoming, *options);
  // A destination is one of the manifest's; what a handler names may be anything: then it is
  // nobody's.
  const bool by_handler = entry.to.empty() && !options->to.empty();
  if (by_handler && is_deployed(options->to)) {
    incoming.target = target_named(options->to);
  } else if (by_handler) {
    incoming.target = std::make_shared<const Target>();
  } else {
    incoming.target = entry.to.empty() ? target_of(*event) : target_named(entry.to);
  }
  bool full = false;
  for (FunctionState* function : incoming.target->functions) {
    // Of one that is not there (any more) it becomes a letter.
    if (function->taken() < options_.queue_max || !function->deployed) continue;
    if (!options_.protections.bound_queues) continue;
    full = true;
    ++source.outbox.left_for[function];
  }
  if (full) {
    ++counters_.outbox_deferred;
    return false;
  }
  if (std::ranges::any_of(incoming.target->functions,
                          [](const FunctionState* f) { return !f->trouble.empty(); })) {
    ++counters_.outbox_unavailable;
    return false;
  }
  for (FunctionState* function : incoming.target->functions) ++function->arriving;
  incoming.packed_event = entry.packed_event;
  caused_bytes_ += incoming.packed_event.size();
  source.outbox.in_hand.insert(entry.id);
  caused_.push_back(std::move(caused));
  return true;
}

// A function that is not deployed (any more) gets a state, too: its letters have to lie somewhere.
std::shared_ptr<const Target> Core::target_named(const std::string& name) {
  auto& target = targets_by_name_[name];
  if (target) return target;
  auto& function = functions_[name];
  if (!function) {
    function =
        std::make_unique<FunctionState>(name, options_.window, shared_by_windows_, options_.later);
    survey(*function);
  }
  target = std::make_shared<Target>(Target{{name}, {function.get()}});
  return target;
}

// As cut_chunks: one group is under way while the next one fills.
void Core::cut_caused(Now now) {
  while (!caused_.empty()) {
    const bool is_full =
        caused_.size() >= protocol::kChunkEventsMax || caused_bytes_ >= protocol::kChunkBytesMax;
    if (republishing_ > 0 && !(is_full && republishing_ < options_.appends_in_flight_max)) return;
    store::Append append;
    append.epoch = epoch_;
    auto chunk = std::make_unique<Chunk>();
    chunk->entry = append.entry = next_entry(now);
    while (!caused_.empty() && chunk->caused.size() < protocol::kChunkEventsMax) {
      Caused& caused = caused_.front();
      const std::size_t bytes = caused.incoming.packed_event.size();
      if (!chunk->caused.empty() && (chunk->bytes + bytes > protocol::kChunkBytesMax ||
                                     !has_streams_left(append, caused.incoming))) {
        break;
      }
      chunk->bytes += bytes;
      caused_bytes_ -= bytes;
      const auto index = static_cast<std::uint8_t>(chunk->caused.size());
      if (options_.protections.empty_outboxes) {
        append.taken.push_back({caused.source->name, caused.entry});
      }
      chunk->caused.emplace_back(caused.source, caused.entry);
      if (caused.incoming.target->functions.empty()) ++chunk->unmatched;
      add_to_offers(*chunk, append, caused.incoming, {chunk->entry, index}, now);
      caused_.pop_front();
    }
    chunk->note_sizes();
    ++republishing_;
    appending_bytes_ += chunk->bytes;
    ++counters_.chunks_appended;
    chunk->sent = now.steady;
    call(std::move(append), ForRepublish{std::move(chunk)});
  }
}

void Core::on_republished(Chunk& chunk, const Result<store::Answer>& answer, Now now) {
  --republishing_;
  appending_bytes_ -= chunk.bytes;
  note_journaled(chunk, now);
  for (const auto& [source, entry] : chunk.caused) source->outbox.in_hand.erase(entry);
  if (answer) {
    counters_.events_caused += chunk.caused.size();
    counters_.events_caused_unmatched += std::exchange(chunk.unmatched, 0);
    for (const auto& [source, entry] : chunk.caused) {
      OutboxState& outbox = source->outbox;
      if (outbox.entries > 0) --outbox.entries;
      ++outbox.published;
      if (outbox.unread) want_outbox(*source);
      touch(*source);
    }
    counters_.deliveries_caused += chunk.deliveries();
    return accept_chunk(chunk, now);
  }
  ++counters_.appends_failed;
  if (answer.error().kind == ErrorKind::kReconnect) {
    end(reconnect("an append's outcome is unknown, starting anew: " + answer.error().message));
  }
  for (const Offer& offer : chunk.offers) check_readable(*offer.function, answer.error());
  for (const auto& one : chunk.delayed) check_readable(*one.function, answer.error());
  chunk.will_not_arrive();
  for (const auto& [source, entry] : chunk.caused) {
    source->outbox.begin_anew(now.steady + kOutboxRest);
  }
}

// An event for a function that is not there: a dead letter of that name, to be redriven once it is.
void Core::bury_undeliverable(FunctionState& function, Pending delivery, Now now) {
  ++counters_.events_undeliverable;
  bury(function, std::move(delivery), own_token(), protocol::DeadReason::kNoSuchFunction,
       {.type = "NoSuchFunction",
        .message = "a destination names function " + function.name + ", which is not deployed",
        .retryable = false,
        .retry_after_ms = {}},
       {}, now);
}

// An event that functions led to from one another too often: a loop ends here.
void Core::bury_recursion(FunctionState& function, Pending delivery, Now now) {
  ++counters_.deliveries_recursive;
  const std::string message = fmt::format(
      "{} deliveries led to this event, one from another; {} may: functions publish in a circle",
      delivery.generation, protocol::kGenerationsMax);
  bury(function, std::move(delivery), own_token(), protocol::DeadReason::kRecursion,
       {.type = "Recursion", .message = message, .retryable = false, .retry_after_ms = {}}, {},
       now);
}

// Its `on_failure`, if it has one. What a recursion ends in tells nobody: that might go on for
// ever.
store::Effects Core::effects_of_burial(const FunctionState& function, const Pending& delivery,
                                       const protocol::ResultRecord& record) {
  const std::string& destination = function.manifest.on_failure;
  const bool tells = record.reason != protocol::DeadReason::kRecursion &&
                     record.reason != protocol::DeadReason::kNoSuchFunction &&
                     record.status != protocol::Status::kCancelled;
  if (destination.empty() || !tells) return {};
  const auto ledger = protocol::unpack_ledger(delivery.packed_ledger);
  protocol::EndedDelivery ended;
  ended.function = function.name;
  ended.version = function.registered.generation;
  ended.id = delivery.id;
  ended.packed_event = delivery.packed_event;
  ended.attempts =
      ledger
          ? static_cast<std::uint32_t>(protocol::count_attempts(protocol::since_redrive(*ledger)))
          : delivery.attempts;
  ended.ended_ms = record.ended_ms;
  ended.reason = record.reason;
  ended.error_type = record.error_type;
  ended.error_message = record.error_message;
  auto caused = protocol::destination_event(destination, ended);
  return {store::Publish{std::move(caused.to), std::move(caused.packed_event)}};
}

}  // namespace fanfare::broker
