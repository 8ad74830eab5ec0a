#include "tests/chaos/remains.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "protocol/record.h"
#include "store/bytes.h"
#include "store/keys.h"
#include "store/row.h"
#include "tests/chaos/append_only_file.h"
#include "tests/support/ask.h"
#include "tests/support/journal.h"
#include "tests/support/results.h"

namespace fanfare::chaos {
namespace {

using test::ask;

template <typename T>
T read_or_throw(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

void add_count(Counts& counts, std::string_view name, std::int64_t value) {
  if (name == "accepted") counts.accepted = value;
  if (name == "open") counts.open = value;
  if (name == "later") counts.later = value;
  if (name == "succeeded") counts.succeeded = value;
  if (name == "dead") counts.dead = value;
  if (name == "expired") counts.expired = value;
  if (name == "cancelled") counts.cancelled = value;
}

std::unordered_set<std::string> keys_like(RedisSync& redis, const std::string& pattern) {
  std::unordered_set<std::string> keys;
  std::string cursor = "0";
  do {
    const auto page = ask(redis, {"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"});
    cursor = (*page)[0].text();
    for (std::size_t i = 0; i < (*page)[1].size(); ++i) keys.emplace((*page)[1][i].text());
  } while (cursor != "0");
  return keys;
}

// The open ones of one lane. An entry of one delivery has no states: as long as it is there, it is
// open.
void read_lane(RedisSync& redis, const std::string& function, const std::string& lane,
               History& history) {
  const std::string head = "fanfare:{" + function + "}:";
  for (const auto& entry : test::read_journal(redis, head + "journal:" + lane)) {
    std::string states;
    if (entry.events.size() > 1) {
      states = ask(redis, {"HGET", head + "open:" + lane, to_string(entry.id)})->text();
      if (states.empty()) continue;  // closed
    }
    for (std::size_t slot = 0; slot < entry.events.size(); ++slot) {
      constexpr std::string_view kOpen{"\0\0\0\0", 4};
      if (!states.empty() && states.compare(4 * slot, 4, kOpen) != 0) continue;
      history.unfinished.push_back({function, {entry.id, entry.events[slot].first}});
    }
  }
}

// Events that lie beside an entry, "<lane>:<entry>", go with it and do not expire; those that were
// staged for one, "<lane>:<entry>:<epoch>", do.
void check_events(RedisSync& redis, const std::string& journal, const std::string& rest) {
  const std::string key = journal + rest;
  const std::size_t lane_end = rest.find(':');
  const bool staged = rest.find(':', lane_end + 1) != rest.npos;
  const auto ttl = ask(redis, {"TTL", key})->integer();
  if (ttl == -2) return;  // gone meanwhile
  if (staged != (ttl >= 0)) throw std::runtime_error(key + (staged ? " stays" : " expires"));
  if (staged) return;
  const std::string id = rest.substr(lane_end + 1);
  const auto entry = ask(redis, {"XRANGE", journal + rest.substr(0, lane_end), id, id});
  if (entry->size() == 0 && ask(redis, {"EXISTS", key})->integer() == 1) {
    throw std::runtime_error(key + " lies beside no entry");
  }
}

}  // namespace

Counts read_counts(RedisSync& redis, const std::string& function) {
  const auto reply = ask(redis, {"HGETALL", store::counts_key(function)});
  Counts counts;
  for (std::size_t i = 0; i + 1 < reply->size(); i += 2) {
    add_count(counts, (*reply)[i].text(),
              store::parse_number<std::int64_t>((*reply)[i + 1].text()).value_or(-1));
  }
  return counts;
}

void read_ended(RedisSync& redis, const std::string& function, History& history) {
  std::map<protocol::EntryId, std::set<std::uint8_t>> entries;
  for (const Change& change : history.changes) {
    if (change.function != function) continue;
    if (change.kind != Change::Kind::kLetter) entries[change.id.entry].insert(change.id.index);
  }
  for (const Submission& one : history.submissions) {
    if (one.id.entry.ms > 0 && one.functions > 0) entries[one.id.entry].insert(one.id.index);
  }
  std::map<protocol::EventId, std::pair<std::size_t, Tag>> letters;
  const auto dead = ask(redis, {"XRANGE", store::dead_key(function), "-", "+"});
  for (std::size_t i = 0; i < dead->size(); ++i) {
    const RedisReply& fields = (*dead)[i][1];
    std::optional<protocol::EventId> id;
    Tag tag = 0;
    for (std::size_t f = 0; f + 1 < fields.size(); f += 2) {
      if (fields[f].text() == "id") {
        id = read_or_throw(protocol::parse_event_id(fields[f + 1].text()));
      }
      if (fields[f].text() == "event") tag = tag_of_event(fields[f + 1].text());
    }
    if (!id) continue;
    auto& [number, its_tag] = letters[*id];
    ++number;
    its_tag = tag;
    entries[id->entry].insert(id->index);
  }
  for (const auto& [entry, indexes] : entries) {
    const auto stored = test::read_results(redis, store::results_key(function, entry));
    for (const std::uint8_t index : indexes) {
      Ended one;
      one.function = function;
      one.id = {entry, index};
      if (const auto letter = letters.find(one.id); letter != letters.end()) {
        one.letters = letter->second.first;
        one.tag = letter->second.second;
      }
      if (const auto found = stored.find(index); found != stored.end()) {
        one.has_result = true;
        one.fingerprint = fingerprint(found->second);
        const auto view = read_or_throw(store::view_stored_result(found->second));
        const auto record = read_or_throw(protocol::unpack_result(view.record));
        one.status = record.status;
        one.attempts = read_or_throw(protocol::unpack_ledger(record.ledger));
        if (record.status == protocol::Status::kSucceeded) {
          const Output output = read_output(record.output);
          one.tag = output.tag;
          one.nonce = output.nonce;
        }
      }
      history.ended.push_back(std::move(one));
    }
  }
}

void read_unfinished(RedisSync& redis, const std::string& function, History& history) {
  const std::string journal = "fanfare:{" + function + "}:journal:";
  for (const std::string& key : keys_like(redis, journal + "*")) {
    const std::string rest = key.substr(journal.size());
    if (rest.find(':') != rest.npos) {
      check_events(redis, journal, rest);
    } else {
      read_lane(redis, function, rest, history);
    }
  }
  const auto rows = ask(redis, {"HKEYS", store::rows_key(function)});
  for (std::size_t i = 0; i < rows->size(); ++i) {
    history.unfinished.push_back(
        {function, read_or_throw(protocol::parse_event_id((*rows)[i].text()))});
  }
}

std::map<std::string, std::string> read_rows(RedisSync& redis, const std::string& function) {
  constexpr std::size_t kExpiryBytes = 8;
  const auto reply = ask(redis, {"HGETALL", store::store_key(function)});
  std::map<std::string, std::string> rows;
  for (std::size_t i = 0; i + 1 < reply->size(); i += 2) {
    const std::string_view row = (*reply)[i + 1].text();
    rows[std::string((*reply)[i].text())] = row.substr(std::min(kExpiryBytes, row.size()));
  }
  return rows;
}

bool is_at_rest(RedisSync& redis, const std::string& function) {
  const Counts counts = read_counts(redis, function);
  const auto outbox = ask(redis, {"XLEN", store::outbox_key(function)});
  return counts.open == 0 && counts.later == 0 && outbox->integer() == 0;
}

bool has_result(RedisSync& redis, const std::string& function, const protocol::EventId& id) {
  const auto result =
      ask(redis, {"FCALL_RO", "fanfare2_result", "1", store::results_key(function, id.entry),
                  std::to_string(id.index)});
  return !result->is_nil();
}

}  // namespace fanfare::chaos
