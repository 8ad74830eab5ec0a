#include "cli/checkup.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace fanfare::cli {

std::string_view to_string(Finding::Level level) {
  switch (level) {
    case Finding::Level::kWarning:
      return "warn";
    case Finding::Level::kFailure:
      return "fail";
    case Finding::Level::kOk:
      break;
  }
  return "ok";
}

std::string advice_to_reach(std::string_view why, std::string start) {
  if (why.find(std::strerror(EACCES)) == why.npos) return start;
  return "ask as root, or as a user who may connect there";
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

bool is_nobody_there(const Facts& facts) {
  return !facts.redis.unreachable.empty() && !facts.broker.unreachable.empty();
}

std::vector<Finding> examine(const Facts& facts) {
  std::vector<Finding> findings;
  examine_redis(facts, findings);
  examine_services(facts, findings);
  examine_host(facts, findings);
  return findings;
}

}  // namespace fanfare::cli
