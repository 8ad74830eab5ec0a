#include "store/rows.h"

#include <algorithm>

#include "protocol/row_writes.h"
#include "store/bytes.h"
#include "store/keys.h"

namespace fanfare::store {
namespace {

constexpr std::size_t kListBytesMax = 256 * 1024;  // and the row that goes beyond it
constexpr std::size_t kGetKeysMax = 256;

Error unexpected() {
  return reject("Redis answered a call on rows in a shape that is not the library's");
}

Result<void> check_name(const std::string& function) {
  if (protocol::is_function_name(function)) return {};
  return reject("not a function's name: " + function.substr(0, 64));
}

bool only_erases(std::string_view packed) {
  while (!packed.empty()) {
    const auto write = protocol::take_write(packed);
    if (!write || write->kind != protocol::RowWrite::Kind::kErase) return false;
  }
  return true;
}

}  // namespace

Result<void> check_rows(const GetRows& call) {
  if (auto named = check_name(call.function); !named) return named;
  if (call.keys.empty() || call.keys.size() > kGetKeysMax) {
    return reject("a call gets 1 to 256 rows");
  }
  for (const std::string& key : call.keys) {
    if (auto fine = protocol::check_row_key(key); !fine) return fine;
  }
  return {};
}

Result<void> check_rows(const ListRows& call) {
  if (auto named = check_name(call.function); !named) return named;
  if (auto fine = protocol::check_row_prefix(call.prefix); !fine) return fine;
  if (call.after.empty()) return {};
  if (!call.after.starts_with(call.prefix)) {
    return reject("the cursor of a list belongs to another prefix");
  }
  return protocol::check_row_key(call.after);
}

Result<void> check_rows(const WriteRows& call) {
  if (auto named = check_name(call.function); !named) return named;
  if (auto fine = protocol::check_writes(call.packed); !fine) return fine.error();
  return {};
}

void encode_rows(const GetRows& call, Arguments& out) {
  out.add("FCALL_RO");
  out.add("fanfare2_get_rows");
  out.add("1");
  out.add_copy(store_key(call.function));
  out.add_number(call.now_ms);
  for (const std::string& key : call.keys) out.add(key);
}

void encode_rows(const ListRows& call, Arguments& out) {
  out.add("FCALL_RO");
  out.add("fanfare2_list_rows");
  out.add("2");
  out.add_copy(store_key(call.function));
  out.add_copy(store_names_key(call.function));
  out.add_number(call.now_ms);
  out.add(call.prefix);
  out.add(call.after);
  out.add_number(std::clamp(call.rows_max, 1u, kListRowsMax));
  out.add_number(kListBytesMax);
}

void encode_rows(const WriteRows& call, Arguments& out) {
  out.add("FCALL");
  out.add(only_erases(call.packed) ? "fanfare2_erase_rows" : "fanfare2_write_rows");
  out.add("4");
  out.add_copy(store_key(call.function));
  out.add_copy(store_names_key(call.function));
  out.add_copy(store_expiries_key(call.function));
  out.add_copy(counts_key(call.function));
  out.add_number(call.now_ms);
  out.add_number(call.limits.rows_max);
  out.add_number(call.limits.bytes_max);
  out.add(call.packed);
}

Result<Answer> decode_rows(const GetRows& call, const RedisReply& reply) {
  if (!reply.is_array() || reply.size() != call.keys.size()) return unexpected();
  Rows rows;
  for (std::size_t i = 0; i < reply.size(); ++i) {
    if (reply[i].is_nil()) continue;
    auto row = unpack_row(call.keys[i], reply[i].text());
    if (!row) return row.error();
    rows.rows.push_back(std::move(*row));
  }
  return Answer{std::move(rows)};
}

Result<Answer> decode_rows(const ListRows&, const RedisReply& reply) {
  if (!reply.is_array() || reply.size() < 2 || reply.size() % 2 != 0) return unexpected();
  Rows rows;
  if (reply[0].integer() != 0) rows.next = std::string{reply[1].text()};
  for (std::size_t i = 2; i < reply.size(); i += 2) {
    auto row = unpack_row(reply[i].text(), reply[i + 1].text());
    if (!row) return row.error();
    rows.rows.push_back(std::move(*row));
  }
  return Answer{std::move(rows)};
}

Result<Answer> decode_rows(const WriteRows&, const RedisReply& reply) {
  const std::int64_t outcome = reply.integer();
  const bool known = outcome == 0 || outcome == 4 || outcome == 5;
  if (reply.type() != RedisReply::Type::kInteger || !known) return unexpected();
  return Answer{RowsWritten{static_cast<RowsWritten::Outcome>(outcome)}};
}

Result<StoredRow> unpack_row(std::string_view key, std::string_view bytes) {
  if (bytes.size() < protocol::kRowExpiryBytes) return reject("a row that ends too early");
  return StoredRow{std::string{key}, std::string{bytes.substr(protocol::kRowExpiryBytes)},
                   static_cast<std::int64_t>(read_big_endian<std::uint64_t>(bytes))};
}

}  // namespace fanfare::store
