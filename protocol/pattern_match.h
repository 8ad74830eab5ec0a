// How a pattern's tests are held against parsed JSON. Apart from pattern.h because simdjson's
// header is expensive to read: for what matches only, the router and pattern_match.cc.
#pragma once

#include <simdjson.h>

#include "protocol/pattern.h"

namespace fanfare::protocol {

// Does the test hold for the field that the rest of its path, from element `from` on, leads to
// within `root`? Null stands for a document that is not there: then only {"exists": false} does.
bool matches(const FieldTest& test, const simdjson::dom::element* root, std::size_t from);

}  // namespace fanfare::protocol
