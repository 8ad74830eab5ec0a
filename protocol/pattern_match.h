// How a branch's tests are held against parsed JSON. Apart from pattern.h because simdjson's
// header is expensive to read: for what matches only.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <span>
#include <string_view>

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

}  // namespace fanfare::protocol
