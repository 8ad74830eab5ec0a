#include "protocol/manifest_settings.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/size.h"
#include "protocol/ids.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMiB = 1ull << 20;

// ---- reading values; an error is the reason only, its place and key are added by whoever calls
// ----

Result<std::int64_t> integer_of(const toml::node& node, std::int64_t min, std::int64_t max) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value) return reject("must be an integer");
  if (*value >= min && *value <= max) return *value;
  return reject("is " + std::to_string(*value) + ", must be from " + std::to_string(min) + " to " +
                std::to_string(max));
}

template <typename T>
Result<void> read_integer(const toml::node& node, T& target, std::int64_t min, std::int64_t max) {
  const auto value = integer_of(node, min, max);
  if (!value) return value.error();
  target = static_cast<T>(*value);
  return {};
}

// A duration is a string like "30s", or a whole number of seconds.
Result<void> read_duration(const toml::node& node, Duration& target, Duration min, Duration max) {
  const auto number = node.value_exact<std::int64_t>();
  const auto text = number ? Result<std::string>{std::to_string(*number)} : text_of(node);
  if (!text) return reject("must be a duration like \"30s\"");
  const auto duration = parse_duration(*text);
  if (!duration) return duration.error();
  if (*duration < min || *duration > max) {
    return reject("is " + format_duration(*duration) + ", must be from " + format_duration(min) +
                  " to " + format_duration(max));
  }
  target = *duration;
  return {};
}

Result<void> read_size(const toml::node& node, std::uint64_t& target, std::uint64_t min,
                       std::uint64_t max) {
  const auto number = node.value_exact<std::int64_t>();
  const auto text = number ? Result<std::string>{std::to_string(*number)} : text_of(node);
  if (!text) return reject("must be a size like \"256MiB\"");
  const auto size = parse_size(*text);
  if (!size) return size.error();
  if (*size < min || *size > max) {
    return reject("is " + format_size(*size) + ", must be from " + format_size(min) + " to " +
                  format_size(max));
  }
  target = *size;
  return {};
}

Result<void> read_choice(const toml::node& node, std::string& target,
                         std::initializer_list<std::string_view> choices) {
  const auto text = text_of(node);
  if (!text) return text.error();
  std::string list;
  for (const std::string_view choice : choices) {
    if (*text == choice) {
      target = *text;
      return {};
    }
    list += (list.empty() ? "" : ", ") + std::string{choice};
  }
  return reject("is \"" + *text + "\", must be one of " + list);
}

Result<void> read_name(const toml::node& node, Manifest& manifest) {
  const auto text = text_of(node);
  if (!text) return text.error();
  if (!is_function_name(*text)) {
    return reject("is \"" + *text + "\", must be 1 to 64 of a-z, A-Z, 0-9, - and _");
  }
  manifest.name = *text;
  return {};
}

// A path that stays below the manifest's folder.
Result<void> read_handler(const toml::node& node, Manifest& manifest) {
  const auto text = text_of(node);
  if (!text) return text.error();
  if (text->empty() || text->starts_with('/') || text->find('\0') != std::string::npos) {
    return reject("must be a path relative to the manifest");
  }
  std::istringstream parts{*text};
  for (std::string part; std::getline(parts, part, '/');) {
    if (part == "..") return reject("is \"" + *text + "\", must not contain \"..\"");
  }
  manifest.handler = *text;
  return {};
}

// "100/s", "6000/m", "10/h".
Result<void> read_rate(const toml::node& node, Manifest& manifest) {
  const auto text = text_of(node);
  const Error wrong = reject("must be a rate like \"100/s\" (or /m, /h), up to 1000000/s");
  if (!text) return wrong;
  const std::size_t slash = text->find('/');
  if (slash == 0 || slash == std::string::npos || slash + 2 != text->size()) return wrong;
  if (text->substr(0, slash).find_first_not_of("0123456789.") != std::string::npos) return wrong;
  double number = 0;
  const char* const end = text->data() + slash;
  if (const auto read = std::from_chars(text->data(), end, number); read.ptr != end) return wrong;
  const char unit = text->back();
  const double seconds_per_unit = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 0;
  if (seconds_per_unit == 0 || !(number > 0) || number / seconds_per_unit > 1e6) return wrong;
  manifest.rate_per_second = number / seconds_per_unit;
  return {};
}

std::string print_rate(const Manifest& manifest) {
  if (manifest.rate_per_second == 0) return "none";
  for (const auto& [unit, seconds_per_unit] : {std::pair{"/s", 1}, {"/m", 60}, {"/h", 3600}}) {
    const double number = manifest.rate_per_second * seconds_per_unit;
    const double rounded = std::round(number * 1000) / 1000;
    if (rounded >= 0.001 && std::abs(rounded - number) < 1e-9 * number) {
      std::ostringstream text;
      text << rounded << unit;
      return text.str();
    }
  }
  return std::to_string(manifest.rate_per_second) + "/s";
}

// A TOML table written as a pattern, as the JSON text that it stands for.
Result<nlohmann::ordered_json> json_of(const toml::node& node) {
  using Json = nlohmann::ordered_json;
  if (const auto* table = node.as_table()) {
    Json json = Json::object();
    for (const auto& [key, value] : *table) {
      auto member = json_of(value);
      if (!member) return member;
      json[std::string{key.str()}] = std::move(*member);
    }
    return json;
  }
  if (const auto* array = node.as_array()) {
    Json json = Json::array();
    for (const auto& value : *array) {
      auto element = json_of(value);
      if (!element) return element;
      json.push_back(std::move(*element));
    }
    return json;
  }
  if (const auto text = node.value_exact<std::string>()) return Json(*text);
  if (const auto number = node.value_exact<std::int64_t>()) return Json(*number);
  if (const auto number = node.value_exact<double>(); number && std::isfinite(*number)) {
    return Json(*number);
  }
  if (const auto flag = node.value_exact<bool>()) return Json(*flag);
  return reject("may hold strings, finite numbers, true, false, arrays and tables only");
}

std::string or_none(const std::string& text) {
  return text.empty() ? "none" : text;
}

// A destination: a function's name or an event type.
Result<void> read_destination(const toml::node& node, std::string& target) {
  const auto text = text_of(node);
  if (!text) return text.error();
  if (text->empty() || text->size() > 1024 || !is_utf8(*text)) {
    return reject("must be the name of a function or a type of events, 1 to 1024 characters");
  }
  target = *text;
  return {};
}

using Node = const toml::node&;

constexpr Setting kSettings[] = {
    {"name", read_name, [](const Manifest& m) { return m.name; }},
    {"runtime",
     [](Node n, Manifest& m) { return read_choice(n, m.runtime, {"native", "provided"}); },
     [](const Manifest& m) { return m.runtime; }},
    {"handler", read_handler, [](const Manifest& m) { return m.handler; }},
    {"timeout",
     [](Node n, Manifest& m) { return read_duration(n, m.timeout, milliseconds{10}, hours{24}); },
     [](const Manifest& m) { return format_duration(m.timeout); }},
    {"memory",
     [](Node n, Manifest& m) { return read_size(n, m.memory_bytes, 16 * kMiB, kMiB * kMiB); },
     [](const Manifest& m) { return format_size(m.memory_bytes); }},
    {"max_concurrency",
     [](Node n, Manifest& m) { return read_integer(n, m.max_concurrency, 0, 1000000); },
     [](const Manifest& m) {
       return m.max_concurrency == 0 ? "as many as slots" : std::to_string(m.max_concurrency);
     }},
    {"provisioned", [](Node n, Manifest& m) { return read_integer(n, m.provisioned, 0, 10000); },
     [](const Manifest& m) { return std::to_string(m.provisioned); }},
    {"keep_alive",
     [](Node n, Manifest& m) {
       m.keep_alive_is_set = true;
       return read_duration(n, m.keep_alive, Duration{}, hours{24});
     },
     [](const Manifest& m) {
       return format_duration(m.keep_alive) +
              (m.keep_alive_is_set ? "" : ", then by its idle times");
     }},
    {"rate", read_rate, print_rate},
    {"batch.size", [](Node n, Manifest& m) { return read_integer(n, m.batch_size, 1, 256); },
     [](const Manifest& m) { return std::to_string(m.batch_size); }},
    {"batch.window",
     [](Node n, Manifest& m) { return read_duration(n, m.batch_window, Duration{}, seconds{300}); },
     [](const Manifest& m) { return format_duration(m.batch_window); }},
    {"retry.profile",
     [](Node n, Manifest& m) {
       return read_choice(n, m.retry.profile, {"standard", "lambda", "webhook", "none"});
     },
     [](const Manifest& m) { return m.retry.profile; }},
    {"retry.max_attempts",
     [](Node n, Manifest& m) { return read_integer(n, m.retry.max_attempts, 1, 100); },
     [](const Manifest& m) { return std::to_string(m.retry.max_attempts); }},
    {"retry.base",
     [](Node n, Manifest& m) { return read_duration(n, m.retry.base, milliseconds{1}, hours{24}); },
     [](const Manifest& m) { return format_duration(m.retry.base); }},
    {"retry.cap",
     [](Node n, Manifest& m) { return read_duration(n, m.retry.cap, milliseconds{1}, hours{24}); },
     [](const Manifest& m) { return format_duration(m.retry.cap); }},
    {"retry.max_age",
     [](Node n, Manifest& m) {
       return read_duration(n, m.retry.max_age, seconds{1}, hours{24 * 365});
     },
     [](const Manifest& m) { return format_duration(m.retry.max_age); }},
    {"result.ttl",
     [](Node n, Manifest& m) {
       return read_duration(n, m.result_ttl, Duration{}, hours{24 * 365});
     },
     [](const Manifest& m) { return format_duration(m.result_ttl); }},
    {"result.max_bytes",
     [](Node n, Manifest& m) { return read_size(n, m.result_max_bytes, 0, 8 * kMiB); },
     [](const Manifest& m) { return format_size(m.result_max_bytes); }},
    {"store.max_rows",
     [](Node n, Manifest& m) { return read_integer(n, m.store_max_rows, 0, 100'000'000); },
     [](const Manifest& m) { return std::to_string(m.store_max_rows); }},
    {"store.max_bytes",
     [](Node n, Manifest& m) { return read_size(n, m.store_max_bytes, 0, kMiB * kMiB); },
     [](const Manifest& m) { return format_size(m.store_max_bytes); }},
    {"on_success", [](Node n, Manifest& m) { return read_destination(n, m.on_success); },
     [](const Manifest& m) { return or_none(m.on_success); }},
    {"on_failure", [](Node n, Manifest& m) { return read_destination(n, m.on_failure); },
     [](const Manifest& m) { return or_none(m.on_failure); }},
    {"weight", [](Node n, Manifest& m) { return read_integer(n, m.weight, 1, 1000); },
     [](const Manifest& m) { return std::to_string(m.weight); }},
};

}  // namespace

std::span<const Setting> manifest_settings() {
  return kSettings;
}

Result<std::string> text_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  return reject("must be a string");
}

Result<std::string> pattern_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) {
    if (text->size() > 64 * 1024) return reject("must be at most 64 KiB");
    const std::size_t first = text->find_first_not_of(" \t\r\n");
    const bool is_object = first != std::string::npos && (*text)[first] == '{';
    if (!is_object || !nlohmann::json::accept(*text)) return reject("is not a JSON object");
    return *text;
  }
  if (!node.is_table()) return reject("must be a JSON string or a table");
  const auto json = json_of(node);
  if (!json) return json.error();
  return json->dump();
}

}  // namespace fanfare::protocol
