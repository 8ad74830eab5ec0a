// Deployments: tried on every worker, registered in Redis, made known; and taken back.
//
// What is registered runs on all workers that were here. Until then the generation before goes on,
// and if one of them cannot start the new one it stays. A broker that is replaced meanwhile forgets
// the attempt: nothing has changed then either, and whoever asked asks again.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/core_admin.h"
#include "broker/deployment.h"
#include "protocol/utf8.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using protocol::Refusal;

constexpr std::size_t kOutcomesKept = 1000;  // of deployments that are over
constexpr std::size_t kDigestPrefixMin = 6;
constexpr std::size_t kManifestsBytesMax = 15u << 20;  // of all functions, with their names
constexpr std::size_t kBytesBesideManifest = 128;      // digest, generation, how they are packed
// A worker that has lost its broker looks for it several times a second; one that has had no answer
// says Hello again after 5 s.
constexpr Duration kReturn = 6s;

// Why no event could ever be handled as the manifest says; empty: it can.
std::string contradiction(const protocol::Manifest& manifest) {
  if (manifest.max_concurrency > 0 && manifest.batch_size > manifest.max_concurrency) {
    return fmt::format(
        "batch.size is {}, but max_concurrency, which counts events, lets "
        "only {} run at once; raise it or make batches smaller",
        manifest.batch_size, manifest.max_concurrency);
  }
  if (manifest.on_success == manifest.name || manifest.on_failure == manifest.name) {
    return "a function cannot be its own destination: it would run for "
           "ever; name another function, or a type of events";
  }
  for (const auto& pattern : manifest.patterns) {
    if (const auto compiled = protocol::compile_pattern(pattern); !compiled) {
      return compiled.error().message;
    }
  }
  return {};
}

json json_of_failure(const protocol::Failure& failure) {
  return {{"type", failure.type}, {"message", failure.message}};
}

// The generation that an operator means by its number or the beginning of its digest; without a
// word the latest one that is something else than what runs.
const store::Generation* meant_by(const std::vector<store::Generation>& generations,
                                  const store::Registered& present, const std::string& to) {
  const auto is_meant = [&](const store::Generation& one) {
    if (to.empty()) {
      return one.generation < present.generation &&
             (one.digest != present.digest || one.manifest_toml != present.manifest_toml);
    }
    return std::to_string(one.generation) == to ||
           (to.size() >= kDigestPrefixMin && one.digest.starts_with(to));
  };
  const auto at = std::ranges::find_if(generations, is_meant);
  return at == generations.end() ? nullptr : &*at;
}

std::string none_meant(const std::string& name, const std::string& to) {
  if (to.empty()) {
    return fmt::format("there is no earlier generation of {} to go back to", name);
  }
  return fmt::format(
      "no generation of {} that is kept is {}; `fanfare functions history {}` lists "
      "them",
      name, to, name);
}

}  // namespace

json Core::json_of(const Deployment& deployment) {
  json workers = json::array();
  for (const auto& trial : deployment.trials()) {
    json one{{"id", trial.worker}, {"state", to_string(trial.state)}, {"error", nullptr}};
    if (trial.state == Deployment::Trial::State::kFailed) {
      one["error"] = json_of_failure(trial.failure);
      one["log"] = protocol::to_utf8(trial.log_tail, 3 * trial.log_tail.size());
    }
    workers.push_back(std::move(one));
  }
  return {{"deployment", deployment.number()},  {"state", to_string(deployment.state)},
          {"digest", deployment.call().digest}, {"generation", deployment.generation},
          {"changed", deployment.changed},      {"error", deployment.error},
          {"workers", std::move(workers)}};
}

const Deployment* Core::deployment_of(const std::string& name) const {
  const auto at = deployments_.find(name);
  return at == deployments_.end() ? nullptr : &at->second.deployment;
}

// Where the present generation does not start, as workers say.
json Core::workers_of(const FunctionState& function) const {
  json workers = json::array();
  for (const auto& [id, session] : sessions_) {
    json one{{"id", session.hello.name}, {"error", nullptr}};
    for (const auto& broken : session.broken) {
      if (broken.function != function.name) continue;
      if (broken.generation != function.registered.generation) continue;
      one["error"] = json_of_failure(broken.failure);
    }
    workers.push_back(std::move(one));
  }
  return workers;
}

void Core::deploy(const AdminCall& admin) {
  if (admin.name.empty()) {
    return refuse_admin(admin, Refusal::kInvalid,
                        "deploy needs the function's name: {\"name\": …}");
  }
  const std::string manifest_toml = admin.text("manifest");
  const std::string digest = admin.text("digest");
  begin_deployment({admin.peer, admin.request, admin.name}, wishes_of(admin),
                   {.epoch = epoch_,
                    .name = admin.name,
                    .manifest_toml = manifest_toml,
                    .digest = digest,
                    .now_ms = to_ms(admin.now.wall),
                    .from = 0,
                    .kept = options_.generations_kept},
                   admin.now);
}

DeployWishes Core::wishes_of(const AdminCall& call) {
  DeployWishes wishes;
  if (const auto follow = call.body.find("follow"); follow != call.body.end()) {
    wishes.follows = follow->is_boolean() && follow->get<bool>();
  }
  if (const auto ms = call.body.find("timeout_ms");
      ms != call.body.end() && ms->is_number_unsigned()) {
    wishes.timeout = std::chrono::milliseconds{
        std::clamp<std::uint64_t>(ms->get<std::uint64_t>(), 1000, 600'000)};
  }
  return wishes;
}

// A worker that joins is told of all functions, and one message has 16 MiB.
bool Core::fits_in_greeting(const store::Deploy& call) const {
  std::size_t bytes = call.name.size() + call.manifest_toml.size() + kBytesBesideManifest;
  for (const auto& [name, function] : functions_) {
    if (!function->deployed || name == call.name) continue;
    bytes += name.size() + function->registered.manifest_toml.size() + kBytesBesideManifest;
  }
  return bytes <= kManifestsBytesMax;
}

// Asks the workers; whoever asked is answered in the end, or at once if he follows it himself.
void Core::begin_deployment(const AdminRequest& admin, const DeployWishes& wishes,
                            store::Deploy call, Now now) {
  const auto manifest = protocol::parse_manifest(call.manifest_toml, "function.toml", call.name);
  std::string problem = manifest ? contradiction(*manifest) : manifest.error().message;
  if (manifest && manifest->name != call.name) {
    problem =
        fmt::format("the manifest is of {}, and {} is to be deployed", manifest->name, call.name);
  }
  if (!problem.empty()) {
    return refuse_admin(admin.peer, admin.request, Refusal::kInvalid, std::move(problem));
  }
  if (call.digest.size() != 64) {
    return refuse_admin(admin.peer, admin.request, Refusal::kInvalid,
                        "digest must be a SHA-256 in hex");
  }
  if (!fits_in_greeting(call)) {
    return refuse_admin(
        admin.peer, admin.request, Refusal::kInvalid,
        fmt::format("the manifests of all functions together would have more than {} MiB, and a "
                    "worker gets them in one message; remove functions or shorten manifests",
                    kManifestsBytesMax >> 20));
  }
  if (const auto former = deployments_.find(call.name); former != deployments_.end()) {
    if (former->second.deployment.state == Deployment::State::kWriting) {
      return refuse_admin(admin.peer, admin.request, Refusal::kUnavailable,
                          fmt::format("{} is being deployed just now; try again", call.name));
    }
    if (former->second.deployment.state == Deployment::State::kPreparing) {
      finish_deployment(former->second, Refusal::kInvalid, "a later deployment took its place");
      if (former->second.deployment.call().digest != call.digest) {
        drop_package_of(former->second.deployment);
      }
    }
    deployments_.erase(former);
  }
  forget_outcomes();
  const std::string name = call.name;
  auto& tracked =
      deployments_
          .emplace(name,
                   TrackedDeployment{Deployment{std::uint64_t{epoch_} << 32 | next_deployment_++,
                                                std::move(call), now.steady + wishes.timeout},
                                     std::nullopt})
          .first->second;
  for (const auto& [id, session] : sessions_) ask_to_prepare(tracked.deployment, session);
  if (wishes.follows) {
    json answer = json_of(tracked.deployment);
    answer["name"] = name;
    send(admin.peer, protocol::AdminReply{admin.request, answer.dump()});
  } else {
    tracked.asker = admin;
  }
  settle_deployment(tracked, now);
}

// The oldest outcome goes, if there are many.
void Core::forget_outcomes() {
  if (deployments_.size() < kOutcomesKept) return;
  auto oldest = deployments_.end();
  for (auto at = deployments_.begin(); at != deployments_.end(); ++at) {
    const auto state = at->second.deployment.state;
    if (state != Deployment::State::kDone && state != Deployment::State::kRefused) continue;
    if (oldest == deployments_.end() ||
        at->second.deployment.number() < oldest->second.deployment.number()) {
      oldest = at;
    }
  }
  if (oldest != deployments_.end()) deployments_.erase(oldest);
}

void Core::ask_to_prepare(Deployment& deployment, const Session& session) {
  const auto manifest = protocol::parse_manifest(deployment.call().manifest_toml, "function.toml",
                                                 deployment.call().name);
  if (session.state == protocol::WorkerState::kTerminating || !manifest ||
      std::ranges::find(session.hello.prepares, manifest->runtime) ==
          session.hello.prepares.end()) {
    return deployment.spare(session.hello.name);
  }
  deployment.ask(session.id, session.hello.name);
  send(session.peer, deployment.message());
}

// A worker that has just come tries what is being tried. Who came back under a name and cannot be
// asked ends the wait for whoever had it before, at the next tick.
void Core::ask_newcomer(const Session& session) {
  for (auto& [name, tracked] : deployments_) {
    if (tracked.deployment.state == Deployment::State::kPreparing) {
      ask_to_prepare(tracked.deployment, session);
    }
  }
}

void Core::on_prepared(Session& session, const protocol::Prepared& prepared, Now now) {
  const auto at = deployments_.find(prepared.function);
  if (prepared.session != session.id.value() || at == deployments_.end()) return;
  if (at->second.deployment.on_prepared(session.id, prepared)) {
    settle_deployment(at->second, now);
  }
}

// It is gone, or ends and tries nothing any more.
void Core::lose_in_deployments(SessionId session, Now now) {
  for (auto& [name, tracked] : deployments_) {
    if (tracked.deployment.state != Deployment::State::kPreparing) continue;
    tracked.deployment.on_lost(session);
    settle_deployment(tracked, now);
  }
}

void Core::expire_deployments(Now now) {
  for (auto& [name, tracked] : deployments_) {
    if (tracked.deployment.state != Deployment::State::kPreparing) continue;
    if (tracked.deployment.ends_at() <= now.steady) tracked.deployment.on_time_up();
    settle_deployment(tracked, now);
  }
}

// Workers that a former broker knew may still be on their way to this one, and are asked when they
// come. What runs already needs nobody's word.
bool Core::may_be_tried_by_more(const Deployment& deployment, Now now) {
  if (all_are_back(now) || now.steady >= began_at_ + kReturn) return false;
  const FunctionState* const present = find_function(deployment.call().name);
  return !present || !present->deployed || present->registered.digest != deployment.call().digest ||
         present->registered.manifest_toml != deployment.call().manifest_toml;
}

// Once everybody has spoken: to Redis, or back.
void Core::settle_deployment(TrackedDeployment& tracked, Now now) {
  Deployment& deployment = tracked.deployment;
  if (deployment.state != Deployment::State::kPreparing || !deployment.all_have_spoken()) return;
  if (deployment.all_are_ready() && may_be_tried_by_more(deployment, now)) return;
  if (deployment.all_are_ready()) {
    deployment.state = Deployment::State::kWriting;
    return call(deployment.call(), ForDeploy{deployment.call().name, deployment.number()});
  }
  ++counters_.deployments_refused;
  const FunctionState* const before = find_function(deployment.call().name);
  finish_deployment(
      tracked, Refusal::kInvalid,
      fmt::format("{}; {}", deployment.objections(),
                  before && before->deployed
                      ? fmt::format("generation {} goes on", before->registered.generation)
                      : "it is not deployed"));
  drop_package_of(deployment);
}

void Core::finish_deployment(TrackedDeployment& tracked, Refusal code, std::string why) {
  Deployment& deployment = tracked.deployment;
  deployment.state = Deployment::State::kRefused;
  deployment.error = why;
  protocol::Prepare drop = deployment.message();
  drop.drop = true;
  for (const auto& trial : deployment.trials()) {
    const auto at = sessions_.find(trial.session);
    if (at != sessions_.end()) send(at->second.peer, drop);
  }
  if (const auto asker = std::exchange(tracked.asker, std::nullopt)) {
    refuse_admin(asker->peer, asker->request, code, std::move(why));
  }
}

// Under another name than `but`.
bool Core::is_being_deployed(const std::string& digest, const std::string& but) const {
  return std::ranges::any_of(deployments_, [&](const auto& entry) {
    const Deployment& one = entry.second.deployment;
    return entry.first != but && one.call().digest == digest &&
           (one.state == Deployment::State::kPreparing || one.state == Deployment::State::kWriting);
  });
}

// Of what came to nothing nobody will ask for it; Redis keeps what something refers to.
void Core::drop_package_of(const Deployment& deployment) {
  if (is_being_deployed(deployment.call().digest, deployment.call().name)) return;
  call(store::DropPackage{epoch_, deployment.call().digest}, ForNote{});
}

void Core::on_deployed(ForDeploy& purpose, const Result<store::Answer>& answer, Now) {
  const auto at = deployments_.find(purpose.name);
  if (at == deployments_.end() || at->second.deployment.number() != purpose.number) return;
  TrackedDeployment& tracked = at->second;
  Deployment& deployment = tracked.deployment;
  const auto* deployed = answer ? std::get_if<store::Deployed>(&*answer) : nullptr;
  if (!deployed) {
    return finish_deployment(tracked, refusal_of(answer.error()), answer.error().message);
  }
  deployment.state = Deployment::State::kDone;
  deployment.generation = deployed->generation;
  deployment.changed = deployed->changed;
  const FunctionState* const before = find_function(purpose.name);
  register_function({.name = purpose.name,
                     .manifest_toml = deployment.call().manifest_toml,
                     .digest = deployment.call().digest,
                     .generation = deployed->generation,
                     .paused = before && before->registered.paused});
  rebuild_router();
  broadcast_functions();
  if (const auto asker = std::exchange(tracked.asker, std::nullopt)) {
    send(asker->peer,
         protocol::AdminReply{asker->request, json_of_outcome(purpose.name, deployment).dump()});
  }
}

json Core::json_of_outcome(const std::string& name, const Deployment& deployment) {
  json answer = json_of(deployment);
  answer["name"] = name;
  answer["missing_destinations"] = json::array();
  if (deployment.state == Deployment::State::kDone) {
    answer["missing_destinations"] = missing_destinations(find_function(name)->manifest);
  }
  return answer;
}

// How far a deployment is, for those who follow it.
void Core::answer_deployment(const AdminCall& call) {
  const Deployment* const deployment = deployment_of(call.name);
  const auto number = call.body.find("deployment");
  if (!deployment || number == call.body.end() || !number->is_number_unsigned()) {
    return refuse_admin(
        call, Refusal::kUnavailable,
        fmt::format("the broker has begun anew and does not know what became of it: `fanfare "
                    "functions history {}` tells whether it counts",
                    call.name));
  }
  if (number->get<std::uint64_t>() != deployment->number()) {
    return refuse_admin(call, Refusal::kInvalid,
                        fmt::format("a later deployment of {} took its place", call.name));
  }
  answer_admin(call, json_of_outcome(call.name, *deployment).dump());
}

// ---- earlier generations ----

void Core::list_generations(const AdminCall& admin) {
  call(store::ListGenerations{admin.name}, ForGenerations{{admin.peer, admin.request, admin.name},
                                                          admin.verb == "rollback",
                                                          admin.text("to"),
                                                          wishes_of(admin)});
}

void Core::on_generations(ForGenerations& purpose, const Result<store::Answer>& answer, Now now) {
  const auto& admin = purpose.admin;
  const auto* list = answer ? std::get_if<store::GenerationList>(&*answer) : nullptr;
  if (!list) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  const FunctionState* const function = find_function(admin.function);
  if (!function || !function->deployed) {
    return refuse_admin(admin.peer, admin.request, Refusal::kNoSuchFunction,
                        fmt::format("function '{}' was removed meanwhile", admin.function));
  }
  if (purpose.rolls_back) return roll_back(purpose, *function, list->items, now);
  json generations = json::array();
  for (const auto& one : list->items) {
    generations.push_back(
        {{"generation", one.generation},
         {"deployed", one.deployed_ms == 0 ? json(nullptr)
                                           : json(format_wall_time(wall_from_ms(one.deployed_ms)))},
         {"rolled_back_to", one.from == 0 ? json(nullptr) : json(one.from)},
         {"digest", one.digest},
         {"has_package", one.has_package},
         {"present", one.generation == function->registered.generation}});
  }
  send(admin.peer,
       protocol::AdminReply{admin.request,
                            json{{"name", admin.function}, {"generations", generations}}.dump()});
}

void Core::roll_back(const ForGenerations& purpose, const FunctionState& function,
                     const std::vector<store::Generation>& generations, Now now) {
  const auto& admin = purpose.admin;
  const auto* const target = meant_by(generations, function.registered, purpose.to);
  if (!target) {
    return refuse_admin(admin.peer, admin.request, Refusal::kInvalid,
                        none_meant(admin.function, purpose.to));
  }
  if (!target->has_package) {
    return refuse_admin(
        admin.peer, admin.request, Refusal::kInvalid,
        fmt::format(
            "the package of generation {} of {} is not in Redis any more; deploy its folder "
            "again",
            target->generation, admin.function));
  }
  begin_deployment(admin, purpose.wishes,
                   {.epoch = epoch_,
                    .name = admin.function,
                    .manifest_toml = target->manifest_toml,
                    .digest = target->digest,
                    .now_ms = to_ms(now.wall),
                    .from = target->generation,
                    .kept = options_.generations_kept},
                   now);
}

// ---- what they need, and their end ----

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
  // With the last function that has a package it goes from Redis.
  if (const FunctionState* const function = find_function(admin.name);
      function && is_being_deployed(function->registered.digest, admin.name)) {
    return refuse_admin(admin, Refusal::kUnavailable,
                        fmt::format("the package of {} is being deployed under another name just "
                                    "now; try again",
                                    admin.name));
  }
  call(store::Remove{epoch_, admin.name}, ForRemove{{admin.peer, admin.request, admin.name}});
}

void Core::on_removed(ForRemove& purpose, const Result<store::Answer>& answer) {
  const auto& admin = purpose.admin;
  const auto* removed = answer ? std::get_if<store::Removed>(&*answer) : nullptr;
  if (!removed) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  if (const auto at = deployments_.find(admin.function);
      at != deployments_.end() && at->second.deployment.state == Deployment::State::kPreparing) {
    finish_deployment(at->second, Refusal::kInvalid,
                      fmt::format("{} was removed meanwhile", admin.function));
    drop_package_of(at->second.deployment);
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
