// What of a setting nobody should read over a shoulder.
#include <algorithm>
#include <string_view>

#include "base/config.h"

namespace fanfare {
namespace {

constexpr std::string_view kMask = "***";

bool is_secret(std::string_view key) {
  for (const std::string_view word : {"secret", "token", "password", "key"}) {
    if (key == word || key.ends_with("_" + std::string(word))) return true;
  }
  return false;
}

}  // namespace

std::string shown_value(const ConfigSetting& setting) {
  if (is_secret(setting.key)) return setting.value.empty() ? "" : std::string(kMask);
  // scheme://user:password@host: in each URL of the value.
  std::string value = setting.value;
  for (std::size_t at = value.find("://"); at != value.npos; at = value.find("://", at)) {
    at += 3;
    const std::size_t end = std::min(value.find_first_of("/ ,", at), value.size());
    const std::size_t host = value.rfind('@', end);
    const std::size_t colon = value.find(':', at);
    if (host == value.npos || host < at || colon >= host) continue;
    value.replace(colon + 1, host - colon - 1, kMask);
  }
  return value;
}

}  // namespace fanfare
