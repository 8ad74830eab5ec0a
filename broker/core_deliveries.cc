// Deliveries that have not ended, for people: where each is, who has it, how far it is.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/core_admin.h"
#include "broker/running.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;
using protocol::Refusal;

constexpr std::size_t kRowsMax = 1000;  // of an answer

json row_of(const FunctionState& function, const Pending& delivery, std::string_view state) {
  return {{"id", protocol::to_string(delivery.id)},
          {"function", function.name},
          {"state", state},
          {"attempt", delivery.attempts + 1},
          {"accepted_ms", delivery.accepted_ms},
          {"worker", nullptr},
          {"lent_ms", nullptr},
          {"running_ms", nullptr},
          {"progress", nullptr},
          {"note", ""}};
}

json row_of(const Core& core, const FunctionState& function, const Lease& lease,
            const RunningIndex& index) {
  json row = row_of(function, lease.delivery, "running");
  row["lent_ms"] = lease.lent_ms;
  if (const auto session = core.sessions().find(lease.session); session != core.sessions().end()) {
    row["worker"] = session->second.hello.name;
  }
  if (const RunningNow* const running = index.find(function.name, lease.delivery.id)) {
    row["running_ms"] = running->running_ms;
    if (const auto progress = running->progress()) row["progress"] = *progress;
    row["note"] = running->attempt->note;
  }
  return row;
}

// Wherever the broker holds it; null if it does not.
json row_of(const Core& core, const FunctionState& function, const protocol::EventId& id,
            const RunningIndex& index) {
  if (const Lease* const lease = function.leases.find(id)) {
    return row_of(core, function, *lease, index);
  }
  if (const auto at = function.moving.find(id); at != function.moving.end()) {
    // Its attempt has ended; until Redis has it, that may come to nothing.
    return row_of(function, at->second, "running");
  }
  const auto suspect = std::ranges::find(function.suspects, id, &Pending::id);
  if (suspect != function.suspects.end()) return row_of(function, *suspect, "ready");
  if (const Pending* const waiting = function.queue.find(id)) {
    return row_of(function, *waiting, "ready");
  }
  // A worker has named it before it was read from the journal: no more is known of it.
  if (const auto at = function.announced.find(id); at != function.announced.end()) {
    Pending unread;
    unread.id = id;
    unread.accepted_ms = static_cast<std::int64_t>(id.entry.ms);
    json row = row_of(function, unread, "running");
    row["attempt"] = nullptr;
    if (const auto session = core.sessions().find(at->second.first);
        session != core.sessions().end()) {
      row["worker"] = session->second.hello.name;
    }
    return row;
  }
  return nullptr;
}

bool knows_all(const FunctionState& function) {
  return function.surveyed && !function.queue.has_unread() && function.counts.later == 0;
}

}  // namespace

void Core::answer_deliveries(const AdminCall& call) {
  const std::string id_text = call.text("id");
  if (id_text.empty() && call.name.empty()) {
    return refuse_admin(call, Refusal::kInvalid,
                        "deliveries needs an event's id, a function's name, or both: "
                        "{\"id\": …, \"name\": …}");
  }
  const auto id = protocol::parse_event_id(id_text.empty() ? "0-0.0" : id_text);
  if (!id) return refuse_admin(call, Refusal::kInvalid, id.error().message);
  if (!call.name.empty() && !find_function(call.name)) {
    return refuse_admin(call, Refusal::kNoSuchFunction,
                        fmt::format("no function is named '{}'", call.name));
  }
  const RunningIndex index(*this, call.now);
  json rows = json::array();
  json unread = json::array();
  bool truncated = false;
  for (const auto& [name, function] : functions_) {
    if (!call.name.empty() && name != call.name) continue;
    if (id_text.empty()) {
      function->leases.for_each([&](const Lease& lease) {
        truncated = truncated || rows.size() == kRowsMax;
        if (!truncated) rows.push_back(row_of(*this, *function, lease, index));
      });
      continue;
    }
    if (json row = row_of(*this, *function, *id, index); !row.is_null()) {
      rows.push_back(std::move(row));
    } else if (!knows_all(*function)) {
      unread.push_back(name);
    }
  }
  answer_admin(call,
               json{{"deliveries", rows}, {"truncated", truncated}, {"unread", unread}}.dump());
}

}  // namespace fanfare::broker
