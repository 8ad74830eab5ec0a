// fanfare cancel: an event's deliveries are ended, wherever they are.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/ask.h"
#include "protocol/ids.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

std::string in_words(const std::string& result) {
  if (result == "running_killed") return "cancelled; its attempt was killed";
  if (result == "not_found") return "no such delivery is open, and no result of it is kept";
  if (result == "already_ended") return "had ended already; its result is not kept";
  if (result.starts_with("already_")) return "had ended already: " + result.substr(8);
  return result;
}

}  // namespace

int run_cancel(const Common& common, const CancelCommand& command) {
  const auto id = protocol::parse_event_id(command.event_id);
  if (!id) return fail(common.output, fatal(id.error().message));
  ordered_json body{{"id", command.event_id}};
  if (!command.function.empty()) body["function"] = command.function;
  const auto answer = ask(common, "cancel", body);
  if (!answer) return fail(common.output, answer.error());
  const auto deliveries = answer->value("deliveries", ordered_json::array());
  if (common.output.json) {
    print_line(ordered_json{{"id", command.event_id}, {"deliveries", deliveries}}.dump());
  }
  const bool any = std::ranges::any_of(deliveries, [](const ordered_json& one) {
    const std::string result = text_of(one, "result");
    return result == "cancelled" || result == "running_killed";
  });
  if (!common.output.json) {
    for (const auto& one : deliveries) {
      fmt::print("{}  {}\n", text_of(one, "function"), in_words(text_of(one, "result")));
    }
  }
  if (any) return kDone;
  if (deliveries.empty()) {
    print_error(common.output,
                fmt::format("not_found: no delivery of {} is open", command.event_id),
                "See what became of it with `fanfare result`.");
  } else if (!common.output.json) {
    print_error(common.output, "nothing was left to cancel");
  }
  return kRefused;
}

}  // namespace fanfare::cli
