#include "protocol/record.h"

#include <algorithm>

#include "protocol/known.h"
#include "protocol/wire.h"

namespace fanfare::protocol {
namespace {

template <typename E>
struct Name {
  E value;
  std::string_view text;
};

template <typename E, std::size_t N>
std::string_view name_of(E value, const Name<E> (&names)[N]) {
  for (const auto& name : names) {
    if (name.value == value) return name.text;
  }
  return "unknown";
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  static constexpr Name<Outcome> kNames[] = {
      {Outcome::kOk, "ok"},
      {Outcome::kFunctionError, "function_error"},
      {Outcome::kTimeout, "timeout"},
      {Outcome::kCrashed, "crashed"},
      {Outcome::kOutOfMemory, "out_of_memory"},
      {Outcome::kInitFailed, "init_failed"},
      {Outcome::kWorkerLost, "worker_lost"},
      {Outcome::kThrottled, "throttled"},
      {Outcome::kDrained, "drained"},
      {Outcome::kCancelled, "cancelled"},
      {Outcome::kRedriven, "redriven"},
  };
  return name_of(outcome, kNames);
}

std::string_view to_string(Status status) {
  static constexpr Name<Status> kNames[] = {
      {Status::kSucceeded, "succeeded"},
      {Status::kFailed, "failed"},
      {Status::kExpired, "expired"},
      {Status::kCancelled, "cancelled"},
  };
  return name_of(status, kNames);
}

std::string_view to_string(DeadReason reason) {
  static constexpr Name<DeadReason> kNames[] = {
      {DeadReason::kRetriesExhausted, "retries_exhausted"},
      {DeadReason::kNotRetryable, "not_retryable"},
      {DeadReason::kExpired, "expired"},
      {DeadReason::kWorkerLosses, "worker_losses"},
      {DeadReason::kNoSuchFunction, "no_such_function"},
      {DeadReason::kTooLarge, "too_large"},
      {DeadReason::kRecursion, "recursion"},
      {DeadReason::kCancelled, "cancelled"},
      {DeadReason::kPurged, "purged"},
  };
  return name_of(reason, kNames);
}

void fields(auto& wire, Like<AttemptRow> auto& row) {
  wire.structure("attempt", 12, 1);
  wire.number("attempt.number", row.number);
  wire.enumeration("attempt.outcome", row.outcome);
  wire.number("attempt.started_ms", row.started_ms);
  wire.number("attempt.duration_us", row.duration_us);
  wire.boolean("attempt.cold_start", row.cold_start);
  wire.number("attempt.cold_start_us", row.cold_start_us);
  wire.number("attempt.peak_memory_kb", row.peak_memory_kb);
  wire.text("attempt.worker", row.worker);
  wire.number("attempt.instance", row.instance);
  wire.text_or_nil("attempt.error_type", row.error_type);
  wire.text_or_nil("attempt.error_message", row.error_message);
  if (wire.later_in_structure()) wire.number("attempt.generation", row.generation);
  wire.end_structure();
}

void append_row(std::string& ledger, const AttemptRow& row) {
  Encoder wire{ledger, 96 + row.worker.size() + row.error_type.size() + row.error_message.size()};
  fields(wire, row);
}

Result<std::vector<AttemptRow>> unpack_ledger(std::string_view ledger) {
  std::vector<AttemptRow> rows;
  Decoder wire{ledger};
  while (wire.ok() && !wire.cursor().at_end()) fields(wire, rows.emplace_back());
  if (auto read = wire.finish("ledger"); !read) return read.error();
  return rows;
}

std::size_t count_attempts(std::span<const AttemptRow> rows) {
  return rows.size() - static_cast<std::size_t>(
                           std::ranges::count(rows, Outcome::kRedriven, &AttemptRow::outcome));
}

std::span<const AttemptRow> since_redrive(std::span<const AttemptRow> rows) {
  for (std::size_t i = rows.size(); i > 0; --i) {
    if (rows[i - 1].outcome == Outcome::kRedriven) return rows.subspan(i);
  }
  return rows;
}

void fields(auto& wire, Like<ResultRecord> auto& record) {
  wire.structure("result", 12);
  wire.enumeration("status", record.status);
  wire.bin("output", record.output);
  wire.text("content_type", record.content_type);
  wire.text_or_nil("error_type", record.error_type);
  wire.text_or_nil("error_message", record.error_message);
  wire.bin("ledger", record.ledger);
  wire.bin("log_tail", record.log_tail);
  wire.boolean("log_truncated", record.log_truncated);
  wire.number("accepted_ms", record.accepted_ms);
  wire.number("ended_ms", record.ended_ms);
  wire.number("memory_limit_mb", record.memory_limit_mb);
  wire.optional("reason", record.reason);
  wire.end_structure();
}

void append_record(std::string& out, const ResultRecord& record) {
  Encoder wire{out, 128 + record.output.size() + record.content_type.size() +
                        record.error_type.size() + record.error_message.size() +
                        record.ledger.size() + record.log_tail.size()};
  fields(wire, record);
}

std::string pack(const ResultRecord& record) {
  std::string packed;
  append_record(packed, record);
  return packed;
}

ResultTotals totals_of(const ResultRecord& record, std::span<const AttemptRow> rows) {
  ResultTotals totals;
  for (const AttemptRow& row : rows) totals.billed_ms += billed_ms(row);
  // A redriven delivery was accepted anew.
  const auto latest = since_redrive(rows);
  const std::int64_t left_queue_ms = latest.empty() ? record.ended_ms : latest.front().started_ms;
  totals.queued_ms = std::max<std::int64_t>(0, left_queue_ms - record.accepted_ms);
  totals.total_ms = std::max<std::int64_t>(0, record.ended_ms - record.accepted_ms);
  totals.gb_seconds =
      record.memory_limit_mb / 1024.0 * static_cast<double>(totals.billed_ms) / 1000.0;
  return totals;
}

std::optional<Status> peek_status(std::string_view packed) {
  Decoder wire{packed};
  Status status{};
  wire.structure("result", 12);
  wire.enumeration("status", status);
  if (!wire.ok()) return std::nullopt;
  return status;
}

Result<ResultRecord> unpack_result(std::string_view packed) {
  Decoder wire{packed};
  ResultRecord record;
  fields(wire, record);
  if (auto read = wire.finish("result"); !read) return read.error();
  return record;
}

}  // namespace fanfare::protocol
