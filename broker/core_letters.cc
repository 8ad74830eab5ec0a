// Dead letters become deliveries again, or go, when an operator says so.
//
// A redrive reads the letters it is given, adds to each ledger that it was redriven, and moves all
// of them in one call: what is moved lies in `later`, due at once, as if it had been put there by a
// retry. The letter's own place decides: who finds it there no more changes nothing.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "broker/core_admin.h"
#include "broker/ledger.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;
using protocol::Refusal;

constexpr std::size_t kLettersMax = 128;  // in one call: holds Redis up for less than 2 ms

// The ids in the body's "letters".
Result<std::vector<store::EntryId>> letters_of(const json& body) {
  const auto at = body.find("letters");
  if (at == body.end() || !at->is_array() || at->empty() || at->size() > kLettersMax) {
    return reject(fmt::format("\"letters\" must be an array of 1 to {} ids", kLettersMax));
  }
  std::vector<store::EntryId> letters;
  std::set<store::EntryId> seen;
  for (const auto& one : *at) {
    const auto id = one.is_string() ? protocol::parse_entry_id(one.get<std::string>())
                                    : Result<protocol::EntryId>(reject("not a text"));
    if (!id) return reject("\"letters\" holds ids of dead letters, like \"1700000000000-0\"");
    if (seen.insert(*id).second) letters.push_back(*id);
  }
  return letters;
}

}  // namespace

void Core::redrive(const AdminCall& admin) {
  auto letters = letters_of(admin.body);
  if (!letters) return refuse_admin(admin, Refusal::kInvalid, letters.error().message);
  FunctionState& function = *admin.function;
  if (function.redriving > 0) {
    return refuse_admin(admin, Refusal::kUnavailable,
                        "letters of this function are being redriven; try again");
  }
  if (function.taken() + letters->size() > options_.queue_max) {
    return refuse_admin(admin, Refusal::kQueueFull,
                        "the function's queue is full; redrive when it has drained");
  }
  function.redriving = letters->size();
  call(store::ReadLetters{function.name, *std::move(letters)},
       ForLetters{{admin.peer, admin.request, function.name}, &function});
}

void Core::on_letters(ForLetters& purpose, Result<store::Answer>& answer, Now now) {
  FunctionState& function = *purpose.state;
  const auto* list = answer ? std::get_if<store::LetterList>(&*answer) : nullptr;
  if (!list) {
    function.redriving = 0;
    return refuse_admin(purpose.admin.peer, purpose.admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  ForRedrive redrive{purpose.admin,
                     &function,
                     {epoch_, function.name, {}},
                     {},
                     list->taken,
                     list->taken - list->letters.size(),
                     0};
  const std::int64_t now_ms = to_ms(now.wall);
  for (const auto& letter : list->letters) {
    auto record = protocol::unpack_result(letter.record);
    if (!record) {
      ++redrive.unreadable;
      continue;
    }
    mark_redriven(record->ledger, now_ms);
    // Attempts go on being numbered where the last one stopped. Age counts from here.
    redrive.call.items.push_back({.letter = letter.letter,
                                  .id = letter.id,
                                  .token = std::max(letter.token, own_token()),
                                  .due_ms = now_ms,
                                  .accepted_ms = now_ms,
                                  .packed_ledger = std::move(record->ledger),
                                  .packed_event = letter.packed_event});
    redrive.statuses.push_back(letter.status);
  }
  if (redrive.call.items.empty()) return answer_redrive(redrive, 0, 0);
  store::Redrive whole = redrive.call;
  for (auto& item : redrive.call.items) item.packed_event.clear();  // not needed for the answer
  call(std::move(whole), std::move(redrive));
}

void Core::on_redriven(ForRedrive& purpose, const Result<store::Answer>& answer) {
  const auto* moved = answer ? std::get_if<store::Moved>(&*answer) : nullptr;
  if (!moved) {
    purpose.state->redriving = 0;
    return refuse_admin(purpose.admin.peer, purpose.admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  std::size_t redriven = 0, waiting = 0;
  for (std::size_t i = 0; i < moved->verdicts.size(); ++i) {
    using store::Verdict;
    const Verdict verdict = moved->verdicts[i];
    if (verdict == Verdict::kOk || verdict == Verdict::kDuplicate) {
      note_redriven(*purpose.state, purpose.call.items[i], purpose.statuses[i]);
      ++redriven;
    } else {
      ++(verdict == Verdict::kFenced ? waiting : purpose.gone);
    }
  }
  counters_.letters_redriven += redriven;
  answer_redrive(purpose, redriven, waiting);
}

// It lies in `later` now, and nobody may take it for ended any more.
void Core::note_redriven(FunctionState& function, const store::Redrive::Item& item,
                         protocol::Status status) {
  --(status == protocol::Status::kExpired ? function.counts.expired : function.counts.dead);
  ++function.counts.later;
  function.later.note_placed(item.due_ms);
  if (function.purge) function.purge->spared.insert(item.id);  // it counts as accepted now
  for (Ended& ended : just_ended_) {
    if (ended.id == item.id && ended.function == &function) ended = {};
  }
  touch(function);
}

void Core::answer_redrive(const ForRedrive& purpose, std::size_t redriven, std::size_t waiting) {
  purpose.state->redriving = 0;
  send(purpose.admin.peer,
       protocol::AdminReply{purpose.admin.request, json{{"name", purpose.admin.function},
                                                        {"taken", purpose.taken},
                                                        {"redriven", redriven},
                                                        {"gone", purpose.gone},
                                                        {"waiting", waiting},
                                                        {"unreadable", purpose.unreadable}}
                                                       .dump()});
}

// Also of functions that were removed: their letters have stayed.
void Core::purge_letters(const AdminCall& admin) {
  auto letters = letters_of(admin.body);
  if (!letters) return refuse_admin(admin, Refusal::kInvalid, letters.error().message);
  if (!protocol::is_function_name(admin.name)) {
    return refuse_admin(admin, Refusal::kInvalid,
                        "purge_letters needs the function's name: {\"name\": …}");
  }
  call(store::PurgeLetters{epoch_, admin.name, *std::move(letters)},
       ForPurgeLetters{{admin.peer, admin.request, admin.name}});
}

void Core::on_letters_purged(ForPurgeLetters& purpose, const Result<store::Answer>& answer) {
  const auto& admin = purpose.admin;
  const auto* purged = answer ? std::get_if<store::Purged>(&*answer) : nullptr;
  if (!purged) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  counters_.letters_purged += purged->letters;
  send(admin.peer,
       protocol::AdminReply{admin.request,
                            json{{"name", admin.function}, {"purged", purged->letters}}.dump()});
}

}  // namespace fanfare::broker
