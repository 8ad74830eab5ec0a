#include "cli/letters.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "base/time.h"
#include "cli/results.h"
#include "store/keys.h"

namespace fanfare::cli {
namespace {

constexpr const char* kPageLetters = "64";  // of up to a MiB each

// One stream entry: [id, [field, value, …]].
Result<Letter> read_letter(const RedisReply& entry) {
  std::map<std::string_view, std::string_view> fields;
  const RedisReply pairs = entry[1];
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
    fields[pairs[i].text()] = pairs[i + 1].text();
  auto own_id = protocol::parse_entry_id(entry[0].text());
  if (!own_id) return own_id.error();
  auto id = protocol::parse_event_id(fields["id"]);
  if (!id) return id.error();
  auto record = protocol::unpack_result(fields["record"]);
  if (!record) return record.error();
  Letter letter{*own_id, *id, 0, *std::move(record), std::nullopt, {}};
  const std::string_view at = fields["at"];
  std::from_chars(at.data(), at.data() + at.size(), letter.at_ms);
  if (auto event = protocol::unpack_event(fields["event"])) letter.event = *std::move(event);
  letter.pattern_json = to_pattern_json(letter);
  return letter;
}

Result<OwnedReply> ask(RedisSync& redis, const std::vector<std::string>& words) {
  auto reply = redis.call(words);
  if (reply && (*reply)->is_error()) return reject("Redis: " + std::string((*reply)->text()));
  return reply;
}

// One that was removed keeps its letters; a name without any may be a slip.
Result<void> check_name(RedisSync& redis, const std::string& function) {
  const auto known = function_names(redis);
  if (!known) return known.error();
  if (std::find(known->begin(), known->end(), function) != known->end()) return {};
  const std::string meant = nearest(function, *known);
  return reject(fmt::format("not_found: no function is named '{}'{}", function,
                            meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

}  // namespace

std::string to_pattern_json(const Letter& letter) {
  const auto ledger = protocol::unpack_ledger(letter.record.ledger);
  const nlohmann::ordered_json own{
      {"error", {{"type", letter.record.error_type}, {"message", letter.record.error_message}}},
      {"reason", letter.record.reason ? protocol::to_string(*letter.record.reason) : ""},
      {"attempts", ledger ? protocol::count_attempts(*ledger) : 0},
      {"died", format_wall_time(wall_from_ms(letter.at_ms))}};
  std::string json = own.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (!letter.event) return json;
  const std::string packed = protocol::pack(*letter.event);
  const auto view = protocol::view_event(packed);
  const std::string event = view ? protocol::to_pattern_json(*view) : "{}";
  // Ours come first: an extension of the same name does not hide them.
  json.back() = ',';
  return event.size() > 2 ? json.append(event, 1) : json.replace(json.size() - 1, 1, "}");
}

bool LetterFilter::takes(const Letter& letter) const {
  if (!ids.empty() && !ids.contains(letter.id)) return false;
  return !where || protocol::matches(*where, letter.pattern_json);
}

Result<LetterFilter> make_letter_filter(const std::string& where,
                                        const std::vector<std::string>& ids) {
  LetterFilter filter;
  if (!where.empty()) {
    auto pattern = protocol::compile_document_pattern(where);
    if (!pattern) {
      return fatal(
          fmt::format("--where: {}; write JSON like {{\"error\": {{\"type\": [\"Timeout\"]}}}}, "
                      "over error.type, "
                      "error.message, reason, attempts, died and the event's fields",
                      pattern.error().message));
    }
    filter.where = *std::move(pattern);
  }
  for (const std::string& text : ids) {
    const auto id = protocol::parse_event_id(text);
    if (!id) return fatal(id.error().message);
    filter.ids.insert(*id);
  }
  return filter;
}

Result<LetterPages> LetterPages::open(RedisSync& redis, const std::string& function, Order order) {
  if (!protocol::is_function_name(function)) {
    return fatal(fmt::format("'{}' is not a function's name", function));
  }
  LetterPages pages(redis, store::dead_key(function), order);
  const auto newest = ask(redis, {"XREVRANGE", pages.key_, "+", "-", "COUNT", "1"});
  if (!newest) return newest.error();
  if ((*newest)->size() == 0) {
    if (auto named = check_name(redis, function); !named) return named.error();
    return pages;
  }
  pages.from_ = "-";
  pages.to_ = (**newest)[0][0].text();
  return pages;
}

Result<std::vector<Letter>> LetterPages::next() {
  std::vector<Letter> letters;
  while (letters.empty() && !from_.empty()) {
    const bool oldest_first = order_ == Order::kOldestFirst;
    const auto reply = oldest_first
                           ? ask(*redis_, {"XRANGE", key_, from_, to_, "COUNT", kPageLetters})
                           : ask(*redis_, {"XREVRANGE", key_, to_, from_, "COUNT", kPageLetters});
    if (!reply) return reply.error();
    const RedisReply page = **reply;
    if (page.size() == 0) {
      from_.clear();
      break;
    }
    (oldest_first ? from_ : to_) = "(" + std::string(page[page.size() - 1][0].text());
    for (std::size_t i = 0; i < page.size(); ++i) {
      auto letter = read_letter(page[i]);
      if (letter)
        letters.push_back(*std::move(letter));
      else
        ++unreadable_;
    }
  }
  return letters;
}

}  // namespace fanfare::cli
