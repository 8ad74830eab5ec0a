// Frames that no peer may send: what is left of a message that was cut off or had bits flipped, or
// never was one.
//
// A message with flipped bits often is another valid message. These are not: protocol::decode
// refuses every one of them.
#pragma once

#include <string>
#include <string_view>

#include "tests/simulation/random.h"

namespace fanfare::simulation {

// Made of `message`, a valid one, or of nothing.
std::string spoil(std::string_view message, Random& random);

// Made of any message that there is, half of it of those that carry the work: Publish, Deliver,
// Done.
std::string some_garbage(Random& random);

}  // namespace fanfare::simulation
