#include "cli/usage_report.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/csv.h"
#include "cli/output.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

std::uint64_t peak_mb(const store::Usage& usage) {
  return (usage.peak_memory_kb + 1023) / 1024;
}

store::Usage total_of(const std::vector<UsageRow>& rows) {
  store::Usage total;
  for (const auto& row : rows) total += row.usage;
  return total;
}

void put(ordered_json& json, const store::Usage& usage) {
  json["invocations"] = usage.invocations;
  json["failed"] = usage.failed;
  json["billed_ms"] = usage.billed_ms;
  json["gb_seconds"] = usage.gb_seconds();
  json["peak_memory_mb"] = peak_mb(usage);
}

std::vector<std::string> cells_of(const store::Usage& usage) {
  return {std::to_string(usage.invocations), std::to_string(usage.failed),
          std::to_string(usage.billed_ms), fmt::format("{:.3f}", usage.gb_seconds()),
          fmt::format("{} MB", peak_mb(usage))};
}

}  // namespace

std::vector<UsageRow> add_hours_up(const std::vector<UsageRow>& rows) {
  std::map<std::pair<std::string, std::string>, store::Usage> sums;
  for (const auto& row : rows) sums[{row.function, row.tenant}] += row.usage;
  std::vector<UsageRow> all;
  for (const auto& [names, usage] : sums) all.push_back({0, names.first, names.second, usage});
  return all;
}

std::string usage_table(const std::vector<UsageRow>& rows, bool colour) {
  std::vector<std::vector<std::string>> lines;
  const auto add = [&](std::string function, std::string tenant, const store::Usage& usage) {
    auto& line = lines.emplace_back();
    line = {std::move(function), std::move(tenant)};
    for (auto& text : cells_of(usage)) line.push_back(std::move(text));
  };
  for (const auto& row : rows) add(row.function, row.tenant.empty() ? "-" : row.tenant, row.usage);
  if (rows.size() != 1) add("all", "", total_of(rows));
  return format_table(
      {"FUNCTION", "TENANT", "INVOCATIONS", "FAILED", "BILLED MS", "GB-SECONDS", "PEAK"}, lines,
      colour);
}

std::string usage_json(const std::vector<UsageRow>& rows, const std::string& since) {
  ordered_json json{{"since", since}, {"rows", ordered_json::array()}};
  for (const auto& row : rows) {
    ordered_json one{{"function", row.function}, {"tenant", row.tenant}};
    put(one, row.usage);
    json["rows"].push_back(std::move(one));
  }
  put(json["total"], total_of(rows));
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string usage_csv(const std::vector<UsageRow>& rows) {
  std::string out =
      "hour,function,tenant,invocations,failed,billed_ms,gb_seconds,peak_memory_mb\r\n";
  for (const auto& row : rows) {
    const auto& usage = row.usage;
    out += fmt::format("{}:00Z,{},{},{},{},{},{:.6f},{}\r\n", store::hour_name(row.hour),
                       csv_cell(row.function, true), csv_cell(row.tenant, true), usage.invocations,
                       usage.failed, usage.billed_ms, usage.gb_seconds(), peak_mb(usage));
  }
  return out;
}

}  // namespace fanfare::cli
