#include "protocol/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "protocol/json_text.h"

namespace fanfare::protocol {
namespace {

using nlohmann::json;

constexpr std::size_t kFieldDepthMax = 16;
constexpr std::size_t kTestsMax = 256;

// For messages: what somebody has sent is named, not sent back.
std::string shortened(std::string text) {
  constexpr std::size_t kNamedMax = 120;
  if (text.size() <= kNamedMax) return text;
  std::size_t end = kNamedMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;
  return text.substr(0, end) + "…";
}

std::string joined(const std::vector<std::string>& path) {
  return shortened(fmt::format("{}", fmt::join(path, ".")));
}

Error bad_alternative(const json& value, const std::vector<std::string>& path) {
  return reject(fmt::format(
      "pattern field '{}': {} is not an alternative; use a literal, {{\"prefix\": \"text\"}}, "
      "{{\"exists\": true}}, {{\"anything-but\": [literals]}} or {{\"numeric\": [\">\", 0, \"<=\", "
      "5]}}",
      joined(path), shortened(value.dump())));
}

std::optional<Alternative> literal(const json& value) {
  using Kind = Alternative::Kind;
  if (value.is_string()) {
    return Alternative{.kind = Kind::kString, .text = value.get<std::string>(), .excluded = {}};
  }
  if (value.is_number()) {
    return Alternative{
        .kind = Kind::kNumber, .text = {}, .number = value.get<double>(), .excluded = {}};
  }
  if (value.is_boolean()) {
    return Alternative{.kind = Kind::kBool, .text = {}, .flag = value.get<bool>(), .excluded = {}};
  }
  if (value.is_null()) return Alternative{.kind = Kind::kNull, .text = {}, .excluded = {}};
  return std::nullopt;
}

std::optional<Alternative> anything_but(const json& operand) {
  Alternative alternative{.kind = Alternative::Kind::kAnythingBut, .text = {}, .excluded = {}};
  const json values = operand.is_array() ? operand : json::array({operand});
  for (const json& value : values) {
    auto excluded = literal(value);
    if (!excluded) return std::nullopt;
    alternative.excluded.push_back(*std::move(excluded));
  }
  if (alternative.excluded.empty()) return std::nullopt;
  return alternative;
}

// Narrows the range by one comparison; false if there is no such operator.
bool narrow(Alternative& range, const std::string& comparison, double number) {
  const bool equal = comparison == "=";
  if (equal || comparison == ">" || comparison == ">=") {
    range.number = number;
    range.min_inside = comparison != ">";
  }
  if (equal || comparison == "<" || comparison == "<=") {
    range.number_max = number;
    range.max_inside = comparison != "<";
  }
  return equal || comparison == ">" || comparison == ">=" || comparison == "<" ||
         comparison == "<=";
}

// One comparison, or a lower and an upper end in this order.
std::optional<Alternative> numeric(const json& operand) {
  if (!operand.is_array() || (operand.size() != 2 && operand.size() != 4)) return std::nullopt;
  constexpr double kNoEnd = std::numeric_limits<double>::infinity();
  Alternative range{.kind = Alternative::Kind::kNumeric,
                    .text = {},
                    .number = -kNoEnd,
                    .number_max = kNoEnd,
                    .excluded = {}};
  for (std::size_t i = 0; i < operand.size(); i += 2) {
    if (!operand[i].is_string() || !operand[i + 1].is_number()) return std::nullopt;
    const auto comparison = operand[i].get<std::string>();
    if (operand.size() == 4 && !comparison.starts_with(i == 0 ? '>' : '<')) return std::nullopt;
    if (!narrow(range, comparison, operand[i + 1].get<double>())) return std::nullopt;
  }
  const bool empty = range.number > range.number_max ||
                     (range.number == range.number_max && !(range.min_inside && range.max_inside));
  if (empty) return std::nullopt;
  return range;
}

std::optional<Alternative> operation(const std::string& name, const json& operand) {
  using Kind = Alternative::Kind;
  if (name == "prefix" && operand.is_string()) {
    return Alternative{.kind = Kind::kPrefix, .text = operand.get<std::string>(), .excluded = {}};
  }
  if (name == "exists" && operand.is_boolean()) {
    return Alternative{
        .kind = Kind::kExists, .text = {}, .flag = operand.get<bool>(), .excluded = {}};
  }
  if (name == "anything-but") return anything_but(operand);
  if (name == "numeric") return numeric(operand);
  return std::nullopt;
}

Result<Alternative> compile_alternative(const json& value, const std::vector<std::string>& path) {
  auto alternative = literal(value);
  if (value.is_object() && value.size() == 1) {
    alternative = operation(value.begin().key(), value.begin().value());
  }
  if (!alternative) return bad_alternative(value, path);
  return *std::move(alternative);
}

void split_dots(const std::string& key, std::vector<std::string>& path) {
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
    case Kind::kString:
    case Kind::kPrefix:
    case Kind::kExists:
      return true;
    default:
      return false;
  }
}

// Attributes are text and nothing lies within them: other tests could never hold.
Result<void> check_attribute(const FieldTest& test) {
  if (test.path.front() == "data") return {};
  if (test.path.size() > 1) {
    return reject(
        fmt::format("pattern field '{}': only data has fields within it", joined(test.path)));
  }
  if (std::ranges::all_of(test.alternatives, may_match_text)) return {};
  return reject(fmt::format(
      "pattern field '{}': attributes are text, which a number, true, false or null never "
      "matches; write it in quotes, or test data.{}",
      joined(test.path), joined(test.path)));
}

Result<void> compile_fields(const json& object, const std::vector<std::string>& parent,
                            Pattern& pattern) {
  for (const auto& [key, value] : object.items()) {
    std::vector<std::string> path = parent;
    split_dots(key, path);
    if (path.size() > kFieldDepthMax) {
      return reject(
          fmt::format("pattern field '{}' is nested over {} deep", joined(path), kFieldDepthMax));
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
    pattern.tests.push_back(std::move(test));
    if (pattern.tests.size() > kTestsMax) {
      return reject(fmt::format("a pattern may test at most {} fields", kTestsMax));
    }
  }
  return {};
}

}  // namespace

Result<Pattern> compile_document_pattern(std::string_view text) {
  if (!nests_within_bounds(text)) {
    return reject(fmt::format("the pattern is nested over {} deep", kJsonDepthMax));
  }
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return reject("the pattern is not JSON");
  if (!parsed.is_object() || parsed.empty()) {
    return reject("a pattern must be a JSON object with at least one field");
  }
  Pattern pattern;
  if (auto compiled = compile_fields(parsed, {}, pattern); !compiled) return compiled.error();
  return pattern;
}

Result<Pattern> compile_pattern(std::string_view text) {
  auto pattern = compile_document_pattern(text);
  if (!pattern) return pattern;
  for (const FieldTest& test : pattern->tests) {
    if (auto checked = check_attribute(test); !checked) return checked.error();
  }
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

}  // namespace fanfare::protocol
