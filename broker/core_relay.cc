// Workers without a way to Redis: what they ask of it goes through this broker.
//
// Such a call is not the broker's own. It goes by a connection of its own, so that it stands in the
// same relation to what the broker asks as the call of a worker with its own connection: no order
// between the two is promised, and the epoch does not fence it. Redis' functions check tokens; here
// is checked who asks for what, and how much.
#include <algorithm>

#include "broker/core.h"
#include "store/relayed.h"

namespace fanfare::broker {
namespace {

constexpr std::size_t kHeldFunctionsMax = 256;

// Functions that a call reads or writes; those of usage are no more than names.
const std::string* function_of(const store::Call& call) {
  if (const auto* commit = std::get_if<store::Commit>(&call)) return &commit->function;
  if (const auto* rows = std::get_if<store::GetRows>(&call)) return &rows->function;
  if (const auto* rows = std::get_if<store::ListRows>(&call)) return &rows->function;
  return nullptr;
}

protocol::Refusal refusal_of_relayed(const Error& error) {
  const bool never = error.kind == ErrorKind::kReject || error.kind == ErrorKind::kStale;
  return never ? protocol::Refusal::kInvalid : protocol::Refusal::kUnavailable;
}

// What a broker would answer that does not wait for Redis: for tests, which must find it out.
store::Answer as_if_taken(const store::Commit& commit) {
  store::Committed answer;
  for (const auto& group : commit.groups) {
    answer.verdicts.resize(answer.verdicts.size() + group.items.size(), store::Verdict::kOk);
  }
  return answer;
}

}  // namespace

// A worker may still hold deliveries of a function that was removed before this broker began.
void Core::note_held_functions(Session& session,
                               const std::vector<protocol::HeldDelivery>& held) const {
  for (const auto& one : held) {
    if (session.held_functions.size() >= kHeldFunctionsMax) return;
    if (!functions_.contains(one.function)) session.held_functions.insert(one.function);
  }
}

Result<void> Core::check_relayed(const Session& session, const store::Call& call) const {
  if (const auto* meter = std::get_if<store::Meter>(&call)) {
    if (meter->worker.starts_with(session.hello.name + ":")) return {};
    return reject("usage of another worker");
  }
  const std::string* const function = function_of(call);
  if (function && (functions_.contains(*function) || session.held_functions.contains(*function))) {
    return {};
  }
  return reject("function '" + (function ? *function : std::string{}) + "' is not deployed");
}

void Core::on_relayed(Session& session, std::uint64_t request, Result<store::Call> call,
                      std::size_t frame_bytes) {
  if (draining_) {
    ++counters_.relays_deferred;
    return refuse(session.peer, request, protocol::Refusal::kUnavailable,
                  "the broker is stopping; ask the next one");
  }
  const auto fine = call ? check_relayed(session, *call) : Result<void>{call.error()};
  if (!fine) {
    ++counters_.relays_refused;
    return refuse(session.peer, request, protocol::Refusal::kInvalid, fine.error().message);
  }
  const Ticket ticket{next_ticket_++};
  switch (relays_.admit(ticket, session.id, request, frame_bytes)) {
    case RelayTable::Admission::kUnderWay:
      ++counters_.relays_repeated;
      return;
    case RelayTable::Admission::kFull:
      ++counters_.relays_deferred;
      return refuse(session.peer, request, protocol::Refusal::kQueueFull,
                    "too much is on its way to Redis; ask again");
    case RelayTable::Admission::kTaken:
      break;
  }
  ++counters_.relays_taken;
  auto* const commit = std::get_if<store::Commit>(&*call);
  if (commit) commit->packed = layout_ >= 2;
  if (commit && !options_.protections.answer_relays_after_redis) {
    answer_relay(session, request, as_if_taken(*commit));
  }
  relayed_.push_back({ticket, *std::move(call)});
}

// Whoever asked in a session that is over asks again in the next one.
void Core::on_relay_answer(Ticket ticket, Result<store::Answer> answer) {
  const auto asked = relays_.end(ticket);
  if (!asked) return;
  const auto session = sessions_.find(asked->session);
  if (session == sessions_.end()) {
    ++counters_.relays_unclaimed;
    return;
  }
  answer_relay(session->second, asked->request, std::move(answer));
}

void Core::answer_relay(const Session& session, std::uint64_t request,
                        Result<store::Answer> answer) {
  auto message = answer ? store::to_message(*std::move(answer), request)
                        : Result<protocol::Message>{answer.error()};
  if (message) return send(session.peer, *message);
  const protocol::Refusal code = refusal_of_relayed(message.error());
  ++(code == protocol::Refusal::kInvalid ? counters_.relays_refused : counters_.relays_deferred);
  refuse(session.peer, request, code, message.error().message);
}

// ---- packages ----

// Of functions that are deployed or about to be, and nothing else that may lie beside them.
void Core::on_fetch_package(Session& session, const protocol::FetchPackage& fetch, Now now) {
  const bool present = std::ranges::any_of(functions_, [&](const auto& entry) {
    return entry.second->deployed && entry.second->registered.digest == fetch.digest;
  });
  if (!present && !is_being_deployed(fetch.digest)) {
    ++counters_.relays_refused;
    return refuse(session.peer, fetch.request, protocol::Refusal::kInvalid,
                  "no function that is deployed, or about to be, has this package");
  }
  switch (session.parts.ask(fetch.request, now.steady)) {
    case PartPace::Admission::kRepeated:
      ++counters_.relays_repeated;
      return;
    case PartPace::Admission::kTooFast:
      ++counters_.relays_deferred;
      return refuse(session.peer, fetch.request, protocol::Refusal::kQueueFull,
                    "so many parts of packages are on their way; ask again");
    case PartPace::Admission::kTaken:
      break;
  }
  shelf_.ask(fetch.digest, {session.id, fetch.request, fetch.offset}, now.steady);
  send_package_parts();
}

void Core::on_package(const std::string& digest, Result<std::string> bytes, Now now) {
  if (bytes) ++counters_.packages_read;
  shelf_.on_read(digest, std::move(bytes), now.steady);
  send_package_parts();
}

void Core::send_package_parts() {
  for (auto& answer : shelf_.take_answers()) {
    const auto session = sessions_.find(answer.question.session);
    if (session == sessions_.end()) {
      ++counters_.relays_unclaimed;
      continue;
    }
    session->second.parts.on_answered(answer.question.request, !answer.part);
    if (answer.part) {
      send(session->second.peer, protocol::PackagePart{answer.question.request, answer.part->size,
                                                       std::move(answer.part->bytes)});
    } else {
      answer_relay(session->second, answer.question.request, answer.part.error());
    }
  }
}

}  // namespace fanfare::broker
