#include "cli/attempts_view.h"

#include <fmt/format.h>

#include <vector>

#include "base/time.h"
#include "cli/output.h"

namespace fanfare::cli {
namespace {

std::vector<std::string> cells(const protocol::AttemptRow& row) {
  const std::string started = format_wall_time(wall_from_ms(row.started_ms));
  std::string outcome{protocol::to_string(row.outcome)};
  if (row.outcome == protocol::Outcome::kRedriven) return {"", started, "", std::move(outcome)};
  return {std::to_string(row.number),
          started,
          human_ms(row.duration_us / 1e3),
          std::move(outcome),
          row.worker,
          row.instance == 0 ? "" : std::to_string(row.instance),
          row.generation == 0 ? "" : std::to_string(row.generation),
          row.cold_start ? human_ms(row.cold_start_us / 1e3) : "",
          row.peak_memory_kb == 0 ? "" : fmt::format("{:.1f} MiB", row.peak_memory_kb / 1024.0),
          fmt::format("{} ms", protocol::billed_ms(row)),
          row.error_type.empty() ? "" : row.error_type + ": " + row.error_message};
}

}  // namespace

std::string format_attempts(std::span<const protocol::AttemptRow> rows, bool colour) {
  if (rows.empty()) return {};
  std::vector<std::vector<std::string>> lines;
  for (const auto& row : rows) lines.push_back(cells(row));
  return format_table({"ATTEMPT", "STARTED", "TOOK", "OUTCOME", "WORKER", "INSTANCE", "GENERATION",
                       "COLD START", "PEAK MEMORY", "BILLED", "ERROR"},
                      lines, colour);
}

std::string format_totals(const protocol::ResultTotals& totals) {
  return fmt::format("queued {}, {} in all, billed {} ms, {:.3g} GB-seconds",
                     human_ms(static_cast<double>(totals.queued_ms)),
                     human_ms(static_cast<double>(totals.total_ms)), totals.billed_ms,
                     totals.gb_seconds);
}

}  // namespace fanfare::cli
