#include "broker/metrics.h"

#include <algorithm>

#include "broker/core.h"
#include "broker/status.h"
#include "store/schedule_calls.h"

namespace fanfare::broker {
namespace {

void tell_events(MetricsText& text, const Counters& c) {
  text.counter("fanfare_events_accepted_total", "Events acknowledged to publishers.")
      .add({}, c.events_accepted);
  text.counter("fanfare_events_unmatched_total", "Accepted events that no subscription matched.")
      .add({}, c.events_unmatched);
  text.counter("fanfare_events_duplicate_total",
               "Events published before, answered with the first one's id.")
      .add({}, c.events_duplicate);
  text.counter("fanfare_events_refused_total", "Events refused, by reason.")
      .add({{"reason", "malformed"}}, c.events_refused_malformed)
      .add({{"reason", "too_large"}}, c.events_refused_too_large)
      .add({{"reason", "queue_full"}}, c.events_refused_queue_full)
      .add({{"reason", "unavailable"}}, c.events_refused_unavailable)
      .add({{"reason", "unsupported"}}, c.events_refused_unsupported)
      .add({{"reason", "no_such_function"}}, c.events_refused_no_such_function)
      .add({{"reason", "mismatch"}}, c.events_refused_mismatch);
  text.counter("fanfare_batches_repeated_total", "Publish batches answered from the repeat guard.")
      .add({}, c.batches_repeated);
  text.counter("fanfare_repeats_stale_total",
               "Repeated batches whose publisher had gone on: dropped.")
      .add({}, c.repeats_stale);
  text.counter("fanfare_claim_lookups_failed_total",
               "Questions for ids and keys that Redis could not answer; asked again.")
      .add({}, c.lookups_failed);
  text.counter("fanfare_frames_refused_total", "Frames that could not be read, by reason.")
      .add({{"reason", "malformed"}}, c.frames_malformed)
      .add({{"reason", "version"}}, c.frames_wrong_version)
      .add({{"reason", "not_allowed"}}, c.frames_not_allowed);
}

// Of other machines.
void tell_connections(MetricsText& text, const Core& core) {
  const Counters& c = core.counters();
  text.gauge("fanfare_remote_connections",
             "Connections of other machines, those in their handshake among them.")
      .add({}, core.remote_connections());
  auto refused = text.counter("fanfare_connections_refused_total",
                              "Connections of other machines that never came in, by reason.");
  for (std::size_t i = 0; i < kConnectionRefusals; ++i) {
    refused.add({{"reason", to_string(static_cast<ConnectionRefusal>(i))}},
                c.connections_refused.at(i));
  }
  text.counter("fanfare_connections_cut_off_total",
               "Connections that were closed since their key was taken off the list.")
      .add({}, c.connections_cut_off);
}

// For workers that have no way to Redis.
void tell_relayed(MetricsText& text, const Counters& c) {
  text.counter("fanfare_relayed_total",
               "Calls of workers that reach Redis through this broker, by what became of them.")
      .add({{"result", "taken"}}, c.relays_taken)
      .add({{"result", "repeated"}}, c.relays_repeated)
      .add({{"result", "deferred"}}, c.relays_deferred)
      .add({{"result", "refused"}}, c.relays_refused)
      .add({{"result", "unclaimed"}}, c.relays_unclaimed);
  text.counter("fanfare_packages_read_total", "Packages read from Redis for such workers.")
      .add({}, c.packages_read);
}

void tell_caused(MetricsText& text, const Counters& c) {
  text.counter("fanfare_events_caused_total", "Events that deliveries published when they ended.")
      .add({}, c.events_caused);
  text.counter("fanfare_events_caused_unmatched_total",
               "Among them: of a type that no subscription matched.")
      .add({}, c.events_caused_unmatched);
  text.counter("fanfare_events_undeliverable_total",
               "Caused events whose destination is not deployed: dead letters of its name.")
      .add({}, c.events_undeliverable);
  text.counter("fanfare_outbox_left_total",
               "Outbox entries that were read and stay there, by reason.")
      .add({{"reason", "queue_full"}}, c.outbox_deferred)
      .add({{"reason", "unavailable"}}, c.outbox_unavailable)
      .add({{"reason", "unreadable"}}, c.outbox_unreadable);
}

void tell_journal(MetricsText& text, const Core& core) {
  const Counters& c = core.counters();
  const Measures& m = core.measures();
  text.histogram("fanfare_publish_seconds",
                 "Of events: from their batch's arrival until it was answered.")
      .add({}, m.publish);
  text.histogram("fanfare_journal_write_seconds",
                 "Of chunks of events: from the write to the journal until Redis has answered.")
      .add({}, m.journal);
  text.histogram("fanfare_journal_chunk_events", "Events in a chunk.").add({}, m.chunk_events);
  text.counter("fanfare_journal_chunks_total", "Chunks of publishers' events sent to the journal.")
      .add({}, c.chunks_appended);
  text.counter("fanfare_journal_failures_total", "Chunks the journal refused.")
      .add({}, c.appends_failed);
  text.counter("fanfare_deliveries_early_total",
               "Deliveries lent while the journal was being written.")
      .add({}, c.deliveries_early);
  text.counter("fanfare_journal_pages_total", "Pages read back from the journal.")
      .add({}, c.pages_read);
  text.gauge("fanfare_intake_bytes", "Bytes of events taken in and not journaled yet.")
      .add({}, core.intake_bytes());
  text.gauge("fanfare_intake_max_bytes", "How many may be, before publishers get queue_full.")
      .add({}, core.options().intake_bytes_max);
}

void tell_attempts(MetricsText& text, const Counters& c) {
  text.counter("fanfare_attempts_failed_total", "Attempts that failed by the function's own doing.")
      .add({}, c.attempts_failed);
  text.counter("fanfare_attempts_lost_total",
               "Attempts that ended through no fault of the function.")
      .add({{"reason", "worker_lost"}}, c.attempts_worker_lost)
      .add({{"reason", "drained"}}, c.attempts_drained)
      .add({{"reason", "throttled"}}, c.attempts_throttled)
      .add({{"reason", "cancelled"}}, c.attempts_cancelled);
  text.counter("fanfare_deliveries_recursive_total",
               "Deliveries buried because functions publish in a circle.")
      .add({}, c.deliveries_recursive);
  text.counter("fanfare_reports_stale_total",
               "Reports of attempts that no longer held their delivery.")
      .add({}, c.reports_stale);
  text.counter("fanfare_moves_fenced_total",
               "Retries and burials of deliveries that had ended already.")
      .add({{"verdict", "fenced"}}, c.moves_fenced)
      .add({{"verdict", "gone"}}, c.moves_gone);
  text.counter("fanfare_letters_total", "Dead letters that are no more, by how.")
      .add({{"how", "redriven"}}, c.letters_redriven)
      .add({{"how", "purged"}}, c.letters_purged)
      .add({{"how", "trimmed"}}, c.letters_trimmed);
}

void tell_requests(MetricsText& text, const Core& core) {
  const Counters& c = core.counters();
  text.counter("fanfare_sync_invocations_total",
               "Synchronous invocations, by how they were answered.")
      .add({{"result", "taken"}}, c.invocations)
      .add({{"result", "timed_out"}}, c.invocations_timed_out)
      .add({{"result", "refused"}}, c.invocations_refused)
      .add({{"result", "lost"}}, c.invocations_lost);
  text.counter("fanfare_sync_invocations_local_total",
               "Those taken that workers ran by themselves, for callers on their hosts.")
      .add({}, c.invocations_local);
  text.gauge("fanfare_waits", "Requests that wait for a result.").add({}, core.waits());
  text.counter("fanfare_waits_refused_total",
               "Waits for a result that were refused: too many at once.")
      .add({}, c.waits_refused);
  text.counter("fanfare_requests_refused_total", "Other requests refused, by what was asked.")
      .add({{"request", "admin"}}, c.admin_refused)
      .add({{"request", "hello"}}, c.hellos_refused);
  text.counter("fanfare_deployments_refused_total",
               "Deployments that a worker could not start: nothing has changed.")
      .add({}, c.deployments_refused);
  text.counter("fanfare_topic_changes_refused_total",
               "Changes of topics refused, by reason; among the requests refused.")
      .add({{"reason", "full"}}, c.topics_refused_full)
      .add({{"reason", "busy"}}, c.topics_refused_busy);
  text.counter("fanfare_sends_failed_total", "Messages to peers that were gone or did not read.")
      .add({}, c.sends_failed);
}

void tell_workers(MetricsText& text, const Core& core) {
  std::uint64_t slots = 0;
  std::array<std::uint64_t, 3> states{};
  for (const auto& [id, session] : core.sessions()) {
    slots += session.hello.slots;
    const auto state = session.shown_state();
    ++states[state == protocol::WorkerState::kRunning ? 0
             : state == protocol::WorkerState::kQuiet ? 1
                                                      : 2];
  }
  text.gauge("fanfare_workers", "Workers connected, by state.")
      .add({{"state", "running"}}, states[0])
      .add({{"state", "quiet"}}, states[1])
      .add({{"state", "terminating"}}, states[2]);
  text.gauge("fanfare_slots", "Instances that connected workers run at once, at most.")
      .add({}, slots);
  text.counter("fanfare_workers_joined_total", "Worker sessions opened.")
      .add({}, core.counters().workers_joined);
  text.counter("fanfare_workers_lost_total", "Workers that vanished.")
      .add({}, core.counters().workers_lost);
}

// One family for all functions: `add` is called with each, by name.
template <typename Add>
void for_each_function(const Core& core, Add add) {
  for (const auto& [name, function] : core.functions()) add(name, *function);
}

void tell_queues(MetricsText& text, const Core& core, Now now) {
  auto local = core.running_locally();
  auto depth =
      text.gauge("fanfare_queue_depth", "Deliveries that have not ended, by function and state.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    const auto blocked = static_cast<std::int64_t>(function.queue.blocked());
    depth
        .add({{"function", name}, {"state", "ready"}},
             std::max<std::int64_t>(0, ready_of(function) - blocked))
        .add({{"function", name}, {"state", "blocked"}}, blocked)
        .add({{"function", name}, {"state", "running"}}, function.leases.size() + local[name])
        .add({{"function", name}, {"state", "later"}}, function.counts.later);
  });
  auto invocations = text.gauge("fanfare_sync_invocations_waiting",
                                "Synchronous invocations that wait for a worker.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    invocations.add({{"function", name}}, function.invocations.size());
  });
  auto oldest = text.gauge("fanfare_queue_oldest_age_seconds",
                           "Since when the oldest delivery that waits for a worker was accepted.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    const std::int64_t ms = function.queue.oldest_ms();
    const std::int64_t age_ms = ms == 0 ? 0 : std::max<std::int64_t>(0, to_ms(now.wall) - ms);
    oldest.add({{"function", name}}, static_cast<double>(age_ms) / 1000);
  });
  text.gauge("fanfare_queue_max_deliveries",
             "How many a function may have, before publishers get queue_full.")
      .add({}, core.options().queue_max);
  auto times = text.histogram("fanfare_queue_time_seconds",
                              "Of deliveries: from accepted or due until lent to a worker.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    times.add({{"function", name}}, function.measures.queue_time);
  });
}

void tell_deliveries(MetricsText& text, const Core& core) {
  const auto counter = [&](const char* name, const char* help,
                           std::uint64_t FunctionMeasures::* count) {
    auto family = text.counter(name, help);
    for_each_function(core, [&](const std::string& of, const FunctionState& function) {
      family.add({{"function", of}}, function.measures.*count);
    });
  };
  counter("fanfare_deliveries_created_total", "Deliveries made of accepted events.",
          &FunctionMeasures::created);
  counter("fanfare_deliveries_dispatched_total", "Deliveries lent to workers.",
          &FunctionMeasures::dispatched);
  counter("fanfare_deliveries_retried_total", "Failed attempts that will be tried again.",
          &FunctionMeasures::retried);
  auto ended = text.counter("fanfare_deliveries_ended_total", "Deliveries that ended, by how.");
  for_each_function(core, [&](const std::string& of, const FunctionState& function) {
    const FunctionMeasures& m = function.measures;
    ended.add({{"function", of}, {"status", "succeeded"}}, m.succeeded)
        .add({{"function", of}, {"status", "dead"}}, m.dead)
        .add({{"function", of}, {"status", "expired"}}, m.expired)
        .add({{"function", of}, {"status", "cancelled"}}, m.cancelled);
  });
  auto dead = text.gauge("fanfare_dead_deliveries",
                         "Deliveries that were given up and have not been redriven.");
  for_each_function(core, [&](const std::string& of, const FunctionState& function) {
    dead.add({{"function", of}}, function.counts.dead);
  });
}

void tell_functions(MetricsText& text, const Core& core) {
  auto state = text.gauge("fanfare_function_state",
                          "1 for the state that the function is in, else 0. trouble: it cannot be "
                          "read from Redis and takes no events.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    const bool trouble = !function.trouble.empty();
    const bool paused = function.registered.paused;
    state
        .add({{"function", name}, {"state", "active"}},
             function.deployed && !paused && !trouble ? 1 : 0)
        .add({{"function", name}, {"state", "paused"}}, function.deployed && paused ? 1 : 0)
        .add({{"function", name}, {"state", "removed"}}, function.deployed ? 0 : 1)
        .add({{"function", name}, {"state", "trouble"}}, trouble ? 1 : 0);
  });
  auto credit = text.gauge("fanfare_credit_deliveries",
                           "Deliveries that connected workers would take at once, by function.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    std::uint64_t sum = 0;
    for (const CreditLine& line : function.credit) sum += line.available();
    credit.add({{"function", name}}, sum);
  });
  auto outboxes =
      text.gauge("fanfare_outbox_entries", "Published by the function and not an event yet.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    outboxes.add({{"function", name}}, function.outbox.entries);
  });
  outboxes.add({{"function", store::kTriggers}}, core.triggers_outbox().entries);
  auto published = text.counter("fanfare_outbox_published_total",
                                "Of the function's outbox: entries that became events.");
  for_each_function(core, [&](const std::string& name, const FunctionState& function) {
    published.add({{"function", name}}, function.outbox.published);
  });
  published.add({{"function", store::kTriggers}}, core.triggers_outbox().published);
}

}  // namespace

void tell_core(MetricsText& text, const Core& core, Now now) {
  tell_events(text, core.counters());
  tell_caused(text, core.counters());
  tell_journal(text, core);
  tell_queues(text, core, now);
  tell_deliveries(text, core);
  tell_attempts(text, core.counters());
  tell_functions(text, core);
  tell_workers(text, core);
  tell_connections(text, core);
  tell_relayed(text, core.counters());
  tell_requests(text, core);
}

std::string metrics_text(const Core& core, Now now) {
  MetricsText text;
  tell_core(text, core, now);
  return text.take();
}

}  // namespace fanfare::broker
