#include "cli/pending.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;
using State = PendingDelivery::State;

std::int64_t integer(const ordered_json& row, const char* key) {
  const auto at = row.find(key);
  return at != row.end() && at->is_number() ? at->get<std::int64_t>() : 0;
}

std::string text(const ordered_json& row, const char* key) {
  const auto at = row.find(key);
  return at != row.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

std::optional<PendingDelivery> parse_row(const ordered_json& row) {
  if (!row.is_object()) return std::nullopt;
  const auto id = protocol::parse_event_id(text(row, "id"));
  if (!id || !row.contains("function")) return std::nullopt;
  PendingDelivery pending;
  pending.function = text(row, "function");
  pending.id = *id;
  const std::string state = text(row, "state");
  pending.state = state == "running" ? State::kRunning : State::kReady;
  pending.attempt = static_cast<std::uint32_t>(integer(row, "attempt"));
  pending.accepted_ms = integer(row, "accepted_ms");
  pending.worker = text(row, "worker");
  pending.note = text(row, "note");
  if (const auto at = row.find("running_ms"); at != row.end() && at->is_number()) {
    pending.running_ms = at->get<std::int64_t>();
  }
  if (const auto at = row.find("progress"); at != row.end() && at->is_number()) {
    pending.progress = at->get<double>();
  }
  return pending;
}

PendingDelivery from_later(const Retrying& row) {
  PendingDelivery pending;
  pending.function = row.function;
  pending.id = row.id;
  pending.state = row.last ? State::kRetrying : State::kDelayed;
  pending.attempt = row.last ? attempt_after(*row.last) : 1;
  pending.accepted_ms = static_cast<std::int64_t>(row.id.entry.ms);
  pending.due_ms = row.due_ms;
  pending.last = row.last;
  return pending;
}

std::string when(std::int64_t at_ms, std::int64_t now_ms) {
  if (at_ms <= now_ms) return "now, when an instance is free";
  return fmt::format("at {} (in {})", format_wall_time(wall_from_ms(at_ms)),
                     human_ms(static_cast<double>(at_ms - now_ms)));
}

std::string of_last(const PendingDelivery& pending) {
  if (!pending.last) return {};
  const auto& last = *pending.last;
  if (last.outcome == protocol::Outcome::kRedriven) return "; redriven from the dead letters";
  const std::string why = last.error_type.empty()
                              ? std::string{}
                              : fmt::format(" ({}: {})", last.error_type, last.error_message);
  return fmt::format("; attempt {} {}{}", last.number, protocol::to_string(last.outcome), why);
}

std::string running_text(const PendingDelivery& pending) {
  if (pending.worker.empty()) return "running: its attempt has ended, and how is being written";
  std::string out = "running on " + pending.worker;
  if (pending.running_ms) {
    out += " for " + human_ms(static_cast<double>(*pending.running_ms));
  } else {
    out += ", which has not said that it has begun";
  }
  if (pending.attempt > 1) out += fmt::format(", attempt {}", pending.attempt);
  if (pending.progress) out += fmt::format(", {:.0f} %", *pending.progress * 100);
  if (!pending.note.empty()) out += fmt::format(", \"{}\"", pending.note);
  return out;
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case State::kReady:
      return "ready";
    case State::kDelayed:
      return "delayed";
    case State::kRetrying:
      return "retrying";
    case State::kRunning:
      return "running";
  }
  return "unknown";
}

std::vector<PendingDelivery> parse_deliveries(std::string_view json) {
  std::vector<PendingDelivery> all;
  const auto answer = ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("deliveries")) return all;
  for (const auto& row : answer["deliveries"]) {
    if (auto pending = parse_row(row)) all.push_back(*std::move(pending));
  }
  return all;
}

Result<std::vector<PendingDelivery>> read_pending(client::BlockingClient* broker, RedisSync& redis,
                                                  const std::vector<std::string>& functions,
                                                  const protocol::EventId& id) {
  std::vector<PendingDelivery> found;
  if (broker) {
    const auto answer =
        broker->admin("deliveries", ordered_json{{"id", protocol::to_string(id)}}.dump());
    if (answer) found = parse_deliveries(*answer);
  }
  std::erase_if(found, [&](const PendingDelivery& one) {
    return std::ranges::find(functions, one.function) == functions.end();
  });
  auto later = read_retrying(redis, functions, id);
  if (!later) return later.error();
  for (const Retrying& row : *later) {
    const auto known = std::ranges::find(found, row.function, &PendingDelivery::function);
    if (known == found.end()) {
      found.push_back(from_later(row));
    } else {
      known->last = row.last;
    }
  }
  std::ranges::sort(found, {}, &PendingDelivery::function);
  return found;
}

std::string format_pending(const PendingDelivery& pending, WallTime now) {
  const std::int64_t now_ms = to_ms(now);
  const std::string& name = pending.function;
  switch (pending.state) {
    case State::kRunning:
      return fmt::format("{}: {}{}", name, running_text(pending), of_last(pending));
    case State::kDelayed:
      return fmt::format("{}: delayed, runs {}", name, when(pending.due_ms, now_ms));
    case State::kRetrying:
      return fmt::format("{}: retrying {}{}", name, when(pending.due_ms, now_ms), of_last(pending));
    case State::kReady:
      break;
  }
  return fmt::format(
      "{}: ready, waits since {}{}{}", name,
      human_ms(static_cast<double>(std::max<std::int64_t>(0, now_ms - pending.accepted_ms))),
      pending.attempt > 1 ? fmt::format(", attempt {}", pending.attempt) : "", of_last(pending));
}

void print_pending(const std::vector<PendingDelivery>& pending) {
  for (const auto& one : pending) {
    fmt::print(stderr, "  {}\n", printable(format_pending(one, wall_now())));
  }
}

std::string pending_json(const PendingDelivery& pending) {
  ordered_json json;
  json["id"] = protocol::to_string(pending.id);
  json["function"] = pending.function;
  json["status"] = to_string(pending.state);
  json["output"] = nullptr;
  json["error"] = nullptr;
  if (pending.last && !pending.last->error_type.empty()) {
    json["error"] = {{"type", pending.last->error_type}, {"message", pending.last->error_message}};
  }
  json["attempt"] = pending.attempt == 0 ? ordered_json(nullptr) : ordered_json(pending.attempt);
  json["due"] = pending.due_ms == 0 ? ordered_json(nullptr)
                                    : ordered_json(format_wall_time(wall_from_ms(pending.due_ms)));
  json["worker"] = pending.worker.empty() ? ordered_json(nullptr) : ordered_json(pending.worker);
  json["running_ms"] =
      pending.running_ms ? ordered_json(*pending.running_ms) : ordered_json(nullptr);
  json["progress"] = pending.progress ? ordered_json(*pending.progress) : ordered_json(nullptr);
  json["note"] = pending.note;
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void ProgressLine::show(const std::vector<PendingDelivery>& pending) {
  if (!enabled_) return;
  std::string line;
  for (const auto& one : pending) {
    if (!line.empty()) line += " · ";
    line += printable(format_pending(one, wall_now()));
  }
  // A line that wraps could not be written over.
  winsize size{};
  const std::size_t columns =
      ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79u;
  if (line.size() > columns) {
    std::size_t cut = columns;
    while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xC0) == 0x80) --cut;
    line.resize(cut);
  }
  fmt::print(stderr, "\r\x1b[K{}", line);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (!std::exchange(shown_, false)) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
}

Meanwhile show_progress(ProgressLine& line, client::BlockingClient& broker, RedisSync& redis,
                        std::vector<std::string> functions, const protocol::EventId& id) {
  if (!line.enabled()) return {};
  return [&line, &broker, &redis, functions = std::move(functions), id] {
    if (const auto pending = read_pending(&broker, redis, functions, id)) line.show(*pending);
  };
}

}  // namespace fanfare::cli
