#include "protocol/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "protocol/event.h"
#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"
#include "protocol/pattern_alternative.h"

namespace fanfare::protocol {
namespace {

using nlohmann::json;
using Path = std::vector<std::string>;
using Tests = std::vector<FieldTest>;

constexpr std::size_t kFieldDepthMax = 16;
constexpr std::size_t kTestsMax = 256;    // of a branch
constexpr std::size_t kBranchesMax = 64;  // "$or" in "$or", or beside it, multiply

std::string joined(const Path& path) {
  return shortened(fmt::format("{}", fmt::join(path, ".")));
}

void split_dots(const std::string& key, Path& path) {
  std::size_t from = 0;
  for (std::size_t dot; (dot = key.find('.', from)) != std::string::npos; from = dot + 1) {
    path.push_back(key.substr(from, dot - from));
  }
  path.push_back(key.substr(from));
}

bool may_match_text(const Alternative& alternative) {
  using Kind = Alternative::Kind;
  switch (alternative.kind) {
    case Kind::kAnythingBut:
      return std::ranges::all_of(alternative.excluded, may_match_text);
    case Kind::kNumber:
    case Kind::kNumeric:
    case Kind::kBool:
    case Kind::kNull:
      return false;
    default:
      return true;
  }
}

// Attributes are text and nothing lies within them: other tests could never hold. But for what lies
// within `attributes`, which may be anything.
Result<void> check_attribute(const FieldTest& test) {
  if (test.path.size() > 1) {
    if (test.path.front() == kNotificationAttributes) return {};
    return reject(fmt::format(
        "pattern field '{}': only data and attributes have fields within them", joined(test.path)));
  }
  if (std::ranges::all_of(test.alternatives, may_match_text)) return {};
  return reject(fmt::format(
      "pattern field '{}': attributes are text, which a number, true, false or null never "
      "matches; write it in quotes, or test data.{}",
      joined(test.path), joined(test.path)));
}

Result<FieldTest> compile_test(const json& value, const Path& path) {
  if (!value.is_array() || value.empty()) {
    return reject(fmt::format(
        "pattern field '{}' must be a non-empty array of alternatives or an object of fields",
        joined(path)));
  }
  FieldTest test{.path = path, .alternatives = {}};
  for (const auto& entry : value) {
    auto alternative = compile_alternative(entry, joined(path));
    if (!alternative) return alternative.error();
    test.alternatives.push_back(*std::move(alternative));
  }
  return test;
}

Result<void> compile_fields(const json& object, const Path& parent, std::vector<Tests>& branches);

// Each branch so far goes on with each of the objects.
Result<void> compile_or(const json& objects, const Path& parent, std::vector<Tests>& branches) {
  Path path = parent;
  path.emplace_back("$or");
  const auto is_object = [](const json& one) { return one.is_object() && !one.empty(); };
  if (!objects.is_array() || objects.size() < 2 || !std::ranges::all_of(objects, is_object)) {
    return reject(fmt::format(
        "pattern field '{}' must be an array of two or more objects of fields", joined(path)));
  }
  std::vector<Tests> all;
  for (const json& object : objects) {
    std::vector<Tests> with_this = branches;
    if (auto compiled = compile_fields(object, parent, with_this); !compiled) return compiled;
    std::ranges::move(with_this, std::back_inserter(all));
    if (all.size() > kBranchesMax) {
      return reject(fmt::format("pattern field '{}': \"$or\" makes over {} combinations of fields",
                                joined(path), kBranchesMax));
    }
  }
  branches = std::move(all);
  return {};
}

Result<void> compile_fields(const json& object, const Path& parent, std::vector<Tests>& branches) {
  for (const auto& [key, value] : object.items()) {
    if (key == "$or") {
      if (auto compiled = compile_or(value, parent, branches); !compiled) return compiled;
      continue;
    }
    Path path = parent;
    split_dots(key, path);
    if (path.size() > kFieldDepthMax) {
      return reject(
          fmt::format("pattern field '{}' is nested over {} deep", joined(path), kFieldDepthMax));
    }
    if (value.is_object() && !value.empty()) {
      if (auto inner = compile_fields(value, path, branches); !inner) return inner;
      continue;
    }
    auto test = compile_test(value, path);
    if (!test) return test.error();
    for (Tests& tests : branches) {
      tests.push_back(*test);
      if (tests.size() > kTestsMax) {
        return reject(fmt::format("a pattern may test at most {} fields", kTestsMax));
      }
    }
  }
  return {};
}

Result<std::vector<Tests>> compile_branches(std::string_view text) {
  if (!nests_within_bounds(text)) {
    return reject(fmt::format("the pattern is nested over {} deep", kJsonDepthMax));
  }
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return reject("the pattern is not JSON");
  if (!parsed.is_object() || parsed.empty()) {
    return reject("a pattern must be a JSON object with at least one field");
  }
  std::vector<Tests> branches(1);
  if (auto compiled = compile_fields(parsed, {}, branches); !compiled) return compiled.error();
  return branches;
}

void sort_fields(Branch& branch) {
  std::ranges::stable_sort(branch.fields, {}, &FieldTest::path);
}

}  // namespace

Result<Pattern> compile_document_pattern(std::string_view text) {
  auto compiled = compile_branches(text);
  if (!compiled) return compiled.error();
  Pattern pattern{.branches = {}, .over_events = false};
  for (Tests& tests : *compiled) {
    pattern.branches.push_back({.attributes = {}, .fields = std::move(tests)});
    sort_fields(pattern.branches.back());
  }
  return pattern;
}

Result<Pattern> compile_pattern(std::string_view text) {
  auto compiled = compile_branches(text);
  if (!compiled) return compiled.error();
  Pattern pattern{.branches = {}, .over_events = true};
  for (Tests& tests : *compiled) {
    Branch& branch = pattern.branches.emplace_back();
    for (FieldTest& test : tests) {
      if (test.path.front() != "data") {
        if (auto checked = check_attribute(test); !checked) return checked.error();
        branch.attributes.push_back(std::move(test));
        continue;
      }
      test.path.erase(test.path.begin());
      branch.fields.push_back(std::move(test));
    }
    sort_fields(branch);
  }
  return pattern;
}

}  // namespace fanfare::protocol
