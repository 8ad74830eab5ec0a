// The results of one entry as they lie in Redis, for tests that look there: by index, each as it is
// stored (store::view_stored_result), wherever it lies. Throws what is wrong with them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/redis_sync.h"

namespace fanfare::test {

std::map<std::uint8_t, std::string> read_results(RedisSync& redis, const std::string& results_key);

}  // namespace fanfare::test
