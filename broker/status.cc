#include "broker/status.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "broker/core.h"
#include "broker/running.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;

constexpr std::int64_t kLongRunningMs = 1000;
constexpr std::size_t kLongRunnersMax = 10;

struct Load {
  std::uint32_t instances = 0, busy = 0, queued = 0;
};

std::map<std::string, Load> load_by_function(const Core& core) {
  std::map<std::string, Load> load;
  for (const auto& [id, session] : core.sessions()) {
    for (const auto& row : session.load) {
      Load& sum = load[row.function];
      sum.instances += row.instances;
      sum.busy += row.busy;
      sum.queued += row.queued;
    }
  }
  return load;
}

double rounded(double per_second) {
  return std::round(per_second * 10) / 10;
}

// What has run for long or tells how far it is, the longest first.
json long_running(const Core& core, Now now) {
  json rows = json::array();
  for (const RunningNow& one : RunningIndex(core, now).longest(kLongRunningMs, kLongRunnersMax)) {
    const auto progress = one.progress();
    rows.push_back({{"id", protocol::to_string(one.attempt->id)},
                    {"function", one.attempt->function},
                    {"worker", one.session->hello.name},
                    {"running_ms", one.running_ms},
                    {"progress", progress ? json(*progress) : json(nullptr)},
                    {"note", one.attempt->note}});
  }
  return rows;
}

// Where its present generation does not start.
json workers_without(const Core& core, const FunctionState& function) {
  json names = json::array();
  for (const auto& [id, session] : core.sessions()) {
    const bool fails = std::ranges::any_of(session.broken, [&](const auto& broken) {
      return broken.function == function.name &&
             broken.generation == function.registered.generation;
    });
    if (fails) names.push_back(session.hello.name);
  }
  return names;
}

}  // namespace

std::int64_t ready_of(const FunctionState& function) {
  const auto lent = static_cast<std::int64_t>(function.leases.count_if([](const Lease& lease) {
    return lease.delivery.origin == protocol::Origin::kJournal ||
           lease.delivery.origin == protocol::Origin::kMemory;
  }));
  return std::max<std::int64_t>(0, function.counts.open - lent);
}

std::string status_json(const Core& core, Now now) {
  const auto load = load_by_function(core);
  auto local = core.running_locally();
  json functions = json::array();
  for (const auto& [name, function] : core.functions()) {
    const auto at = load.find(name);
    const Load sum = at == load.end() ? Load{} : at->second;
    const std::int64_t oldest = function->queue.oldest_ms();
    functions.push_back(
        {{"name", name},
         {"state", !function->deployed ? function->registered.name.empty() ? "missing" : "removed"
                   : function->registered.paused ? "paused"
                                                 : "active"},
         {"generation", function->registered.generation},
         {"trouble", function->trouble},
         {"does_not_start_on", workers_without(core, *function)},
         {"ready", ready_of(*function)},
         {"blocked", function->queue.blocked()},
         {"lendable", function->lendable()},
         {"max_concurrency", function->manifest.max_concurrency},
         {"running", function->leases.size() + local[name]},
         {"later", function->counts.later},
         {"dead", function->counts.dead},
         {"succeeded", function->counts.succeeded},
         {"accepted", function->counts.accepted},
         {"expired", function->counts.expired},
         {"cancelled", function->counts.cancelled},
         {"outbox", function->outbox.entries},
         {"oldest_ms", oldest == 0 ? 0 : std::max<std::int64_t>(0, to_ms(now.wall) - oldest)},
         {"instances", sum.instances},
         {"busy", sum.busy},
         {"accepted_per_s", rounded(function->meter.rates().accepted)},
         {"done_per_s", rounded(function->meter.rates().done)}});
  }
  json workers = json::array();
  for (const auto& [id, session] : core.sessions()) {
    std::size_t lent = session.running_locally();
    for (const auto& [name, function] : core.functions()) {
      lent += function->leases.count_if([&](const Lease& l) { return l.session == id; });
    }
    workers.push_back({{"id", session.hello.name},
                       {"pid", session.hello.pid},
                       {"version", session.hello.version},
                       {"slots", session.hello.slots},
                       {"running", lent},
                       {"waiting", session.waiting},
                       {"relayed", session.hello.relayed},
                       {"state", to_string(session.shown_state())},
                       {"heard_ms", to_ms(now.steady - session.heard)}});
  }
  const Counters& c = core.counters();
  json refused = json::object();
  for (std::size_t i = 0; i < kConnectionRefusals; ++i) {
    refused[std::string(to_string(static_cast<ConnectionRefusal>(i)))] = c.connections_refused[i];
  }
  const json broker = {{"version", FANFARE_VERSION},
                       {"protocol", protocol::kProtocolVersion},
                       {"now_ms", to_ms(now.wall)},
                       {"state", core.accepting() ? "accepting" : "not accepting"},
                       {"durability", to_string(core.options().durability)},
                       {"epoch", core.epoch()},
                       {"events_accepted", c.events_accepted},
                       {"events_unmatched", c.events_unmatched},
                       {"events_duplicate", c.events_duplicate},
                       {"events_caused", c.events_caused},
                       {"events_undeliverable", c.events_undeliverable},
                       {"outbox_deferred", c.outbox_deferred},
                       {"deliveries_recursive", c.deliveries_recursive},

                       {"accepted_per_s", rounded(core.rates().accepted)},
                       {"done_per_s", rounded(core.rates().done)},
                       {"letters_redriven", c.letters_redriven},
                       {"letters_purged", c.letters_purged},
                       {"letters_trimmed", c.letters_trimmed},
                       {"remote_connections", core.remote_connections()},
                       {"connections_refused", refused},
                       {"connections_cut_off", c.connections_cut_off},
                       {"frames_not_allowed", c.frames_not_allowed}};
  return json{{"broker", broker},
              {"workers", workers},
              {"functions", functions},
              {"long_running", long_running(core, now)}}
      .dump();
}

}  // namespace fanfare::broker
