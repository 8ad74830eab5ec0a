#include "tests/simulation/answer_book.h"

#include "broker/answer.h"
#include "protocol/kinds.h"

namespace fanfare::simulation {

using protocol::kKind;
using protocol::Refusal;

// As broker::Counters tells them apart.
AnswerBook::Reason AnswerBook::reason_of(Refusal code) {
  switch (code) {
    case Refusal::kTooLarge:
      return kTooLarge;
    case Refusal::kQueueFull:
      return kQueueFull;
    case Refusal::kUnavailable:
      return kUnavailable;
    case Refusal::kUnsupported:
      return kUnsupported;
    case Refusal::kNoSuchFunction:
      return kNoSuchFunction;
    default:
      return kMalformed;
  }
}

AnswerBook::Events AnswerBook::events_of(const protocol::Published& answer) {
  Events events;
  for (const auto& run : answer.runs) {
    if (run.fate == protocol::PublishRun::Fate::kRefused) {
      events.refused[reason_of(answer.errors.at(run.detail).code)] += run.count;
      continue;
    }
    if (run.fate == protocol::PublishRun::Fate::kDuplicate) {
      events.duplicates += run.count;
      continue;
    }
    const auto& route = answer.routes.at(run.detail);
    events.accepted += run.count;
    events.deliveries += run.count * route.size();
    if (route.empty()) events.unmatched += run.count;
  }
  return events;
}

AnswerBook::Batch* AnswerBook::batch_of(const std::string& peer, std::uint64_t sequence) {
  const auto client = clients_.find(peer);
  if (client == clients_.end()) return nullptr;
  const auto at = batches_.find({client->second, sequence});
  return at == batches_.end() ? nullptr : &at->second;
}

void AnswerBook::set_open(Batch& batch, bool open) {
  if (batch.open == open) return;
  batch.open = open;
  open ? ++open_ : --open_;
}

void AnswerBook::on_unreadable(const std::string& peer) {
  ++unreadable_;
  ++unanswered_garbage_[peer];
}

void AnswerBook::on_publish(const std::string& peer, const protocol::PublishView& publish) {
  std::string& client = clients_[peer];
  client = publish.client;
  Batch& batch = batches_[{client, publish.sequence}];
  batch.events = publish.packed_events.size();
  set_open(batch, true);
}

void AnswerBook::on_recalled(const store::Recall& call, const Result<store::Answer>& answer) {
  --recalls_under_way_;
  Batch& batch = batches_[{call.client, call.sequence}];
  // Whatever was answered meanwhile, now the broker decides; unless its publisher has gone on.
  const auto next = std::next(batches_.find({call.client, call.sequence}));
  const bool latest = next == batches_.end() || next->first.first != call.client;
  if (latest) set_open(batch, true);
  if (batch.recalled || !answer) return;
  const auto parts =
      broker::unpack_guard_parts(call.sequence, std::get<store::Recalled>(*answer).packed_runs);
  if (parts) batch.recalled = events_of(*parts);
}

void AnswerBook::on_sent(const std::string& peer, std::string_view frame) {
  const std::uint8_t kind = protocol::peek_kind(frame);
  if (kind == kKind<protocol::Invoked>.number) ++invoked_;
  const bool of_interest =
      kind == kKind<protocol::Published>.number || kind == kKind<protocol::Refused>.number;
  if (!of_interest) return;
  const auto message = protocol::decode(frame);
  if (const auto* published = std::get_if<protocol::Published>(&*message)) {
    on_published(peer, *published);
  } else {
    on_refused(peer, std::get<protocol::Refused>(*message));
  }
}

void AnswerBook::on_published(const std::string& peer, const protocol::Published& answer) {
  Batch* batch = batch_of(peer, answer.sequence);
  if (!batch) return complain("batch {} is answered, which nobody has sent", answer.sequence);
  set_open(*batch, false);
  if (batch->refused_for_good) {
    if (events_of(answer).accepted > 0) {
      complain("batch {} was refused for good and is taken now", answer.sequence);
    }
    return;
  }
  if (batch->answer) {
    if (*batch->answer != answer) {
      complain("batch {} was answered otherwise before", answer.sequence);
    }
    return;
  }
  batch->answer = answer;
  if (broker::events_answered(answer) != batch->events) {
    complain("batch {} has {} events, its answer {}", answer.sequence, batch->events,
             broker::events_answered(answer));
  }
  const Events all = events_of(answer);
  const Events known = batch->recalled.value_or(Events{});
  events_.accepted += all.accepted - known.accepted;
  events_.unmatched += all.unmatched - known.unmatched;
  events_.duplicates += all.duplicates - known.duplicates;
  events_.deliveries += all.deliveries - known.deliveries;
  for (std::size_t i = 0; i < kAll; ++i) events_.refused[i] += all.refused[i] - known.refused[i];
}

void AnswerBook::on_refused(const std::string& peer, const protocol::Refused& refused) {
  const bool for_garbage = refused.code == Refusal::kMalformed || refused.code == Refusal::kVersion;
  if (const auto at = unanswered_garbage_.find(peer);
      for_garbage && at != unanswered_garbage_.end()) {
    if (--at->second == 0) unanswered_garbage_.erase(at);
    ++refusals_;
    return;
  }
  Batch* batch = refused.request == 0 ? nullptr : batch_of(peer, refused.request);
  if (!batch) {
    ++refusals_;
    return;
  }
  set_open(*batch, false);
  events_.refused[reason_of(refused.code)] += batch->events;
  if (refused.code == Refusal::kUnavailable) return;  // nothing was decided
  if (batch->answer ||
      (batch->recalled && batch->recalled->accepted + batch->recalled->duplicates > 0)) {
    complain("batch {} is refused; some of it was accepted before", refused.request);
  }
  batch->refused_for_good = true;
}

std::string AnswerBook::check(const broker::Counters& c, Now now) {
  const std::uint64_t refusals = c.frames_malformed + c.frames_wrong_version +
                                 c.invocations_refused + c.invocations_timed_out +
                                 c.invocations_lost + c.waits_refused + c.admin_refused +
                                 c.hellos_refused + c.relays_refused + c.relays_deferred;
  if (c.frames_malformed + c.frames_wrong_version != unreadable_) {
    complain("{} unreadable frames came, {} are counted", unreadable_,
             c.frames_malformed + c.frames_wrong_version);
  }
  if (!unanswered_garbage_.empty()) {
    complain("what {} sent cannot be read, and it was not told",
             unanswered_garbage_.begin()->first);
  }
  if (refusals != refusals_) {
    complain("{} requests and frames are counted as refused, {} were told so", refusals, refusals_);
  }
  const std::uint64_t invocations =
      invoked_ + c.invocations_timed_out + c.invocations_lost + now.callers;
  if (c.invocations != invocations) {
    complain("{} invocations are counted, {} were answered or wait", c.invocations, invocations);
  }
  const bool quiet = open_ == 0 && recalls_under_way_ == 0 && !now.ended;
  const auto compare = [&](std::string_view what, std::uint64_t counted, std::uint64_t answered) {
    if (counted == answered || (!quiet && counted > answered)) return;
    complain("{} {} are counted, {} answered", counted, what, answered);
  };
  compare("accepted events", c.events_accepted, events_.accepted);
  compare("unmatched events", c.events_unmatched, events_.unmatched);
  compare("duplicate events", c.events_duplicate, events_.duplicates);
  compare("deliveries", c.deliveries_created - c.deliveries_caused, events_.deliveries);
  compare("malformed or mismatching events", c.events_refused_malformed + c.events_refused_mismatch,
          events_.refused[kMalformed]);
  compare("events too large", c.events_refused_too_large, events_.refused[kTooLarge]);
  compare("events with a full queue", c.events_refused_queue_full, events_.refused[kQueueFull]);
  compare("events refused as unavailable", c.events_refused_unavailable,
          events_.refused[kUnavailable]);
  compare("unsupported events", c.events_refused_unsupported, events_.refused[kUnsupported]);
  compare("events to functions that are not there", c.events_refused_no_such_function,
          events_.refused[kNoSuchFunction]);
  return complaint_;
}

}  // namespace fanfare::simulation
