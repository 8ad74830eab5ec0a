#include "protocol/pattern_alternative.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "protocol/fold_case.h"

namespace fanfare::protocol {
namespace {

using nlohmann::json;
using Kind = Alternative::Kind;

// Each star lets the rest of the pattern begin anywhere: an event's text is searched once for each.
constexpr std::size_t kStarsMax = 8;

// Of Amazon's engine, for later: a pattern that has one there would silently mean something else
// here.
constexpr std::array<std::string_view, 9> kReserved{"regex",
                                                    "not-wildcard",
                                                    "not-equals-ignore-case",
                                                    "date-after",
                                                    "date-before",
                                                    "date-on-or-after",
                                                    "date-on-or-before",
                                                    "in-date-range",
                                                    "ip-address-in-range"};

struct Reader {
  const std::string& field;

  Error wrong(const std::string& what) const {
    return reject(fmt::format("pattern field '{}': {}", field, what));
  }

  Error no_alternative(const json& value) const {
    return wrong(fmt::format(
        "{} is not an alternative; use a literal, or one of {{\"prefix\": \"text\"}}, "
        "{{\"suffix\": "
        "\"text\"}}, {{\"equals-ignore-case\": \"text\"}}, {{\"wildcard\": \"a*b\"}}, "
        "{{\"anything-but\": [literals]}}, {{\"numeric\": [\">\", 0, \"<=\", 5]}}, {{\"cidr\": "
        "\"10.0.0.0/8\"}} and {{\"exists\": true}}",
        shortened(value.dump())));
  }

  static std::optional<Alternative> literal(const json& value) {
    Alternative alternative;
    if (value.is_string()) {
      alternative.text = value.get<std::string>();
    } else if (value.is_number()) {
      alternative.kind = Kind::kNumber;
      alternative.number = value.get<double>();
    } else if (value.is_boolean()) {
      alternative.kind = Kind::kBool;
      alternative.flag = value.get<bool>();
    } else if (value.is_null()) {
      alternative.kind = Kind::kNull;
    } else {
      return std::nullopt;
    }
    return alternative;
  }

  // "text" or {"equals-ignore-case": "text"}.
  Result<Alternative> affix(Kind kind, const std::string& name, const json& operand) const {
    Alternative alternative;
    alternative.kind = kind;
    if (operand.is_string()) {
      alternative.text = operand.get<std::string>();
      return alternative;
    }
    if (operand.is_object() && operand.size() == 1 && operand.contains("equals-ignore-case") &&
        operand["equals-ignore-case"].is_string()) {
      alternative.text = fold_case(operand["equals-ignore-case"].get<std::string>());
      alternative.any_case = true;
      return alternative;
    }
    return wrong(fmt::format("\"{}\" takes a text, or {{\"equals-ignore-case\": \"text\"}}", name));
  }

  Result<Alternative> any_case(const json& operand) const {
    if (!operand.is_string()) return wrong("\"equals-ignore-case\" takes a text");
    Alternative alternative;
    alternative.text = fold_case(operand.get<std::string>());
    alternative.any_case = true;
    return alternative;
  }

  Result<Alternative> wildcard(const json& operand) const {
    if (!operand.is_string()) return wrong("\"wildcard\" takes a text");
    const auto text = operand.get<std::string>();
    Alternative alternative;
    alternative.kind = Kind::kWildcard;
    alternative.pieces.emplace_back();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        if (i + 1 == text.size() || (text[i + 1] != '*' && text[i + 1] != '\\')) {
          return wrong("in \"wildcard\" a backslash stands before * or another backslash");
        }
        alternative.pieces.back() += text[++i];
      } else if (text[i] == '*') {
        if (i > 0 && text[i - 1] == '*' && alternative.pieces.back().empty()) {
          return wrong("\"wildcard\" takes no two stars in a row: one is any text already");
        }
        alternative.pieces.emplace_back();
      } else {
        alternative.pieces.back() += text[i];
      }
    }
    if (alternative.pieces.size() > kStarsMax + 1) {
      return wrong(fmt::format("\"wildcard\" takes at most {} stars", kStarsMax));
    }
    return alternative;
  }

  Result<Alternative> cidr(const json& operand) const {
    auto range = operand.is_string() ? parse_cidr(operand.get<std::string>()) : std::nullopt;
    if (!range) {
      return wrong(
          "\"cidr\" takes a range of addresses such as \"10.0.0.0/24\" or \"2001:db8::/32\"");
    }
    Alternative alternative;
    alternative.kind = Kind::kCidr;
    alternative.cidr = *range;
    return alternative;
  }

  Result<Alternative> exists(const json& operand) const {
    if (!operand.is_boolean()) return wrong("\"exists\" takes true or false");
    Alternative alternative;
    alternative.kind = Kind::kExists;
    alternative.flag = operand.get<bool>();
    return alternative;
  }

  // A literal, a list of them, or one operator over a text or a list of texts.
  Result<Alternative> anything_but(const json& operand) const {
    Alternative alternative;
    alternative.kind = Kind::kAnythingBut;
    const Error how = wrong(
        "\"anything-but\" takes a literal, a list of literals, or one of prefix, suffix, "
        "equals-ignore-case and wildcard with a text or a list of texts");
    std::string name;
    json values = operand;
    if (operand.is_object()) {
      if (operand.size() != 1) return how;
      name = operand.begin().key();
      values = operand.begin().value();
    }
    if (!values.is_array()) values = json::array({values});
    if (values.empty()) return how;
    for (const json& value : values) {
      if (name.empty()) {
        auto excluded = literal(value);
        if (!excluded) return how;
        alternative.excluded.push_back(*std::move(excluded));
        continue;
      }
      auto excluded = name == "prefix"               ? affix(Kind::kPrefix, name, value)
                      : name == "suffix"             ? affix(Kind::kSuffix, name, value)
                      : name == "equals-ignore-case" ? any_case(value)
                      : name == "wildcard"           ? wildcard(value)
                                                     : Result<Alternative>(how);
      if (!excluded) return excluded;
      alternative.excluded.push_back(*std::move(excluded));
    }
    return alternative;
  }

  // Narrows the range by one comparison; false if there is no such operator.
  static bool narrow(Alternative& range, const std::string& comparison, double number) {
    const bool equal = comparison == "=";
    const bool lower = comparison == ">" || comparison == ">=";
    const bool upper = comparison == "<" || comparison == "<=";
    if (equal || lower) {
      range.number = number;
      range.min_inside = comparison != ">";
    }
    if (equal || upper) {
      range.number_max = number;
      range.max_inside = comparison != "<";
    }
    return equal || lower || upper;
  }

  // One comparison, or a lower and an upper end in this order.
  Result<Alternative> numeric(const json& operand) const {
    constexpr double kNoEnd = std::numeric_limits<double>::infinity();
    Alternative range;
    range.kind = Kind::kNumeric;
    range.number = -kNoEnd;
    range.number_max = kNoEnd;
    const Error how = wrong(
        "\"numeric\" takes a comparison and a number, such as [\"<=\", 5], or the two ends of a "
        "range, the lower one first: [\">\", 0, \"<=\", 5]");
    if (!operand.is_array() || (operand.size() != 2 && operand.size() != 4)) return how;
    for (std::size_t i = 0; i < operand.size(); i += 2) {
      if (!operand[i].is_string() || !operand[i + 1].is_number()) return how;
      const auto comparison = operand[i].get<std::string>();
      if (operand.size() == 4 && !comparison.starts_with(i == 0 ? '>' : '<')) return how;
      if (!narrow(range, comparison, operand[i + 1].get<double>())) return how;
    }
    const bool empty = range.number > range.number_max || (range.number == range.number_max &&
                                                           !(range.min_inside && range.max_inside));
    if (empty) return wrong("no number lies in this range");
    return range;
  }

  Result<Alternative> operation(const json& value) const {
    const std::string& name = value.begin().key();
    const json& operand = value.begin().value();
    if (name == "prefix") return affix(Kind::kPrefix, name, operand);
    if (name == "suffix") return affix(Kind::kSuffix, name, operand);
    if (name == "equals-ignore-case") return any_case(operand);
    if (name == "wildcard") return wildcard(operand);
    if (name == "exists") return exists(operand);
    if (name == "anything-but") return anything_but(operand);
    if (name == "numeric") return numeric(operand);
    if (name == "cidr") return cidr(operand);
    if (std::ranges::find(kReserved, name) != kReserved.end()) {
      return wrong(fmt::format("there is no \"{}\" yet", name));
    }
    return no_alternative(value);
  }
};

}  // namespace

std::string shortened(std::string text) {
  constexpr std::size_t kNamedMax = 120;
  if (text.size() <= kNamedMax) return text;
  std::size_t end = kNamedMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;
  return text.substr(0, end) + "…";
}

Result<Alternative> compile_alternative(const json& value, const std::string& field) {
  const Reader reader{field};
  if (auto literal = Reader::literal(value)) return *std::move(literal);
  if (value.is_object() && value.size() == 1) return reader.operation(value);
  return reader.no_alternative(value);
}

}  // namespace fanfare::protocol
