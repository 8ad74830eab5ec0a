// fanfare pattern test: does an event match a pattern, and if not, why not?
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/event_input.h"
#include "cli/verbs.h"
#include "protocol/event.h"
#include "protocol/pattern_explain.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kPatternBytesMax = 1 << 20;
constexpr std::size_t kEventBytesMax = 16 << 20;

// A text that begins like an object, or a file's name, also with an @ before it.
Result<std::string> read_pattern(const std::string& given) {
  const std::size_t begin = given.find_first_not_of(" \t\r\n");
  const bool is_text = begin != given.npos && given[begin] == '{';
  const bool as_it_is = is_text || given == "-" || given.starts_with('@');
  return read_data(as_it_is ? given : "@" + given, "--pattern", kPatternBytesMax);
}

// The JSON that patterns are held against: of an event in CloudEvents' JSON its view, of all else
// what was given.
Result<std::string> read_event(const std::string& given) {
  const bool as_it_is = given == "-" || given.starts_with('@');
  auto text = read_data(as_it_is ? given : "@" + given, "--event", kEventBytesMax);
  if (!text) return text;
  const auto parsed = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || !parsed.contains("specversion")) return text;
  const auto event = protocol::from_cloudevents_json(*text);
  if (!event) return event.error();
  const std::string packed = protocol::pack(*event);
  const auto view = protocol::view_event(packed);
  if (!view) return view.error();
  return protocol::to_pattern_json(*view);
}

std::string found_in_words(const protocol::FieldExplained& field) {
  if (field.is_object) return "is an object; name its fields instead";
  if (field.found.empty()) return "is not there";
  std::string text = "is";
  for (std::size_t i = 0; i < field.found.size(); ++i) {
    std::string value = field.found[i];
    if (value.size() > 200) value = value.substr(0, 200) + "...";
    text += (i == 0 ? " " : ", ") + value;
  }
  if (field.found_more > 0) text += fmt::format(" and {} others", field.found_more);
  return text;
}

void print_branch(const protocol::BranchExplained& branch, std::string_view indent) {
  for (const protocol::FieldExplained& field : branch.fields) {
    if (field.holds) continue;
    print_line(printable(fmt::format("{}{}: wanted {}, {}", indent, field.path, field.wanted,
                                     found_in_words(field))));
  }
  if (branch.apart.empty()) return;
  print_line(
      printable(fmt::format("{}{}: each matches, but never in the same element of the array {}",
                            indent, fmt::join(branch.apart, ", "), branch.array)));
}

void print_explained(const protocol::Explained& told) {
  print_line(told.matches ? "match" : "no match");
  if (told.branches.size() == 1) return print_branch(told.branches[0], "  ");
  for (std::size_t i = 0; i < told.branches.size(); ++i) {
    const bool matches = told.branches[i].matches;
    print_line(fmt::format("  way {} of {} through \"$or\": {}", i + 1, told.branches.size(),
                           matches ? "match" : "no match"));
    print_branch(told.branches[i], "    ");
  }
}

ordered_json to_json(const protocol::FieldExplained& field) {
  ordered_json found = ordered_json::array();
  for (const std::string& value : field.found) {
    found.push_back(ordered_json::parse(value, nullptr, /*allow_exceptions=*/false));
  }
  return {{"field", field.path}, {"match", field.holds},           {"wanted", field.wanted},
          {"found", found},      {"found_more", field.found_more}, {"is_object", field.is_object}};
}

ordered_json to_json(const protocol::Explained& told) {
  ordered_json branches = ordered_json::array();
  for (const protocol::BranchExplained& branch : told.branches) {
    ordered_json fields = ordered_json::array();
    for (const auto& field : branch.fields) fields.push_back(to_json(field));
    ordered_json apart = nullptr;
    if (!branch.apart.empty()) apart = {{"array", branch.array}, {"fields", branch.apart}};
    branches.push_back({{"match", branch.matches}, {"fields", fields}, {"apart", apart}});
  }
  return {{"match", told.matches}, {"branches", branches}};
}

}  // namespace

int run_pattern_test(const Common& common, const PatternCommand& command) {
  if (command.pattern == "-" && command.event == "-") {
    return fail(common.output, fatal("standard input can be the pattern or the event; give the "
                                     "other as a file"));
  }
  const auto text = read_pattern(command.pattern);
  if (!text) return fail(common.output, fatal(text.error().message));
  const auto pattern = protocol::compile_pattern(*text);
  if (!pattern) return fail(common.output, fatal("--pattern: " + pattern.error().message));
  const auto event = read_event(command.event);
  if (!event) return fail(common.output, fatal("--event: " + event.error().message));
  const auto told = protocol::explain(*pattern, *event);
  if (!told) {
    return fail(common.output,
                fatal(fmt::format("--event: {}; write {{\"type\": \"…\", \"source\": \"…\", "
                                  "\"data\": …}}, or an event in CloudEvents' JSON",
                                  told.error().message)));
  }
  if (common.output.json) {
    print_line(to_json(*told).dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  } else {
    print_explained(*told);
  }
  return told->matches ? kDone : kFailed;
}

}  // namespace fanfare::cli
