#include "protocol/pattern_match.h"

#include <algorithm>
#include <optional>

namespace fanfare::protocol {
namespace {

using Kind = Alternative::Kind;
using simdjson::dom::element;

bool in_range(const Alternative& range, double number) {
  const bool above = range.min_inside ? number >= range.number : number > range.number;
  const bool below = range.max_inside ? number <= range.number_max : number < range.number_max;
  return above && below;
}

bool leaf_matches(const Alternative& alternative, const element& leaf) {
  switch (alternative.kind) {
    case Kind::kString:
    case Kind::kPrefix: {
      std::string_view text;
      return leaf.get(text) == simdjson::SUCCESS && matches(alternative, text);
    }
    case Kind::kNumber:
    case Kind::kNumeric: {
      double number = 0;
      if (leaf.get(number) != simdjson::SUCCESS) return false;
      return alternative.kind == Kind::kNumber ? number == alternative.number
                                               : in_range(alternative, number);
    }
    case Kind::kBool: {
      bool flag = false;
      return leaf.get(flag) == simdjson::SUCCESS && flag == alternative.flag;
    }
    case Kind::kNull:
      return leaf.is_null();
    case Kind::kExists:
      return alternative.flag;
    case Kind::kAnythingBut:
      return std::ranges::none_of(alternative.excluded,
                                  [&](const Alternative& a) { return leaf_matches(a, leaf); });
  }
  return false;
}

bool any_matches(const FieldTest& test, const element& leaf) {
  return std::ranges::any_of(test.alternatives,
                             [&](const Alternative& a) { return leaf_matches(a, leaf); });
}

bool is_leaf(const element& value) {
  return !value.is_array() && !value.is_object();
}

// What the path leads to, if there is something.
std::optional<element> find(const element& root, const std::vector<std::string>& path,
                            std::size_t from) {
  element at = root;
  for (std::size_t i = from; i < path.size(); ++i) {
    simdjson::dom::object object;
    if (at.get(object) != simdjson::SUCCESS) return std::nullopt;
    if (object.at_key(path[i]).get(at) != simdjson::SUCCESS) return std::nullopt;
  }
  return at;
}

}  // namespace

bool matches(const Alternative& alternative, std::string_view text) {
  switch (alternative.kind) {
    case Kind::kString:
      return text == alternative.text;
    case Kind::kPrefix:
      return text.starts_with(alternative.text);
    case Kind::kExists:
      return alternative.flag;
    case Kind::kAnythingBut:
      return std::ranges::none_of(alternative.excluded,
                                  [&](const Alternative& a) { return matches(a, text); });
    default:
      return false;
  }
}

bool text_matches(const FieldTest& test, std::string_view text) {
  return std::ranges::any_of(test.alternatives,
                             [&](const Alternative& a) { return matches(a, text); });
}

bool absence_matches(const FieldTest& test) {
  return std::ranges::any_of(
      test.alternatives, [](const Alternative& a) { return a.kind == Kind::kExists && !a.flag; });
}

bool matches(const FieldTest& test, const element* root, std::size_t from) {
  const auto value = root ? find(*root, test.path, from) : std::nullopt;
  if (!value) return absence_matches(test);
  if (is_leaf(*value)) return any_matches(test, *value);
  // An object, and an array without values, is as good as nothing there.
  bool some = false;
  simdjson::dom::array elements;
  if (value->get(elements) == simdjson::SUCCESS) {
    for (const element entry : elements) {
      if (!is_leaf(entry)) continue;
      if (any_matches(test, entry)) return true;
      some = true;
    }
  }
  return !some && absence_matches(test);
}

bool matches(const Pattern& pattern, std::string_view json) {
  simdjson::dom::parser parser;
  element root;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS) return false;
  if (!root.is_object()) return false;
  return std::ranges::all_of(pattern.tests,
                             [&](const FieldTest& test) { return matches(test, &root, 0); });
}

}  // namespace fanfare::protocol
