// Logging for all programs: one line per fact, to standard error or a file, as text or JSON.
//
// Programs log through spdlog's default logger (spdlog::info("…", …)); this sets it up.
// Synchronous: a line is written when the call returns, and nothing of it lives in another thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace spdlog {
class formatter;
}

namespace fanfare {

struct LogOptions {
  std::string program;               // "fanfare-broker"
  std::string format = "text";       // text | json
  std::string level = "info";        // trace | debug | info | warn | error | off
  std::string file;                  // empty = standard error
  std::uint64_t file_bytes_max = 0;  // then it becomes FILE.1 and is begun anew; 0 = never
};

// Makes spdlog's default logger. Rejects unknown formats and levels and files it cannot open.
//
// text:  2026-11-23T14:37:00.125Z info fanfare-broker: 3 functions read
//        in colour on a terminal unless NO_COLOR is set; with syslog priority prefixes ("<6>…")
//        when standard error is the systemd journal.
// json:  {"time":"2026-…","level":"info","program":"fanfare-broker","message":"…"}, any bytes
// escaped;
//        what is not UTF-8 becomes U+FFFD.
Result<void> init_logging(const LogOptions& options);

// A line with fields of its own, for programs that read logs: in JSON `fields` (members of an
// object, without its braces) stand behind the message, in text there is only the message.
void log_with_fields(std::string_view message, const std::string& fields);
// Whether lines are written as JSON, so that fields are worth making.
bool log_takes_fields();
// "name":"value" for `fields`, whatever bytes the value has; with a comma before it unless first.
void append_field(std::string& fields, std::string_view name, std::string_view value);

// The two formatters by themselves.
struct TextFormat {
  std::string program;
  bool colour = false;
  bool priority_prefix = false;
};
std::unique_ptr<spdlog::formatter> make_text_formatter(TextFormat format);
std::unique_ptr<spdlog::formatter> make_json_formatter(std::string program);

// Lets one line per period through, so that a flood of bad input cannot fill the disk. Pure.
class LogThrottle {
 public:
  explicit LogThrottle(Duration period = std::chrono::seconds{10}) : period_(period) {}

  // Whether to log now; if so, how many lines were swallowed since the last one that was logged.
  std::optional<std::uint64_t> allow(TimePoint now);

 private:
  Duration period_;
  std::optional<TimePoint> last_;
  std::uint64_t swallowed_ = 0;
};

}  // namespace fanfare
