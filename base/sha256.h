// SHA-256: functions' packages are named by it, callers' ids and keys are known by it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace fanfare {

std::array<std::uint8_t, 32> sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);  // 64 lowercase hex digits

}  // namespace fanfare
