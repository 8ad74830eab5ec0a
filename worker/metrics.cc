#include "worker/metrics.h"

#include <string>
#include <string_view>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

using protocol::Outcome;

// All that a worker tells of; that a worker was lost its broker tells.
constexpr std::array kTold{Outcome::kOk,        Outcome::kFunctionError, Outcome::kTimeout,
                           Outcome::kCrashed,   Outcome::kOutOfMemory,   Outcome::kInitFailed,
                           Outcome::kThrottled, Outcome::kDrained,       Outcome::kCancelled};

// One family for all functions: `add` is called with each, by name.
template <typename Add>
void for_each_function(const Core& core, Add add) {
  for (const auto& [name, function] : core.functions()) add(name, *function);
}

void tell_attempts(MetricsText& text, const Core& core) {
  auto attempts = text.counter("fanfare_worker_attempts_total", "Attempts by how they ended.");
  for_each_function(core, [&](const std::string& name, const Function& function) {
    for (const Outcome outcome : kTold) {
      attempts.add({{"function", name}, {"outcome", protocol::to_string(outcome)}},
                   function.measures.attempts.at(FunctionMeasures::index_of(outcome)));
    }
  });
  auto durations =
      text.histogram("fanfare_worker_attempt_seconds", "Of attempts: how long their handler took.");
  for_each_function(core, [&](const std::string& name, const Function& function) {
    durations.add({{"function", name}}, function.measures.duration);
  });
  auto cold = text.histogram("fanfare_worker_cold_start_seconds",
                             "Of deliveries that found no instance: from their arrival until a "
                             "new one began them.");
  for_each_function(core, [&](const std::string& name, const Function& function) {
    cold.add({{"function", name}}, function.measures.cold_start);
  });
}

void tell_deliveries(MetricsText& text, const Core& core) {
  const Counters& c = core.counters();
  text.counter("fanfare_worker_delivered_total", "Deliveries that arrived.").add({}, c.delivered);
  text.counter("fanfare_worker_delivered_refused_total",
               "Deliveries that were not taken, by reason.")
      .add({{"reason", "unknown_function"}}, c.delivered_unknown)
      .add({{"reason", "stale_session"}}, c.delivered_stale);
  text.counter("fanfare_worker_deliveries_moved_total",
               "Deliveries that went to another instance before they were begun, by reason.")
      .add({{"reason", "instance_ended"}}, c.returned)
      .add({{"reason", "waited_long"}}, c.recalled);
  text.gauge("fanfare_worker_held_deliveries", "Deliveries that are here.").add({}, core.held());
  text.counter("fanfare_worker_results_too_large_total",
               "Attempts that failed because their result was above result.max_bytes.")
      .add({}, c.results_too_large);
  text.counter("fanfare_worker_unmetered_attempts_total",
               "Attempts that `fanfare usage` does not know of.")
      .add({}, core.unmetered());
}

void tell_commits(MetricsText& text, const Core& core) {
  const Counters& c = core.counters();
  text.histogram("fanfare_worker_commit_seconds",
                 "Of groups of results: from the commit until Redis has answered.")
      .add({}, core.measures().commit);
  text.histogram("fanfare_worker_commit_deliveries", "Deliveries in such a group.")
      .add({}, core.measures().commit_deliveries);
  text.counter("fanfare_worker_commits_total", "Results by what Redis said to them.")
      .add({{"verdict", "ok"}}, c.committed)
      .add({{"verdict", "duplicate"}}, c.commits_duplicate)
      .add({{"verdict", "fenced"}}, c.commits_fenced)
      .add({{"verdict", "gone"}}, c.commits_gone);
  text.counter("fanfare_worker_commits_repeated_total",
               "Commits sent again: Redis was away or busy.")
      .add({}, c.commits_repeated);
  text.counter("fanfare_worker_commits_refused_total",
               "Results that Redis refused; kept and tried again.")
      .add({}, c.commits_refused);
  text.gauge("fanfare_worker_uncommitted_deliveries", "Results that are not committed yet.")
      .add({}, core.uncommitted());
  text.gauge("fanfare_worker_unreported_batches", "Reports that the broker has not confirmed yet.")
      .add({}, core.unacknowledged_done());
}

std::size_t state_of(const Instance& instance) {
  if (!instance.started) return 0;
  if (instance.retiring) return 4;
  if (instance.waits) return 3;
  return instance.idle() ? 2 : 1;
}

void tell_instances(MetricsText& text, const Core& core, const PeakMemory& peak_memory) {
  constexpr std::array<std::string_view, 5> kStates{"starting", "busy", "idle", "waiting",
                                                    "ending"};
  auto instances = text.gauge("fanfare_worker_instances", "Instances by function and state.");
  for_each_function(core, [&](const std::string& name, const Function& function) {
    std::array<std::uint64_t, kStates.size()> counts{};
    for (const Instance* one : function.instances) ++counts.at(state_of(*one));
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      instances.add({{"function", name}, {"state", kStates.at(i)}}, counts.at(i));
    }
  });
  auto memory = text.gauge("fanfare_worker_instances_memory_bytes",
                           "Memory of the instances, each with the most that it has had so far.");
  for_each_function(core, [&](const std::string& name, const Function& function) {
    std::uint64_t sum = 0;
    for (const Instance* one : function.instances) sum += peak_memory(one->id);
    memory.add({{"function", name}}, sum);
  });
  auto limit =
      text.gauge("fanfare_worker_instance_memory_max_bytes", "How much one instance may have.");
  for_each_function(core, [&](const std::string& name, const Function& function) {
    limit.add({{"function", name}}, function.manifest.memory_bytes);
  });
  text.gauge("fanfare_worker_slots", "Instances at once, at most.").add({}, core.options().slots);
  text.gauge("fanfare_worker_slots_used", "Of them, those that are taken.")
      .add({}, core.slots_taken());
}

void tell_lives(MetricsText& text, const Counters& c) {
  text.counter("fanfare_worker_zygotes_started_total", "Zygotes that were asked for.")
      .add({}, c.zygotes_started);
  text.counter("fanfare_worker_zygotes_failed_total",
               "Zygotes that never came up, or ended by themselves.")
      .add({}, c.zygotes_failed);
  text.counter("fanfare_worker_instances_started_total", "Instances that were forked.")
      .add({}, c.instances_started);
  text.counter("fanfare_worker_instances_borrowed_total",
               "Among them: in the slot of one that waits for what it has invoked.")
      .add({}, c.instances_borrowed);
  text.counter("fanfare_worker_instances_express_total",
               "Among them: beside the slots, which long ones held.")
      .add({}, c.instances_express);
  text.counter("fanfare_worker_instances_brought_back_total",
               "Among them: before they were needed, by the function's habits.")
      .add({}, c.instances_brought_back);
  text.counter("fanfare_worker_instances_failed_total",
               "Instances that could not be forked or set up.")
      .add({}, c.instances_failed);
  text.counter("fanfare_worker_instances_ended_total", "Instances that ended, by reason.")
      .add({{"reason", "crashed"}}, c.instances_crashed)
      .add({{"reason", "recycled"}}, c.instances_recycled)
      .add({{"reason", "idle"}}, c.instances_reaped)
      .add({{"reason", "broken"}}, c.instances_broken);
  text.counter("fanfare_worker_deadline_kills_total", "Instances ended because they were late.")
      .add({}, c.deadline_kills);
  text.counter("fanfare_worker_forks_delayed_total",
               "Times that an instance had to wait for forks_per_second.")
      .add({}, c.forks_delayed);
}

void tell_functions_calls(MetricsText& text, const Counters& c) {
  text.counter("fanfare_worker_store_reads_total", "Requests of functions for rows.")
      .add({}, c.row_reads);
  text.counter("fanfare_worker_store_reads_refused_total", "Among them: refused.")
      .add({}, c.row_reads_refused);
  text.counter("fanfare_worker_store_writes_refused_total",
               "Attempts that failed because of the rows they wrote, by reason.")
      .add({{"reason", "full"}}, c.row_writes_full)
      .add({{"reason", "not_a_number"}}, c.row_writes_not_numbers);
  text.counter("fanfare_worker_invokes_total", "Invocations of functions by functions.")
      .add({}, c.invokes);
  text.counter("fanfare_worker_invokes_local_total",
               "Among them: run by this worker itself, without the broker.")
      .add({}, c.invokes_local);
  text.counter("fanfare_worker_invokes_moved_on_total",
               "Among them: taken by this worker itself, and passed to the broker after all.")
      .add({}, c.invokes_moved_on);
  text.counter("fanfare_worker_local_calls_total",
               "Invocations by clients on this host that came here first, by what was said.")
      .add({{"answer", "taken"}}, c.calls_local)
      .add({{"answer", "moved_on"}}, c.calls_moved_on)
      .add({{"answer", "not_here"}}, c.calls_not_here);
  text.counter("fanfare_worker_invokes_failed_total",
               "Among them: without an answer for who asked, by reason.")
      .add({{"reason", "refused"}}, c.invokes_refused)
      .add({{"reason", "caller_ended"}}, c.invokes_left);
}

void tell_trouble(MetricsText& text, const Counters& c) {
  text.counter("fanfare_worker_log_lines_left_out_total",
               "Lines that the log did not get, more than the settings allow.")
      .add({{"kind", "report"}}, c.reports_left_out)
      .add({{"kind", "output"}}, c.output_lines_left_out);
  text.counter("fanfare_worker_log_cut_bytes_total",
               "Bytes of functions' output that the log did not get: too much at once.")
      .add({}, c.output_bytes_cut);
  text.counter("fanfare_worker_frames_malformed_total",
               "Messages of the broker that could not be read.")
      .add({}, c.frames_malformed);
  text.counter("fanfare_worker_refused_by_broker_total", "Messages that the broker refused.")
      .add({}, c.refused_by_broker);
}

}  // namespace

void tell_core(MetricsText& text, const Core& core, const PeakMemory& peak_memory) {
  tell_attempts(text, core);
  tell_deliveries(text, core);
  tell_commits(text, core);
  tell_instances(text, core, peak_memory);
  tell_lives(text, core.counters());
  tell_functions_calls(text, core.counters());
  tell_trouble(text, core.counters());
}

}  // namespace fanfare::worker
