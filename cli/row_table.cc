#include "cli/row_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "cli/csv.h"
#include "protocol/base64.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kKey = "key", kValue = "value";

ordered_json parsed(const std::string& value) {
  if (!is_utf8(value)) return ordered_json(ordered_json::value_t::discarded);
  return ordered_json::parse(value, nullptr, /*allow_exceptions=*/false);
}

// Members named like a column of ours step aside.
std::string column_of(const std::string& member) {
  return member == kKey || member == kValue ? member + "_" : member;
}

// The cells of one row, by column.
std::vector<std::pair<std::string, std::string>> cells_of(const store::StoredRow& row) {
  std::vector<std::pair<std::string, std::string>> cells;
  const ordered_json json = parsed(row.value);
  if (!json.is_object()) {
    cells.emplace_back(kValue, is_utf8(row.value) ? row.value : protocol::to_base64(row.value));
    return cells;
  }
  for (const auto& [member, value] : json.items()) {
    if (value.is_null()) {
      cells.emplace_back(column_of(member), "");
    } else {
      cells.emplace_back(column_of(member),
                         value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return cells;
}

}  // namespace

Result<void> RowTable::look_at(const store::StoredRow& row) {
  for (const auto& [column, text] : cells_of(row)) {
    if (places_.contains(column)) continue;
    if (columns_.size() == kColumnsMax) {
      return reject("too_large: the rows have more than " + std::to_string(kColumnsMax) +
                    " different members: export them with --format jsonl");
    }
    places_.emplace(column, columns_.size());
    columns_.push_back(column);
  }
  return {};
}

std::string RowTable::heading() const {
  std::string line{kKey};
  for (const std::string& column : columns_) line += ',' + csv_cell(column, guard_formulas_);
  return line + "\r\n";
}

std::string RowTable::line(const store::StoredRow& row) {
  std::vector<std::string> texts(columns_.size());
  for (auto& [column, text] : cells_of(row)) {
    const auto place = places_.find(column);
    if (place == places_.end()) {
      ++left_out_;
    } else {
      texts[place->second] = std::move(text);
    }
  }
  std::string line = csv_cell(row.key, guard_formulas_);
  for (const std::string& text : texts) line += ',' + csv_cell(text, guard_formulas_);
  return line + "\r\n";
}

std::string to_json_line(const store::StoredRow& row) {
  ordered_json json{{"key", row.key}};
  if (ordered_json value = parsed(row.value); !value.is_discarded()) {
    json["value"] = std::move(value);
  } else if (is_utf8(row.value)) {
    json["value"] = row.value;
  } else {
    json["value_base64"] = protocol::to_base64(row.value);
  }
  if (row.expires_ms > 0) json["expires"] = row.expires_ms;
  return json.dump();
}

}  // namespace fanfare::cli
