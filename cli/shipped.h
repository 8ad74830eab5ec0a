// Which of the functions that ship `up` deploys: all of them into a new installation, later only
// newer versions of those that are still as `up` deployed them. What users deployed under such a
// name, or removed, stays so.
#pragma once

#include <map>
#include <string>

#include "base/redis_sync.h"
#include "base/result.h"

namespace fanfare::cli {

class Shipped {
 public:
  static Result<Shipped> read(RedisSync& redis);

  bool wanted(const std::string& name, const std::string& digest) const;
  // Notes in Redis that `up` has deployed it.
  static Result<void> deployed(RedisSync& redis, const std::string& name,
                               const std::string& digest);

 private:
  std::map<std::string, std::string> registered_, ours_;  // name → digest: now, and by `up`
};

}  // namespace fanfare::cli
