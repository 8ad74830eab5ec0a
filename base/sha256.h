// SHA-256, as functions' packages are named by it.
#pragma once

#include <string>
#include <string_view>

namespace fanfare {

std::string sha256_hex(std::string_view bytes);  // 64 lowercase hex digits

}  // namespace fanfare
