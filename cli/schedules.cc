// fanfare schedule list, add, remove: definitions in Redis, straight through the function library.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "cli/event_input.h"
#include "cli/schedule_verbs.h"
#include "cli/store_call.h"
#include "triggers/schedule_json.h"
#include "triggers/schedule_table.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;
using triggers::LedgerRow;
using triggers::Schedule;
using Items = std::vector<store::ScheduleList::Item>;

Result<Items> read_schedules(RedisSync& redis) {
  Items all;
  store::ListSchedules call;
  do {
    auto page = ask_store<store::ScheduleList>(redis, call);
    if (!page) return page.error();
    for (auto& item : page->items) all.push_back(std::move(item));
    call.cursor = std::move(page->next);
  } while (!call.cursor.empty());
  std::ranges::sort(all, {}, &store::ScheduleList::Item::name);
  const auto same = std::ranges::unique(all, {}, &store::ScheduleList::Item::name);
  all.erase(same.begin(), same.end());
  return all;
}

const store::ScheduleList::Item* find_schedule(const Items& all, const std::string& name) {
  const auto at = std::ranges::find(all, name, &store::ScheduleList::Item::name);
  return at == all.end() ? nullptr : &*at;
}

// Of what a gateway's triggers.toml declares, which would be there again at its next start.
std::optional<Error> why_not_ours(const store::ScheduleList::Item* held) {
  const auto schedule =
      held ? triggers::schedule_from_json(held->definition) : Result<Schedule>(reject("not_found"));
  if (!schedule || !schedule->declared) return std::nullopt;
  return reject(
      fmt::format("schedule {} is defined in triggers.toml: change it there and start "
                  "the gateway (or `fanfare up`) again",
                  held->name));
}

// One line of a list, read once for both forms.
struct ScheduleLine {
  explicit ScheduleLine(const store::ScheduleList::Item& item, WallTime now) : name(item.name) {
    const auto read = triggers::schedule_from_json(item.definition);
    const auto read_row = triggers::parse_ledger_row(item.row);
    if (!read || !read_row) {
      state = "unreadable";
      return;
    }
    schedule = *read;
    row = *read_row;
    next = triggers::decide(*schedule, row.handled, now).wake;
    state = !schedule->enabled ? "disabled" : next ? "active" : "ended";
  }

  ordered_json json() const {
    if (!schedule) return {{"name", name}, {"state", state}};
    ordered_json json = ordered_json::parse(triggers::to_json(*schedule));
    json["state"] = state;
    json["handled"] = row.handled > WallTime{} ? ordered_json(format_wall_time(row.handled))
                                               : ordered_json(nullptr);
    json["next"] = next ? ordered_json(format_wall_time(*next)) : ordered_json(nullptr);
    json["counts"] = {{"fired", row.fired}, {"missed", row.missed}, {"overlapped", row.overlapped}};
    return json;
  }
  std::vector<std::string> cells() const {
    if (!schedule) return {name, "", "", state};
    const auto shown = [this](std::optional<WallTime> time) {
      return time && *time > WallTime{} ? triggers::format_local(*time, schedule->zone)
                                        : std::string("-");
    };
    return {name,
            schedule->expression.text(),
            schedule->zone.name(),
            state,
            shown(row.handled),
            shown(next),
            std::to_string(row.fired),
            std::to_string(row.missed)};
  }

  std::string name, state;
  std::optional<Schedule> schedule;
  LedgerRow row;
  std::optional<WallTime> next;
};

Result<std::optional<WallTime>> instant_of(std::string_view flag, const std::string& text) {
  if (text.empty()) return std::optional<WallTime>{};
  const auto time = parse_wall_time(text);
  if (!time) return fatal(fmt::format("{}: {}", flag, time.error().message));
  return std::optional<WallTime>{*time};
}

Result<Schedule> schedule_of(const AddScheduleCommand& command, WallTime now) {
  ordered_json json{{"name", command.name},
                    {"expression", command.expression},
                    {"zone", command.zone},
                    {"missed", command.missed},
                    {"overlap", command.overlap},
                    {"tenant", command.tenant},
                    {"ordering_key", command.ordering_key},
                    {"content_type", command.content_type}};
  if (!command.jitter.empty()) json["jitter"] = command.jitter;
  if (command.catch_up_max) json["catch_up_max"] = *command.catch_up_max;
  auto schedule = triggers::schedule_from_json(
      json.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  if (!schedule) return fatal(schedule.error().message);
  const auto start = instant_of("--start", command.start), end = instant_of("--end", command.end);
  if (!start) return start.error();
  if (!end) return end.error();
  schedule->since = now;
  schedule->start = *start;
  schedule->end = *end;
  schedule->enabled = !command.disabled;
  for (const std::string& attribute : command.attributes) {
    const auto equals = attribute.find('=');
    if (equals == attribute.npos) {
      return fatal(fmt::format("--attribute takes NAME=VALUE, not '{}'", attribute));
    }
    schedule->attributes.emplace_back(attribute.substr(0, equals), attribute.substr(equals + 1));
  }
  if (command.data) {
    auto data = read_data(*command.data, "--data", Schedule::kDataMax);
    if (!data) return data.error();
    if (schedule->content_type.empty()) schedule->content_type = guess_content_type(*data);
    schedule->data = *std::move(data);
  }
  if (auto fine = triggers::check(*schedule); !fine) return fatal(fine.error().message);
  return schedule;
}

void say_added(const Common& common, const Schedule& schedule, std::string_view what,
               std::optional<WallTime> next) {
  if (common.output.json) {
    print_line(
        ordered_json{{"name", schedule.name},
                     {"outcome", what},
                     {"next", next ? ordered_json(format_wall_time(*next)) : ordered_json(nullptr)}}
            .dump());
    return;
  }
  print_line(fmt::format(
      "{} {}, {}", schedule.name, what,
      next ? "fires next at " + triggers::format_local(*next, schedule.zone) : "does not fire"));
}

}  // namespace

int run_schedule_list(const Common& common) {
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const auto all = read_schedules(*redis);
  if (!all) return fail(common.output, all.error());
  const WallTime now = read_clocks().wall;
  ordered_json list = ordered_json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& item : *all) {
    const ScheduleLine line(item, now);
    common.output.json ? list.push_back(line.json()) : rows.push_back(line.cells());
  }
  if (common.output.json) {
    print_line(list.dump());
  } else if (rows.empty()) {
    print_line("no schedules; `fanfare schedule add NAME EXPRESSION` adds one");
  } else {
    fmt::print("{}", format_table({"NAME", "EXPRESSION", "ZONE", "STATE", "HANDLED", "NEXT",
                                   "FIRED", "MISSED"},
                                  rows, common.output.colour_out));
  }
  return kDone;
}

int run_schedule_add(const Common& common, const AddScheduleCommand& command) {
  const WallTime now = read_clocks().wall;
  const auto schedule = schedule_of(command, now);
  if (!schedule) return fail(common.output, schedule.error());
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const auto all = read_schedules(*redis);
  if (!all) return fail(common.output, all.error());
  const auto* const held = find_schedule(*all, schedule->name);
  if (const auto error = why_not_ours(held)) return fail(common.output, *error);
  const auto before =
      held ? triggers::schedule_from_json(held->definition) : Result<Schedule>(reject("not_found"));
  if (before && triggers::same_but_for_since(*before, *schedule)) {
    say_added(common, *schedule, "unchanged", ScheduleLine(*held, now).next);
    return kDone;
  }
  const auto set = ask_store<store::ScheduleSet>(
      *redis, store::SetSchedule{schedule->name, triggers::to_json(*schedule)});
  if (!set) return fail(common.output, set.error());
  if (set->revision == 0) {
    return fail(common.output, retry_later(fmt::format("there are {} schedules, the most there may "
                                                       "be: remove some",
                                                       store::kSchedulesMax)));
  }
  say_added(common, *schedule, set->existed ? "replaced" : "added",
            triggers::decide(*schedule, {}, now).wake);
  return kDone;
}

int run_schedule_remove(const Common& common, const std::string& name) {
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const auto all = read_schedules(*redis);
  if (!all) return fail(common.output, all.error());
  if (const auto error = why_not_ours(find_schedule(*all, name))) {
    return fail(common.output, *error);
  }
  const auto set = ask_store<store::ScheduleSet>(*redis, store::SetSchedule{name, {}});
  if (!set) return fail(common.output, set.error());
  if (!set->existed) {
    std::vector<std::string> names;
    for (const auto& item : *all) names.push_back(item.name);
    const std::string meant = nearest(name, names);
    return fail(common.output,
                reject(fmt::format("not_found: no schedule is named '{}'{}", name,
                                   meant.empty() ? "" : "; did you mean " + meant + "?")));
  }
  if (common.output.json) {
    print_line(ordered_json{{"name", name}, {"outcome", "removed"}}.dump());
  } else {
    print_line(name + " removed");
  }
  return kDone;
}

}  // namespace fanfare::cli
