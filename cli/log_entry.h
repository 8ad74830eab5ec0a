// The lines of a worker's log that are about attempts, as worker/log_lines.h writes them: what
// functions print, a report per attempt, and what was left out. Text and JSON logs read alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fanfare::cli {

struct LogEntry {
  enum class Kind : std::uint8_t { kReport, kOutput, kLeftOut };
  Kind kind = Kind::kOutput;
  std::string time;  // RFC 3339 in UTC with milliseconds: in the order of its text
  std::string worker;
  std::string function, event;  // empty: of kLeftOut
  std::uint64_t attempt = 0;
  bool failed = false;  // of kReport
  std::string text;     // what people read: the printed line, or the report's figures
  std::string members;  // what programs read: members of a JSON object, "kind" first
};

// Nothing for any other line.
std::optional<LogEntry> parse_log_line(std::string_view line);

// With the worker's name if `with_worker`.
std::string format_entry(const LogEntry& entry, bool with_worker, bool colour);
std::string entry_json(const LogEntry& entry);

}  // namespace fanfare::cli
