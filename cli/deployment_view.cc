#include "cli/deployment_view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace fanfare::cli {

FollowOptions follow_options(const Common& common, const FollowFlags& flags) {
  FollowOptions options{.wait = flags.wait, .timeout = flags.timeout, .on_progress = {}};
  if (common.output.progress) {
    options.on_progress = [](std::size_t spoken, std::size_t asked) {
      fmt::print(stderr, "\r\x1b[K{} of {} workers have tried it", spoken, asked);
    };
  }
  return options;
}

void end_progress(const Common& common) {
  if (common.output.progress) fmt::print(stderr, "\r\x1b[K");
}

void print_deployed(const Common& common, const Deployed& deployed, std::string_view verb) {
  if (common.output.json) {
    nlohmann::ordered_json json{
        {"name", deployed.name},       {"generation", deployed.generation},
        {"digest", deployed.digest},   {"changed", deployed.changed},
        {"workers", deployed.workers}, {"missing_destinations", deployed.missing_destinations}};
    if (deployed.pending) {
      json["generation"] = nullptr;
      json.erase("changed");
      json["state"] = "preparing";
    }
    print_line(json.dump());
  } else if (deployed.pending) {
    fmt::print("{} is tried by the workers; `fanfare functions describe {}` shows how it ends\n",
               deployed.name, deployed.name);
  } else if (!deployed.changed) {
    fmt::print("{} is deployed like this already, generation {}\n", deployed.name,
               deployed.generation);
  } else {
    fmt::print("{} {}, generation {}{}\n", deployed.name, verb, deployed.generation,
               deployed.workers.empty()
                   ? std::string{}
                   : fmt::format(", started by {} worker{}", deployed.workers.size(),
                                 deployed.workers.size() == 1 ? "" : "s"));
  }
  std::fflush(stdout);
}

}  // namespace fanfare::cli
