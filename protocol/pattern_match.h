// How a branch's tests are held against parsed JSON. Apart from pattern.h because simdjson's
// header is expensive to read: for what matches only, the router and pattern_match.cc.
#pragma once

#include <simdjson.h>

#include "protocol/pattern.h"

namespace fanfare::protocol {

// Do all `fields` of the branch hold for `root`? Null stands for a document that is not there: then
// only {"exists": false} does.
bool fields_match(const Branch& branch, const simdjson::dom::element* root);

}  // namespace fanfare::protocol
