// fanfare schedule: when schedules fire, which there are, adding and removing them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/operator_verbs.h"

namespace fanfare::cli {

struct PreviewCommand {
  std::string expression;
  std::string zone = "UTC";
  std::uint32_t count = 5;
  std::string from;  // an instant; empty = now
};
int run_schedule_preview(const Common& common, const PreviewCommand& command);

struct AddScheduleCommand {
  std::string name, expression;
  std::string zone = "UTC";
  std::string start, end;  // instants
  std::string jitter;      // a duration
  std::string missed = "fire_once", overlap = "allow";
  std::optional<std::uint32_t> catch_up_max;
  std::optional<std::string> data;  // TEXT, @FILE or - for standard input
  std::string content_type, tenant, ordering_key;
  std::vector<std::string> attributes;  // NAME=VALUE
  bool disabled = false;
};
int run_schedule_list(const Common& common);
int run_schedule_add(const Common& common, const AddScheduleCommand& command);
int run_schedule_remove(const Common& common, const std::string& name);

// Whichever of them is chosen puts itself into `run`, which must outlive `app`'s parsing.
void add_schedule_verbs(CLI::App& app, Run& run);

}  // namespace fanfare::cli
