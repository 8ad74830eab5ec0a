// How a branch's tests are held against parsed JSON. Apart from pattern.h because simdjson's
// header is expensive to read: for what matches only.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/pattern.h"

namespace fanfare::protocol {

// Whether all of the tests, which have the first `depth` elements of their paths in common, hold
// for what is `at` the end of these. In an array it is one element for which they all do. They are
// ascending by path.
bool all_hold(std::span<const FieldTest* const> tests, std::size_t depth,
              const simdjson::dom::element& at);

// Of a kNumeric.
bool in_range(const Alternative& range, double number);

// Of an alternative over texts, to which `text` comes without its case if it is `any_case`.
bool matches_as_written(const Alternative& alternative, std::string_view text);

// Reads the text of the extension kNotificationAttributes. False: it is no JSON object.
bool parse_attributes(simdjson::dom::parser& parser, std::string_view text,
                      simdjson::dom::object& object);

// Calls `each` with the values of an attribute: itself, or the elements of arrays. Objects are
// none.
template <typename Each>
void each_value(const simdjson::dom::element& at, bool in_array, const Each& each) {
  simdjson::dom::array elements;
  if (at.get(elements) == simdjson::SUCCESS) {
    for (const simdjson::dom::element one : elements) each_value(one, true, each);
  } else if (!at.is_object()) {
    each(at, in_array);
  }
}

// The name of an attribute, of the path of a test that begins with kNotificationAttributes.
std::string name_of_attribute(const std::vector<std::string>& path);

}  // namespace fanfare::protocol
