// Which of the functions that ship `up` deploys: all of them into a new installation, until that
// has been done once; later only newer versions of those that are still as `up` deployed them. What
// users deployed under such a name, or removed, stays so.
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
  // Notes that all of them have been.
  static Result<void> all_deployed(RedisSync& redis);

 private:
  std::map<std::string, std::string> registered_, ours_;  // name → digest: now, and by `up`
  bool all_deployed_ = false;
};

}  // namespace fanfare::cli
