#include "cli/log_entry.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cli/ask.h"
#include "cli/output.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

// The value of a field, in quotes or up to the next blank; moves `text` behind it.
std::string take_value(std::string_view& text) {
  if (!text.starts_with('"')) return std::string(take_word(text));
  std::string value;
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\')) {
      ++at;
    }
    value += text[at];
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return value;
}

// "name=value …" up to the text's end or a word without '='.
ordered_json take_fields(std::string_view text) {
  ordered_json fields = ordered_json::object();
  while (!text.empty()) {
    const std::size_t equals = text.find('=');
    if (equals == text.npos || text.substr(0, equals).find(' ') != text.npos) break;
    std::string name(text.substr(0, equals));
    text.remove_prefix(equals + 1);
    const bool quoted = text.starts_with('"');
    std::string value = take_value(text);
    const ordered_json number = ordered_json::parse(value, nullptr, /*allow_exceptions=*/false);
    const bool is_number = !quoted && number.is_number();
    if (name == "error") name = "error_type";
    if (name == "message") name = "error_message";
    if (name == "cold_start") {
      fields[name] = value == "yes";
    } else if (is_number && name != "event" && name != "function" && name != "error_type") {
      fields[name] = number;
    } else {
      fields[name] = std::move(value);
    }
  }
  return fields;
}

std::string without_braces(const ordered_json& object) {
  const std::string dumped = object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  return dumped.substr(1, dumped.size() - 2);
}

// `fields` has "kind" first.
std::optional<LogEntry> entry_of(std::string time, ordered_json fields, std::string text) {
  using Kind = LogEntry::Kind;
  const std::string kind = text_of(fields, "kind");
  LogEntry entry;
  entry.kind = kind == "report" ? Kind::kReport : kind == "output" ? Kind::kOutput : Kind::kLeftOut;
  entry.time = std::move(time);
  entry.function = text_of(fields, "function");
  entry.event = text_of(fields, "event");
  if (const auto at = fields.find("attempt"); at != fields.end() && at->is_number_unsigned()) {
    entry.attempt = at->get<std::uint64_t>();
  }
  entry.failed = entry.kind == Kind::kReport && text_of(fields, "outcome") != "ok";
  entry.text = std::move(text);
  entry.members = without_braces(fields);
  if (entry.kind != Kind::kLeftOut && (entry.function.empty() || entry.event.empty())) return {};
  return entry;
}

// Behind "event=… function=… attempt=…": what is the same in every line of the table.
std::string_view after_subject(std::string_view message) {
  for (int field = 0; field < 3; ++field) take_word(message);
  return message;
}

std::optional<LogEntry> parse_text(std::string_view line) {
  if (line.starts_with('<')) {  // syslog's priority
    const std::size_t end = line.find('>');
    if (end == line.npos) return {};
    line.remove_prefix(end + 1);
  }
  std::string time(take_word(line));
  take_word(line);  // the level
  take_word(line);  // the program
  const std::string_view message = line;
  const std::string_view word = take_word(line);
  ordered_json fields;
  std::string text;
  if (word == "REPORT") {
    fields["kind"] = "report";
    fields.update(take_fields(line));
    text = after_subject(line);
  } else if (word == "OUTPUT") {
    fields["kind"] = "output";
    const std::size_t colon = line.find(": ");
    if (colon == line.npos) return {};
    fields.update(take_fields(line.substr(0, colon)));
    text = line.substr(colon + 2);
    fields["text"] = text;
  } else if (word == "LEFT_OUT") {
    fields["kind"] = "left_out";
    const std::size_t colon = std::min(line.find(": "), line.size());
    fields.update(take_fields(line.substr(0, colon)));
    text = message;
  } else {
    return {};
  }
  return entry_of(std::move(time), std::move(fields), std::move(text));
}

std::optional<LogEntry> parse_json(std::string_view line) {
  ordered_json object = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("kind")) return {};
  const std::string kind = text_of(object, "kind");
  std::string_view message;
  const std::string whole = text_of(object, "message");
  message = whole;
  std::string text;
  if (kind == "output") {
    text = text_of(object, "text");
  } else if (kind == "report") {
    take_word(message);
    text = after_subject(message);
  } else {
    text = message;
  }
  ordered_json fields{{"kind", kind}};
  for (const auto& [name, value] : object.items()) {
    if (name != "time" && name != "level" && name != "program" && name != "message") {
      fields[name] = value;
    }
  }
  return entry_of(text_of(object, "time"), std::move(fields), std::move(text));
}

}  // namespace

std::optional<LogEntry> parse_log_line(std::string_view line) {
  // Most lines of a large log are looked at no further.
  if (line.starts_with('{')) {
    return line.find("\"kind\":") == line.npos ? std::nullopt : parse_json(line);
  }
  const bool ours = line.find(" REPORT event=") != line.npos ||
                    line.find(" OUTPUT event=") != line.npos ||
                    line.find(" LEFT_OUT reports=") != line.npos;
  return ours ? parse_text(line) : std::nullopt;
}

std::string format_entry(const LogEntry& entry, bool with_worker, bool colour) {
  using Kind = LogEntry::Kind;
  std::string out = paint(Colour::kDim, entry.time, colour);
  if (with_worker) out += ' ' + paint(Colour::kDim, entry.worker, colour);
  const std::string text = printable(entry.text);
  if (entry.kind == Kind::kLeftOut) return out + ' ' + paint(Colour::kYellow, text, colour);
  out += fmt::format(" {} {}", paint(Colour::kBold, entry.function, colour), entry.event);
  if (entry.kind == Kind::kOutput) return out + "  " + text;
  const Colour shade = entry.failed ? Colour::kRed : Colour::kGreen;
  return out + ' ' + paint(shade, fmt::format("REPORT attempt={} {}", entry.attempt, text), colour);
}

std::string entry_json(const LogEntry& entry) {
  const ordered_json head{{"time", entry.time}, {"worker", entry.worker}};
  return fmt::format("{{{},{}}}", without_braces(head), entry.members);
}

}  // namespace fanfare::cli
