// Redis' replies to calls, as answers.
#pragma once

#include "base/redis_reply.h"
#include "base/result.h"
#include "store/calls.h"
#include "store/fetching.h"

namespace fanfare::store {

// The answer to `call`. The reply is neither lost nor an error; rejects one of another shape than
// the library gives, naming the call. Of a page that was asked for apart, with what was fetched
// for it.
Result<Answer> decode(const Call& call, const RedisReply& reply, const Fetching* fetched = nullptr);

}  // namespace fanfare::store
