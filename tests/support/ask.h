// A command to Redis that must be answered, for tests.
#pragma once

#include <initializer_list>
#include <string_view>

#include "base/redis_sync.h"

namespace fanfare::test {

// Throws what went wrong, an error that Redis answered included.
OwnedReply ask(RedisSync& redis, std::initializer_list<std::string_view> words);

}  // namespace fanfare::test
