// Events that have been published before: who holds their ids and keys is asked, waited for,
// and decided when they are cut into chunks.
//
// A key is free, or taken by an event that is journaled, or under way: an event with that key then
// waits until the append is answered. If it went well the event is a duplicate, if not it is new.
// So the store's own check never fails, unless somebody has changed its keys by hand; the chunk is
// then refused as a whole, and nothing is lost or doubled.
#include <algorithm>

#include "broker/core.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using State = ClaimTable::State;

constexpr std::size_t kLookupKeysMax = 256;
constexpr Duration kLookupPause = 50ms;  // when Redis cannot answer just now

template <typename Each>
void for_each_key(const Claims& claims, Each each) {
  if (claims.id) each(*claims.id);
  if (claims.key) each(*claims.key);
}

}  // namespace

bool Core::looks_at_claims() const {
  return options_.dedup_window > Duration::zero() && options_.protections.check_claims;
}

// Whether it has to wait for an answer of the store.
bool Core::want_claims(const Incoming& incoming, Now now) {
  bool waits = false;
  for_each_key(*incoming.claims, [&](const ClaimKey& key) {
    if (claims_.want(key, now.steady)) {
      to_look_up_.push_back(key);
      ++keys_numbered_;
    }
    waits = waits || claims_.state(key) == State::kUnknown;
  });
  return waits;
}

// The events of a batch, from `first` of `incoming_` on, wait until their keys are known.
void Core::set_aside(std::size_t first) {
  LookingUp& aside = looking_up_.emplace_back();
  aside.after = keys_numbered_;
  for (std::size_t i = first; i < incoming_.size(); ++i) {
    aside.bytes += incoming_[i].packed_event.size();
    aside.events.push_back(std::move(incoming_[i]));
  }
  incoming_.resize(first);
  incoming_bytes_ -= aside.bytes;
  looking_up_bytes_ += aside.bytes;
}

void Core::look_up_claims() {
  std::uint64_t number = keys_numbered_ - to_look_up_.size() + 1;
  for (std::size_t from = 0; from < to_look_up_.size(); from += kLookupKeysMax) {
    const std::size_t count = std::min(kLookupKeysMax, to_look_up_.size() - from);
    const auto begin = to_look_up_.begin() + static_cast<std::ptrdiff_t>(from);
    std::vector<ClaimKey> keys(begin, begin + static_cast<std::ptrdiff_t>(count));
    lookups_.insert(number);
    store::Lookup lookup{keys};
    call(std::move(lookup), ForLookup{number, std::move(keys)});
    number += count;
  }
  to_look_up_.clear();
}

void Core::on_looked_up(ForLookup& purpose, const Result<store::Answer>& answer, Now now) {
  const auto* found = answer ? std::get_if<store::LookedUp>(&*answer) : nullptr;
  if (!found || found->packed.size() != purpose.keys.size()) {
    ++counters_.lookups_failed;
    store::Lookup again{purpose.keys};
    repeat_later_.push_back({now.steady + kLookupPause, std::move(again), std::move(purpose)});
    return;
  }
  for (std::size_t i = 0; i < purpose.keys.size(); ++i) {
    std::optional<Claimed> by;
    if (const auto& packed = found->packed[i]) {
      // What cannot be read is nobody's event. The store will not let anybody else have it either.
      if (auto claimed = unpack_claimed(*packed)) by = *std::move(claimed);
    }
    claims_.on_looked_up(purpose.keys[i], std::move(by));
  }
  lookups_.erase(purpose.first);
  take_looked_up();
}

void Core::take_looked_up() {
  const std::uint64_t answered =
      lookups_.empty() ? keys_numbered_ - to_look_up_.size() : *lookups_.begin() - 1;
  while (!looking_up_.empty() && looking_up_.front().after <= answered) {
    LookingUp& aside = looking_up_.front();
    incoming_bytes_ += aside.bytes;
    looking_up_bytes_ -= aside.bytes;
    std::ranges::move(aside.events, std::back_inserter(incoming_));
    looking_up_.pop_front();
  }
}

// Whether an event cannot be decided yet. Within one chunk it can: both stand or fall together.
bool Core::must_wait(const Incoming& incoming, const protocol::EntryId& entry) const {
  if (!incoming.claims) return false;
  bool waits = false;
  for_each_key(*incoming.claims, [&](const ClaimKey& key) {
    const State state = claims_.state(key);
    waits = waits || state == State::kUnknown ||
            (state == State::kUnderWay && claims_.holder(key)->event.entry != entry);
  });
  return waits;
}

// An event is about to be cut: the first one with its id or key, if there is one. Sets `refusal` if
// its key stands for another payload. An id says more than a key: its event is the first one,
// should they differ.
std::optional<Claimed> Core::settle_claims(Incoming& incoming) {
  if (!incoming.claims) return std::nullopt;
  const Claims& claims = *incoming.claims;
  const Claimed* by_id = claims.id ? claims_.holder(*claims.id) : nullptr;
  const Claimed* by_key = claims.key ? claims_.holder(*claims.key) : nullptr;
  const bool mismatch = by_key && by_key->payload != claims.payload;
  std::optional<Claimed> first;
  if (!mismatch && (by_id || by_key)) first = by_id ? *by_id : *by_key;

  const bool had_room = !incoming.refusal;
  if (mismatch) {
    incoming.refusal = protocol::PublishError{protocol::Refusal::kInvalid,
                                              "idempotency_key was given to another event, " +
                                                  to_string(by_key->event) +
                                                  ", of another type, source, subject, content "
                                                  "type or data; a new event needs a new key"};
    if (options_.protections.count_refusals) ++counters_.events_refused_mismatch;
  } else if (incoming.refusal && !first) {
    count_refused(incoming.refusal->code, 1);
  }
  if (had_room && (first || mismatch)) {
    for (FunctionState* function : incoming.target->functions) --function->arriving;
  }
  if (first || incoming.refusal) {
    for_each_key(claims, [&](const ClaimKey& key) { claims_.let_go(key); });
  }
  return first;
}

void Core::make_claims(const Incoming& incoming, const protocol::EventId& id, Chunk& chunk,
                       store::Append& append) {
  if (!incoming.claims) return;
  const Claims& claims = *incoming.claims;
  Claimed by{id, std::nullopt, {incoming.target, &incoming.target->names}};
  for_each_key(claims, [&](const ClaimKey& key) {
    by.payload = key == claims.key ? std::optional(claims.payload) : std::nullopt;
    claims_.claim(key, by);
    claims_.let_go(key);
    chunk.claims.push_back(key);
    if (options_.durability == Durability::kMemory) return;
    append.claim_window_ms = static_cast<std::int64_t>(to_ms(options_.dedup_window));
    append.claims.push_back({key, pack(by)});
    chunk.bytes += append.claims.back().packed.size();
  });
}

void Core::confirm_claims(const Chunk& chunk, Now now) {
  for (const ClaimKey& key : chunk.claims) claims_.confirm(key, now.steady);
}

void Core::release_claims(const Chunk& chunk) {
  for (const ClaimKey& key : chunk.claims) claims_.release(key);
}

// Redis may have come back without the events that were the first, and without their claims.
void Core::look_up_anew() {
  if (options_.durability == Durability::kMemory) return;
  for (const ClaimKey& key : claims_.forget_taken()) {
    to_look_up_.push_back(key);
    ++keys_numbered_;
  }
}

}  // namespace fanfare::broker
