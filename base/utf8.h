// Whether bytes are text.
#pragma once

#include <cstddef>
#include <string_view>

namespace fanfare {

// The length of the valid UTF-8 sequence that `bytes` begins with (1 to 4), or 0 if it begins with
// none: a stray or cut-off byte, an overlong form, a surrogate, beyond U+10FFFF.
std::size_t utf8_sequence(std::string_view bytes);

bool is_utf8(std::string_view bytes);

}  // namespace fanfare
