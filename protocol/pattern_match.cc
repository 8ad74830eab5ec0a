#include "protocol/pattern_match.h"

#include <algorithm>
#include <vector>

#include "protocol/fold_case.h"
#include "protocol/json_text.h"

namespace fanfare::protocol {
namespace {

using Kind = Alternative::Kind;
using simdjson::dom::element;

// The first piece where the text begins, the last one where it ends, the others as early as can be:
// if they can be found at all, they can be found so.
bool wildcard_matches(const std::vector<std::string>& pieces, std::string_view text) {
  const std::string& first = pieces.front();
  const std::string& last = pieces.back();
  if (pieces.size() == 1) return text == first;
  if (text.size() < first.size() + last.size() || !text.starts_with(first) ||
      !text.ends_with(last)) {
    return false;
  }
  text.remove_prefix(first.size());
  text.remove_suffix(last.size());
  for (std::size_t i = 1; i + 1 < pieces.size(); ++i) {
    const std::size_t at = text.find(pieces[i]);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + pieces[i].size());
  }
  return true;
}

bool leaf_matches(const Alternative& alternative, const element& leaf) {
  switch (alternative.kind) {
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
    default: {
      std::string_view text;
      return leaf.get(text) == simdjson::SUCCESS && matches(alternative, text);
    }
  }
}

bool any_matches(const FieldTest& test, const element& leaf) {
  return std::ranges::any_of(test.alternatives,
                             [&](const Alternative& a) { return leaf_matches(a, leaf); });
}

// Whether the path, from its element `depth` on, leads to a value somewhere in `at`.
bool is_there(const std::vector<std::string>& path, std::size_t depth, const element& at) {
  simdjson::dom::array elements;
  if (at.get(elements) == simdjson::SUCCESS) {
    for (const element one : elements) {
      if (is_there(path, depth, one)) return true;
    }
    return false;
  }
  simdjson::dom::object object;
  const bool is_object = at.get(object) == simdjson::SUCCESS;
  if (depth == path.size()) return !is_object;
  element inner;
  return is_object && object.at_key(path[depth]).get(inner) == simdjson::SUCCESS &&
         is_there(path, depth + 1, inner);
}

// Null stands for a document that is not there: then only {"exists": false} holds.
bool fields_match(const Branch& branch, const element* root) {
  std::vector<const FieldTest*> wanted;  // where there is something
  wanted.reserve(branch.fields.size());
  for (const FieldTest& test : branch.fields) {
    if (root && is_there(test.path, 0, *root)) {
      wanted.push_back(&test);
    } else if (!absence_matches(test)) {
      return false;
    }
  }
  return wanted.empty() || all_hold(wanted, 0, *root);
}

// Of an event's JSON view.
bool attribute_matches(const FieldTest& test, const element& root) {
  element at, inner;
  if (root.at_key(test.path.front()).get(at) != simdjson::SUCCESS) return absence_matches(test);
  if (test.path.size() == 1) {
    std::string_view text;
    return at.get(text) == simdjson::SUCCESS ? text_matches(test, text) : absence_matches(test);
  }
  bool found = false, holds = false;
  simdjson::dom::object object;
  if (at.get(object) == simdjson::SUCCESS &&
      object.at_key(name_of_attribute(test.path)).get(inner) == simdjson::SUCCESS) {
    each_value(inner, false, [&](const element& value, bool) {
      found = true;
      holds = holds || any_matches(test, value);
    });
  }
  return found ? holds : absence_matches(test);
}

}  // namespace

bool parse_attributes(simdjson::dom::parser& parser, std::string_view text,
                      simdjson::dom::object& object) {
  return text.starts_with('{') && nests_within_bounds(text) &&
         parser.parse(text.data(), text.size()).get(object) == simdjson::SUCCESS;
}

std::string name_of_attribute(const std::vector<std::string>& path) {
  std::string name = path.at(1);
  for (std::size_t i = 2; i < path.size(); ++i) name += "." + path[i];
  return name;
}

bool in_range(const Alternative& range, double number) {
  const bool above = range.min_inside ? number >= range.number : number > range.number;
  const bool below = range.max_inside ? number <= range.number_max : number < range.number_max;
  return above && below;
}

bool all_hold(std::span<const FieldTest* const> tests, std::size_t depth, const element& at) {
  simdjson::dom::array elements;
  if (at.get(elements) == simdjson::SUCCESS) {
    for (const element one : elements) {
      if (all_hold(tests, depth, one)) return true;
    }
    return false;
  }
  simdjson::dom::object object;
  const bool is_object = at.get(object) == simdjson::SUCCESS;
  while (!tests.empty()) {
    const FieldTest& test = *tests.front();
    if (test.path.size() == depth) {
      if (is_object || !any_matches(test, at)) return false;
      tests = tests.subspan(1);
      continue;
    }
    const std::string& key = test.path[depth];
    const auto others =
        std::ranges::find_if(tests, [&](const FieldTest* one) { return one->path[depth] != key; });
    const auto count = static_cast<std::size_t>(others - tests.begin());
    element inner;
    if (!is_object || object.at_key(key).get(inner) != simdjson::SUCCESS ||
        !all_hold(tests.first(count), depth + 1, inner)) {
      return false;
    }
    tests = tests.subspan(count);
  }
  return true;
}

bool matches_as_written(const Alternative& alternative, std::string_view text) {
  switch (alternative.kind) {
    case Kind::kString:
      return text == alternative.text;
    case Kind::kPrefix:
      return text.starts_with(alternative.text);
    case Kind::kSuffix:
      return text.ends_with(alternative.text);
    case Kind::kWildcard:
      return wildcard_matches(alternative.pieces, text);
    case Kind::kCidr:
      return alternative.cidr.contains(text);
    case Kind::kExists:
      return alternative.flag;
    case Kind::kAnythingBut:
      return std::ranges::none_of(alternative.excluded,
                                  [&](const Alternative& a) { return matches(a, text); });
    default:
      return false;
  }
}

bool matches(const Alternative& alternative, std::string_view text) {
  if (alternative.any_case) return matches_as_written(alternative, fold_case(text));
  return matches_as_written(alternative, text);
}

bool text_matches(const FieldTest& test, std::string_view text) {
  return std::ranges::any_of(test.alternatives,
                             [&](const Alternative& a) { return matches(a, text); });
}

bool absence_matches(const FieldTest& test) {
  return std::ranges::any_of(
      test.alternatives, [](const Alternative& a) { return a.kind == Kind::kExists && !a.flag; });
}

bool matches(const Pattern& pattern, std::string_view json) {
  simdjson::dom::parser parser;
  element root, data;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS) return false;
  if (!root.is_object()) return false;
  const element* fields_of = &root;
  if (pattern.over_events) {
    fields_of = root.at_key("data").get(data) == simdjson::SUCCESS ? &data : nullptr;
  }
  return std::ranges::any_of(pattern.branches, [&](const Branch& branch) {
    const bool attributes = std::ranges::all_of(
        branch.attributes, [&](const FieldTest& test) { return attribute_matches(test, root); });
    return attributes && fields_match(branch, fields_of);
  });
}

}  // namespace fanfare::protocol
