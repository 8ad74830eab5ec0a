// Sizes in bytes as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare {

// "256MiB", "6MB", "1.5GiB", "512 kB", or plain bytes: "4096". Binary units (KiB, MiB, GiB, TiB)
// count in 1024s, decimal ones (kB, MB, GB, TB) in 1000s; case matters only where it would be
// ambiguous, that is never, so it is ignored. Rejects negative values, fractions of a byte, unknown
// units and anything over 8 EiB, naming the text it was given.
Result<std::uint64_t> parse_size(std::string_view text);

// The shortest text that parse_size reads back as the same value: "256MiB", "6MB", "1000001".
std::string format_size(std::uint64_t bytes);

}  // namespace fanfare
