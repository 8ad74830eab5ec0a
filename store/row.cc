#include "store/row.h"

#include "store/bytes.h"

namespace fanfare::store {

std::string pack(const LaterRow& row) {
  std::string bytes;
  bytes.reserve(kLaterRowHead + row.ledger.size() + row.event.size());
  append_big_endian(bytes, row.token.value);
  append_big_endian(bytes, row.attempts);
  append_big_endian(bytes, static_cast<std::uint64_t>(row.accepted_ms));
  append_big_endian(bytes, static_cast<std::uint32_t>(row.ledger.size()));
  return bytes.append(row.ledger).append(row.event);
}

Result<LaterRow> view_later_row(std::string_view bytes) {
  if (bytes.size() < kLaterRowHead) return reject("a row of `later` is shorter than its head");
  LaterRow row;
  row.token.value = read_big_endian<std::uint32_t>(bytes);
  row.attempts = read_big_endian<std::uint32_t>(bytes.substr(4));
  row.accepted_ms = static_cast<std::int64_t>(read_big_endian<std::uint64_t>(bytes.substr(8)));
  const auto ledger_size = read_big_endian<std::uint32_t>(bytes.substr(16));
  bytes.remove_prefix(kLaterRowHead);
  if (ledger_size > bytes.size()) return reject("a row of `later` is shorter than its ledger");
  row.ledger = bytes.substr(0, ledger_size);
  row.event = bytes.substr(ledger_size);
  return row;
}

Result<StoredResult> view_stored_result(std::string_view bytes) {
  if (bytes.size() < kResultHead) return reject("a stored result is shorter than its token");
  return StoredResult{{read_big_endian<std::uint32_t>(bytes)}, bytes.substr(kResultHead)};
}

std::string pack(const Registered& function) {
  return std::to_string(function.generation) + (function.paused ? " paused " : " active ") +
         function.digest + '\n' + function.manifest_toml;
}

Result<Registered> unpack_registered(std::string_view name, std::string_view value) {
  const auto bad = [name] {
    return reject("the row of function " + std::string{name} +
                  " in fanfare:functions is not readable");
  };
  const auto line_end = value.find('\n');
  if (line_end == std::string_view::npos) return bad();
  std::string_view line = value.substr(0, line_end);
  const auto first = line.find(' ');
  const auto second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return bad();
  const auto generation = parse_number<std::uint64_t>(line.substr(0, first));
  const std::string_view state = line.substr(first + 1, second - first - 1);
  if (!generation || (state != "active" && state != "paused")) return bad();
  Registered function;
  function.name = name;
  function.manifest_toml = value.substr(line_end + 1);
  function.digest = line.substr(second + 1);
  function.generation = *generation;
  function.paused = state == "paused";
  return function;
}

}  // namespace fanfare::store
