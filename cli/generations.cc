// fanfare functions history, rollback: what was deployed before, and back to it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/ask.h"
#include "cli/deployment.h"
#include "cli/deployment_view.h"
#include "cli/verbs.h"

namespace fanfare::cli {

using nlohmann::ordered_json;

int run_functions_history(const Common& common, const std::string& name) {
  const auto answer = ask(common, "generations", {{"name", name}});
  if (!answer) return fail(common.output, answer.error());
  const ordered_json generations = answer->value("generations", ordered_json::array());
  if (common.output.json) {
    print_line(generations.dump());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& one : generations) {
    const auto from = one.find("rolled_back_to");
    rows.push_back({std::to_string(one.value("generation", std::uint64_t{0})),
                    one.value("present", false) ? "present" : "", text_of(one, "deployed"),
                    text_of(one, "digest").substr(0, 12),
                    from != one.end() && from->is_number()
                        ? fmt::format("rollback to {}", from->dump())
                        : "deployed",
                    one.value("has_package", true) ? "" : "its package is gone"});
  }
  fmt::print("{}", format_table({"GENERATION", "", "SINCE", "DIGEST", "BY", ""}, rows,
                                common.output.colour_out));
  return kDone;
}

int run_functions_rollback(const Common& common, const RollbackCommand& command) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  ordered_json body{{"name", command.name}};
  if (!command.to.empty()) body["to"] = command.to;
  const auto deployed =
      follow_deployment(**broker, "rollback", body, follow_options(common, command.follow));
  end_progress(common);
  if (!deployed) return fail(common.output, deployed.error());
  print_deployed(common, *deployed, "rolled back");
  return kDone;
}

}  // namespace fanfare::cli
