#include "worker/log_lines.h"

#include <fmt/format.h>

#include <iterator>

#include "base/log.h"

namespace fanfare::worker {
namespace {

double ms(std::uint32_t us) {
  return us / 1000.0;
}

std::uint32_t peak_mb(const protocol::AttemptRow& row) {
  return (row.peak_memory_kb + 1023) / 1024;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// A type with blanks in it must not look like several fields.
std::string word(std::string_view text) {
  const bool plain = !text.empty() && text.find_first_of(" \t\n\"\\=") == std::string_view::npos;
  return plain ? std::string{text} : in_quotes(text);
}

std::string subject_fields(std::string_view kind, const protocol::EventId& id,
                           std::string_view function, std::uint32_t attempt) {
  std::string fields;
  append_field(fields, "kind", kind);
  append_field(fields, "event", protocol::to_string(id));
  append_field(fields, "function", function);
  fmt::format_to(std::back_inserter(fields), R"(,"attempt":{})", attempt);
  return fields;
}

}  // namespace

std::string report_line(const AttemptReport& report) {
  const protocol::AttemptRow& row = report.row;
  std::string line = fmt::format(
      "REPORT event={} function={} attempt={} outcome={} duration_ms={:.2f} billed_ms={} "
      "memory_mb={} max_memory_mb={} cold_start={}",
      protocol::to_string(report.id), report.function, row.number, protocol::to_string(row.outcome),
      ms(row.duration_us), protocol::billed_ms(row), report.memory_limit_mb, peak_mb(row),
      row.cold_start ? "yes" : "no");
  if (row.cold_start) line += fmt::format(" init_ms={:.2f}", ms(row.cold_start_us));
  if (!row.error_type.empty() || !row.error_message.empty()) {
    line += fmt::format(" error={} message={}", word(row.error_type), in_quotes(row.error_message));
  }
  return line;
}

std::string report_fields(const AttemptReport& report) {
  const protocol::AttemptRow& row = report.row;
  std::string fields = subject_fields("report", report.id, report.function, row.number);
  append_field(fields, "outcome", protocol::to_string(row.outcome));
  fmt::format_to(std::back_inserter(fields),
                 R"(,"duration_ms":{:.3f},"billed_ms":{},"memory_mb":{},"max_memory_mb":{})"
                 R"(,"cold_start":{},"init_ms":{:.3f})",
                 ms(row.duration_us), protocol::billed_ms(row), report.memory_limit_mb,
                 peak_mb(row), row.cold_start, ms(row.cold_start_us));
  if (!row.error_type.empty() || !row.error_message.empty()) {
    append_field(fields, "error_type", row.error_type);
    append_field(fields, "error_message", row.error_message);
  }
  return fields;
}

std::string output_line(const OutputLine& line) {
  return fmt::format("OUTPUT event={} function={} attempt={}: {}", protocol::to_string(line.id),
                     line.function, line.attempt, line.text);
}

std::string output_fields(const OutputLine& line) {
  std::string fields = subject_fields("output", line.id, line.function, line.attempt);
  append_field(fields, "text", line.text);
  return fields;
}

std::string left_out_line(const LeftOut& left_out) {
  return fmt::format(
      "LEFT_OUT reports={} output_lines={} output_bytes={}: more than reports_per_second and "
      "output_lines_per_second of [worker] allow",
      left_out.reports, left_out.output_lines, left_out.output_bytes);
}

std::string left_out_fields(const LeftOut& left_out) {
  return fmt::format(R"("kind":"left_out","reports":{},"output_lines":{},"output_bytes":{})",
                     left_out.reports, left_out.output_lines, left_out.output_bytes);
}

}  // namespace fanfare::worker
