// fanfare store list, get, put, delete: a function's own rows.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "cli/event_input.h"
#include "cli/function_store.h"
#include "cli/verbs.h"
#include "protocol/base64.h"
#include "protocol/row_writes.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kShownMax = 60;  // bytes of a value in a table

ordered_json to_json(const store::StoredRow& row) {
  ordered_json json{{"key", row.key}};
  if (is_utf8(row.value)) {
    json["value"] = row.value;
  } else {
    json["value_base64"] = protocol::to_base64(row.value);
  }
  json["expires"] = row.expires_ms == 0
                        ? ordered_json(nullptr)
                        : ordered_json(format_wall_time(wall_from_ms(row.expires_ms)));
  return json;
}

std::string shown(const std::string& value) {
  if (!is_utf8(value)) return "(bytes)";
  if (value.size() <= kShownMax) return value;
  std::size_t end = 0;
  for (std::size_t step = 1; step > 0 && end + step <= kShownMax; end += step) {
    step = utf8_sequence(std::string_view(value).substr(end));
    if (end + step > kShownMax) break;
  }
  return value.substr(0, end) + "…";
}

}  // namespace

int run_store_list(const Common& common, const StoreCommand& command) {
  auto opened = FunctionStore::open(common.address, command.function);
  if (!opened) return fail(common.output, opened.error());
  std::vector<store::StoredRow> rows;
  std::string after = command.after;
  do {
    auto page = opened->list(command.prefix, after,
                             static_cast<std::uint32_t>(command.limit - rows.size()));
    if (!page) return fail(common.output, page.error());
    for (store::StoredRow& row : page->rows) rows.push_back(std::move(row));
    after = std::move(page->next);
  } while (!after.empty() && rows.size() < command.limit);
  if (common.output.json) {
    ordered_json list = ordered_json::array();
    for (const store::StoredRow& row : rows) list.push_back(to_json(row));
    print_line(ordered_json{{"function", command.function},
                            {"rows", std::move(list)},
                            {"next", after.empty() ? ordered_json(nullptr) : ordered_json(after)}}
                   .dump());
    return kDone;
  }
  if (rows.empty()) {
    fmt::print("no rows of {}{}\n", command.function,
               command.prefix.empty() ? "" : " with this prefix");
    return kDone;
  }
  std::vector<std::vector<std::string>> lines;
  for (const store::StoredRow& row : rows) {
    lines.push_back({row.key, std::to_string(row.value.size()),
                     row.expires_ms == 0 ? "" : format_wall_time(wall_from_ms(row.expires_ms)),
                     shown(row.value)});
  }
  fmt::print("{}",
             format_table({"KEY", "BYTES", "EXPIRES", "VALUE"}, lines, common.output.colour_out));
  if (!after.empty()) {
    fmt::print(stderr,
               "there are more: --after '{}', a larger --limit, or `fanfare store export`\n",
               printable(after));
  }
  return kDone;
}

int run_store_get(const Common& common, const StoreCommand& command) {
  auto opened = FunctionStore::open(common.address, command.function);
  if (!opened) return fail(common.output, opened.error());
  const std::string& key = command.key;
  const auto rows = opened->get({key});
  if (!rows) return fail(common.output, rows.error());
  if (rows->empty()) {
    return fail(common.output,
                reject(fmt::format("not_found: {} has no row '{}'", command.function, key)));
  }
  const store::StoredRow& row = rows->front();
  if (common.output.json) {
    print_line(to_json(row).dump());
    return kDone;
  }
  std::fwrite(row.value.data(), 1, row.value.size(), stdout);
  if (common.output.colour_out && !row.value.ends_with('\n')) std::fputc('\n', stdout);
  return kDone;
}

int run_store_put(const Common& common, const StoreCommand& command) {
  const std::string& key = command.key;
  const auto value = read_data(command.value, "the value", protocol::kRowValueMax);
  if (!value) return fail(common.output, value.error());
  auto opened = FunctionStore::open(common.address, command.function);
  if (!opened) return fail(common.output, opened.error());
  const auto expires_ms = opened->put(key, *value, command.ttl);
  if (!expires_ms) return fail(common.output, expires_ms.error());
  if (common.output.json) {
    print_line(to_json({key, *value, *expires_ms}).dump());
  } else {
    fmt::print("{} of {} has {} bytes now\n", printable(key), command.function, value->size());
  }
  return kDone;
}

int run_store_delete(const Common& common, const StoreCommand& command) {
  auto opened = FunctionStore::open(common.address, command.function);
  if (!opened) return fail(common.output, opened.error());
  const auto erased =
      command.keys.empty() ? opened->erase_prefix(command.prefix) : opened->erase(command.keys);
  if (!erased) return fail(common.output, erased.error());
  if (common.output.json) {
    print_line(ordered_json{{"function", command.function}, {"deleted", *erased}}.dump());
  } else {
    fmt::print("{} row{} of {} deleted\n", *erased, *erased == 1 ? "" : "s", command.function);
  }
  return kDone;
}

}  // namespace fanfare::cli
