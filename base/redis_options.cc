#include "base/redis_options.h"

#include <fmt/format.h>

#include <charconv>

namespace fanfare {

Result<RedisOptions> parse_redis_url(std::string_view url) {
  const auto refused = [url] {
    return reject(fmt::format(
        "'{}' is not a Redis address: write unix:///path/redis.sock or redis://127.0.0.1:6379",
        url));
  };
  // Not repeated: it may hold a password.
  if (url.find('@') != std::string_view::npos && !url.starts_with('/') &&
      !url.starts_with("unix://")) {
    return reject(
        "a Redis address with a user or a password: Fanfare does not log in. Give Redis' user "
        "default what docs/redis.md says, and guard the way to it");
  }
  RedisOptions options;
  std::string_view rest = url;
  if (rest.starts_with("unix://")) rest.remove_prefix(7);
  if (rest.starts_with('/')) {
    options.unix_path = rest;
    return options;
  }
  if (rest.starts_with("redis://")) rest.remove_prefix(8);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
    const std::string_view port = rest.substr(colon + 1);
    const auto end = port.data() + port.size();
    const auto parsed = std::from_chars(port.data(), end, options.port);
    if (parsed.ec != std::errc{} || parsed.ptr != end || options.port == 0) return refused();
    rest = rest.substr(0, colon);
  }
  if (rest.empty() || rest.find_first_of("/:@ ") != std::string_view::npos) return refused();
  options.host = rest;
  return options;
}

std::string to_string(const RedisOptions& options) {
  if (!options.unix_path.empty()) return fmt::format("unix://{}", options.unix_path);
  return fmt::format("redis://{}:{}", options.host, options.port);
}

}  // namespace fanfare
