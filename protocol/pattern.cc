#include "protocol/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fanfare::protocol {
namespace {

using nlohmann::json;

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kTestsMax = 256;

std::string joined(const std::vector<std::string>& path) {
  return fmt::format("{}", fmt::join(path, "."));
}

Result<Alternative> compile_alternative(const json& value, const std::vector<std::string>& path) {
  using Kind = Alternative::Kind;
  if (value.is_string())
    return Alternative{.kind = Kind::kString, .text = value.get<std::string>()};
  if (value.is_number()) return Alternative{.kind = Kind::kNumber, .number = value.get<double>()};
  if (value.is_boolean()) return Alternative{.kind = Kind::kBool, .flag = value.get<bool>()};
  if (value.is_null()) return Alternative{.kind = Kind::kNull};
  if (value.is_object() && value.size() == 1 && value.begin().key() == "prefix" &&
      value.begin()->is_string()) {
    return Alternative{.kind = Kind::kPrefix, .text = value.begin()->get<std::string>()};
  }
  return reject(fmt::format(
      "pattern field '{}': {} is not an alternative; use a literal or {{\"prefix\": \"text\"}}",
      joined(path), value.dump()));
}

void split_dots(const std::string& key, std::vector<std::string>& path) {
  std::size_t from = 0;
  for (std::size_t dot; (dot = key.find('.', from)) != std::string::npos; from = dot + 1) {
    path.push_back(key.substr(from, dot - from));
  }
  path.push_back(key.substr(from));
}

// Attributes are text and nothing lies within them: other tests could never hold.
Result<void> check_attribute(const FieldTest& test) {
  using Kind = Alternative::Kind;
  if (test.path.front() == "data") return {};
  if (test.path.size() > 1) {
    return reject(
        fmt::format("pattern field '{}': only data has fields within it", joined(test.path)));
  }
  for (const Alternative& alternative : test.alternatives) {
    if (alternative.kind == Kind::kString || alternative.kind == Kind::kPrefix) continue;
    return reject(fmt::format(
        "pattern field '{}': attributes are text, which a number, true, false or null never "
        "matches; write it in quotes, or test data.{}",
        joined(test.path), joined(test.path)));
  }
  return {};
}

Result<void> compile_fields(const json& object, const std::vector<std::string>& parent,
                            Pattern& pattern) {
  for (const auto& [key, value] : object.items()) {
    std::vector<std::string> path = parent;
    split_dots(key, path);
    if (path.size() > kDepthMax) {
      return reject(
          fmt::format("pattern field '{}' is nested over {} deep", joined(path), kDepthMax));
    }
    if (value.is_object() && !value.empty()) {
      if (auto inner = compile_fields(value, path, pattern); !inner) return inner;
      continue;
    }
    if (!value.is_array() || value.empty()) {
      return reject(fmt::format(
          "pattern field '{}' must be a non-empty array of alternatives or an object of fields",
          joined(path)));
    }
    FieldTest test{.path = path, .alternatives = {}};
    for (const auto& entry : value) {
      auto alternative = compile_alternative(entry, path);
      if (!alternative) return alternative.error();
      test.alternatives.push_back(*std::move(alternative));
    }
    if (auto checked = check_attribute(test); !checked) return checked;
    pattern.tests.push_back(std::move(test));
    if (pattern.tests.size() > kTestsMax) {
      return reject(fmt::format("a pattern may test at most {} fields", kTestsMax));
    }
  }
  return {};
}

}  // namespace

Result<Pattern> compile_pattern(std::string_view text) {
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return reject("the pattern is not JSON");
  if (!parsed.is_object() || parsed.empty()) {
    return reject("a pattern must be a JSON object with at least one field");
  }
  Pattern pattern;
  if (auto compiled = compile_fields(parsed, {}, pattern); !compiled) return compiled.error();
  return pattern;
}

const FieldTest* Pattern::test_of(std::string_view attribute) const {
  for (const FieldTest& test : tests) {
    if (test.path.size() == 1 && test.path.front() == attribute) return &test;
  }
  return nullptr;
}

bool Pattern::needs_data() const {
  return std::any_of(tests.begin(), tests.end(),
                     [](const FieldTest& test) { return test.path.front() == "data"; });
}

bool matches(const Alternative& alternative, std::string_view text) {
  using Kind = Alternative::Kind;
  if (alternative.kind == Kind::kString) return text == alternative.text;
  return alternative.kind == Kind::kPrefix && text.starts_with(alternative.text);
}

}  // namespace fanfare::protocol
