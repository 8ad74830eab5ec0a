// Base64 with the standard alphabet and padding (RFC 4648, section 4).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare::protocol {

std::string to_base64(std::string_view bytes);
// Rejects other characters, line breaks included, and missing padding.
Result<std::string> from_base64(std::string_view text);

}  // namespace fanfare::protocol
