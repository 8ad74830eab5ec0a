#include "worker/relay.h"

#include <algorithm>
#include <utility>

#include "protocol/kinds.h"

namespace fanfare::worker {
namespace {

using protocol::kKind;

bool is_answer(std::uint8_t kind) {
  return kind == kKind<protocol::Committed>.number || kind == kKind<protocol::RowsRead>.number ||
         kind == kKind<protocol::UsageTold>.number || kind == kKind<protocol::PackagePart>.number;
}

// What an answer says that it is the answer of; 0 for what is none.
std::uint64_t request_of(const protocol::Message& message) {
  return std::visit(
      [](const auto& one) -> std::uint64_t {
        if constexpr (requires { one.request; }) return one.request;
        return 0;
      },
      message);
}

}  // namespace

void Relay::take(std::string frame, Answered answered, Later later) {
  if (frame.size() > protocol::kMessageBytesMax) {
    return decline(reject("it does not fit into a message"), std::move(answered));
  }
  const std::size_t count = outstanding();
  const bool full = count >= kWaitingMax || bytes_ + frame.size() > kWaitingBytesMax;
  if (full && count > 0 && later != Later::kAskAgain) {
    return decline(retry_later("too much waits for the broker"), std::move(answered));
  }
  bytes_ += frame.size();
  queue_.emplace(next_request_++, Question{std::move(frame), std::move(answered), later, {}});
}

// Whoever told a paused question to wait is not there any more, either.
void Relay::on_session(std::uint64_t session, RelayTerms terms) {
  if (session == session_ && terms == terms_) return;
  session_ = session;
  terms_ = terms;
  if (!repeats_) sent_.clear();
  queue_.merge(sent_);
  queue_.merge(paused_);
  for (auto& [request, question] : queue_) question.again_after = kAgainAfter;
  sent_bytes_ = 0;
  repeated_ = 0;
  window_ = terms.calls;
  answered_ = 0;
  try_again_at_ = {};
}

std::size_t Relay::under_way() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      sent_, [](const auto& entry) { return entry.second.later == Later::kKeepPlace; }));
}

// A single one always has room.
bool Relay::fits(const Question& next) const {
  return sent_.empty() ||
         (sent_.size() < terms_.calls && sent_bytes_ + next.frame.size() <= terms_.bytes);
}

// The oldest first, as many as there is room for. Those that keep their place while the broker is
// full do not hold up the others.
void Relay::flush(TimePoint now) {
  if (session_ == 0 || terms_.calls == 0 || queue_.empty()) return;
  if (now >= try_again_at_) try_again_at_ = {};
  std::size_t kept = under_way();
  const std::size_t kept_max = kept == 0 && try_again_at_ != TimePoint{} ? 0 : window_;
  for (auto at = queue_.begin(); at != queue_.end() && fits(at->second);) {
    const auto next = at++;
    if (next->second.later == Later::kKeepPlace && kept++ >= kept_max) continue;
    auto node = queue_.extract(next);
    node.mapped().again_at = now + kAgainAfter;
    sent_bytes_ += node.mapped().frame.size();
    send_(sent_.insert(std::move(node)).position->second.frame);
  }
}

void Relay::tick(TimePoint now) {
  for (auto& one : std::exchange(declined_, {})) one.answered(one.why);
  std::erase_if(paused_, [&](auto& entry) {
    if (entry.second.again_at > now) return false;
    queue_.emplace(entry.first, std::move(entry.second));
    return true;
  });
  if (session_ == 0) return;
  if (next_repeat() > now) return;
  const auto again_at = [](const auto& entry) { return entry.second.again_at; };
  const auto longest = std::ranges::min_element(sent_, {}, again_at);
  Question& question = longest->second;
  question.again_after = std::min<Duration>(2 * question.again_after, kAgainAfterMax);
  question.again_at = now + question.again_after;
  repeated_ = longest->first;
  send_(question.frame);
}

// TimePoint::max() if there is nothing to repeat. Not before the last repeat has its answer, or its
// time is over, too.
TimePoint Relay::next_repeat() const {
  TimePoint next = TimePoint::max();
  for (const auto& [request, question] : sent_) next = std::min(next, question.again_at);
  const auto last = sent_.find(repeated_);
  return last == sent_.end() ? next : std::max(next, last->second.again_at);
}

TimePoint Relay::next_tick() const {
  if (!declined_.empty()) return TimePoint::min();
  TimePoint next = TimePoint::max();
  for (const auto& [request, question] : paused_) next = std::min(next, question.again_at);
  if (session_ == 0) return next;
  if (try_again_at_ != TimePoint{} && !queue_.empty() && under_way() == 0) {
    next = std::min(next, try_again_at_);
  }
  return std::min(next, next_repeat());
}

bool Relay::on_frame(std::string_view frame, TimePoint now) {
  const std::uint8_t kind = protocol::peek_kind(frame);
  const bool refused = kind == kKind<protocol::Refused>.number;
  if (!refused && !is_answer(kind)) return false;
  auto message = protocol::decode(frame);
  if (!message) return false;  // whoever reads the rest counts it
  const std::uint64_t request = request_of(*message);
  if (request < kFirstRequest || request >= 2 * kFirstRequest) return false;
  if (refused) {
    on_refused(std::get<protocol::Refused>(*message), now);
  } else {
    end(request, std::move(message));
  }
  return true;
}

void Relay::on_refused(const protocol::Refused& refused, TimePoint now) {
  const bool later = refused.code == protocol::Refusal::kQueueFull ||
                     refused.code == protocol::Refusal::kUnavailable ||
                     refused.code == protocol::Refusal::kNotAllowed;
  if (!later) return end(refused.request, reject(refused.message));
  const auto at = sent_.find(refused.request);
  if (at == sent_.end()) return;
  if (at->second.later == Later::kKeepPlace && refused.code == protocol::Refusal::kQueueFull) {
    return put_off(at, now);
  }
  if (at->second.later != Later::kAskAgain) {
    return end(refused.request, retry_later(refused.message));
  }
  const bool barred = refused.code == protocol::Refusal::kNotAllowed;
  at->second.again_at = now + (barred ? kPauseNotAllowed : kPause);
  sent_bytes_ -= at->second.frame.size();
  paused_.insert(sent_.extract(at));
}

// The broker was full when it came.
void Relay::put_off(Questions::iterator question, TimePoint now) {
  sent_bytes_ -= question->second.frame.size();
  auto node = sent_.extract(question);
  const std::size_t left = under_way();
  window_ = std::max<std::size_t>(1, std::min(window_, left));
  answered_ = 0;
  if (left == 0) try_again_at_ = now + kPause;
  if (node.mapped().frame.size() > kLargeBytes) {
    node.mapped().again_at = now + kPause;
    paused_.insert(std::move(node));
  } else {
    queue_.insert(std::move(node));
  }
}

// It has taken one more.
void Relay::note_room() {
  if (window_ >= terms_.calls || ++answered_ < window_) return;
  answered_ = 0;
  ++window_;
}

// Of a question that is not under way nobody waits for an answer: it was repeated, and the first
// answer has come; or it is another session's, and goes out again.
void Relay::end(std::uint64_t request, Result<protocol::Message> answer) {
  auto node = sent_.extract(request);
  if (!node) return;
  bytes_ -= node.mapped().frame.size();
  sent_bytes_ -= node.mapped().frame.size();
  if (answer && node.mapped().later == Later::kKeepPlace) note_room();
  node.mapped().answered(std::move(answer));
}

}  // namespace fanfare::worker
