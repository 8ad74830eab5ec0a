// A function's manifest: `function.toml` beside the function, with every default filled in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fanfare::protocol {

struct RetryPolicy {
  std::string profile = "standard";  // standard | lambda | webhook | none
  std::uint32_t max_attempts = 10;   // 1-100, the first included
  Duration base = std::chrono::seconds{1};
  Duration cap = std::chrono::minutes{5};
  Duration max_age = std::chrono::hours{24};
};

struct Manifest {
  std::string name;                             // [a-zA-Z0-9-_]{1,64}; default: the folder's name
  std::string runtime = "native";               // native | provided
  std::string handler;                          // default "<name>.so"; relative, no ".."
  Duration timeout = std::chrono::seconds{30};  // 10 ms to 24 h, per attempt
  std::uint64_t memory_bytes = 256ull << 20;    // 16 MiB to 1 TiB
  std::uint32_t max_concurrency = 0;            // 0 = as many as there are slots
  std::uint32_t provisioned = 0;
  Duration keep_alive = std::chrono::seconds{60};  // 0 to 24 h
  bool keep_alive_is_set = false;  // by the manifest: else a worker may know better after a while
  double rate_per_second = 0;      // 0 = none
  std::uint32_t batch_size = 1;    // 1-256
  Duration batch_window{};         // 0 to 300 s
  std::vector<std::string> patterns;  // JSON text of each [[on]] pattern
  RetryPolicy retry;
  Duration result_ttl = std::chrono::hours{24};  // 0 = results are not stored
  std::uint64_t result_max_bytes = 1 << 20;
  std::uint64_t store_max_rows = 1'000'000;    // rows of context.store(); up to 100,000,000
  std::uint64_t store_max_bytes = 1ull << 30;  // of their keys and values; up to 1 TiB
  std::string on_success, on_failure;
  std::uint32_t weight = 1;                              // 1-1000
  std::vector<std::pair<std::string, std::string>> env;  // `_file` entries keep their suffix here

  // "key" → "default" | "profile" | "manifest", for every key that describe prints.
  std::map<std::string, std::string> origin;
};

// Reads a manifest. Rejects with file, line and column: bad TOML, an unknown key (naming the
// nearest known one), a wrong type, a value out of its range (naming the range).
// [[on]] tables: `pattern` is a JSON string (EventBridge grammar), or a TOML table of the same
// shape.
Result<Manifest> parse_manifest(std::string_view toml, std::string_view file,
                                std::string_view default_name);

// Every setting in order: {key, value as text, origin}.
struct DescribedSetting {
  std::string key, value, origin;
};
std::vector<DescribedSetting> describe(const Manifest& manifest);

}  // namespace fanfare::protocol
