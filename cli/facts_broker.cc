#include <nlohmann/json.hpp>

#include "cli/ask.h"
#include "cli/facts.h"
#include "protocol/manifest.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

ordered_json list_of(const ordered_json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_array() ? *at : ordered_json::array();
}

void read_workers(const ordered_json& status, BrokerFacts& facts) {
  for (const auto& worker : list_of(status, "workers")) {
    facts.workers.push_back({text_of(worker, "id"), text_of(worker, "state"),
                             worker.value("slots", std::uint32_t{0}),
                             worker.value("heard_ms", std::int64_t{0})});
  }
}

// What was removed has no limits any more, but may have letters.
void read_functions(const ordered_json& status, const ordered_json& deployed, BrokerFacts& facts) {
  for (const auto& one : list_of(status, "functions")) {
    FunctionFacts function;
    function.name = text_of(one, "name");
    function.trouble = text_of(one, "trouble");
    function.dead = one.value("dead", std::uint64_t{0});
    for (const auto& registered : list_of(deployed, "functions")) {
      if (text_of(registered, "name") != function.name) continue;
      const auto manifest =
          protocol::parse_manifest(text_of(registered, "manifest"), "function.toml", function.name);
      if (manifest) function.memory_bytes = manifest->memory_bytes;
    }
    facts.functions.push_back(std::move(function));
  }
}

}  // namespace

BrokerFacts gather_broker_facts(const Address& address) {
  BrokerFacts facts;
  auto client = connect_broker(address);
  if (!client) {
    facts.unreachable = client.error().message;
    return facts;
  }
  const auto status = ask(**client, "status", ordered_json::object());
  if (!status) {
    facts.unreachable = status.error().message;
    return facts;
  }
  const ordered_json broker = status->value("broker", ordered_json::object());
  facts.durability = text_of(broker, "durability");
  facts.state = text_of(broker, "state");
  facts.epoch = broker.value("epoch", std::uint64_t{0});
  read_workers(*status, facts);
  const auto deployed = ask(**client, "functions", ordered_json::object());
  read_functions(*status, deployed ? *deployed : ordered_json::object(), facts);
  return facts;
}

}  // namespace fanfare::cli
