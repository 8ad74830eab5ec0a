#include "broker/claim_table.h"

#include <utility>

namespace fanfare::broker {

bool ClaimTable::want(const ClaimKey& key, TimePoint now) {
  const auto [at, is_new] = held_.try_emplace(key);
  Held& held = at->second;
  ++held.wanted;
  if (!is_new) return false;
  if (const Claimed* by = find_kept(key, now)) {
    held.state = State::kTaken;
    held.by = *by;
  } else if (!limits_.journaled) {
    held.state = State::kFree;
  }
  return held.state == State::kUnknown;
}

void ClaimTable::let_go(const ClaimKey& key) {
  --held_.at(key).wanted;
  drop_if_idle(key);
}

const Claimed* ClaimTable::holder(const ClaimKey& key) const {
  const Held& held = held_.at(key);
  const bool has_one = held.state == State::kTaken || held.state == State::kUnderWay;
  return has_one ? &held.by : nullptr;
}

// A lookup that was repeated after a lost answer may speak of what has been decided since.
void ClaimTable::on_looked_up(const ClaimKey& key, std::optional<Claimed> found) {
  const auto at = held_.find(key);
  if (at == held_.end() || at->second.state != State::kUnknown) return;
  at->second.state = found ? State::kTaken : State::kFree;
  if (found) at->second.by = *std::move(found);
}

void ClaimTable::claim(const ClaimKey& key, Claimed by) {
  Held& held = held_.at(key);
  held.state = State::kUnderWay;
  held.by = std::move(by);
}

void ClaimTable::confirm(const ClaimKey& key, TimePoint now) {
  Held& held = held_.at(key);
  held.state = State::kTaken;
  if (kept_.size() >= limits_.kept_max / 2) older_ = std::exchange(kept_, {});
  kept_.insert_or_assign(key, Kept{held.by, now});
  drop_if_idle(key);
}

void ClaimTable::release(const ClaimKey& key) {
  Held& held = held_.at(key);
  held.state = State::kFree;
  held.by = {};
  drop_if_idle(key);
}

std::vector<ClaimKey> ClaimTable::forget_taken() {
  std::vector<ClaimKey> to_look_up;
  kept_.clear();
  older_.clear();
  for (auto& [key, held] : held_) {
    if (held.state != State::kTaken) continue;
    held = {State::kUnknown, held.wanted, {}};
    to_look_up.push_back(key);
  }
  return to_look_up;
}

const Claimed* ClaimTable::find_kept(const ClaimKey& key, TimePoint now) const {
  for (const Generation* generation : {&kept_, &older_}) {
    const auto at = generation->find(key);
    if (at == generation->end()) continue;
    return now - at->second.made < limits_.window ? &at->second.by : nullptr;
  }
  return nullptr;
}

void ClaimTable::drop_if_idle(const ClaimKey& key) {
  const auto at = held_.find(key);
  if (at->second.wanted == 0 && at->second.state != State::kUnderWay) held_.erase(at);
}

}  // namespace fanfare::broker
