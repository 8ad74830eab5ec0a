// fanfare dlq list, show: dead letters, read from Redis.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/nearest.h"
#include "cli/result_view.h"
#include "cli/results.h"
#include "cli/verbs.h"
#include "protocol/event.h"
#include "protocol/record.h"
#include "store/keys.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

struct Letter {
  protocol::EventId id;
  std::int64_t at_ms = 0;
  protocol::ResultRecord record;
  std::optional<protocol::Event> event;
};

// One stream entry: [id, [field, value, …]].
Result<Letter> read_letter(const RedisReply& entry) {
  std::map<std::string_view, std::string_view> fields;
  const RedisReply pairs = entry[1];
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
    fields[pairs[i].text()] = pairs[i + 1].text();
  auto id = protocol::parse_event_id(fields["id"]);
  if (!id) return id.error();
  auto record = protocol::unpack_result(fields["record"]);
  if (!record) return record.error();
  Letter letter{*id, 0, *std::move(record), std::nullopt};
  letter.at_ms = std::atoll(std::string(fields["at"]).c_str());
  if (auto event = protocol::unpack_event(fields["event"])) letter.event = *std::move(event);
  return letter;
}

Result<std::vector<Letter>> read_letters(const Common& common, const std::string& function,
                                         std::uint64_t limit) {
  if (!protocol::is_function_name(function)) {
    return fatal(fmt::format("'{}' is not a function's name", function));
  }
  auto redis = connect_redis(common.address);
  if (!redis) return redis.error();
  const std::string key = store::dead_key(function);
  const auto reply = redis->call({"XREVRANGE", key, "+", "-", "COUNT", std::to_string(limit)});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  std::vector<Letter> letters;
  for (std::size_t i = 0; i < (*reply)->size(); ++i) {
    auto letter = read_letter((**reply)[i]);
    if (!letter) return letter.error();
    letters.push_back(*std::move(letter));
  }
  // One that was removed keeps its letters; a name without any may be a slip.
  if (letters.empty()) {
    const auto known = function_names(*redis);
    if (!known) return known.error();
    if (std::find(known->begin(), known->end(), function) == known->end()) {
      const std::string meant = nearest(function, *known);
      return reject(fmt::format("not_found: no function is named '{}'{}", function,
                                meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
    }
  }
  return letters;
}

ordered_json to_json(const Letter& letter, const std::string& function) {
  auto json = ordered_json::parse(protocol::to_json(letter.record, letter.id, function));
  json["died"] = format_wall_time(wall_from_ms(letter.at_ms));
  if (letter.event)
    json["event"] = ordered_json::parse(protocol::to_cloudevents_json(*letter.event));
  return json;
}

std::string reason_of(const protocol::ResultRecord& record) {
  return record.reason ? std::string(protocol::to_string(*record.reason)) : "";
}

std::size_t attempts_of(const protocol::ResultRecord& record) {
  const auto ledger = protocol::unpack_ledger(record.ledger);
  return ledger ? ledger->size() : 0;
}

void show(const Letter& letter, const std::string& function, bool colour) {
  fmt::print("{}", format_result(function, letter.record, colour, std::nullopt));
  if (letter.event) fmt::print("  event: {}\n", protocol::to_cloudevents_json(*letter.event));
  const auto ledger = protocol::unpack_ledger(letter.record.ledger);
  if (!ledger) return;
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : *ledger) {
    rows.push_back({std::to_string(row.number), format_wall_time(wall_from_ms(row.started_ms)),
                    human_ms(row.duration_us / 1e3), std::string(protocol::to_string(row.outcome)),
                    row.error_type.empty() ? "" : row.error_type + ": " + row.error_message});
  }
  fmt::print("{}", format_table({"ATTEMPT", "STARTED", "TOOK", "OUTCOME", "ERROR"}, rows, colour));
}

}  // namespace

int run_dlq_list(const Common& common, const DlqCommand& command) {
  const auto letters = read_letters(common, command.function, command.limit);
  if (!letters) return fail(common.output, letters.error());
  if (common.output.json) {
    ordered_json list = ordered_json::array();
    for (const Letter& letter : *letters) list.push_back(to_json(letter, command.function));
    print_line(list.dump());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Letter& letter : *letters) {
    rows.push_back({to_string(letter.id), format_wall_time(wall_from_ms(letter.at_ms)),
                    reason_of(letter.record), std::to_string(attempts_of(letter.record)),
                    letter.event ? letter.event->type : "",
                    letter.record.error_type + ": " + letter.record.error_message});
  }
  if (rows.empty()) {
    fmt::print("no dead letters of {}\n", command.function);
  } else {
    fmt::print("{}", format_table({"EVENT", "DIED", "REASON", "ATTEMPTS", "TYPE", "ERROR"}, rows,
                                  common.output.colour_out));
  }
  return kDone;
}

int run_dlq_show(const Common& common, const DlqCommand& command) {
  const auto id = protocol::parse_event_id(command.id);
  if (!id) return fail(common.output, fatal(id.error().message));
  constexpr std::uint64_t kLettersMax = 100'000;  // as many as a function keeps by default
  const auto letters = read_letters(common, command.function, kLettersMax);
  if (!letters) return fail(common.output, letters.error());
  for (const Letter& letter : *letters) {
    if (letter.id != *id) continue;
    if (common.output.json) {
      print_line(to_json(letter, command.function).dump());
    } else {
      show(letter, command.function, common.output.colour_out);
    }
    return kDone;
  }
  return fail(common.output, reject(fmt::format("not_found: {} has no dead letter of {}",
                                                command.function, command.id)));
}

}  // namespace fanfare::cli
