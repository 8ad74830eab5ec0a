// fanfare autoscale status: what autoscalers have told in Redis.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <nlohmann/json.hpp>

#include "cli/autoscale_verbs.h"
#include "cli/autoscaler_rows.h"
#include "cli/retrying.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kChangesShown = 10;

std::string text_in(const ordered_json& row, const char* name) {
  const auto at = row.find(name);
  return at != row.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

std::string number_in(const ordered_json& row, const char* name) {
  const auto at = row.find(name);
  return at != row.end() && at->is_number() ? at->dump() : "?";
}

void print_for_people(const AutoscalerRow& told, const Output& output) {
  const ordered_json& status = told.status;
  print_line(printable(
      fmt::format("{} · {} · {} to {} workers{}", told.name, text_in(status, "driver"),
                  number_in(status, "min"), number_in(status, "max"),
                  status.value("dry_run", ordered_json(false)) == true ? " · dry run" : "")));
  if (told.silent()) {
    print_line(paint(Colour::kRed,
                     fmt::format("  silent since {}: it does not run, or hangs",
                                 printable(text_in(status, "at"))),
                     output.colour_out));
  }
  if (const std::string trouble = text_in(status, "trouble"); !trouble.empty()) {
    print_line(paint(Colour::kRed, "  " + printable(trouble), output.colour_out));
  }
  print_line(
      printable(fmt::format("  {} running, {} leaving, {} wanted", number_in(status, "workers"),
                            number_in(status, "leaving"), number_in(status, "desired"))));
  print_line("  " + printable(text_in(status, "reason")));
  const auto changes = status.find("changes");
  if (changes == status.end() || !changes->is_array() || changes->empty()) return;
  std::vector<std::vector<std::string>> rows;
  for (const ordered_json& change : *changes) {
    if (!change.is_object() || rows.size() == kChangesShown) continue;
    rows.push_back({text_in(change, "at"), number_in(change, "from"), number_in(change, "to"),
                    text_in(change, "reason"), text_in(change, "outcome")});
  }
  fmt::print("{}",
             format_table({"AT", "FROM", "TO", "REASON", "OUTCOME"}, rows, output.colour_out));
}

int run_autoscale_status(const Common& common) {
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const auto all = read_autoscalers(*redis, wall_now());
  if (!all) return fail(common.output, all.error());
  if (common.output.json) {
    ordered_json list = ordered_json::array();
    for (const AutoscalerRow& told : *all) {
      ordered_json row{{"name", told.name}, {"silent", told.silent()}};
      row.update(told.status);
      list.push_back(std::move(row));
    }
    print_line(list.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
    return kDone;
  }
  if (all->empty()) {
    print_line("no autoscaler has told anything: fanfare-autoscaler does not run");
    return kDone;
  }
  for (const AutoscalerRow& told : *all) print_for_people(told, common.output);
  return kDone;
}

}  // namespace

void add_autoscale_verbs(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("autoscale", "What the autoscaler has decided, and why");
  verb->require_subcommand(1);
  verb->add_subcommand("status",
                       "Workers wanted and there, and the last changes with their reasons")
      ->callback([&run] { run = run_autoscale_status; });
}

}  // namespace fanfare::cli
