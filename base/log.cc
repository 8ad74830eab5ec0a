#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iterator>

#include "base/log_file.h"
#include "base/utf8.h"

namespace fanfare {
namespace {

struct Level {
  spdlog::level::level_enum level;
  std::string_view name;
  std::string_view colour;
  char priority;  // syslog's
};
constexpr std::array<Level, 7> kLevels{{{spdlog::level::trace, "trace", "\033[2m", '7'},
                                        {spdlog::level::debug, "debug", "\033[36m", '7'},
                                        {spdlog::level::info, "info", "\033[32m", '6'},
                                        {spdlog::level::warn, "warn", "\033[33m", '4'},
                                        {spdlog::level::err, "error", "\033[31m", '3'},
                                        {spdlog::level::critical, "critical", "\033[1;31m", '2'},
                                        {spdlog::level::off, "off", "", '7'}}};

const Level& describe(spdlog::level::level_enum level) {
  for (const Level& candidate : kLevels) {
    if (candidate.level == level) return candidate;
  }
  return kLevels[2];
}

void append(spdlog::memory_buf_t& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

std::string time_of(const spdlog::details::log_msg& message) {
  return format_wall_time(std::chrono::floor<std::chrono::milliseconds>(message.time));
}

// One line stays one line, and no bytes of a peer's reach a terminal as commands.
void append_printable(spdlog::memory_buf_t& out, std::string_view text) {
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if (byte == '\n') {
      append(out, "\\n");
    } else if ((value < 0x20 && byte != '\t') || value == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", value);
    } else {
      out.push_back(byte);
    }
  }
}

void append_json_text(spdlog::memory_buf_t& out, std::string_view text) {
  out.push_back('"');
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    const char byte = text.front();
    if (length == 0) {
      append(out, "\uFFFD");
    } else if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(byte);
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      append(out, text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out.push_back('"');
}

// Fields travel beside the message, where spdlog has the place in the source; nobody else uses it.
constexpr const char* kFields = "fields";
bool takes_fields = false;

class TextFormatter : public spdlog::formatter {
 public:
  explicit TextFormatter(TextFormat format) : format_(std::move(format)) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const Level& level = describe(message.level);
    const auto end = std::back_inserter(out);
    if (format_.priority_prefix) fmt::format_to(end, "<{}>", level.priority);
    fmt::format_to(end, "{} {}{}{} {}: ", time_of(message), format_.colour ? level.colour : "",
                   level.name, format_.colour ? "\033[0m" : "", format_.program);
    append_printable(out, {message.payload.data(), message.payload.size()});
    out.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextFormatter>(format_);
  }

 private:
  TextFormat format_;
};

class JsonFormatter : public spdlog::formatter {
 public:
  explicit JsonFormatter(std::string program) : program_(std::move(program)) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    fmt::format_to(std::back_inserter(out), R"({{"time":"{}","level":"{}","program":)",
                   time_of(message), describe(message.level).name);
    append_json_text(out, program_);
    append(out, R"(,"message":)");
    append_json_text(out, {message.payload.data(), message.payload.size()});
    if (message.source.filename == kFields) {
      out.push_back(',');
      append(out, message.source.funcname);
    }
    append(out, "}\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>(program_);
  }

 private:
  std::string program_;
};

// systemd names the device and inode of the journal's stream; standard error may be that or not.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status{};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

bool stderr_takes_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(STDERR_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0');
}

}  // namespace

std::unique_ptr<spdlog::formatter> make_text_formatter(TextFormat format) {
  return std::make_unique<TextFormatter>(std::move(format));
}

std::unique_ptr<spdlog::formatter> make_json_formatter(std::string program) {
  return std::make_unique<JsonFormatter>(std::move(program));
}

Result<void> init_logging(const LogOptions& options) {
  const Level* level = nullptr;
  for (const Level& candidate : kLevels) {
    if (candidate.name == options.level) level = &candidate;
  }
  if (level == nullptr) {
    return reject(fmt::format("'{}' is no log level: use trace, debug, info, warn, error or off",
                              options.level));
  }
  if (options.format != "text" && options.format != "json") {
    return reject(fmt::format("'{}' is no log format: use text or json", options.format));
  }

  std::shared_ptr<spdlog::sinks::sink> sink;
  if (options.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    auto file = LogFile::open(options.file, options.file_bytes_max);
    if (!file) return file.error();
    sink = *std::move(file);
  }
  takes_fields = options.format == "json";
  const bool to_stderr = options.file.empty();
  auto logger = std::make_shared<spdlog::logger>(options.program, std::move(sink));
  logger->set_formatter(
      options.format == "json"
          ? make_json_formatter(options.program)
          : make_text_formatter({.program = options.program,
                                 .colour = to_stderr && stderr_takes_colour(),
                                 .priority_prefix = to_stderr && stderr_is_journal()}));
  logger->set_level(level->level);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

void log_with_fields(std::string_view message, const std::string& fields) {
  spdlog::source_loc beside;
  if (!fields.empty()) beside = {kFields, 1, fields.c_str()};
  spdlog::default_logger_raw()->log(beside, spdlog::level::info,
                                    spdlog::string_view_t{message.data(), message.size()});
}

bool log_takes_fields() {
  return takes_fields;
}

void append_field(std::string& fields, std::string_view name, std::string_view value) {
  spdlog::memory_buf_t out;
  if (!fields.empty()) out.push_back(',');
  append_json_text(out, name);
  out.push_back(':');
  append_json_text(out, value);
  fields.append(out.data(), out.size());
}

}  // namespace fanfare
