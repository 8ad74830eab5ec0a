#include "cli/schedule_verbs.h"

#include <CLI/CLI.hpp>
#include <memory>

namespace fanfare::cli {
namespace {

CLI::Validator wall_time_like() {
  return CLI::Validator(
      [](const std::string& text) {
        const auto instant = parse_wall_time(text);
        return instant ? std::string{} : instant.error().message;
      },
      "INSTANT");
}

void add_preview(CLI::App& verb, Run& run) {
  CLI::App* preview = verb.add_subcommand("preview", "The next instants of an expression");
  auto command = std::make_shared<PreviewCommand>();
  preview
      ->add_option("expression", command->expression,
                   "rate(5 minutes), cron(0 12 ? * MON-FRI *), '0 12 * * 1-5', @daily, @every 90s "
                   "or at(2026-12-24T18:00:00)")
      ->required();
  preview->add_option("--zone", command->zone, "IANA time zone, e.g. Europe/Berlin")
      ->capture_default_str();
  preview->add_option("--count", command->count, "How many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  preview
      ->add_option("--from", command->from,
                   "After this instant (default: now); rate() counts from it")
      ->check(wall_time_like());
  preview->callback([command, &run] {
    run = [command](const Common& common) { return run_schedule_preview(common, *command); };
  });
}

void add_event_of_schedule(CLI::App& add, AddScheduleCommand& command) {
  add.add_option("--data", command.data,
                 "The event's data: text, @FILE, or - (default: schedule and instant, as JSON)");
  add.add_option("--content-type", command.content_type,
                 "Default: application/json if it parses, text/plain if it is text");
  add.add_option("--attribute", command.attributes,
                 "NAME=VALUE, an extension of the event; may be given again");
  add.add_option("--tenant", command.tenant, "The event's tenant");
  add.add_option("--ordering-key", command.ordering_key, "In order, one at a time per key");
}

void add_add(CLI::App& verb, Run& run) {
  CLI::App* add = verb.add_subcommand(
      "add", "Define a schedule, or define it anew; the same once more changes nothing");
  auto command = std::make_shared<AddScheduleCommand>();
  add->add_option("name", command->name, "Letters, digits, - _ .")->required();
  add->add_option("expression", command->expression, "As for `schedule preview`")->required();
  add->add_option("--zone", command->zone, "IANA time zone, e.g. Europe/Berlin")
      ->capture_default_str();
  add->add_option("--start", command->start, "Not before this instant; the first of rate()")
      ->check(wall_time_like());
  add->add_option("--end", command->end, "Not after this instant")->check(wall_time_like());
  add->add_option("--jitter", command->jitter, "Fire up to this much later, e.g. 10m");
  add->add_option("--missed", command->missed,
                  "Instants at which nothing ran: skip, fire_once (the latest) or catch_up")
      ->check(CLI::IsMember({"skip", "fire_once", "catch_up"}))
      ->capture_default_str();
  add->add_option("--catch-up-max", command->catch_up_max, "The latest so many (default 100)")
      ->check(CLI::Range(1, 1000));
  add->add_option(
         "--overlap", command->overlap,
         "allow, or skip: one run at a time, and none that could not begin before the next")
      ->check(CLI::IsMember({"allow", "skip"}))
      ->capture_default_str();
  add->add_flag("--disabled", command->disabled, "Define it, and fire nothing");
  add_event_of_schedule(*add, *command);
  add->callback([command, &run] {
    run = [command](const Common& common) { return run_schedule_add(common, *command); };
  });
}

void add_remove(CLI::App& verb, Run& run) {
  CLI::App* remove = verb.add_subcommand("remove", "It fires no more");
  auto name = std::make_shared<std::string>();
  remove->add_option("name", *name)->required();
  remove->callback([name, &run] {
    run = [name](const Common& common) { return run_schedule_remove(common, *name); };
  });
}

}  // namespace

void add_schedule_verbs(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("schedule", "Events at times: preview, list, add, remove");
  verb->require_subcommand(1);
  add_preview(*verb, run);
  verb->add_subcommand("list", "Schedules, what they have fired, when they fire next")
      ->callback([&run] { run = run_schedule_list; });
  add_add(*verb, run);
  add_remove(*verb, run);
}

}  // namespace fanfare::cli
