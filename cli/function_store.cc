#include "cli/function_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/nearest.h"
#include "base/size.h"
#include "cli/results.h"
#include "cli/store_call.h"
#include "protocol/manifest.h"
#include "protocol/row_writes.h"
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

Result<std::vector<store::StoredRow>> FunctionStore::get(std::vector<std::string> keys) {
  auto rows = ask_store<store::Rows>(redis_, store::GetRows{function_, now_ms(), std::move(keys)});
  if (!rows) return rows.error();
  return std::move(rows->rows);
}

Result<store::Rows> FunctionStore::list(const std::string& prefix, const std::string& after,
                                        std::uint32_t rows_max) {
  return ask_store<store::Rows>(redis_,
                                store::ListRows{function_, now_ms(), prefix, after, rows_max});
}

Result<void> FunctionStore::for_each(
    const std::string& prefix, const std::function<Result<void>(const store::StoredRow&)>& each) {
  std::string after;
  do {
    auto page = list(prefix, after, kKeysPerCall);
    if (!page) return page.error();
    for (const store::StoredRow& row : page->rows) {
      if (auto on = each(row); !on) return on;
    }
    after = std::move(page->next);
  } while (!after.empty());
  return {};
}

Result<void> FunctionStore::write(std::string packed) {
  const auto written =
      ask_store<store::RowsWritten>(redis_, store::WriteRows{.function = function_,
                                                             .now_ms = now_ms(),
                                                             .limits = limits_,
                                                             .packed = std::move(packed)});
  if (!written) return written.error();
  if (written->outcome == store::RowsWritten::Outcome::kFull) {
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

// Which of them are there is read from the orders of keys and expiries: values may be large.
Result<std::uint64_t> FunctionStore::count(std::span<const std::string> keys) {
  const auto scores = [&](const std::string& key) {
    std::vector<std::string> call{"ZMSCORE", key};
    call.insert(call.end(), keys.begin(), keys.end());
    return redis_.call(std::span<const std::string>(call));
  };
  const auto names = scores(store::store_names_key(function_));
  if (!names) return names.error();
  if ((*names)->is_error()) return store::to_error((*names)->text());
  const auto expiries = scores(store::store_expiries_key(function_));
  if (!expiries) return expiries.error();
  if ((*expiries)->is_error()) return store::to_error((*expiries)->text());
  const auto now = static_cast<double>(now_ms());
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if ((**names)[i].is_nil()) continue;
    const auto expiry = (**expiries)[i];
    count += expiry.is_nil() || std::stod(std::string{expiry.text()}) > now ? 1 : 0;
  }
  return count;
}

Result<std::uint64_t> FunctionStore::erase_some(std::span<const std::string> keys) {
  auto there = count(keys);
  if (!there) return there;
  std::string packed;
  for (const std::string& key : keys) {
    protocol::append_write(packed, {protocol::RowWrite::Kind::kErase, key, {}, 0});
  }
  if (auto written = write(std::move(packed)); !written) return written.error();
  return there;
}

Result<std::uint64_t> FunctionStore::erase(std::span<const std::string> keys) {
  for (const std::string& key : keys) {
    if (auto fine = protocol::check_row_key(key); !fine) return fatal(fine.error().message);
  }
  std::uint64_t erased = 0;
  while (!keys.empty()) {
    const auto now = keys.first(std::min(keys.size(), kKeysPerCall));
    keys = keys.subspan(now.size());
    const auto some = erase_some(now);
    if (!some) return some;
    erased += *some;
  }
  return erased;
}

// Takes what has expired, too: it is seen by no list, but its key is still there.
Result<std::uint64_t> FunctionStore::erase_prefix(const std::string& prefix) {
  if (auto fine = protocol::check_row_prefix(prefix); !fine) return fatal(fine.error().message);
  const std::string names_key = store::store_names_key(function_);
  const std::string end = prefix.empty() ? "+" : "(" + prefix + '\xFF';  // in no UTF-8
  const std::string page = std::to_string(kKeysPerCall);
  std::string from = prefix.empty() ? "-" : "[" + prefix;
  std::uint64_t erased = 0;
  while (true) {
    const auto found = redis_.call({"ZRANGEBYLEX", names_key, from, end, "LIMIT", "0", page});
    if (!found) return found.error();
    if ((*found)->is_error()) return store::to_error((*found)->text());
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < (*found)->size(); ++i) keys.emplace_back((**found)[i].text());
    if (keys.empty()) return erased;
    const auto some = erase_some(keys);
    if (!some) return some;
    erased += *some;
    from = "(" + keys.back();
  }
}

Result<std::uint64_t> FunctionStore::size() {
  const auto reply = redis_.call({"HLEN", store::store_key(function_)});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return store::to_error((*reply)->text());
  return static_cast<std::uint64_t>((*reply)->integer());
}

}  // namespace fanfare::cli
