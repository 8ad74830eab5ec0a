// One function's store in the model: rows, what they weigh, and writes as the library applies them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "store/row_calls.h"

namespace fanfare::store {

class ModelRows {
 public:
  struct Row {
    std::string value;
    std::int64_t expires_ms = 0;
  };

  // Takes away some of the rows that have expired.
  void sweep(std::int64_t now_ms);
  // kWritten, kFull or kNotANumber: all of the writes, or none.
  RowsWritten::Outcome write(std::string_view packed, std::int64_t now_ms, const RowLimits& limits);
  Rows get(const GetRows& call) const;
  Rows list(const ListRows& call) const;

  const std::map<std::string, Row>& rows() const { return rows_; }  // the expired ones, too
  std::uint64_t bytes() const { return bytes_; }

 private:
  void set(const std::string& key, Row row);
  void erase(const std::string& key);

  std::map<std::string, Row> rows_;
  std::set<std::pair<std::int64_t, std::string>> by_expiry_;
  std::uint64_t bytes_ = 0;
};

}  // namespace fanfare::store
