// What no call can be sent with.
#include <algorithm>
#include <set>

#include "protocol/row_writes.h"
#include "store/encode.h"
#include "store/grouping.h"
#include "store/rows.h"

namespace fanfare::store {
namespace {

Result<void> check_function(std::string_view name) {
  if (protocol::is_function_name(name)) return {};
  return reject("not a function's name: " + std::string{name.substr(0, 64)});
}

// Whose outbox it is: a function's, or that of the triggers.
Result<void> check_source(std::string_view name) {
  return name == kTriggers ? Result<void>{} : check_function(name);
}

Result<void> check_schedule(std::string_view name) {
  if (!name.empty() && name.size() <= kScheduleNameMax) return {};
  return reject("a schedule's name is 1 to 64 bytes");
}

Result<void> check_effect(const Publish& publish) {
  if (!publish.to.empty()) {
    if (auto named = check_function(publish.to); !named) return named;
  }
  if (publish.packed_event.empty()) return reject("nothing to publish");
  return {};
}

Result<void> check_effect(const RowWrites& writes) {
  if (auto fine = protocol::check_writes(writes.packed); !fine) return fine.error();
  return {};
}

bool writes_rows(const Effect& effect) {
  return std::holds_alternative<RowWrites>(effect);
}

Result<void> check_effects(const Effects& effects) {
  if (std::ranges::count_if(effects, writes_rows) > 1) {
    return reject("a delivery writes its rows in one go");
  }
  for (const Effect& effect : effects) {
    auto checked = std::visit([](const auto& one) { return check_effect(one); }, effect);
    if (!checked) return checked;
  }
  return {};
}

Result<void> check_claims(const Append& call) {
  if (call.claims.empty()) return {};
  if (call.claims.size() > 2 * protocol::kChunkEventsMax) {
    return reject("more than 512 claims in an append");
  }
  if (call.claim_window_ms <= 0) return reject("claims without a window");
  std::vector<ClaimKey> keys;
  for (const auto& claim : call.claims) keys.push_back(claim.key);
  std::ranges::sort(keys);
  if (std::ranges::adjacent_find(keys) != keys.end()) return reject("the same claim twice");
  return {};
}

Result<void> check_delayed(const Append& call) {
  if (call.delayed.size() > kAppendStreamsOfOneMax) {
    return reject("delayed events of more than 32,768 functions");
  }
  for (const auto& delayed : call.delayed) {
    if (auto named = check_function(delayed.function); !named) return named;
    if (delayed.items.empty() || delayed.items.size() > protocol::kChunkEventsMax) {
      return reject("no delayed events of a function, or more than 256");
    }
    for (std::size_t i = 1; i < delayed.items.size(); ++i) {
      if (delayed.items[i - 1].index >= delayed.items[i].index) {
        return reject("the indexes of delayed events do not ascend");
      }
    }
  }
  return {};
}

struct Checker {
  Result<void> operator()(const Append& call) {
    if (call.streams.size() > kAppendStreamsOfOneMax) {
      return reject("more than 32,768 streams in an append");
    }
    if (call.guards.size() > 1024) return reject("more than 1024 publishers in an append");
    if (call.taken.size() > protocol::kChunkEventsMax) {
      return reject("more than 256 outbox entries in an append");
    }
    for (const auto& entry : call.taken) {
      if (auto named = check_source(entry.function); !named) return named;
    }
    if (auto claims = check_claims(call); !claims) return claims;
    if (auto delayed = check_delayed(call); !delayed) return delayed;
    for (const auto& stream : call.streams) {
      if (auto named = check_function(stream.function); !named) return named;
      if (stream.items.empty() || stream.items.size() > protocol::kChunkEventsMax) {
        return reject("a stream of an append has no events, or more than 256");
      }
      if (std::ranges::any_of(stream.items, [](const auto& i) { return !i.packed_event.size(); })) {
        return reject("an event without bytes");
      }
      for (std::size_t i = 1; i < stream.items.size(); ++i) {
        if (stream.items[i - 1].index >= stream.items[i].index) {
          return reject("the indexes of an append do not ascend");
        }
      }
    }
    return {};
  }
  Result<void> operator()(const Lookup& call) {
    const bool fits = !call.keys.empty() && call.keys.size() <= protocol::kChunkEventsMax;
    return fits ? Result<void>{} : reject("a lookup of no claims, or of more than 256");
  }
  Result<void> operator()(const Commit& call) {
    for (const auto& group : call.groups) {
      for (const auto& item : group.items) {
        if (auto checked = check_effects(item.effects); !checked) return checked;
      }
    }
    return groups(call);
  }
  Result<void> operator()(const Postpone& call) { return groups(call); }
  Result<void> operator()(const Bury& call) {
    for (const auto& item : call.items) {
      if (item.status == protocol::Status::kSucceeded) return reject("a success is not buried");
      if (auto checked = check_effects(item.effects); !checked) return checked;
      if (std::ranges::any_of(item.effects, writes_rows)) {
        return reject("only a success writes rows");
      }
    }
    return groups(call);
  }
  Result<void> operator()(const Find& call) { return check_function(call.function); }
  Result<void> operator()(const SetState& call) { return check_function(call.name); }
  Result<void> operator()(const CountOutboxes& call) {
    if (call.functions.size() > 1024) return reject("more than 1024 outboxes to count");
    for (const auto& function : call.functions) {
      if (auto named = check_source(function); !named) return named;
    }
    return {};
  }
  Result<void> operator()(const ReadOutbox& call) { return check_source(call.function); }
  Result<void> operator()(const SetSchedule& call) {
    if (call.definition.size() > kScheduleDefinitionMax) {
      return reject("a schedule's definition is over 256 KiB");
    }
    return check_schedule(call.name);
  }
  Result<void> operator()(const Fire& call) {
    if (call.packed_events.size() > protocol::kChunkEventsMax) {
      return reject("more than 256 events of a schedule at once");
    }
    const bool has_row = !call.row_after.empty() && call.row_after.size() <= kScheduleRowMax &&
                         call.row_before.size() <= kScheduleRowMax;
    return has_row ? check_schedule(call.name) : reject("a row of the ledger is 1 to 256 bytes");
  }
  Result<void> operator()(const SetTopics& call) {
    if (call.items.empty() || call.items.size() > kTopicsAtOnceMax) {
      return reject("1 to 256 topics are set at once");
    }
    std::size_t bytes = 0;
    std::set<std::string_view> names;
    for (const auto& item : call.items) {
      bytes += item.name.size() + item.definition.size();
      if (item.definition.size() > kTopicDefinitionMax) {
        return reject("a topic's definition is over 128 KiB");
      }
      if (!protocol::is_function_name(item.name)) {
        return reject("not a topic's name: " + item.name.substr(0, 64));
      }
      if (!names.insert(item.name).second) return reject("a topic is set twice in one call");
      if (item.definition.empty() != call.items.front().definition.empty()) {
        return reject("topics are set and removed in calls of their own");
      }
    }
    if (bytes <= kTopicBytesAtOnceMax) return {};
    return reject("topics that are set at once are over 256 KiB");
  }
  Result<void> operator()(const ReadLetters& call) { return letters(call, call.letters.size()); }
  Result<void> operator()(const PurgeLetters& call) { return letters(call, call.letters.size()); }
  Result<void> operator()(const Redrive& call) {
    std::set<EventId> seen;
    for (const auto& item : call.items) {
      if (!seen.insert(item.id).second) return reject("a redrive names the same event twice");
    }
    return letters(call, call.items.size());
  }
  Result<void> operator()(const Deploy& call) {
    const bool hex = call.digest.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex) return reject("a package's digest is not lower case hex");
    if (call.kept < 1 || call.kept > kGenerationsKeptMax) {
      return reject("1 to 100 generations of a function are kept");
    }
    return check_function(call.name);
  }
  Result<void> operator()(const ListGenerations& call) { return check_function(call.name); }
  Result<void> operator()(const GetRows& call) { return check_rows(call); }
  Result<void> operator()(const ListRows& call) { return check_rows(call); }
  Result<void> operator()(const WriteRows& call) { return check_rows(call); }
  Result<void> operator()(const Meter& call) {
    if (call.rows.empty() || call.rows.size() > Meter::kRowsMax) {
      return reject("a call of metering has no rows, or more than 256");
    }
    for (const auto& row : call.rows) {
      if (auto named = check_function(row.function); !named) return named;
    }
    return {};
  }
  Result<void> operator()(const auto&) { return {}; }

  template <typename T>
  Result<void> letters(const T& call, std::size_t count) {
    if (count == 0 || count > protocol::kChunkEventsMax)
      return reject("a call takes 1 to 256 letters");
    return check_function(call.function);
  }
  template <typename T>
  Result<void> groups(const T& call) {
    if (auto named = check_function(call.function); !named) return named;
    return check_groups(grouped(call));
  }
};

}  // namespace

Result<void> check(const Call& call) {
  return std::visit(Checker{}, call);
}

}  // namespace fanfare::store
