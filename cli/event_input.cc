#include "cli/event_input.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "protocol/ids.h"

namespace fanfare::cli {
namespace {

// Reads one byte more than is taken: enough to know that it is too large.
Result<std::string> read_at_most(std::istream& in, const std::string& what, std::size_t bytes_max) {
  std::string data(bytes_max + 1, '\0');
  errno = 0;
  in.read(data.data(), static_cast<std::streamsize>(data.size()));
  if (in.bad()) {  // a folder opens like a file, and then cannot be read
    return fatal(fmt::format("cannot read {}: {}", what, std::strerror(errno)));
  }
  data.resize(static_cast<std::size_t>(in.gcount()));
  if (data.size() > bytes_max) {
    return reject(fmt::format("too_large: {} has more than {} bytes, the limit", what, bytes_max));
  }
  return data;
}

Result<void> set_duration(std::string_view flag, const std::string& text,
                          std::optional<std::int64_t>& target) {
  if (text.empty()) return {};
  const auto duration = parse_duration(text);
  if (!duration) return fatal(fmt::format("{}: {}", flag, duration.error().message));
  target = std::chrono::duration_cast<std::chrono::milliseconds>(*duration).count();
  return {};
}

Result<void> set_instant(std::string_view flag, const std::string& text,
                         std::optional<std::int64_t>& target) {
  if (text.empty()) return {};
  const auto instant = parse_wall_time(text);
  if (!instant) return fatal(fmt::format("{}: {}", flag, instant.error().message));
  target = to_ms(*instant);
  return {};
}

}  // namespace

Result<std::string> read_data(const std::string& text, std::string_view what,
                              std::size_t bytes_max) {
  if (text == "-") return read_at_most(std::cin, "standard input", bytes_max);
  if (!text.starts_with('@')) {
    if (text.size() <= bytes_max) return text;
    return reject(fmt::format("too_large: {} has more than {} bytes, the limit", what, bytes_max));
  }
  const std::string name = fmt::format("{} file '{}'", what, text.substr(1));
  std::ifstream file(text.substr(1), std::ios::binary);
  if (!file) return fatal(fmt::format("cannot read {}: {}", name, std::strerror(errno)));
  return read_at_most(file, name, bytes_max);
}

std::string guess_content_type(std::string_view data) {
  if (!is_utf8(data)) return "application/octet-stream";
  if (data.find_first_not_of(" \t\r\n") != data.npos && nlohmann::json::accept(data)) {
    return "application/json";
  }
  return "text/plain";
}

Result<protocol::Event> make_event(const EventFlags& flags) {
  protocol::Event event;
  event.type = flags.type;
  event.source = flags.source;
  event.subject = flags.subject;
  event.id = flags.id;
  if (flags.data) {
    auto data = read_data(*flags.data, "--data", protocol::kEventDataBytesCeiling);
    if (!data) return data.error();
    event.data = *std::move(data);
    event.content_type =
        flags.content_type.empty() ? guess_content_type(event.data) : flags.content_type;
  }
  if (auto set = set_duration("--delay", flags.delay, event.options.delay); !set)
    return set.error();
  if (auto set = set_duration("--max-age", flags.max_age, event.options.max_age); !set) {
    return set.error();
  }
  if (auto set = set_instant("--deliver-at", flags.deliver_at, event.options.deliver_at); !set) {
    return set.error();
  }
  if (auto set = set_instant("--expires-at", flags.expires_at, event.options.expires_at); !set) {
    return set.error();
  }
  if (flags.priority) event.options.priority = static_cast<std::uint8_t>(*flags.priority);
  event.options.ordering_key = flags.ordering_key;
  event.options.idempotency_key = flags.idempotency_key;
  event.options.tenant = flags.tenant;
  event.options.to = flags.to;
  return event;
}

}  // namespace fanfare::cli
