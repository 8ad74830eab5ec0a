// fanfare status: what the broker says of itself, its workers and its queues, what Redis says, and
// whether the gateway answers.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/gateway_status.h"
#include "cli/retrying.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

// "used_memory:123" of INFO → "123".
std::string info_field(std::string_view info, std::string_view name) {
  const std::string key = fmt::format("\n{}:", name);
  const std::size_t at = info.find(key);
  if (at == info.npos) return {};
  const std::size_t from = at + key.size();
  return std::string(info.substr(from, info.find_first_of("\r\n", from) - from));
}

ordered_json redis_status(const Address& address) {
  const auto url = redis_url(address);
  ordered_json json{{"url", url ? *url : ""}, {"up", false}};
  auto redis = connect_redis(address);
  if (!redis) {
    json["error"] = redis.error().message;
    return json;
  }
  const auto info = redis->call({"INFO"});
  if (!info || (*info)->is_error()) return json;
  const std::string_view text = (*info)->text();
  json["up"] = true;
  json["version"] = info_field(text, "redis_version");
  json["appendonly"] = info_field(text, "aof_enabled") == "1";
  const std::string memory = info_field(text, "used_memory");
  json["used_memory_bytes"] = memory.empty() ? 0 : std::stoll(memory);
  const auto fsync = redis->call({"CONFIG", "GET", "appendfsync"});
  if (fsync && (*fsync)->size() == 2) json["appendfsync"] = (**fsync)[1].text();
  return json;
}

std::string text(const ordered_json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end()) return "";
  return at->is_string() ? at->get<std::string>() : at->dump();
}

double number(const ordered_json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_number() ? at->get<double>() : 0;
}

// What is due next of each function that has deliveries waiting for another attempt, and why.
std::string later_lines(const Address& address, const ordered_json& functions) {
  std::string lines;
  auto redis = connect_redis(address);
  if (!redis) return lines;
  for (const auto& function : functions) {
    if (number(function, "later") == 0) continue;
    const auto next = next_retrying(*redis, text(function, "name"));
    if (!next || !*next) continue;
    lines += fmt::format("{}  {}\n", lines.empty() ? "next of LATER:\n" : "",
                         printable(format_retrying(**next, wall_now())));
  }
  return lines;
}

// What has run for long, or tells how far it is.
std::string running_lines(const ordered_json& rows) {
  std::string lines;
  for (const auto& row : rows) {
    std::string line = fmt::format("{} {} on {} for {}", text(row, "function"), text(row, "id"),
                                   text(row, "worker"), human_ms(number(row, "running_ms")));
    if (!row.value("progress", ordered_json{}).is_null()) {
      line += fmt::format(", {:.0f} %", number(row, "progress") * 100);
    }
    if (!text(row, "note").empty()) line += fmt::format(", \"{}\"", text(row, "note"));
    lines += fmt::format("{}  {}\n", lines.empty() ? "running longest:\n" : "", printable(line));
  }
  return lines;
}

// What other machines' peers were refused; empty if nothing was.
std::string remote_line(const ordered_json& broker) {
  std::string refused;
  std::map<std::string, std::uint64_t> by_reason;
  if (const auto at = broker.find("connections_refused"); at != broker.end()) at->get_to(by_reason);
  for (const auto& [reason, count] : by_reason) {
    if (count > 0) refused += fmt::format("{}{} {}", refused.empty() ? "" : ", ", count, reason);
  }
  const double not_allowed = number(broker, "frames_not_allowed");
  if (refused.empty() && not_allowed == 0 && number(broker, "remote_connections") == 0) return {};
  return fmt::format("remote   {:.0f} connections; refused: {}; messages not allowed: {:.0f}\n",
                     number(broker, "remote_connections"), refused.empty() ? "none" : refused,
                     not_allowed);
}

std::string format_status(const ordered_json& status, bool colour) {
  const auto& broker = status["broker"];
  const auto& redis = status["redis"];
  std::string out =
      fmt::format("broker   {}, durability {}, epoch {}; {:.0f}/s accepted, {:.0f}/s done\n",
                  text(broker, "state"), text(broker, "durability"), text(broker, "epoch"),
                  number(broker, "accepted_per_s"), number(broker, "done_per_s"));
  out += remote_line(broker);
  out += redis.value("up", false)
             ? fmt::format("redis    {} at {}, appendfsync {}, {:.1f} MB\n", text(redis, "version"),
                           text(redis, "url"), text(redis, "appendfsync"),
                           number(redis, "used_memory_bytes") / 1e6)
             : fmt::format("redis    {} {}\n", paint(Colour::kRed, "away:", colour),
                           text(redis, "error"));
  if (const auto gateway = status.find("gateway"); gateway != status.end()) {
    out += fmt::format(
        "gateway  {}{}\n", text(*gateway, "url"),
        gateway->value("up", false)
            ? ", answers"
            : fmt::format(" {} {}", paint(Colour::kRed, "away:", colour), text(*gateway, "error")));
  }
  for (const auto& worker : status["workers"]) {
    // Those that wait for what they have invoked have lent their slots.
    const std::string waiting =
        number(worker, "waiting") == 0 ? "" : fmt::format(", {} waiting", text(worker, "waiting"));
    out += fmt::format("worker   {} pid {}, {} of {} slots running{}, heard {} ago\n",
                       text(worker, "id"), text(worker, "pid"), text(worker, "running"),
                       text(worker, "slots"), waiting, human_ms(number(worker, "heard_ms")));
  }
  if (status["workers"].empty()) {
    out += fmt::format("worker   {}\n", paint(Colour::kYellow, "none: deliveries wait", colour));
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& function : status["functions"]) {
    rows.push_back({text(function, "name"), text(function, "state"), text(function, "ready"),
                    text(function, "running"), text(function, "later"), text(function, "dead"),
                    text(function, "succeeded"), text(function, "instances"),
                    fmt::format("{:.0f}", number(function, "accepted_per_s")),
                    fmt::format("{:.0f}", number(function, "done_per_s")),
                    number(function, "ready") > 0 ? human_ms(number(function, "oldest_ms")) : "-"});
  }
  std::string troubles, outboxes;
  for (const auto& function : status["functions"]) {
    if (!text(function, "trouble").empty()) {
      troubles += fmt::format("{} {}: {}\n", text(function, "name"),
                              paint(Colour::kRed, "stands still", colour),
                              printable(text(function, "trouble")));
    }
    if (number(function, "outbox") == 0) continue;
    outboxes += fmt::format("outbox of {}: {} events it has published wait for room in a queue\n",
                            text(function, "name"), text(function, "outbox"));
  }
  return out +
         format_table({"FUNCTION", "STATE", "READY", "RUNNING", "LATER", "DEAD", "SUCCEEDED",
                       "INSTANCES", "IN/S", "DONE/S", "OLDEST"},
                      rows, colour) +
         troubles + outboxes;
}

}  // namespace

int run_status(const Common& common, const StatusCommand& command) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  for (;;) {
    const auto answer = (*broker)->admin("status", "{}");
    if (!answer) return fail(common.output, answer.error());
    ordered_json told = ordered_json::parse(*answer, nullptr, /*allow_exceptions=*/false);
    if (!told.is_object()) return fail(common.output, reject("the broker's answer is not JSON"));
    ordered_json status{{"broker", told["broker"]},
                        {"redis", redis_status(common.address)},
                        {"workers", told["workers"]},
                        {"functions", told["functions"]},
                        {"long_running", told.value("long_running", ordered_json::array())}};
    if (const auto gateway = gateway_status(common.address)) {
      status["gateway"] = {{"url", gateway->url}, {"up", gateway->up}};
      if (!gateway->up) status["gateway"]["error"] = gateway->trouble;
    }
    if (common.output.json) {
      print_line(status.dump());
    } else {
      const std::string picture = format_status(status, common.output.colour_out) +
                                  running_lines(status["long_running"]) +
                                  later_lines(common.address, status["functions"]);
      const bool over = command.watch && isatty(STDOUT_FILENO) == 1;
      fmt::print("{}", over ? repainted(picture, terminal_rows()) : picture);
      std::fflush(stdout);
    }
    if (!command.watch) return kDone;
    std::this_thread::sleep_for(std::chrono::seconds{1});
  }
}

}  // namespace fanfare::cli
