#include "tests/integration/audit.h"

#include <fmt/format.h>

#include <set>
#include <stdexcept>

#include "base/redis_sync.h"
#include "protocol/record.h"
#include "store/bytes.h"
#include "store/keys.h"
#include "store/row.h"
#include "tests/support/ask.h"
#include "tests/support/results.h"

namespace fanfare::test {
namespace {

using protocol::EntryId;
using protocol::EventId;

RedisSync connect(const RedisOptions& options) {
  auto redis = RedisSync::connect(options);
  if (!redis) throw std::runtime_error(redis.error().message);
  return *std::move(redis);
}

std::map<std::string, std::int64_t> read_counts(RedisSync& redis, const std::string& function) {
  std::map<std::string, std::int64_t> counts;
  const auto reply = ask(redis, {"HGETALL", store::counts_key(function)});
  for (std::size_t i = 0; i + 1 < reply->size(); i += 2) {
    counts[std::string((*reply)[i].text())] =
        store::parse_number<std::int64_t>((*reply)[i + 1].text()).value_or(-1);
  }
  return counts;
}

std::map<std::string, std::size_t> read_letters(RedisSync& redis, const std::string& function) {
  std::map<std::string, std::size_t> letters;  // by event id
  const auto reply = ask(redis, {"XRANGE", store::dead_key(function), "-", "+"});
  for (std::size_t i = 0; i < reply->size(); ++i) {
    const auto& fields = (*reply)[i][1];
    for (std::size_t f = 0; f + 1 < fields.size(); f += 2) {
      if (fields[f].text() == "id") ++letters[std::string(fields[f + 1].text())];
    }
  }
  return letters;
}

void check_result(Audit& audit, const EventId& id, std::string_view stored, std::size_t letters) {
  const std::string name = protocol::to_string(id);
  const auto view = store::view_stored_result(stored);
  const auto record =
      view ? protocol::unpack_result(view->record) : Result<protocol::ResultRecord>(view.error());
  if (!record) {
    audit.violations.push_back(fmt::format("{}: {}", name, record.error().message));
    return;
  }
  ++audit.results;
  const auto ledger = protocol::unpack_ledger(record->ledger);
  if (ledger && ledger->size() > 1) ++audit.repeats;
  const bool buried =
      record->status == protocol::Status::kFailed || record->status == protocol::Status::kExpired;
  if (letters != (buried ? 1u : 0u)) {
    audit.violations.push_back(fmt::format("{} is {} and has {} dead letters", name,
                                           protocol::to_string(record->status), letters));
  }
}

void check_counts(Audit& audit) {
  auto& c = audit.counts;
  const std::int64_t sum =
      c["open"] + c["later"] + c["succeeded"] + c["dead"] + c["expired"] + c["cancelled"];
  if (c["accepted"] != sum) {
    audit.violations.push_back(fmt::format("{} accepted, {} accounted for", c["accepted"], sum));
  }
  if (c["open"] != 0 || c["later"] != 0) {
    audit.violations.push_back(fmt::format("{} open, {} later", c["open"], c["later"]));
  }
  if (c["accepted"] < static_cast<std::int64_t>(audit.acknowledged)) {
    audit.violations.push_back(
        fmt::format("{} acknowledged, only {} accepted", audit.acknowledged, c["accepted"]));
  }
}

}  // namespace

bool all_ended(const RedisOptions& options, const std::string& function) {
  auto redis = connect(options);
  auto counts = read_counts(redis, function);
  return counts["open"] == 0 && counts["later"] == 0;
}

Audit audit(const RedisOptions& options, const std::string& function,
            const std::vector<EventId>& acknowledged) {
  auto redis = connect(options);
  Audit audit;
  audit.acknowledged = acknowledged.size();
  audit.counts = read_counts(redis, function);
  const auto letters = read_letters(redis, function);
  for (const auto& [id, number] : letters) audit.letters += number;

  std::map<EntryId, std::set<std::uint8_t>> entries;
  for (const EventId& id : acknowledged) {
    if (!entries[id.entry].insert(id.index).second) {
      audit.violations.push_back(protocol::to_string(id) + " acknowledged twice");
    }
  }
  for (const auto& [entry, indexes] : entries) {
    const auto stored = read_results(redis, store::results_key(function, entry));
    for (const std::uint8_t index : indexes) {
      const EventId id{entry, index};
      const auto found = stored.find(index);
      if (found == stored.end()) {
        audit.violations.push_back(protocol::to_string(id) + " has no result");
        continue;
      }
      const auto letter = letters.find(protocol::to_string(id));
      check_result(audit, id, found->second, letter == letters.end() ? 0 : letter->second);
    }
  }
  check_counts(audit);
  return audit;
}

}  // namespace fanfare::test
