#include "store/model_rows.h"

#include <algorithm>
#include <optional>

#include "protocol/row_writes.h"

namespace fanfare::store {
namespace {

constexpr std::size_t kSweepMax = 32;
constexpr std::size_t kListBytesMax = 256 * 1024;
constexpr std::size_t kListLooksMax = 1024;

bool has_expired(const ModelRows::Row& row, std::int64_t now_ms) {
  return row.expires_ms > 0 && row.expires_ms <= now_ms;
}

// What an increment leaves behind, or nothing if there is no number to add to.
std::optional<ModelRows::Row> sum_of(const ModelRows::Row* held, std::string_view by,
                                     std::int64_t now_ms) {
  std::int64_t number = 0, added = 0;
  ModelRows::Row sum;
  if (held && !has_expired(*held, now_ms)) {
    if (!protocol::parse_row_number(held->value, number)) return std::nullopt;
    sum.expires_ms = held->expires_ms;
  }
  protocol::parse_row_number(by, added);
  const std::int64_t total = number + added;
  if (total < -protocol::kRowNumberMax || total > protocol::kRowNumberMax) return std::nullopt;
  sum.value = std::to_string(total);
  return sum;
}

}  // namespace

void ModelRows::set(const std::string& key, Row row) {
  erase(key);
  bytes_ += key.size() + row.value.size();
  if (row.expires_ms > 0) by_expiry_.emplace(row.expires_ms, key);
  rows_[key] = std::move(row);
}

void ModelRows::erase(const std::string& key) {
  const auto at = rows_.find(key);
  if (at == rows_.end()) return;
  bytes_ -= key.size() + at->second.value.size();
  by_expiry_.erase({at->second.expires_ms, key});
  rows_.erase(at);
}

void ModelRows::sweep(std::int64_t now_ms) {
  for (std::size_t i = 0; i < kSweepMax && !by_expiry_.empty(); ++i) {
    const auto [expires_ms, key] = *by_expiry_.begin();
    if (expires_ms > now_ms) return;
    erase(key);
  }
}

RowsWritten::Outcome ModelRows::write(std::string_view packed, std::int64_t now_ms,
                                      const RowLimits& limits) {
  using Kind = protocol::RowWrite::Kind;
  ModelRows after = *this;
  while (!packed.empty()) {
    const auto write = protocol::take_write(packed);
    const std::string key{write->key};
    if (write->kind == Kind::kErase) {
      after.erase(key);
    } else if (write->kind == Kind::kPut) {
      after.set(key, {std::string{write->value}, write->expires_ms});
    } else {
      const auto held = after.rows_.find(key);
      auto sum = sum_of(held == after.rows_.end() ? nullptr : &held->second, write->value, now_ms);
      if (!sum) return RowsWritten::Outcome::kNotANumber;
      after.set(key, std::move(*sum));
    }
  }
  if ((after.rows_.size() > rows_.size() && after.rows_.size() > limits.rows_max) ||
      (after.bytes_ > bytes_ && after.bytes_ > limits.bytes_max)) {
    return RowsWritten::Outcome::kFull;
  }
  *this = std::move(after);
  return RowsWritten::Outcome::kWritten;
}

Rows ModelRows::get(const GetRows& call) const {
  Rows answer;
  for (const std::string& key : call.keys) {
    const auto at = rows_.find(key);
    if (at == rows_.end() || has_expired(at->second, call.now_ms)) continue;
    answer.rows.push_back({key, at->second.value, at->second.expires_ms});
  }
  return answer;
}

Rows ModelRows::list(const ListRows& call) const {
  Rows answer;
  std::size_t bytes = 0, looks = 0;
  std::string last = call.after;
  const std::size_t rows_max = std::clamp(call.rows_max, 1u, kListRowsMax);
  auto at = call.after.empty() ? rows_.lower_bound(call.prefix) : rows_.upper_bound(call.after);
  for (; at != rows_.end() && at->first.starts_with(call.prefix); ++at) {
    if (answer.rows.size() >= rows_max || bytes >= kListBytesMax || looks >= kListLooksMax) {
      answer.next = last;
      break;
    }
    last = at->first;
    ++looks;
    if (has_expired(at->second, call.now_ms)) continue;
    answer.rows.push_back({at->first, at->second.value, at->second.expires_ms});
    bytes += at->first.size() + protocol::kRowExpiryBytes + at->second.value.size();
  }
  return answer;
}

}  // namespace fanfare::store
