// fanfare deliveries list: what of a function has not ended.
//
// What runs the broker says; the rest is read from Redis. In durability class memory the queue is
// in the broker alone, so only what runs and what is later is shown.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/nearest.h"
#include "cli/ask.h"
#include "cli/queue_reader.h"
#include "cli/results.h"
#include "protocol/event.h"
#include "protocol/pattern.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

struct Shown {
  protocol::EventId id;
  std::string state;
  std::int64_t accepted_ms = 0;
  std::uint64_t attempt = 1;  // that runs, or the next
  std::optional<std::int64_t> due_ms;
  std::string worker, type;
};

struct Running {
  std::uint64_t attempt = 1;
  std::int64_t accepted_ms = 0;
  std::string worker;
};
using RunningById = std::unordered_map<protocol::EventId, Running>;

class Listing {
 public:
  Listing(const DeliveriesCommand& command, std::optional<protocol::Pattern> where,
          RunningById running, std::int64_t now_ms)
      : command_(command),
        where_(std::move(where)),
        running_(std::move(running)),
        now_ms_(now_ms) {}

  // False once enough have been shown.
  bool take(const Queued& queued) {
    Shown one{queued.id, state_of(queued), queued.accepted_ms, queued.attempts + 1, {}, {}, {}};
    if (const auto at = running_.find(queued.id); at != running_.end()) {
      one.worker = at->second.worker;
      one.attempt = at->second.attempt;
      running_.erase(at);
    } else {
      one.due_ms = queued.due_ms;
    }
    if (command_.state.empty() || one.state == command_.state) {
      const auto event = protocol::view_event(queued.packed_event);
      if (event) one.type = event->type;
      const bool wanted =
          !where_ || (event && protocol::matches(*where_, protocol::to_pattern_json(*event)));
      if (wanted) shown_.push_back(std::move(one));
    }
    const bool all_seen = command_.state == "running" && running_.empty();
    return shown_.size() < command_.limit && !all_seen;
  }

  // What runs and does not lie in Redis (class memory), or has ended there by now.
  void add_unseen() {
    if (where_ || !(command_.state.empty() || command_.state == "running")) return;
    for (const auto& [id, running] : running_) {
      if (shown_.size() >= command_.limit) return;
      shown_.push_back(
          {id, "running", running.accepted_ms, running.attempt, {}, running.worker, {}});
    }
  }

  const std::vector<Shown>& shown() const { return shown_; }

 private:
  std::string state_of(const Queued& queued) const {
    if (running_.contains(queued.id)) return "running";
    if (!queued.due_ms || *queued.due_ms <= now_ms_) return "ready";
    return queued.retrying ? "retrying" : "delayed";
  }

  const DeliveriesCommand& command_;
  std::optional<protocol::Pattern> where_;
  RunningById running_;
  std::int64_t now_ms_;
  std::vector<Shown> shown_;
};

Result<RunningById> running_of(const Common& common, const std::string& function) {
  const auto answer = ask(common, "deliveries", {{"name", function}});
  if (!answer) return answer.error();
  RunningById running;
  for (const auto& row : answer->value("deliveries", ordered_json::array())) {
    const auto id = protocol::parse_event_id(text_of(row, "id"));
    if (!id) continue;
    const auto number = [&](const char* key) {
      return row.contains(key) && row[key].is_number() ? row[key].get<std::int64_t>() : 0;
    };
    running[*id] = {static_cast<std::uint64_t>(std::max<std::int64_t>(1, number("attempt"))),
                    number("accepted_ms"), text_of(row, "worker")};
  }
  if (answer->value("truncated", false)) {
    fmt::print(stderr,
               "fanfare: note: more run than the broker names at once; some of them are shown as "
               "ready\n");
  }
  return running;
}

Result<void> check_name(RedisSync& redis, const std::string& function) {
  const auto known = function_names(redis);
  if (!known) return known.error();
  if (std::ranges::find(*known, function) != known->end()) return {};
  const std::string meant = nearest(function, *known);
  return reject(fmt::format("not_found: no function is named '{}'{}", function,
                            meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

Result<void> read_all(RedisSync& redis, const DeliveriesCommand& command, Listing& listing) {
  const Visit visit = [&](const Queued& queued) { return listing.take(queued); };
  const bool journal =
      command.state.empty() || command.state == "ready" || command.state == "running";
  if (journal) {
    const auto on = read_journal(redis, command.function, visit);
    if (!on) return on.error();
    if (!*on) return {};  // enough
  }
  const auto on = read_later(redis, command.function, visit);
  if (!on) return on.error();
  return {};
}

ordered_json to_json(const Shown& one, const std::string& function, std::int64_t now_ms) {
  return {{"id", to_string(one.id)},
          {"function", function},
          {"state", one.state},
          {"type", one.type},
          {"accepted", format_wall_time(wall_from_ms(one.accepted_ms))},
          {"age_ms", std::max<std::int64_t>(0, now_ms - one.accepted_ms)},
          {"attempt", one.attempt},
          {"due", one.due_ms ? ordered_json(format_wall_time(wall_from_ms(*one.due_ms)))
                             : ordered_json(nullptr)},
          {"worker", one.worker.empty() ? ordered_json(nullptr) : ordered_json(one.worker)}};
}

}  // namespace

int run_deliveries_list(const Common& common, const DeliveriesCommand& command) {
  if (!protocol::is_function_name(command.function)) {
    return fail(common.output,
                fatal(fmt::format("'{}' is not a function's name", command.function)));
  }
  std::optional<protocol::Pattern> where;
  if (!command.where.empty()) {
    auto compiled = protocol::compile_pattern(command.where);
    if (!compiled) return fail(common.output, fatal("--where: " + compiled.error().message));
    where = *std::move(compiled);
  }
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  if (auto known = check_name(*redis, command.function); !known) {
    return fail(common.output, known.error());
  }
  auto running = running_of(common, command.function);
  if (!running) return fail(common.output, running.error());
  const std::int64_t now_ms = to_ms(read_clocks().wall);
  Listing listing(command, std::move(where), *std::move(running), now_ms);
  if (auto read = read_all(*redis, command, listing); !read) {
    return fail(common.output, read.error());
  }
  listing.add_unseen();
  if (common.output.json) {
    ordered_json list = ordered_json::array();
    for (const Shown& one : listing.shown()) list.push_back(to_json(one, command.function, now_ms));
    print_line(list.dump());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Shown& one : listing.shown()) {
    rows.push_back({to_string(one.id), one.state, one.type,
                    human_ms(static_cast<double>(now_ms - one.accepted_ms)),
                    std::to_string(one.attempt),
                    one.due_ms ? format_wall_time(wall_from_ms(*one.due_ms)) : "-",
                    one.worker.empty() ? "-" : one.worker});
  }
  if (rows.empty()) {
    fmt::print("nothing of {} is open{}\n", command.function,
               command.state.empty() && command.where.empty() ? "" : " that matches");
  } else {
    fmt::print("{}", format_table({"EVENT", "STATE", "TYPE", "AGE", "ATTEMPT", "DUE", "WORKER"},
                                  rows, common.output.colour_out));
  }
  return kDone;
}

}  // namespace fanfare::cli
