// How attempts and deliveries end: the rows of the ledger and the stored result.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/ids.h"

namespace fanfare::protocol {

// How one attempt ended. The first group, without kOk, counts against the retry budget; the second
// never does: capacity is never failure.
enum class Outcome : std::uint8_t {
  kOk = 0,
  kFunctionError = 1,
  kTimeout = 2,
  kCrashed = 3,
  kOutOfMemory = 4,
  kInitFailed = 5,
  kWorkerLost = 16,
  kThrottled = 17,
  kDrained = 18,
  kCancelled = 19,  // an operator ended the delivery while it ran
  kRedriven = 20,   // no attempt: where a dead letter became a delivery again, number 0
};
std::string_view to_string(Outcome outcome);  // "ok", "function_error", … as users see them
constexpr bool counts_against_budget(Outcome o) {
  return o != Outcome::kOk && static_cast<std::uint8_t>(o) < 16;
}

enum class Status : std::uint8_t { kSucceeded = 0, kFailed = 1, kExpired = 2, kCancelled = 3 };
std::string_view to_string(Status status);

enum class DeadReason : std::uint8_t {
  kRetriesExhausted = 0,
  kNotRetryable = 1,
  kExpired = 2,
  kWorkerLosses = 3,
  kNoSuchFunction = 4,
  kTooLarge = 5,
  kRecursion = 6,  // functions published in a circle
  // From 16 on: an operator ended the delivery, as cancelled. No letter has these.
  kCancelled = 16,
  kPurged = 17,  // with its whole queue
};
std::string_view to_string(DeadReason reason);

// The type of the failure that stands for a result above result.max_bytes.
inline constexpr std::string_view kResultTooLarge = "ResultTooLarge";

struct Failure {
  std::string type;     // "ValidationError", "SIGSEGV", "Timeout", an exception's type name
  std::string message;  // at most 1 KiB is kept
  bool retryable = true;
  std::optional<std::int64_t> retry_after_ms;
  bool operator==(const Failure&) const = default;
};

// One execution, as the ledger keeps it.
struct AttemptRow {
  std::uint32_t number = 1;  // 1 is the first
  Outcome outcome = Outcome::kOk;
  std::int64_t started_ms = 0;  // Unix ms
  std::uint32_t duration_us = 0;
  bool cold_start = false;
  std::uint32_t cold_start_us = 0;  // arrival with no instance → handler entered
  std::uint32_t peak_memory_kb = 0;
  std::string worker;
  std::int32_t instance = 0;              // pid
  std::string error_type, error_message;  // empty when ok
  std::uint64_t generation = 0;  // of the function: which deployment ran; 0 = it is not known
  bool operator==(const AttemptRow&) const = default;
};

// Time is billed by the millisecond begun.
constexpr std::uint64_t billed_ms(const AttemptRow& row) {
  return (row.duration_us + std::uint64_t{999}) / 1000;
}

// Appends rows to a packed ledger: the ledger is the concatenation of packed rows, so adding one
// never unpacks the others.
void append_row(std::string& ledger, const AttemptRow& row);
Result<std::vector<AttemptRow>> unpack_ledger(std::string_view ledger);

// The rows that are attempts, and those behind the latest redrive: all of them if there was none.
std::size_t count_attempts(std::span<const AttemptRow> rows);
std::span<const AttemptRow> since_redrive(std::span<const AttemptRow> rows);

// The final word on a delivery, stored in Redis for `result.ttl` and shown by `fanfare result`.
// Packed: [status, output bin, content_type, error_type|nil, error_message|nil, ledger bin,
//          log_tail bin, log_truncated, accepted_ms, ended_ms, memory_limit_mb, reason|nil]
struct ResultRecord {
  Status status = Status::kSucceeded;
  std::string output;
  std::string content_type;
  std::string error_type, error_message;
  std::string ledger;    // packed AttemptRows
  std::string log_tail;  // the last 4 KiB of the last attempt's output
  bool log_truncated = false;
  std::int64_t accepted_ms = 0;  // the entry's ms, unless the broker knows better
  std::int64_t ended_ms = 0;
  std::uint32_t memory_limit_mb = 0;
  std::optional<DeadReason> reason;  // set when it was buried
  bool operator==(const ResultRecord&) const = default;
};
std::string pack(const ResultRecord& record);
// Behind what `out` holds; memory that it has is used.
void append_record(std::string& out, const ResultRecord& record);
Result<ResultRecord> unpack_result(std::string_view packed);

// What a record's rows and times come to.
struct ResultTotals {
  std::int64_t queued_ms = 0;   // accepted → its first attempt; after a redrive, the first since
  std::int64_t total_ms = 0;    // accepted → ended
  std::uint64_t billed_ms = 0;  // of all attempts
  double gb_seconds = 0;        // billed, times the function's memory limit
};
ResultTotals totals_of(const ResultRecord& record, std::span<const AttemptRow> rows);

// The status of a packed record, of which the first bytes are enough; nothing if these are none.
std::optional<Status> peek_status(std::string_view packed);

// {"id","function","status","output","content_type","error":{…}|null,"attempts":[…],"log",
//  "queued_ms","total_ms","billed_ms","gb_seconds", "reason"}: output is JSON when its content type
// says so and it parses, text when it is UTF-8, else {"base64":…}.
std::string to_json(const ResultRecord& record, const EventId& id, std::string_view function);

}  // namespace fanfare::protocol
