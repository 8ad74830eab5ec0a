#include "cli/ask.h"

#include <nlohmann/json.hpp>

namespace fanfare::cli {

using nlohmann::ordered_json;

Result<ordered_json> ask(client::BlockingClient& broker, const std::string& verb,
                         const ordered_json& body) {
  // A shell passes any bytes: what is no UTF-8 names nothing, and the broker says so.
  const auto answer =
      broker.admin(verb, body.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  if (!answer) return answer.error();
  ordered_json json = ordered_json::parse(*answer, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return reject("the broker's answer is not JSON");
  return json;
}

Result<ordered_json> ask(const Common& common, const std::string& verb, const ordered_json& body) {
  auto broker = connect_broker(common.address);
  if (!broker) return broker.error();
  return ask(**broker, verb, body);
}

std::string text_of(const ordered_json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

}  // namespace fanfare::cli
