// What functions and tenants have used, as people and spreadsheets read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/usage.h"

namespace fanfare::cli {

struct UsageRow {
  std::int64_t hour = 0;
  std::string function, tenant;
  store::Usage usage;
};

// One row per function and tenant, the hours added up; in the order of their names.
std::vector<UsageRow> add_hours_up(const std::vector<UsageRow>& rows);

std::string usage_table(const std::vector<UsageRow>& rows, bool colour);
// {"since","rows":[{"function","tenant","invocations","failed","billed_ms","gb_seconds",
// "peak_memory_mb"}],"total":{…}}
std::string usage_json(const std::vector<UsageRow>& rows, const std::string& since);
// RFC 4180, a row per hour. The columns stay as they are; new ones come behind them.
std::string usage_csv(const std::vector<UsageRow>& rows);

}  // namespace fanfare::cli
