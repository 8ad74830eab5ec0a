#include "tests/simulation/history.h"

#include <algorithm>

#include "broker/claims.h"

namespace fanfare::simulation {

std::string_view to_string(Place place) {
  static constexpr std::array<std::string_view, 6> kNames{"open", "later",   "succeeded",
                                                          "dead", "expired", "cancelled"};
  return kNames[static_cast<std::size_t>(place)];
}

std::optional<DeliveryKey> History::key_of(const std::string& function,
                                           const protocol::EventId& id) {
  const auto number = workload_.find(function);
  if (!number) {
    violate("somebody speaks of a function '{}' that does not exist", function);
    return std::nullopt;
  }
  return DeliveryKey{*number, id};
}

const DeliveryHistory* History::find(const DeliveryKey& key) const {
  const auto at = deliveries_.find(key);
  return at == deliveries_.end() ? nullptr : &at->second;
}

std::string History::describe(const DeliveryKey& key) const {
  std::string text = fmt::format("{} of {}", protocol::to_string(key.id),
                                 workload_.functions()[key.function].name);
  const DeliveryHistory* delivery = find(key);
  if (!delivery) return text + " (never appended)";
  if (!delivery->journaled) text += " (lent early, never appended)";
  text += fmt::format(
      " (event {}, {}, {} executions, {} own failures, {} losses, attempts:", delivery->tag,
      to_string(delivery->place), delivery->executions, delivery->own_failures, delivery->losses);
  for (const Attempt& attempt : delivery->attempts) {
    text += fmt::format(" {:x} at worker {}{}{}", attempt.token.value, attempt.worker,
                        attempt.received ? " received" : "", attempt.closed ? " closed" : "");
  }
  return text + ")";
}

// ---- publishers ----

Tag History::submit(FunctionSet expected, std::optional<std::int64_t> not_before_ms,
                    std::string_view packed_event) {
  Published published;
  if (const auto event = protocol::view_event(packed_event)) {
    const auto options = protocol::unpack_options(event->packed_options);
    const auto claims =
        broker::claims_of(*event, options ? options->idempotency_key : std::string{});
    if (claims && claims->id) published.claims.push_back(*claims->id);
    if (claims && claims->key) published.claims.push_back(*claims->key);
  }
  published.expected = expected;
  published.not_before_ms = not_before_ms;
  published_.push_back(published);
  return static_cast<Tag>(published_.size() - 1);
}

void History::on_receipt(Tag tag, const Result<client::Receipt>& receipt) {
  Published& published = published_[tag];
  if (!receipt) {
    const bool unknown = receipt.error().kind == ErrorKind::kReconnect;
    // Of an event that was published several times each try may fare differently.
    if (published.submissions > 1) return;
    published.fate = unknown ? Fate::kUnknown : Fate::kRefused;
    if (!unknown && published.appended) {
      violate("event {} was refused ({}) and yet lies in the journal as {}", tag,
              receipt.error().message, protocol::to_string(*published.appended));
    }
    return;
  }
  if (receipt->duplicate) return on_duplicate(tag, *receipt);
  published.fate = Fate::kAcknowledged;
  published.acknowledged = receipt->id;
  FunctionSet route = 0;
  for (const auto& name : *receipt->functions) {
    if (const auto number = workload_.find(name)) {
      route = static_cast<FunctionSet>(route | (1u << *number));
    }
  }
  if (route != published.expected) {
    violate("event {} was answered with another route than its type has", tag);
  }
  if (published.expected != 0 && published.appended != receipt->id) {
    violate("event {} was acknowledged as {}, which is not in the journal", tag,
            protocol::to_string(receipt->id));
  }
}

// Its answer speaks of the first event that had its id or its key: maybe itself.
void History::on_duplicate(Tag tag, const client::Receipt& receipt) {
  Published& published = published_[tag];
  const bool is_known = std::ranges::any_of(published.claims, [&](const store::ClaimKey& key) {
    const auto at = claimed_.find(key);
    return at != claimed_.end() && at->second == receipt.id;
  });
  if (!is_known) {
    return violate(
        "event {} was answered as a duplicate of {}, which has neither its id nor its key", tag,
        protocol::to_string(receipt.id));
  }
  if (published.appended == receipt.id) {
    published.fate = Fate::kAcknowledged;
    published.acknowledged = receipt.id;
  }
}

// No two events of one id, or one key, are journaled.
void History::check_is_first(const Published& published, const protocol::EventId& id) {
  for (const store::ClaimKey& key : published.claims) {
    const auto [first, is_first] = journaled_.emplace(key, id);
    if (is_first || first->second == id) continue;
    return violate("{} lies in the journal and has the id or the key of {}",
                   protocol::to_string(id), protocol::to_string(first->second));
  }
}

std::optional<protocol::EventId> History::some_event(Random& random) const {
  for (int tries = 0; tries < 4 && !published_.empty(); ++tries) {
    const std::size_t back = random.below(std::min<std::size_t>(published_.size(), 60));
    const auto& published = published_[published_.size() - 1 - back];
    if (published.appended) return published.appended;
  }
  return std::nullopt;
}

// ---- the end ----

bool History::all_ended() const {
  return to_tell_ == 0 && std::ranges::all_of(counts_, [](const auto& counts) {
           return counts.open == 0 && counts.later == 0;
         });
}

std::string History::what_is_open() const {
  std::vector<DeliveryKey> open;
  for (const auto& [key, delivery] : deliveries_) {
    if (delivery.journaled && !delivery.ended()) open.push_back(key);
  }
  if (open.empty()) return to_tell_ == 0 ? "nothing" : fmt::format("{} ends to tell of", to_tell_);
  std::sort(open.begin(), open.end());
  return fmt::format("{} deliveries, first {}", open.size(), describe(open.front()));
}

void History::check_final() {
  for (Tag tag = 0; tag < published_.size() && !violated(); ++tag) {
    const Published& published = published_[tag];
    if (published.fate != Fate::kAcknowledged) continue;
    for (std::size_t function = 0; function < workload_.functions().size(); ++function) {
      if ((published.expected & (1u << function)) == 0) continue;
      const DeliveryKey key{function, published.acknowledged};
      const DeliveryHistory* delivery = find(key);
      if (!delivery || !delivery->journaled || !delivery->ended()) {
        violate("event {} was acknowledged and is lost: {}", tag, describe(key));
      }
    }
  }
  for (const auto& [key, delivery] : deliveries_) {
    if (!violated() && delivery.journaled) check_told(key, delivery);
  }
}

}  // namespace fanfare::simulation