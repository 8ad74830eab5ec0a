// What autoscalers tell of themselves in Redis, once a tick.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "base/time.h"

namespace fanfare::cli {

struct AutoscalerRow {
  // One that has told nothing for so long is gone, or hangs.
  static constexpr auto kSilentAfter = std::chrono::seconds{30};

  std::string name;
  nlohmann::ordered_json status;                 // an object, see autoscaler/history.h
  std::optional<std::chrono::milliseconds> age;  // none: it does not say when

  bool silent() const { return !age || *age > kSilentAfter; }
};

// By name; what is no status is left out. kReject: Redis does not hand them out.
Result<std::vector<AutoscalerRow>> read_autoscalers(RedisSync& redis, WallTime now);

}  // namespace fanfare::cli
