#include "cli/operator_verbs.h"

#include <CLI/CLI.hpp>
#include <memory>

namespace fanfare::cli {
namespace {

void add_cancel(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("cancel", "End an event's deliveries, also those that run");
  auto command = std::make_shared<CancelCommand>();
  verb->add_option("event", command->event_id, "The id that publish printed")->required();
  verb->add_option("function", command->function, "Only this function's delivery");
  verb->callback([command, &run] {
    run = [command](const Common& common) { return run_cancel(common, *command); };
  });
}

void add_deliveries(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("deliveries", "What is queued, later, running");
  verb->require_subcommand(1);
  CLI::App* list = verb->add_subcommand("list", "A function's deliveries that have not ended");
  auto command = std::make_shared<DeliveriesCommand>();
  list->add_option("function", command->function)->required();
  list->add_option("--state", command->state, "ready, running, delayed or retrying")
      ->check(CLI::IsMember({"ready", "running", "delayed", "retrying"}));
  list->add_option("--where", command->where,
                   "Only events that match this pattern, e.g. '{\"type\":[\"order.placed\"]}'");
  list->add_option("--limit", command->limit, "How many at most")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  list->callback([command, &run] {
    run = [command](const Common& common) { return run_deliveries_list(common, *command); };
  });
}

void add_workers(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("workers", "List workers, make them quiet, take them back");
  verb->require_subcommand(1);
  verb->add_subcommand("list", "The workers that have joined")->callback([&run] {
    run = run_workers_list;
  });
  auto worker = std::make_shared<std::string>();
  CLI::App* drain = verb->add_subcommand(
      "drain", "It takes no new work, finishes what runs and stays; what waits goes to others");
  drain->add_option("worker", *worker, "Its id, as `workers list` shows it")->required();
  drain->callback([worker, &run] {
    run = [worker](const Common& common) { return run_workers_drain(common, *worker); };
  });
  CLI::App* resume = verb->add_subcommand("resume", "A drained worker takes work again");
  resume->add_option("worker", *worker, "Its id")->required();
  resume->callback([worker, &run] {
    run = [worker](const Common& common) { return run_workers_resume(common, *worker); };
  });
}

void add_config(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("config", "The settings of the daemons");
  verb->require_subcommand(1);
  CLI::App* show = verb->add_subcommand("show", "Every setting and its value");
  auto command = std::make_shared<ConfigCommand>();
  show->add_flag("--origin", command->origin,
                 "Also where each came from: default, file or environment");
  show->add_option("--config", command->file,
                   "This file (default: the installation's, else /etc/fanfare/fanfare.toml)");
  show->callback([command, &run] {
    run = [command](const Common& common) { return run_config_show(common, *command); };
  });
}

void add_doctor(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand(
      "doctor", "Look at Redis, services, clocks, limits and rights, and say what to do");
  verb->callback([&run] { run = run_doctor; });
}

}  // namespace

void add_operator_verbs(CLI::App& app, Run& run) {
  add_cancel(app, run);
  add_deliveries(app, run);
  add_workers(app, run);
  add_config(app, run);
  add_doctor(app, run);
}

}  // namespace fanfare::cli
