// Calls on the function library in Redis, one at a time.
#pragma once

#include "base/redis_sync.h"
#include "base/result.h"
#include "store/calls.h"

namespace fanfare::cli {

// kFatal if the call breaks a rule of its own; kReject, with what to do, if Redis has no library of
// this version.
Result<store::Answer> call_store(RedisSync& redis, const store::Call& call);

// The same for whoever knows the answer's type.
template <typename T>
Result<T> ask_store(RedisSync& redis, const store::Call& call) {
  auto answer = call_store(redis, call);
  if (!answer) return answer.error();
  return std::get<T>(*std::move(answer));
}

}  // namespace fanfare::cli
