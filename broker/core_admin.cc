// What operators ask the broker: functions, deployments, status.
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
  answer_admin(call, described(*call.function).dump());
}

void Core::deploy(const AdminCall& admin) {
  if (admin.name.empty()) {
    return refuse_admin(admin, Refusal::kInvalid,
                        "deploy needs the function's name: {\"name\": …}");
  }
  const std::string manifest_toml = admin.text("manifest");
  const auto manifest = protocol::parse_manifest(manifest_toml, "function.toml", admin.name);
  if (!manifest) return refuse_admin(admin, Refusal::kInvalid, manifest.error().message);
  if (manifest->max_concurrency > 0 && manifest->batch_size > manifest->max_concurrency) {
    return refuse_admin(
        admin, Refusal::kInvalid,
        fmt::format("batch.size is {}, but max_concurrency, which counts events, lets "
                    "only {} run at once; raise it or make batches smaller",
                    manifest->batch_size, manifest->max_concurrency));
  }
  if (manifest->on_success == manifest->name || manifest->on_failure == manifest->name) {
    return refuse_admin(admin, Refusal::kInvalid,
                        "a function cannot be its own destination: it would run for "
                        "ever; name another function, or a type of events");
  }
  for (const auto& pattern : manifest->patterns) {
    if (const auto compiled = protocol::compile_pattern(pattern); !compiled) {
      return refuse_admin(admin, Refusal::kInvalid, compiled.error().message);
    }
  }
  const std::string digest = admin.text("digest");
  if (digest.size() != 64) {
    return refuse_admin(admin, Refusal::kInvalid, "digest must be a SHA-256 in hex");
  }
  store::Deploy deploy{epoch_, manifest->name, manifest_toml, digest};
  call(deploy, ForDeploy{{admin.peer, admin.request, manifest->name}, deploy});
}

// A circle, or a whole application, cannot be deployed at once: so this is said, not refused.
std::vector<std::string> Core::missing_destinations(const protocol::Manifest& manifest) {
  std::vector<std::string> missing;
  for (const std::string& destination : {manifest.on_success, manifest.on_failure}) {
    if (!protocol::is_function_destination(destination)) continue;
    const FunctionState* function = find_function(destination);
    if (!function || !function->deployed) missing.push_back(destination);
  }
  return missing;
}

void Core::remove(const AdminCall& admin) {
  if (!topics_known_ || !topic_changes_.empty()) {
    return refuse_admin(admin, Refusal::kUnavailable,
                        fmt::format("whether {} will subscribe to a topic is not known yet; try "
                                    "again",
                                    admin.name));
  }
  if (const auto topics = topics_.topics_of(admin.name); !topics.empty()) {
    return refuse_admin(
        admin, Refusal::kInvalid,
        fmt::format(
            "{} subscribes to topic {}: unsubscribe it first (`fanfare topic unsubscribe {} "
            "{}`, or in triggers.toml)",
            admin.name, fmt::join(topics, ", "), topics.front(), admin.name));
  }
  call(store::Remove{epoch_, admin.name}, ForRemove{{admin.peer, admin.request, admin.name}});
}

void Core::on_deployed(ForDeploy& purpose, const Result<store::Answer>& answer, Now) {
  const auto& admin = purpose.admin;
  const auto* deployed = answer ? std::get_if<store::Deployed>(&*answer) : nullptr;
  if (!deployed) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  const FunctionState* const before = find_function(admin.function);
  register_function({.name = admin.function,
                     .manifest_toml = purpose.call.manifest_toml,
                     .digest = purpose.call.digest,
                     .generation = deployed->generation,
                     .paused = before && before->registered.paused});
  rebuild_router();
  broadcast_functions();
  const protocol::Manifest& manifest = find_function(admin.function)->manifest;
  send(admin.peer, protocol::AdminReply{
                       admin.request, json{{"name", admin.function},
                                           {"generation", deployed->generation},
                                           {"missing_destinations", missing_destinations(manifest)}}
                                          .dump()});
}

void Core::on_removed(ForRemove& purpose, const Result<store::Answer>& answer) {
  const auto& admin = purpose.admin;
  const auto* removed = answer ? std::get_if<store::Removed>(&*answer) : nullptr;
  if (!removed) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  if (FunctionState* function = find_function(admin.function)) {
    function->deployed = false;
    function->registered.paused = false;  // the state went with the row
  }
  rebuild_router();
  broadcast_functions();
  send(admin.peer,
       protocol::AdminReply{admin.request,
                            json{{"name", admin.function}, {"existed", removed->existed}}.dump()});
}

}  // namespace fanfare::broker
