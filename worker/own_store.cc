#include "worker/own_store.h"

#include <algorithm>

namespace fanfare::worker {
namespace {

using Kind = protocol::RowWrite::Kind;

Error not_a_number() {
  return reject("the row holds no whole number within ±9007199254740991 to add to");
}

// The sum, or nothing beyond the range of numbers.
std::optional<std::int64_t> sum_of(std::int64_t a, std::int64_t b) {
  const std::int64_t sum = a + b;  // both are far from the ends of their type
  if (sum < -protocol::kRowNumberMax || sum > protocol::kRowNumberMax) return std::nullopt;
  return sum;
}

}  // namespace

// What a write makes of what is there.
Result<std::optional<std::string>> OwnStore::with(const Write& write,
                                                  std::optional<std::string> held) const {
  if (write.kind == Kind::kErase) return std::optional<std::string>{};
  if (write.kind == Kind::kPut) return std::optional(write.value);
  std::int64_t number = 0;
  if (held && !protocol::parse_row_number(*held, number)) return not_a_number();
  const auto sum = sum_of(number, write.by);
  if (!sum) return not_a_number();
  return std::optional(std::to_string(*sum));
}

Result<std::optional<std::string>> OwnStore::get(std::string_view key) const {
  if (auto fine = protocol::check_row_key(key); !fine) return fine.error();
  const auto own = writes_.find(key);
  if (own != writes_.end() && own->second.kind != Kind::kIncrement) return with(own->second, {});
  auto rows = reading_.get(key);
  if (!rows) return rows.error();
  std::optional<std::string> held;
  if (!rows->rows.empty()) held = std::move(rows->rows.front().value);
  return own == writes_.end() ? held : with(own->second, std::move(held));
}

Result<store::Rows> OwnStore::list(std::string_view prefix, std::string_view after,
                                   std::uint32_t rows_max) const {
  if (auto fine = protocol::check_row_prefix(prefix); !fine) return fine.error();
  if (!after.empty() && !after.starts_with(prefix)) {
    return reject("the cursor of a list belongs to another prefix");
  }
  rows_max = std::clamp(rows_max, 1u, store::kListRowsMax);
  auto read = reading_.list(prefix, after, rows_max);
  if (!read || writes_.empty()) return read;

  std::map<std::string, store::StoredRow, std::less<>> rows;
  for (store::StoredRow& row : read->rows) {
    std::string key = row.key;
    rows.emplace(std::move(key), std::move(row));
  }
  // Own writes as far as the page goes.
  for (auto own = after.empty() ? writes_.lower_bound(prefix) : writes_.upper_bound(after);
       own != writes_.end() && own->first.starts_with(prefix); ++own) {
    if (!read->next.empty() && own->first > read->next) break;
    const auto at = rows.find(own->first);
    std::optional<std::string> held;
    if (at != rows.end()) held = at->second.value;
    const std::int64_t expires_ms = at == rows.end() ? 0 : at->second.expires_ms;
    auto value = with(own->second, std::move(held));
    if (!value) return value.error();
    if (!*value) {
      rows.erase(own->first);
    } else {
      const bool put = own->second.kind == Kind::kPut;
      rows[own->first] = {own->first, **std::move(value),
                          put ? own->second.expires_ms : expires_ms};
    }
  }
  store::Rows page{.rows = {}, .next = std::move(read->next)};
  for (auto& [key, row] : rows) {
    if (page.rows.size() == rows_max) {
      page.next = page.rows.back().key;
      break;
    }
    page.rows.push_back(std::move(row));
  }
  return page;
}

Result<void> OwnStore::put(std::string_view key, std::string_view value, std::int64_t expires_ms) {
  if (value.size() > protocol::kRowValueMax) {
    return reject("the value of a row has " + std::to_string(value.size()) +
                  " bytes, the limit is " + std::to_string(protocol::kRowValueMax));
  }
  return take(key, {Kind::kPut, std::string{value}, 0, expires_ms});
}

Result<void> OwnStore::erase(std::string_view key) {
  return take(key, {Kind::kErase, {}, 0, 0});
}

Result<void> OwnStore::increment(std::string_view key, std::int64_t by) {
  if (by < -protocol::kRowNumberMax || by > protocol::kRowNumberMax) return not_a_number();
  Write write{Kind::kIncrement, {}, by, 0};
  const auto own = writes_.find(key);
  if (own != writes_.end() && own->second.kind == Kind::kPut) {
    std::int64_t number = 0;
    if (!protocol::parse_row_number(own->second.value, number)) return not_a_number();
    const auto sum = sum_of(number, by);
    if (!sum) return not_a_number();
    write = {Kind::kPut, std::to_string(*sum), 0, own->second.expires_ms};
  } else if (own != writes_.end() && own->second.kind == Kind::kErase) {
    write = {Kind::kPut, std::to_string(by), 0, 0};
  } else if (own != writes_.end()) {
    const auto sum = sum_of(own->second.by, by);
    if (!sum) return not_a_number();
    write.by = *sum;
  }
  return take(key, std::move(write));
}

// The last write to a key is the one that counts.
Result<void> OwnStore::take(std::string_view key, Write write) {
  if (auto fine = protocol::check_row_key(key); !fine) return fine;
  const auto size_of = [&](const Write& one) {
    return key.size() + std::max<std::size_t>(one.value.size(), 17);
  };
  const auto own = writes_.find(key);
  const std::size_t bytes =
      bytes_ - (own == writes_.end() ? 0 : size_of(own->second)) + size_of(write);
  if (own == writes_.end() && writes_.size() >= protocol::kRowWritesMax) {
    return reject("an attempt may write " + std::to_string(protocol::kRowWritesMax) + " rows");
  }
  if (bytes > protocol::kRowWriteBytesMax) {
    return reject("an attempt may write " + std::to_string(protocol::kRowWriteBytesMax) +
                  " bytes of rows, keys included");
  }
  bytes_ = bytes;
  if (own == writes_.end()) {
    writes_.emplace(key, std::move(write));
  } else {
    own->second = std::move(write);
  }
  return {};
}

std::string OwnStore::packed() const {
  std::string packed;
  for (const auto& [key, write] : writes_) {
    const std::string by = write.kind == Kind::kIncrement ? std::to_string(write.by) : "";
    protocol::append_write(
        packed, {write.kind, key, write.kind == Kind::kPut ? write.value : by, write.expires_ms});
  }
  return packed;
}

void OwnStore::forget() {
  writes_.clear();
  bytes_ = 0;
}

}  // namespace fanfare::worker
