// fanfare dlq list, show: dead letters, read from Redis.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/attempts_view.h"
#include "cli/letters.h"
#include "cli/result_view.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

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
  return ledger ? protocol::count_attempts(*ledger) : 0;
}

void show(const Letter& letter, const std::string& function, bool colour) {
  fmt::print("{}", format_result(function, letter.record, colour, std::nullopt));
  if (letter.event) fmt::print("  event: {}\n", protocol::to_cloudevents_json(*letter.event));
  const auto ledger = protocol::unpack_ledger(letter.record.ledger);
  if (!ledger) return;
  fmt::print("{}", format_attempts(*ledger, colour));
}

// Gives the letters that the filter takes to `take` until it has enough (false). Says how many
// could not be read.
Result<void> each_letter(const Common& common, const DlqCommand& command,
                         const LetterFilter& filter, const std::function<bool(Letter&)>& take) {
  auto redis = connect_redis(common.address);
  if (!redis) return redis.error();
  auto pages = LetterPages::open(*redis, command.function, LetterPages::Order::kNewestFirst);
  if (!pages) return pages.error();
  bool more = true;
  while (more) {
    auto letters = pages->next();
    if (!letters) return letters.error();
    if (letters->empty()) break;
    for (Letter& letter : *letters) {
      if (more && filter.takes(letter)) more = take(letter);
    }
  }
  if (pages->unreadable() > 0) {
    fmt::print(stderr, "fanfare: {} letters cannot be read by this version\n", pages->unreadable());
  }
  return {};
}

}  // namespace

int run_dlq_list(const Common& common, const DlqCommand& command) {
  const auto filter = make_letter_filter(command.where, {});
  if (!filter) return fail(common.output, filter.error());
  ordered_json list = ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  std::uint64_t count = 0;
  const std::uint64_t limit = command.limit.value_or(kLettersListed);
  const auto read = each_letter(common, command, *filter, [&](Letter& letter) {
    if (common.output.json) {
      list.push_back(to_json(letter, command.function));
    } else {
      rows.push_back({to_string(letter.id), format_wall_time(wall_from_ms(letter.at_ms)),
                      reason_of(letter.record), std::to_string(attempts_of(letter.record)),
                      letter.event ? letter.event->type : "",
                      letter.record.error_type + ": " + letter.record.error_message});
    }
    return ++count < limit;
  });
  if (!read) return fail(common.output, read.error());
  if (common.output.json) {
    print_line(list.dump());
  } else if (rows.empty()) {
    fmt::print("no dead letters of {}{}\n", command.function,
               command.where.empty() ? "" : " match");
  } else {
    fmt::print("{}", format_table({"EVENT", "DIED", "REASON", "ATTEMPTS", "TYPE", "ERROR"}, rows,
                                  common.output.colour_out));
  }
  return kDone;
}

int run_dlq_show(const Common& common, const DlqCommand& command) {
  const auto filter = make_letter_filter({}, command.ids);
  if (!filter) return fail(common.output, filter.error());
  bool found = false;
  const auto read = each_letter(common, command, *filter, [&](Letter& letter) {
    found = true;
    if (common.output.json) {
      print_line(to_json(letter, command.function).dump());
    } else {
      show(letter, command.function, common.output.colour_out);
    }
    return false;
  });
  if (!read) return fail(common.output, read.error());
  if (found) return kDone;
  return fail(common.output, reject(fmt::format("not_found: {} has no dead letter of {}",
                                                command.function, command.ids.at(0))));
}

}  // namespace fanfare::cli
