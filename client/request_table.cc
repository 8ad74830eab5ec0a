#include "client/request_table.h"

#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "client/publish_queue.h"

namespace fanfare::client {
namespace {

// The request an answer belongs to; 0 if it is not an answer to a request.
std::uint64_t request_of(const protocol::Message& message) {
  return std::visit(
      [](const auto& m) -> std::uint64_t {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, protocol::Invoked> ||
                      std::is_same_v<M, protocol::Awaited> ||
                      std::is_same_v<M, protocol::AdminReply> ||
                      std::is_same_v<M, protocol::Refused>) {
          return m.request;
        }
        return 0;
      },
      message);
}

void set_request(protocol::Message& message, std::uint64_t number) {
  if (auto* invoke = std::get_if<protocol::Invoke>(&message)) {
    invoke->request = number;
  } else if (auto* await = std::get_if<protocol::Await>(&message)) {
    await->request = number;
  } else if (auto* admin = std::get_if<protocol::Admin>(&message)) {
    admin->request = number;
  } else {
    std::abort();  // a caller's bug: nothing else is a request
  }
}

}  // namespace

void RequestTable::add(protocol::Message request, TimePoint patience, TimePoint deadline,
                       OnAnswer on_answer) {
  const std::uint64_t number = next_request_++;
  set_request(request, number);
  waiting_.emplace(number, Waiting{std::move(request), patience, deadline, std::move(on_answer)});
  unsent_.push_back(number);
}

std::vector<RequestTable::Outgoing> RequestTable::take_frames() {
  std::vector<Outgoing> frames;
  for (const std::uint64_t number : std::exchange(unsent_, {})) {
    const auto at = waiting_.find(number);
    if (at == waiting_.end()) continue;
    at->second.sent = true;
    frames.push_back({number, protocol::encode(at->second.request)});
  }
  return frames;
}

void RequestTable::unsend(std::uint64_t request) {
  const auto at = waiting_.find(request);
  if (at == waiting_.end()) return;
  at->second.sent = false;
  unsent_.push_back(request);
}

void RequestTable::on_connected() {
  unsent_.clear();
  for (auto& [number, waiting] : waiting_) unsent_.push_back(number);
}

void RequestTable::on_disconnected(const std::string& broker) {
  std::vector<std::uint64_t> lost;
  for (auto& [number, waiting] : waiting_) {
    if (waiting.sent && std::holds_alternative<protocol::Invoke>(waiting.request)) {
      lost.push_back(number);
    }
    waiting.sent = false;
  }
  for (const std::uint64_t number : lost) {
    finish(number, reconnect("unreachable: the connection to the broker at " + broker +
                             " broke; whether the function ran is unknown"));
  }
}

bool RequestTable::on_answer(protocol::Message message) {
  const std::uint64_t number = request_of(message);
  if (number < kFirstRequest) return false;
  if (const auto* refused = std::get_if<protocol::Refused>(&message)) {
    finish(number, to_error(refused->code, refused->message));
  } else {
    finish(number, std::move(message));
  }
  return true;
}

void RequestTable::finish(std::uint64_t request, Result<protocol::Message> answer) {
  const auto at = waiting_.find(request);
  if (at == waiting_.end()) return;  // answered after its deadline, or twice
  const OnAnswer on_answer = std::move(at->second.on_answer);
  waiting_.erase(at);
  on_answer(std::move(answer));
}

void RequestTable::tick(TimePoint now, const std::string& broker) {
  std::vector<std::pair<std::uint64_t, bool>> late;
  for (const auto& [number, waiting] : waiting_) {
    if (now >= waiting.deadline || (!waiting.sent && now >= waiting.patience)) {
      late.emplace_back(number, waiting.sent);
    }
  }
  for (const auto& [number, sent] : late) {
    finish(number,
           reconnect(sent ? "unreachable: the broker at " + broker + " did not answer in time"
                          : "unreachable: no broker at " + broker));
  }
}

std::optional<TimePoint> RequestTable::next_deadline() const {
  std::optional<TimePoint> next;
  for (const auto& [number, waiting] : waiting_) {
    const TimePoint at =
        waiting.sent ? waiting.deadline : std::min(waiting.patience, waiting.deadline);
    if (!next || at < *next) next = at;
  }
  return next;
}

void RequestTable::give_up(const Error& error) {
  std::vector<std::uint64_t> asked;  // callbacks may add more
  for (const auto& [request, waiting] : waiting_) asked.push_back(request);
  for (const std::uint64_t request : asked) finish(request, error);
}

}  // namespace fanfare::client
