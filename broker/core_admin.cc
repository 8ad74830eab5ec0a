// What operators ask the broker: functions, status, and everything of other sources.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/core_admin.h"
#include "broker/metrics.h"
#include "broker/status.h"
#include "protocol/json_text.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;
using protocol::Refusal;

json described(const FunctionState& function) {
  return {{"name", function.name},
          {"generation", function.registered.generation},
          {"digest", function.registered.digest},
          {"state", function.registered.paused ? "paused" : "active"},
          {"manifest", function.registered.manifest_toml}};
}

}  // namespace

void Core::refuse_admin(const Peer& peer, std::uint64_t request, Refusal code,
                        std::string message) {
  ++counters_.admin_refused;
  refuse(peer, request, code, std::move(message));
}

const Core::AdminVerb* Core::admin_verb(std::string_view name) {
  static constexpr AdminVerb kVerbs[] = {
      {"status", false, &Core::answer_status},
      {"functions", false, &Core::answer_functions},
      {"describe", true, &Core::answer_describe},
      {"deploy", false, &Core::deploy},
      {"deployment", false, &Core::answer_deployment},
      {"generations", true, &Core::list_generations},
      {"rollback", true, &Core::list_generations},
      {"remove", true, &Core::remove},
      {"redrive", true, &Core::redrive},
      {"purge_letters", false, &Core::purge_letters},
      {"metrics", false, &Core::answer_metrics},
      {"deliveries", false, &Core::answer_deliveries},
      {"pause", true, &Core::pause},
      {"resume", true, &Core::resume},
      {"purge", false, &Core::purge},
      {"cancel", false, &Core::cancel},
      {"workers", false, &Core::answer_workers},
      {"drain_worker", false, &Core::drain_worker},
      {"resume_worker", false, &Core::resume_worker},
      {"topics", false, &Core::answer_topics},
      {"add_topic", false, &Core::change_topics},
      {"remove_topic", false, &Core::change_topics},
      {"subscribe", false, &Core::change_topics},
      {"unsubscribe", false, &Core::change_topics},
      {"declare_topics", false, &Core::change_topics},
  };
  const auto* const at = std::ranges::find(kVerbs, name, &AdminVerb::name);
  if (at != std::end(kVerbs)) return at;
  return nullptr;
}

void Core::on_admin(const Peer& peer, const protocol::Admin& admin, Now now) {
  if (!protocol::nests_within_bounds(admin.data)) {
    return refuse_admin(peer, admin.request, Refusal::kMalformed,
                        fmt::format("the body nests deeper than {} levels, the most that are read",
                                    protocol::kJsonDepthMax));
  }
  const json body = json::parse(admin.data.empty() ? "{}" : admin.data, nullptr, false);
  AdminCall call{peer, admin.request, admin.verb, body, {}, nullptr, now};
  if (!body.is_object()) {
    return refuse_admin(call, Refusal::kMalformed, "the body is not a JSON object");
  }
  if (phase_ == Phase::kStarting) {
    return refuse_admin(call, Refusal::kUnavailable, "the broker is starting; try again");
  }
  const AdminVerb* const verb = admin_verb(admin.verb);
  if (!verb) {
    return refuse_admin(call, Refusal::kInvalid,
                        fmt::format("unknown verb '{}'; docs/protocol.md lists them", admin.verb));
  }
  call.name = call.text("name");
  if (verb->names_function) {
    if (call.name.empty()) {
      return refuse_admin(call, Refusal::kInvalid,
                          fmt::format("{} needs the function's name: {{\"name\": …}}", admin.verb));
    }
    call.function = find_function(call.name);
    if (!call.function || !call.function->deployed) {
      return refuse_admin(call, Refusal::kNoSuchFunction,
                          fmt::format("no function is named '{}'", call.name));
    }
  }
  (this->*verb->run)(call);
}

void Core::refuse_admin(const AdminCall& call, Refusal code, std::string message) {
  refuse_admin(call.peer, call.request, code, std::move(message));
}

void Core::answer_admin(const AdminCall& call, std::string answer) {
  send(call.peer, protocol::AdminReply{call.request, std::move(answer)});
}

void Core::answer_status(const AdminCall& call) {
  answer_admin(call, status_json(*this, call.now));
}

void Core::answer_metrics(const AdminCall& call) {
  answer_admin(call, metrics_text(*this, call.now));
}

void Core::answer_functions(const AdminCall& call) {
  json list = json::array();
  for (const auto& [name, function] : functions_) {
    if (function->deployed) list.push_back(described(*function));
  }
  answer_admin(call, json{{"functions", list}}.dump());
}

void Core::answer_describe(const AdminCall& call) {
  json answer = described(*call.function);
  answer["workers"] = workers_of(*call.function);
  if (const Deployment* deployment = deployment_of(call.name)) {
    answer["deployment"] = json_of(*deployment);
  }
  answer_admin(call, answer.dump());
}

}  // namespace fanfare::broker
