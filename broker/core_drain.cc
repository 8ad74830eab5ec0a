// Operators make workers quiet, and take them back to work.
//
// The wish is kept by the worker's name. A worker is told at once, when it says Hello, and again
// with each heartbeat that says something else: it works again once it has said so, and whoever
// resumed it is told `quiet` until then, and `away` of a worker that is not connected. A broker
// that starts knows no wishes; then a worker that says that it is quiet is believed.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/core_admin.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;
using protocol::Refusal;
using protocol::WorkerState;

constexpr std::size_t kWishesMax = 10'000;

}  // namespace

void Core::answer_workers(const AdminCall& admin) {
  std::map<SessionId, std::size_t> held;
  for (const auto& [name, function] : functions_) {
    function->leases.for_each([&](const Lease& lease) { ++held[lease.session]; });
    for (const auto& [id, cut] : function->cut) ++held[cut.session];
  }
  json workers = json::array();
  for (const auto& [id, session] : sessions_) {
    std::uint64_t instances = 0, busy = 0;
    for (const auto& row : session.load) {
      instances += row.instances;
      busy += row.busy;
    }
    workers.push_back({{"id", session.hello.name},
                       {"host", session.hello.host},
                       {"pid", session.hello.pid},
                       {"slots", session.hello.slots},
                       {"state", to_string(session.shown_state())},
                       {"instances", instances},
                       {"busy", busy},
                       {"waiting", session.waiting},
                       {"held", held[id] + session.running_locally()},
                       {"heard_ms", to_ms(admin.now.steady - session.heard)}});
  }
  answer_admin(admin, json{{"workers", workers}}.dump());
}

void Core::drain_worker(const AdminCall& admin) {
  set_quiet(admin, true);
}

void Core::resume_worker(const AdminCall& admin) {
  set_quiet(admin, false);
}

// A broker that was followed while it stood still must not promise anything: its successor has
// heard of nothing. So it asks Redis first, with a call that changes nothing but is fenced.
void Core::set_quiet(const AdminCall& admin, bool quiet) {
  const std::string name = admin.text("worker");
  const Session* const session = session_named(name);
  const bool wished = worker_wishes_.contains(name);
  if (!session && !wished) {
    return refuse_admin(admin, Refusal::kInvalid,
                        fmt::format("no worker is named '{}'; see `fanfare workers list`", name));
  }
  if (!wished && worker_wishes_.size() >= kWishesMax) {
    return refuse_admin(admin, Refusal::kQueueFull, "too many workers have been drained");
  }
  if (session && !session->hello.state) {
    return refuse_admin(admin, Refusal::kUnsupported,
                        fmt::format("worker {} is of a version that cannot be drained; stop it "
                                    "with SIGTERM",
                                    name));
  }
  if (session && session->state == WorkerState::kTerminating && !quiet) {
    return refuse_admin(admin, Refusal::kInvalid,
                        fmt::format("worker {} was told to stop and cannot be taken back", name));
  }
  call(store::NoteWorker{epoch_, "(nobody)", {}, true},
       ForWish{{admin.peer, admin.request, {}}, name, quiet});
}

void Core::on_wish_allowed(const ForWish& purpose, const Result<store::Answer>& answer) {
  const auto& admin = purpose.admin;
  if (!answer) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  worker_wishes_[purpose.worker] = purpose.quiet;
  json told{{"id", purpose.worker}, {"state", "away"}};
  if (Session* const session = session_named(purpose.worker)) {
    session->to_be_quiet = purpose.quiet;
    tell_wish(*session);
    follow_state(*session);
    told["state"] = to_string(session->shown_state());
  }
  send(admin.peer, protocol::AdminReply{admin.request, told.dump()});
}

Session* Core::session_named(const std::string& worker) {
  const auto at = std::ranges::find_if(
      sessions_, [&](const auto& session) { return session.second.hello.name == worker; });
  return at == sessions_.end() ? nullptr : &at->second;
}

// It has said Hello, with its own state.
void Core::greet_with_wish(Session& session) {
  if (!session.hello.state) return;
  const auto wish = worker_wishes_.find(session.hello.name);
  if (wish == worker_wishes_.end()) {
    if (session.state != WorkerState::kQuiet || worker_wishes_.size() >= kWishesMax) return;
    worker_wishes_[session.hello.name] = session.to_be_quiet = true;
    return;
  }
  session.to_be_quiet = wish->second;
  const bool is_quiet = session.state == WorkerState::kQuiet;
  if (wish->second == is_quiet || session.state == WorkerState::kTerminating) return;
  tell_wish(session);
}

void Core::tell_wish(Session& session) {
  if (session.to_be_quiet) session.told_quiet = 2;
  send(session.peer, protocol::Quiet{session.to_be_quiet});
}

// What was sent to it may have been lost, or have crossed what it says.
void Core::remind_of_wish(Session& session) {
  if (session.state != WorkerState::kRunning) session.told_quiet = 0;
  if (session.told_quiet > 0) --session.told_quiet;
  if (!session.hello.state || session.state == WorkerState::kTerminating) return;
  if (session.to_be_quiet == (session.state == WorkerState::kQuiet)) return;
  tell_wish(session);
}

// What it may be sent follows from what it is, or is to be.
void Core::follow_state(Session& session) {
  for (auto& [name, function] : functions_) {
    CreditLine* const line = function->credit_of(session.id);
    if (!line || line->withdrawn == !session.takes_work()) continue;
    line->withdrawn = !session.takes_work();
    touch(*function);
  }
}

}  // namespace fanfare::broker
