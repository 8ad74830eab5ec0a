// How an instance reads rows of its function's store: a request behind a doorbell, an answer among
// the batches. The worker names the store; an instance can ask for its own function's rows only.
//
// Both ends are of one build on one machine, but the instance runs foreign code: the worker checks
// what it is asked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/row_writes.h"
#include "store/row_calls.h"

namespace fanfare::worker {

struct RowRequest {
  enum class Kind : std::uint32_t { kGet = 1, kList = 2 };

  std::uint64_t number = 0;  // of this instance's requests, for the answer
  Kind kind = Kind::kGet;
  std::uint32_t rows_max = 0;  // of a list
  std::string key;             // of a list: what the keys begin with
  std::string after;           // of a list
};
std::string encode(const RowRequest& request);
// Rejects what no sound instance sends. Keys are the caller's to check.
Result<RowRequest> decode_row_request(std::string_view message);

// The rows, or why there are none.
std::string encode_rows(const Result<store::Rows>& answer);
Result<store::Rows> decode_rows(std::string_view bytes);

}  // namespace fanfare::worker
