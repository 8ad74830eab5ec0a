// Invocations that workers run by themselves for callers on their own hosts: which functions that
// is allowed of, and what came of it.
//
// Allowed is what this broker would lend at once, whoever else runs it: nothing of the function is
// counted over all workers, and nothing holds it up. What a worker has taken when that changes is
// finished, as what it was lent is. What it tells with its heartbeats is counted as if it had
// passed through here; of a worker that vanishes, what came since the last one is not.
#include <algorithm>

#include "broker/core.h"

namespace fanfare::broker {

bool Core::may_run_locally(const FunctionState& function) const {
  return accepting() && function.deployed && !function.registered.paused &&
         function.manifest.max_concurrency == 0 && function.manifest.rate_per_second == 0 &&
         !held_by_outbox(function);
}

void Core::note_local(FunctionState& function) {
  const bool may = may_run_locally(function);
  if (std::exchange(function.local, may) != may) local_changed_ = true;
}

void Core::note_all_local() {
  for (auto& [name, function] : functions_) note_local(*function);
}

protocol::Local Core::local_functions() const {
  protocol::Local message{.functions = {}, .event_bytes_max = options_.event_bytes_max};
  for (const auto& [name, function] : functions_) {
    if (function->local) message.functions.push_back(name);
  }
  return message;
}

// After Functions, which says what they are.
void Core::greet_with_local(const Session& session) {
  if (session.hello.local) send(session.peer, local_functions());
}

void Core::tell_local() {
  if (std::exchange(local_opened_, accepting()) != accepting()) note_all_local();
  if (!std::exchange(local_changed_, false)) return;
  const protocol::Local message = local_functions();
  for (const auto& [id, session] : sessions_) {
    if (session.hello.local) send(session.peer, message);
  }
}

void Core::on_local_report(Session& session, std::vector<protocol::Heartbeat::LocalRow>& rows) {
  std::erase_if(rows, [&](const auto& row) { return find_function(row.function) == nullptr; });
  for (const auto& row : rows) {
    FunctionMeasures& measures = find_function(row.function)->measures;
    counters_.invocations += row.ended;
    counters_.invocations_local += row.ended;
    counters_.invocations_timed_out += row.timed_out;
    counters_.deliveries_dispatched += row.ended;
    measures.dispatched += row.ended;
    measures.queue_time.observe(Duration::zero(), row.ended);
  }
  std::erase_if(rows, [](const auto& row) { return row.here == 0; });
  session.local = std::move(rows);
}

std::map<std::string, std::uint64_t> Core::running_locally() const {
  std::map<std::string, std::uint64_t> running;
  for (const auto& [id, session] : sessions_) {
    for (const auto& row : session.local) running[row.function] += row.here;
  }
  return running;
}

}  // namespace fanfare::broker
