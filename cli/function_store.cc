#include "cli/function_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/nearest.h"
#include "base/size.h"
#include "cli/results.h"
#include "protocol/manifest.h"
#include "protocol/row_writes.h"
#include "store/decode.h"
#include "store/encode.h"
#include "store/error_table.h"
#include "store/keys.h"
#include "store/row.h"

namespace fanfare::cli {
namespace {

constexpr std::size_t kKeysPerCall = 256;

std::int64_t now_ms() {
  return to_ms(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
}

}  // namespace

FunctionStore::FunctionStore(RedisSync redis, std::string function)
    : redis_(std::move(redis)), function_(std::move(function)) {}

Result<FunctionStore> FunctionStore::open(const Address& address, const std::string& function) {
  if (!protocol::is_function_name(function)) {
    return fatal(fmt::format("'{}' is not a function's name", function));
  }
  auto redis = connect_redis(address);
  if (!redis) return redis.error();
  FunctionStore opened(std::move(*redis), function);
  const auto row = opened.redis_.call({"HGET", store::kFunctionsKey, function});
  if (!row) return row.error();
  if ((*row)->is_error()) return store::to_error((*row)->text());
  if (!(*row)->is_nil()) {
    const auto registered = store::unpack_registered(function, (*row)->text());
    if (!registered) return registered.error();
    const auto manifest =
        protocol::parse_manifest(registered->manifest_toml, "function.toml", function);
    if (!manifest) return manifest.error();
    opened.limits_ = {manifest->store_max_rows, manifest->store_max_bytes};
    return opened;
  }
  // One that was removed keeps its rows; a name without any may be a slip.
  const auto rows = opened.size();
  if (!rows) return rows.error();
  if (*rows > 0) return opened;
  const auto known = function_names(opened.redis_);
  if (!known) return known.error();
  const std::string meant = nearest(function, *known);
  return reject(fmt::format("not_found: no function is named '{}'{}", function,
                            meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

Result<store::Answer> FunctionStore::ask(const store::Call& call) {
  if (auto fine = store::check(call); !fine) return fatal(fine.error().message);
  store::Arguments arguments;
  store::encode(call, std::nullopt, arguments);
  const auto reply = redis_.call(arguments.all());
  if (!reply) return reply.error();
  if (!(*reply)->is_error()) return store::decode(call, **reply);
  if ((*reply)->text().starts_with("ERR Function not found")) {
    return reject(
        "Redis has not got this version's functions: start the installation once, its "
        "broker brings them along");
  }
  return store::to_error((*reply)->text());
}

Result<std::vector<store::StoredRow>> FunctionStore::get(std::vector<std::string> keys) {
  auto answer = ask(store::GetRows{function_, now_ms(), std::move(keys)});
  if (!answer) return answer.error();
  return std::get<store::Rows>(std::move(*answer)).rows;
}

Result<store::Rows> FunctionStore::list(const std::string& prefix, const std::string& after,
                                        std::uint32_t rows_max) {
  auto answer = ask(store::ListRows{function_, now_ms(), prefix, after, rows_max});
  if (!answer) return answer.error();
  return std::get<store::Rows>(std::move(*answer));
}

Result<void> FunctionStore::for_each(const std::string& prefix,
                                     const std::function<bool(const store::StoredRow&)>& each) {
  std::string after;
  do {
    auto page = list(prefix, after, kKeysPerCall);
    if (!page) return page.error();
    for (const store::StoredRow& row : page->rows) {
      if (!each(row)) return {};
    }
    after = std::move(page->next);
  } while (!after.empty());
  return {};
}

Result<void> FunctionStore::write(std::string packed) {
  const auto answer = ask(store::WriteRows{.function = function_,
                                           .now_ms = now_ms(),
                                           .limits = limits_,
                                           .once = {},
                                           .packed = std::move(packed)});
  if (!answer) return answer.error();
  if (std::get<store::RowsWritten>(*answer).outcome == store::RowsWritten::Outcome::kFull) {
    return reject(
        fmt::format("store_full: the store of {} may hold {} rows and {}: delete some, or "
                    "raise store.max_rows and store.max_bytes in its function.toml",
                    function_, limits_.rows_max, format_size(limits_.bytes_max)));
  }
  return {};
}

Result<std::int64_t> FunctionStore::put(const std::string& key, const std::string& value,
                                        std::optional<Duration> ttl) {
  if (auto fine = protocol::check_row_key(key); !fine) return fatal(fine.error().message);
  std::int64_t expires_ms = 0;
  if (ttl) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*ttl).count();
    expires_ms = now_ms() + std::max<std::int64_t>(ms, 1);
  }
  std::string packed;
  protocol::append_write(packed, {protocol::RowWrite::Kind::kPut, key, value, expires_ms});
  if (auto written = write(std::move(packed)); !written) return written.error();
  return expires_ms;
}

Result<std::uint64_t> FunctionStore::erase_some(const std::vector<std::string>& keys) {
  const auto there = get(keys);
  if (!there) return there.error();
  std::string packed;
  for (const std::string& key : keys) {
    protocol::append_write(packed, {protocol::RowWrite::Kind::kErase, key, {}, 0});
  }
  if (auto written = write(std::move(packed)); !written) return written.error();
  return there->size();
}

Result<std::uint64_t> FunctionStore::erase(const std::vector<std::string>& keys) {
  std::uint64_t erased = 0;
  for (std::size_t at = 0; at < keys.size(); at += kKeysPerCall) {
    const auto end = std::min(keys.size(), at + kKeysPerCall);
    const auto some = erase_some({keys.begin() + static_cast<std::ptrdiff_t>(at),
                                  keys.begin() + static_cast<std::ptrdiff_t>(end)});
    if (!some) return some.error();
    erased += *some;
  }
  return erased;
}

Result<std::uint64_t> FunctionStore::erase_prefix(const std::string& prefix) {
  std::uint64_t erased = 0;
  std::string after;
  do {
    auto page = list(prefix, after, kKeysPerCall);
    if (!page) return page.error();
    std::vector<std::string> keys;
    for (store::StoredRow& row : page->rows) keys.push_back(std::move(row.key));
    const auto some = erase(keys);
    if (!some) return some.error();
    erased += *some;
    after = std::move(page->next);
  } while (!after.empty());
  // What has expired is seen by no list; every write takes some of it away.
  for (auto left = size(), before = left; prefix.empty() && left && *left > 0; before = left) {
    if (auto swept = write({}); !swept) return swept.error();
    left = size();
    if (left && *left == *before) break;  // somebody else's, written meanwhile
  }
  return erased;
}

Result<std::uint64_t> FunctionStore::size() {
  const auto reply = redis_.call({"HLEN", store::store_key(function_)});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return store::to_error((*reply)->text());
  return static_cast<std::uint64_t>((*reply)->integer());
}

}  // namespace fanfare::cli
