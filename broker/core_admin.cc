// What operators ask the broker: functions, deployments, status.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/core.h"
#include "broker/status.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;
using protocol::Refusal;

std::string text_of(const json& body, const char* key) {
  const auto at = body.find(key);
  return at != body.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

json described(const FunctionState& function) {
  return {{"name", function.name},
          {"generation", function.registered.generation},
          {"digest", function.registered.digest},
          {"state", function.registered.paused ? "paused" : "active"},
          {"manifest", function.registered.manifest_toml}};
}

// What a manifest asks for and nothing here acts on, by name. Better refused than ignored.
std::string inert_settings(const protocol::Manifest& manifest) {
  std::vector<std::string_view> names;
  if (manifest.rate_per_second > 0) names.push_back("rate");
  if (manifest.batch_size != 1) names.push_back("batch.size");
  if (manifest.batch_window > Duration::zero()) names.push_back("batch.window");
  if (!manifest.on_success.empty()) names.push_back("on_success");
  if (!manifest.on_failure.empty()) names.push_back("on_failure");
  if (manifest.weight != 1) names.push_back("weight");
  return fmt::format("{}", fmt::join(names, ", "));
}

Refusal refusal_of(const Error& error) {
  return error.kind == ErrorKind::kRetryLater ? Refusal::kUnavailable : Refusal::kInternal;
}

}  // namespace

void Core::refuse_admin(const Peer& peer, std::uint64_t request, Refusal code,
                        std::string message) {
  ++counters_.admin_refused;
  refuse(peer, request, code, std::move(message));
}

void Core::on_admin(const Peer& peer, const protocol::Admin& admin, Now now) {
  const json body = json::parse(admin.data.empty() ? "{}" : admin.data, nullptr, false);
  if (!body.is_object()) {
    return refuse_admin(peer, admin.request, Refusal::kMalformed, "the body is not a JSON object");
  }
  const auto reply = [&](const json& answer) {
    send(peer, protocol::AdminReply{admin.request, answer.dump()});
  };
  if (phase_ == Phase::kStarting) {
    return refuse_admin(peer, admin.request, Refusal::kUnavailable,
                        "the broker is starting; try again");
  }
  if (admin.verb == "status") {
    return send(peer, protocol::AdminReply{admin.request, status_json(*this, now)});
  }
  if (admin.verb == "metrics") {
    return send(peer, protocol::AdminReply{admin.request, metrics_text(*this)});
  }
  if (admin.verb == "functions") {
    json list = json::array();
    for (const auto& [name, function] : functions_) {
      if (function->deployed) list.push_back(described(*function));
    }
    return reply({{"functions", list}});
  }

  const std::string name = text_of(body, "name");
  const bool about_one =
      admin.verb == "describe" || admin.verb == "deploy" || admin.verb == "remove";
  if (about_one && name.empty()) {
    return refuse_admin(peer, admin.request, Refusal::kInvalid,
                        fmt::format("{} needs the function's name: {{\"name\": …}}", admin.verb));
  }
  const FunctionState* function = find_function(name);
  const bool known = function && function->deployed;
  if (admin.verb == "describe") {
    if (known) return reply(described(*function));
    return refuse_admin(peer, admin.request, Refusal::kNoSuchFunction,
                        fmt::format("no function is named '{}'", name));
  }
  if (admin.verb == "deploy") {
    const std::string manifest_toml = text_of(body, "manifest");
    auto manifest = protocol::parse_manifest(manifest_toml, "function.toml", name);
    if (!manifest)
      return refuse_admin(peer, admin.request, Refusal::kInvalid, manifest.error().message);
    if (const std::string inert = inert_settings(*manifest); !inert.empty()) {
      return refuse_admin(
          peer, admin.request, Refusal::kUnsupported,
          fmt::format("function.toml: this version does nothing with {}; leave it out", inert));
    }
    for (const auto& pattern : manifest->patterns) {
      if (const auto compiled = compile_pattern(pattern); !compiled) {
        return refuse_admin(peer, admin.request, Refusal::kInvalid, compiled.error().message);
      }
    }
    const std::string digest = text_of(body, "digest");
    if (digest.size() != 64) {
      return refuse_admin(peer, admin.request, Refusal::kInvalid,
                          "digest must be a SHA-256 in hex");
    }
    store::Deploy deploy{epoch_, manifest->name, manifest_toml, digest};
    return call(deploy, ForDeploy{{peer, admin.request, manifest->name}, deploy});
  }
  if (admin.verb == "remove") {
    if (!known) {
      return refuse_admin(peer, admin.request, Refusal::kNoSuchFunction,
                          fmt::format("no function is named '{}'", name));
    }
    return call(store::Remove{epoch_, name}, ForRemove{{peer, admin.request, name}});
  }
  refuse_admin(
      peer, admin.request, Refusal::kInvalid,
      fmt::format("unknown verb '{}'; known: status, functions, describe, deploy, remove, metrics",
                  admin.verb));
}

void Core::on_deployed(ForDeploy& purpose, const Result<store::Answer>& answer, Now) {
  const auto& admin = purpose.admin;
  const auto* deployed = answer ? std::get_if<store::Deployed>(&*answer) : nullptr;
  if (!deployed) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  register_function({.name = admin.function,
                     .manifest_toml = purpose.call.manifest_toml,
                     .digest = purpose.call.digest,
                     .generation = deployed->generation,
                     .paused = false});
  rebuild_router();
  broadcast_functions();
  send(admin.peer,
       protocol::AdminReply{
           admin.request,
           json{{"name", admin.function}, {"generation", deployed->generation}}.dump()});
}

void Core::on_removed(ForRemove& purpose, const Result<store::Answer>& answer) {
  const auto& admin = purpose.admin;
  const auto* removed = answer ? std::get_if<store::Removed>(&*answer) : nullptr;
  if (!removed) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  if (FunctionState* function = find_function(admin.function)) function->deployed = false;
  rebuild_router();
  broadcast_functions();
  send(admin.peer,
       protocol::AdminReply{admin.request,
                            json{{"name", admin.function}, {"existed", removed->existed}}.dump()});
}

}  // namespace fanfare::broker
