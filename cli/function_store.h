// A function's own rows, as a person at the command line reads and changes them: straight in Redis,
// through the function library, beside whatever the function itself is doing.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "base/result.h"
#include "cli/installation.h"
#include "store/calls.h"

namespace fanfare::cli {

class FunctionStore {
 public:
  // kReject (not_found) if no function has the name and no rows are left of one that had.
  static Result<FunctionStore> open(const Address& address, const std::string& function);

  // Missing ones are left out.
  Result<std::vector<store::StoredRow>> get(std::vector<std::string> keys);
  // One page; see store::ListRows.
  Result<store::Rows> list(const std::string& prefix, const std::string& after,
                           std::uint32_t rows_max);
  // All rows with the prefix, page by page, up to an error of `each`, which it returns.
  Result<void> for_each(const std::string& prefix,
                        const std::function<Result<void>(const store::StoredRow&)>& each);
  // The last writer wins. Returns when it expires (Unix ms, 0 = never). kReject: the store is full,
  // and how full it may be.
  Result<std::int64_t> put(const std::string& key, const std::string& value,
                           std::optional<Duration> ttl);
  // Returns how many of them were there. In steps of 256: of an error it is not known how many
  // went.
  Result<std::uint64_t> erase(std::span<const std::string> keys);
  Result<std::uint64_t> erase_prefix(const std::string& prefix);
  // Rows, with those that have expired and still lie there.
  Result<std::uint64_t> size();

 private:
  FunctionStore(RedisSync redis, std::string function);
  Result<void> write(std::string packed);
  Result<std::uint64_t> count(std::span<const std::string> keys);
  Result<std::uint64_t> erase_some(std::span<const std::string> keys);

  RedisSync redis_;
  std::string function_;
  store::RowLimits limits_;  // of the manifest, if the function is deployed
};

}  // namespace fanfare::cli
