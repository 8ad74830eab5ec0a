#include "base/size.h"

#include <fmt/format.h>
#include <strings.h>

#include <array>

#include "base/decimal.h"

namespace fanfare {
namespace {

struct SizeUnit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<SizeUnit, 9> kSizeUnits{{{"TiB", 1ull << 40},
                                              {"TB", 1'000'000'000'000},
                                              {"GiB", 1ull << 30},
                                              {"GB", 1'000'000'000},
                                              {"MiB", 1ull << 20},
                                              {"MB", 1'000'000},
                                              {"KiB", 1ull << 10},
                                              {"kB", 1'000},
                                              {"B", 1}}};
constexpr std::uint64_t kLargest = 1ull << 63;

bool same_unit(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto number = split_decimal(text);
  const std::string_view name = number && number->unit.empty() ? "B" : number ? number->unit : "";
  for (const SizeUnit& unit : kSizeUnits) {
    if (!same_unit(name, unit.name)) continue;
    if (const auto bytes = scale(*number, unit.bytes, kLargest)) return *bytes;
    return reject(fmt::format("'{}' is not a whole number of bytes up to 8 EiB", text));
  }
  return reject(fmt::format(
      "'{}' is not a size: write a number and one of B, kB, KiB, MB, MiB, GB, GiB, as in 256MiB",
      text));
}

std::string format_size(std::uint64_t bytes) {
  std::string shortest = fmt::format("{}", bytes);
  std::size_t size_max = shortest.size();  // as long as plain bytes is good enough for a unit
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes == 0 || bytes % unit.bytes != 0 || unit.bytes == 1) continue;
    std::string text = fmt::format("{}{}", bytes / unit.bytes, unit.name);
    if (text.size() > size_max) continue;
    size_max = text.size() - 1;
    shortest = std::move(text);
  }
  return shortest;
}

}  // namespace fanfare
