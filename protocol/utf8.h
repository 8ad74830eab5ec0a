// Text that comes from users' code, made fit to travel as text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace fanfare::protocol {

// `bytes` with every byte that begins no valid sequence replaced by U+FFFD, and at most `bytes_max`
// bytes long, cut between characters.
std::string to_utf8(std::string_view bytes, std::size_t bytes_max);

}  // namespace fanfare::protocol
