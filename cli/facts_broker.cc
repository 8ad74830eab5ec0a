#include <nlohmann/json.hpp>

#include "base/process.h"
#include "cli/ask.h"
#include "cli/facts.h"
#include "cli/retrying.h"
#include "protocol/manifest.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

ordered_json list_of(const ordered_json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_array() ? *at : ordered_json::array();
}

// `listed`: the same workers, with the host that each runs on.
void read_workers(const ordered_json& status, const ordered_json& listed, BrokerFacts& facts) {
  const auto this_host = this_host_id();
  for (const auto& worker : list_of(status, "workers")) {
    WorkerFacts one{.id = text_of(worker, "id"),
                    .state = text_of(worker, "state"),
                    .slots = worker.value("slots", std::uint32_t{0}),
                    .heard_ms = worker.value("heard_ms", std::int64_t{0}),
                    .version = text_of(worker, "version")};
    for (const auto& row : list_of(listed, "workers")) {
      if (text_of(row, "id") == one.id)
        one.is_here = this_host && text_of(row, "host") == *this_host;
    }
    facts.workers.push_back(std::move(one));
  }
}

// What was removed has no limits any more, but may have letters.
void read_functions(const ordered_json& status, const ordered_json& deployed, BrokerFacts& facts) {
  for (const auto& one : list_of(status, "functions")) {
    FunctionFacts function;
    function.name = text_of(one, "name");
    function.trouble = text_of(one, "trouble");
    if (text_of(one, "state") == "active") function.waiting = one.value("ready", std::uint64_t{0});
    for (const auto& worker : list_of(one, "does_not_start_on")) {
      if (worker.is_string()) function.does_not_start_on.push_back(worker.get<std::string>());
    }
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
  const WallTime asked = wall_now();
  const auto status = ask(**client, "status", ordered_json::object());
  const WallTime answered = wall_now();
  if (!status) {
    facts.unreachable = status.error().message;
    return facts;
  }
  const ordered_json broker = status->value("broker", ordered_json::object());
  facts.durability = text_of(broker, "durability");
  facts.state = text_of(broker, "state");
  facts.version = text_of(broker, "version");
  facts.epoch = broker.value("epoch", std::uint64_t{0});
  // To half of the time that asking takes.
  if (const auto now_ms = broker.value("now_ms", std::int64_t{0}); now_ms > 0) {
    facts.ahead_ms = now_ms - to_ms(asked + (answered - asked) / 2);
  }
  const auto workers = ask(**client, "workers", ordered_json::object());
  read_workers(*status, workers ? *workers : ordered_json::object(), facts);
  const auto deployed = ask(**client, "functions", ordered_json::object());
  read_functions(*status, deployed ? *deployed : ordered_json::object(), facts);
  return facts;
}

}  // namespace fanfare::cli
