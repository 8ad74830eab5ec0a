// The calls of row_calls.h as Redis commands, and Redis' replies as their answers. For encode.cc
// and decode.cc only.
#pragma once

#include "base/redis_reply.h"
#include "base/result.h"
#include "store/arguments.h"
#include "store/calls.h"

namespace fanfare::store {

Result<void> check_rows(const GetRows& call);
Result<void> check_rows(const ListRows& call);
Result<void> check_rows(const WriteRows& call);

void encode_rows(const GetRows& call, Arguments& out);
void encode_rows(const ListRows& call, Arguments& out);
void encode_rows(const WriteRows& call, Arguments& out);

Result<Answer> decode_rows(const GetRows& call, const RedisReply& reply);
Result<Answer> decode_rows(const ListRows& call, const RedisReply& reply);
Result<Answer> decode_rows(const WriteRows& call, const RedisReply& reply);

// The row that lies in Redis as `bytes`: expiry u64 big-endian, value.
Result<StoredRow> unpack_row(std::string_view key, std::string_view bytes);

}  // namespace fanfare::store
