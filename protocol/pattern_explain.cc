#include "protocol/pattern_explain.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"
#include "protocol/pattern_alternative.h"
#include "protocol/pattern_match.h"

namespace fanfare::protocol {
namespace {

using Path = std::vector<std::string>;
using simdjson::dom::element;

std::string in_quotes(const std::string& text) {
  std::string json;
  append_json_string(json, shortened(text));
  return json;
}

std::string wildcard_of(const Alternative& wildcard) {
  std::string text;
  for (std::size_t i = 0; i < wildcard.pieces.size(); ++i) {
    if (i > 0) text += '*';
    for (const char c : wildcard.pieces[i]) {
      if (c == '*' || c == '\\') text += '\\';
      text += c;
    }
  }
  return in_quotes(text);
}

std::string range_of(const Alternative& range) {
  if (range.number == range.number_max) return fmt::format("= {}", range.number);
  std::string text;
  if (std::isfinite(range.number)) {
    text = fmt::format("{} {}", range.min_inside ? ">=" : ">", range.number);
  }
  if (!std::isfinite(range.number_max)) return text;
  if (!text.empty()) text += " and ";
  return text + fmt::format("{} {}", range.max_inside ? "<=" : "<", range.number_max);
}

std::string cidr_of(const Cidr& cidr) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(cidr.bytes == 4 ? AF_INET : AF_INET6, cidr.address.data(), text.data(), text.size());
  return fmt::format("an address in {}/{}", text.data(), cidr.bits);
}

std::string all_in_words(const std::vector<Alternative>& alternatives, std::string_view between) {
  constexpr std::size_t kNamedMax = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(alternatives.size(), kNamedMax); ++i) {
    if (i > 0) text += between;
    text += in_words(alternatives[i]);
  }
  if (alternatives.size() <= kNamedMax) return text;
  return text + fmt::format("{}{} others", between, alternatives.size() - kNamedMax);
}

// What is at a path, through all arrays on the way.
struct Found {
  std::vector<element> values;
  bool object = false;
};

void find(const Path& path, std::size_t depth, const element& at, Found& found) {
  simdjson::dom::array elements;
  if (at.get(elements) == simdjson::SUCCESS) {
    for (const element one : elements) find(path, depth, one, found);
    return;
  }
  if (depth == path.size()) {
    if (at.is_object()) {
      found.object = true;
    } else {
      found.values.push_back(at);
    }
    return;
  }
  simdjson::dom::object object;
  element inner;
  if (at.get(object) == simdjson::SUCCESS &&
      object.at_key(path[depth]).get(inner) == simdjson::SUCCESS) {
    find(path, depth + 1, inner, found);
  }
}

// Whether some way along the path ends at an array.
bool ends_at_array(const Path& path, std::size_t depth, const element& at) {
  simdjson::dom::array elements;
  if (at.get(elements) == simdjson::SUCCESS) {
    if (depth == path.size()) return true;
    for (const element one : elements) {
      if (ends_at_array(path, depth, one)) return true;
    }
    return false;
  }
  simdjson::dom::object object;
  element inner;
  return depth < path.size() && at.get(object) == simdjson::SUCCESS &&
         object.at_key(path[depth]).get(inner) == simdjson::SUCCESS &&
         ends_at_array(path, depth + 1, inner);
}

class Explaining {
 public:
  Explaining(const Pattern& pattern, const element& root) : pattern_(pattern), root_(root) {
    has_data_ = !pattern.over_events || root.at_key("data").get(data_) == simdjson::SUCCESS;
    if (!pattern.over_events) data_ = root;
  }

  BranchExplained branch(const Branch& branch) const {
    BranchExplained told;
    for (const FieldTest& test : branch.attributes) told.fields.push_back(attribute(test));
    std::vector<const FieldTest*> there;
    for (const FieldTest& test : branch.fields) {
      Found found;
      if (has_data_) find(test.path, 0, data_, found);
      if (!found.values.empty()) there.push_back(&test);
      told.fields.push_back(explained(test, name_of(test.path), found));
    }
    told.matches = std::ranges::all_of(told.fields, &FieldExplained::holds);
    if (told.matches && !there.empty() && !all_hold(there, 0, data_)) {
      told.matches = false;
      tell_apart(there, told);
    }
    return told;
  }

 private:
  std::string name_of(const Path& path) const {
    std::string name = fmt::format("{}", fmt::join(path, "."));
    if (!pattern_.over_events) return name;
    return name.empty() ? "data" : "data." + name;
  }

  // Of an event these are texts, but for those within kNotificationAttributes.
  FieldExplained attribute(const FieldTest& test) const {
    Found found;
    element value;
    if (test.path.size() > 1) {
      const Path path{test.path.front(), name_of_attribute(test.path)};
      find(path, 0, root_, found);
      return explained(test, fmt::format("{}", fmt::join(path, ".")), found);
    }
    if (root_.at_key(test.path.front()).get(value) == simdjson::SUCCESS && value.is_string()) {
      found.values.push_back(value);
    }
    return explained(test, test.path.front(), found);
  }

  static FieldExplained explained(const FieldTest& test, std::string path, const Found& found) {
    FieldExplained told;
    told.path = shortened(std::move(path));
    told.wanted = all_in_words(test.alternatives, " or ");
    told.is_object = found.values.empty() && found.object;
    told.holds = found.values.empty() && absence_matches(test);
    // A path of no keys holds for the value itself.
    const FieldTest here{.path = {}, .alternatives = test.alternatives};
    const FieldTest* const only = &here;
    for (const element& value : found.values) {
      told.holds = told.holds || all_hold({&only, 1}, 0, value);
      if (told.found.size() == kFoundMax) {
        ++told.found_more;
      } else {
        told.found.push_back(simdjson::minify(value));
      }
    }
    return told;
  }

  // The smallest group of fields with a beginning in common that do not hold together.
  void tell_apart(const std::vector<const FieldTest*>& there, BranchExplained& told) const {
    std::size_t longest = 0;
    for (const FieldTest* test : there) longest = std::max(longest, test->path.size());
    for (std::size_t length = longest + 1; length-- > 0;) {
      for (const FieldTest* first : there) {
        if (first->path.size() < length) continue;
        const Path begin(first->path.begin(), first->path.begin() + static_cast<long>(length));
        std::vector<const FieldTest*> group;
        std::ranges::copy_if(there, std::back_inserter(group), [&](const FieldTest* one) {
          return one->path.size() >= length &&
                 std::equal(begin.begin(), begin.end(), one->path.begin());
        });
        if (all_hold(group, 0, data_)) continue;
        for (const FieldTest* one : group) told.apart.push_back(shortened(name_of(one->path)));
        told.array = array_at_or_before(begin);
        return;
      }
    }
  }

  std::string array_at_or_before(Path path) const {
    while (!path.empty() && !ends_at_array(path, 0, data_)) path.pop_back();
    return shortened(name_of(path));
  }

  const Pattern& pattern_;
  const element& root_;
  element data_;
  bool has_data_ = false;
};

}  // namespace

std::string in_words(const Alternative& one) {
  const std::string_view how = one.any_case ? " in any case" : "";
  switch (one.kind) {
    case Alternative::Kind::kString:
      return in_quotes(one.text) + std::string(how);
    case Alternative::Kind::kPrefix:
      return fmt::format("prefix {}{}", in_quotes(one.text), how);
    case Alternative::Kind::kSuffix:
      return fmt::format("suffix {}{}", in_quotes(one.text), how);
    case Alternative::Kind::kWildcard:
      return "wildcard " + wildcard_of(one);
    case Alternative::Kind::kNumber:
      return fmt::format("{}", one.number);
    case Alternative::Kind::kBool:
      return one.flag ? "true" : "false";
    case Alternative::Kind::kNull:
      return "null";
    case Alternative::Kind::kExists:
      return one.flag ? "any value" : "no value";
    case Alternative::Kind::kAnythingBut:
      return "anything but " + all_in_words(one.excluded, ", ");
    case Alternative::Kind::kNumeric:
      return "a number " + range_of(one);
    case Alternative::Kind::kCidr:
      return cidr_of(one.cidr);
  }
  return {};
}

Result<Explained> explain(const Pattern& pattern, std::string_view json) {
  simdjson::dom::parser parser;
  element root;
  if (!nests_within_bounds(json) ||
      parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return reject(fmt::format("this is no JSON object, or nested over {} deep", kJsonDepthMax));
  }
  const Explaining explaining(pattern, root);
  Explained told;
  for (const Branch& branch : pattern.branches) {
    told.branches.push_back(explaining.branch(branch));
    told.matches = told.matches || told.branches.back().matches;
  }
  return told;
}

}  // namespace fanfare::protocol
