// Rows as a table for spreadsheets and data tools: RFC 4180, a line per row.
//
// A value that is a JSON object is spread out: its top-level members are columns; nested ones stay
// JSON text. Any other value stands in the column `value`, base64 if it is not UTF-8. The columns
// are the union over all rows, so all rows must be looked at before the first is written.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/row_calls.h"

namespace fanfare::cli {

class RowTable {
 public:
  static constexpr std::size_t kColumnsMax = 1000;

  // `guard_formulas`: see csv_cell.
  explicit RowTable(bool guard_formulas) : guard_formulas_(guard_formulas) {}

  // First pass. kReject beyond kColumnsMax columns.
  Result<void> look_at(const store::StoredRow& row);
  // With the line's end, CR LF.
  std::string heading() const;
  // Second pass. Members that were not there in the first pass are left out and counted.
  std::string line(const store::StoredRow& row);
  std::size_t left_out() const { return left_out_; }

 private:
  bool guard_formulas_;
  std::vector<std::string> columns_;
  std::map<std::string, std::size_t, std::less<>> places_;
  std::size_t left_out_ = 0;
};

// One JSON object per row: key, value (as JSON if it parses, else as text) or value_base64, expires
// (Unix ms, only if there is one). No line's end.
std::string to_json_line(const store::StoredRow& row);

}  // namespace fanfare::cli
