// A result as people and scripts see it.
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "protocol/base64.h"
#include "protocol/json_text.h"
#include "protocol/record.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {
namespace {

using Json = nlohmann::ordered_json;

Json bytes_as_json(std::string_view bytes) {
  if (is_utf8(bytes)) return Json(bytes);
  return Json{{"base64", to_base64(bytes)}};
}

Json output_as_json(const ResultRecord& record) {
  if (record.output.empty() && record.status != Status::kSucceeded) return nullptr;
  if (is_json_type(record.content_type) && nests_within_bounds(record.output)) {
    Json parsed = Json::parse(record.output, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_discarded()) return parsed;
  }
  return bytes_as_json(record.output);
}

Json error_as_json(const std::string& type, const std::string& message) {
  if (type.empty() && message.empty()) return nullptr;
  return Json{{"type", type}, {"message", message}};
}

double us_to_ms(std::uint32_t us) {
  return us / 1000.0;
}

Json attempt_as_json(const AttemptRow& row) {
  Json json;
  json["number"] = row.number;
  json["started"] = format_wall_time(wall_from_ms(row.started_ms));
  json["duration_ms"] = us_to_ms(row.duration_us);
  json["outcome"] = to_string(row.outcome);
  json["worker"] = row.worker;
  json["instance"] = row.instance;
  json["generation"] = row.generation == 0 ? Json(nullptr) : Json(row.generation);
  json["cold_start"] = row.cold_start;
  json["cold_start_ms"] = us_to_ms(row.cold_start_us);
  json["peak_memory_kb"] = row.peak_memory_kb;
  json["billed_ms"] = billed_ms(row);
  json["error"] = error_as_json(row.error_type, row.error_message);
  return json;
}

}  // namespace

std::string to_json(const ResultRecord& record, const EventId& id, std::string_view function) {
  // A ledger that cannot be read hides no result: its rows are left out.
  const auto ledger = unpack_ledger(record.ledger);
  const std::vector<AttemptRow> rows = ledger ? *ledger : std::vector<AttemptRow>{};
  Json attempts = Json::array();
  for (const AttemptRow& row : rows) attempts.push_back(attempt_as_json(row));
  const ResultTotals totals = totals_of(record, rows);
  Json json;
  json["id"] = to_string(id);
  json["function"] = function;
  json["status"] = to_string(record.status);
  json["output"] = output_as_json(record);
  json["content_type"] = record.content_type;
  json["error"] = error_as_json(record.error_type, record.error_message);
  json["attempts"] = std::move(attempts);
  json["log"] = to_utf8(record.log_tail, 3 * record.log_tail.size());
  json["log_truncated"] = record.log_truncated;
  json["queued_ms"] = totals.queued_ms;
  json["total_ms"] = totals.total_ms;
  json["billed_ms"] = totals.billed_ms;
  json["gb_seconds"] = totals.gb_seconds;
  json["reason"] = record.reason ? Json(to_string(*record.reason)) : Json(nullptr);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fanfare::protocol
