#include "broker/status.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

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

// `ready` is everything open that no worker has: the windows and the unread rest of the journal.
std::int64_t ready_of(const FunctionState& function) {
  const auto lent = static_cast<std::int64_t>(function.leases.count_if([](const Lease& lease) {
    return lease.delivery.origin == protocol::Origin::kJournal ||
           lease.delivery.origin == protocol::Origin::kMemory;
  }));
  return std::max<std::int64_t>(0, function.counts.open - lent);
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

}  // namespace

std::string status_json(const Core& core, Now now) {
  const auto load = load_by_function(core);
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
         {"ready", ready_of(*function)},
         {"blocked", function->queue.blocked()},
         {"lendable", function->lendable()},
         {"max_concurrency", function->manifest.max_concurrency},
         {"running", function->leases.size()},
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
    std::size_t lent = 0;
    for (const auto& [name, function] : core.functions()) {
      lent += function->leases.count_if([&](const Lease& l) { return l.session == id; });
    }
    workers.push_back({{"id", session.hello.name},
                       {"pid", session.hello.pid},
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
  const json broker = {{"state", core.accepting() ? "accepting" : "not accepting"},
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

std::string metrics_text(const Core& core) {
  prometheus::Registry registry;
  const Counters& c = core.counters();
  const auto counter =
      [&](const char* name, const char* help,
          std::vector<std::pair<std::map<std::string, std::string>, std::uint64_t>> rows) {
        auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry);
        for (const auto& [labels, value] : rows)
          family.Add(labels).Increment(static_cast<double>(value));
      };
  counter("fanfare_events_accepted_total", "Events acknowledged to publishers.",
          {{{}, c.events_accepted}});
  counter("fanfare_events_unmatched_total", "Accepted events that no subscription matched.",
          {{{}, c.events_unmatched}});
  counter("fanfare_events_duplicate_total",
          "Events published before, answered with the first one's id.", {{{}, c.events_duplicate}});
  counter("fanfare_events_refused_total", "Events refused, by reason.",
          {{{{"reason", "malformed"}}, c.events_refused_malformed},
           {{{"reason", "too_large"}}, c.events_refused_too_large},
           {{{"reason", "queue_full"}}, c.events_refused_queue_full},
           {{{"reason", "unavailable"}}, c.events_refused_unavailable},
           {{{"reason", "unsupported"}}, c.events_refused_unsupported},
           {{{"reason", "no_such_function"}}, c.events_refused_no_such_function},
           {{{"reason", "mismatch"}}, c.events_refused_mismatch}});
  counter("fanfare_events_caused_total", "Events that deliveries published when they ended.",
          {{{}, c.events_caused}});
  counter("fanfare_events_caused_unmatched_total",
          "Among them: of a type that no subscription matched.", {{{}, c.events_caused_unmatched}});
  counter("fanfare_events_undeliverable_total",
          "Caused events whose destination is not deployed: dead letters of its name.",
          {{{}, c.events_undeliverable}});
  counter("fanfare_outbox_left_total", "Outbox entries that were read and stay there, by reason.",
          {{{{"reason", "queue_full"}}, c.outbox_deferred},
           {{{"reason", "unavailable"}}, c.outbox_unavailable},
           {{{"reason", "unreadable"}}, c.outbox_unreadable}});
  counter("fanfare_deliveries_recursive_total",
          "Deliveries buried because functions publish in a circle.",
          {{{}, c.deliveries_recursive}});
  counter("fanfare_frames_refused_total", "Frames that could not be read, by reason.",
          {{{{"reason", "malformed"}}, c.frames_malformed},
           {{{"reason", "version"}}, c.frames_wrong_version},
           {{{"reason", "not_allowed"}}, c.frames_not_allowed}});
  const auto refused = [&c](ConnectionRefusal why) {
    return std::pair{std::map<std::string, std::string>{{"reason", std::string(to_string(why))}},
                     c.connections_refused[static_cast<std::size_t>(why)]};
  };
  counter("fanfare_connections_refused_total",
          "Connections of other machines that never came in, by reason.",
          {refused(ConnectionRefusal::kUnknownKey), refused(ConnectionRefusal::kWrongKey),
           refused(ConnectionRefusal::kNoKey), refused(ConnectionRefusal::kMalformed),
           refused(ConnectionRefusal::kTimeout), refused(ConnectionRefusal::kLeft),
           refused(ConnectionRefusal::kFull)});
  counter("fanfare_connections_cut_off_total",
          "Connections that were closed since their key was taken off the list.",
          {{{}, c.connections_cut_off}});
  counter("fanfare_batches_repeated_total", "Publish batches answered from the repeat guard.",
          {{{}, c.batches_repeated}});
  counter("fanfare_claim_lookups_failed_total",
          "Questions for ids and keys that Redis could not answer; asked again.",
          {{{}, c.lookups_failed}});
  counter("fanfare_repeats_stale_total", "Repeated batches whose publisher had gone on: dropped.",
          {{{}, c.repeats_stale}});
  counter("fanfare_journal_chunks_total", "Chunks sent to the journal.", {{{}, c.chunks_appended}});
  counter("fanfare_journal_failures_total", "Chunks the journal refused.",
          {{{}, c.appends_failed}});
  counter("fanfare_journal_pages_total", "Pages read back from the journal.", {{{}, c.pages_read}});
  counter("fanfare_deliveries_created_total", "Deliveries made of accepted events.",
          {{{}, c.deliveries_created}});
  counter("fanfare_deliveries_dispatched_total", "Deliveries lent to workers.",
          {{{}, c.deliveries_dispatched}});
  counter("fanfare_deliveries_ended_total", "Deliveries that ended, by how.",
          {{{{"status", "succeeded"}}, c.deliveries_succeeded},
           {{{"status", "dead"}}, c.deliveries_dead},
           {{{"status", "expired"}}, c.deliveries_expired},
           {{{"status", "cancelled"}}, c.deliveries_cancelled}});
  counter("fanfare_deliveries_retried_total", "Failed attempts that will be tried again.",
          {{{}, c.deliveries_retried}});
  counter("fanfare_attempts_lost_total", "Attempts that ended through no fault of the function.",
          {{{{"reason", "worker_lost"}}, c.attempts_worker_lost},
           {{{"reason", "drained"}}, c.attempts_drained},
           {{{"reason", "throttled"}}, c.attempts_throttled},
           {{{"reason", "cancelled"}}, c.attempts_cancelled}});
  counter("fanfare_attempts_failed_total", "Attempts that failed by the function's own doing.",
          {{{}, c.attempts_failed}});
  counter("fanfare_letters_total", "Dead letters that are no more, by how.",
          {{{{"how", "redriven"}}, c.letters_redriven},
           {{{"how", "purged"}}, c.letters_purged},
           {{{"how", "trimmed"}}, c.letters_trimmed}});
  counter("fanfare_reports_stale_total", "Reports of attempts that no longer held their delivery.",
          {{{}, c.reports_stale}});
  counter("fanfare_moves_fenced_total", "Retries and burials of deliveries that had ended already.",
          {{{{"verdict", "fenced"}}, c.moves_fenced}, {{{"verdict", "gone"}}, c.moves_gone}});
  counter("fanfare_invocations_total", "Synchronous invocations, by how they were answered.",
          {{{{"result", "taken"}}, c.invocations},
           {{{"result", "timed_out"}}, c.invocations_timed_out},
           {{{"result", "refused"}}, c.invocations_refused},
           {{{"result", "lost"}}, c.invocations_lost}});
  counter("fanfare_waits_refused_total", "Waits for a result that were refused: too many at once.",
          {{{}, c.waits_refused}});
  counter("fanfare_requests_refused_total", "Other requests refused, by what was asked.",
          {{{{"request", "admin"}}, c.admin_refused}, {{{"request", "hello"}}, c.hellos_refused}});
  counter("fanfare_topic_changes_refused_total",
          "Changes of topics refused, by reason; among the requests refused.",
          {{{{"reason", "full"}}, c.topics_refused_full},
           {{{"reason", "busy"}}, c.topics_refused_busy}});
  counter("fanfare_relayed_total",
          "Calls of workers that reach Redis through this broker, by what became of them.",
          {{{{"result", "taken"}}, c.relays_taken},
           {{{"result", "repeated"}}, c.relays_repeated},
           {{{"result", "deferred"}}, c.relays_deferred},
           {{{"result", "refused"}}, c.relays_refused},
           {{{"result", "unclaimed"}}, c.relays_unclaimed}});
  counter("fanfare_packages_read_total", "Packages read from Redis for such workers.",
          {{{}, c.packages_read}});
  counter("fanfare_workers_joined_total", "Worker sessions opened.", {{{}, c.workers_joined}});
  counter("fanfare_workers_lost_total", "Workers that vanished.", {{{}, c.workers_lost}});
  counter("fanfare_sends_failed_total", "Messages to peers that were gone or did not read.",
          {{{}, c.sends_failed}});

  auto& depth = prometheus::BuildGauge()
                    .Name("fanfare_deliveries")
                    .Help("Deliveries by function and state.")
                    .Register(registry);
  auto& outboxes = prometheus::BuildGauge()
                       .Name("fanfare_outbox_entries")
                       .Help("Published by the function and not an event yet.")
                       .Register(registry);
  auto& workers = prometheus::BuildGauge()
                      .Name("fanfare_workers")
                      .Help("Workers connected.")
                      .Register(registry);
  prometheus::BuildGauge()
      .Name("fanfare_remote_connections")
      .Help("Connections of other machines, those in their handshake among them.")
      .Register(registry)
      .Add({})
      .Set(static_cast<double>(core.remote_connections()));
  workers.Add({}).Set(static_cast<double>(core.sessions().size()));
  outboxes.Add({{"function", std::string(store::kTriggers)}})
      .Set(static_cast<double>(core.triggers_outbox().entries));
  for (const auto& [name, function] : core.functions()) {
    const auto set = [&](const char* state, double value) {
      depth.Add({{"function", name}, {"state", state}}).Set(value);
    };
    set("ready", static_cast<double>(ready_of(*function)));
    set("running", static_cast<double>(function->leases.size()));
    set("later", static_cast<double>(function->counts.later));
    set("dead", static_cast<double>(function->counts.dead));
    outboxes.Add({{"function", name}}).Set(static_cast<double>(function->outbox.entries));
  }
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

}  // namespace fanfare::broker
