// The turn of the loop, and leaving.
#include "worker/core.h"

#include <signal.h>

#include <algorithm>

namespace fanfare::worker {
namespace {

constexpr Duration kTickAtLeast = std::chrono::seconds{1};
// How long a leaving worker waits for the broker to confirm its last reports.
constexpr Duration kGoodbyePatience = std::chrono::seconds{2};

}  // namespace

Core::Core(CoreOptions options, Effects& effects, Now now)
    : options_(std::move(options)),
      effects_(effects),
      fork_tokens_(static_cast<double>(options_.forks_at_once)),
      fork_tokens_at_(now.steady),
      report_budget_(options_.reports_per_second, now.steady),
      output_budget_(options_.output_lines_per_second, now.steady),
      meter_({.worker = options_.name + ":" + std::to_string(options_.pid) + ":" +
                        std::to_string(options_.pid_started),
              .ttl = options_.usage_ttl,
              .hour_rows_max = options_.usage_rows_max}),
      next_tick_(now.steady) {
  row_.worker = options_.name;
}

Core::~Core() = default;

Function* Core::find(std::string_view name) {
  const auto at = functions_.find(name);
  return at == functions_.end() ? nullptr : at->second.get();
}

Instance* Core::instance_of(InstanceId id) {
  const auto at = instances_.find(id);
  return at == instances_.end() ? nullptr : at->second.get();
}

void Core::touch(Function& function) {
  if (std::exchange(function.touched, true)) return;
  touched_.push_back(&function);
}

void Core::due(TimePoint at) {
  next_tick_ = std::min(next_tick_, at);
}

Duration Core::until_next_tick(Now now) const {
  return std::max(Duration::zero(), next_tick_ - now.steady);
}

void Core::tick(Now now) {
  if (now.steady < next_tick_) return;
  next_tick_ = now.steady + kTickAtLeast;

  if (link_ != Link::kDown) {
    if (now.steady >= greet_again_at_) greet(now);
    due(greet_again_at_);
  }
  if (link_ == Link::kJoined) {
    look_at_progress(now);
    if (now.steady >= next_heartbeat_) send_heartbeat(now);
    due(next_heartbeat_);
  }
  for (auto& [id, instance] : instances_) {
    check_deadline(*instance, now);
    recall_what_waits(*instance, now);
  }
  for (auto& [name, function] : functions_) {
    if (function->zygote_state == Function::ZygoteState::kStarted) {
      const TimePoint late_at = function->zygote_asked_at + options_.init_timeout;
      if (now.steady >= late_at) {
        std::string printed = effects_.printed_by(function->zygote);
        effects_.stop_zygote(function->zygote);
        on_zygote_failed(function->zygote, init_timeout(), std::move(printed), now);
      } else {
        due(late_at);
      }
    }
    if (function->zygote_state == Function::ZygoteState::kReady)
      check_zygote_answers(*function, now);
    check_candidate(*function, now);
    reap_idle(*function, now);
    reap_spare(*function, now);
    if (function->paused_until && pause_is_over(*function, now)) touch(*function);
    if (!function->queue.empty() || function->uncommitted > 0 ||
        function->instances.size() < function->manifest.provisioned) {
      touch(*function);
    }
  }
  repeat_commits(now);
  say_left_out(now);
  send_usage(now);
  repeat_reads(now);
  expire_invoking(now);
  expire_callings(now);
  if (draining_ && now.steady < drain_ends_at_) due(drain_ends_at_);
  if (draining_ && now.steady >= drain_ends_at_) {
    for (auto& [id, instance] : instances_) {
      if (!instance->idle() && instance->stop == StopReason::kNone) {
        stop(*instance, StopReason::kDrain, now);
      }
    }
  }
}

void Core::flush(Now now) {
  // What is touched while this runs (a failure makes room, a commit is refused) is next turn's
  // work.
  touched_now_.swap(touched_);
  for (Function* function : touched_now_) {
    function->touched = false;
    if (draining_ || quiet_ || function->removed) hand_back_queued(*function);
    schedule(*function, now);
  }
  if (std::exchange(local_came_back_, false)) route_those_left(now);
  for (Function* function : touched_now_) {
    if (function->uncommitted > 0) commit_done(*function, now);
    if (function->uncommitted > 0) touch(*function);
  }
  if (link_ == Link::kJoined) {
    if (std::exchange(tell_soon_, false)) send_heartbeat(now);
    send_done();
    send_credit();
    if (rows_since_heartbeat_ >= 8192) send_heartbeat(now);
  }
  touched_now_.clear();
  if (draining_) note_finished(now);
}

// What waits goes to others at once: they may run it now, and who drains a worker wants it idle.
// What runs is finished. Warm instances stay for their keep_alive, for the operator may change his
// mind.
void Core::set_quiet(bool quiet, Now now) {
  if (draining_ || std::exchange(quiet_, quiet) == quiet) return;
  for (auto& [name, function] : functions_) touch(*function);
  if (link_ == Link::kJoined) send_heartbeat(now);  // it says so
}

void Core::begin_drain(Now now) {
  if (std::exchange(draining_, true)) return;
  drain_ends_at_ = now.steady + options_.grace;
  if (link_ == Link::kJoined) send_heartbeat(now);  // it says so
  for (auto& [name, function] : functions_) {
    touch(*function);
    drop_candidate(*function);
    while (!function->idle.empty()) retire(*function->idle.back(), now);
    while (!function->spare.empty()) retire(*function->spare.back(), now);
  }
  due(drain_ends_at_);
}

void Core::stop_at_once(Now now) {
  begin_drain(now);
  drain_ends_at_ = now.steady;
  for (auto& [id, instance] : instances_) {
    if (instance->stop == StopReason::kNone) instance->stop = StopReason::kDrain;
    instance->told_to_end = instance->retiring = true;
    effects_.kill(id, SIGKILL);
  }
  due(now.steady);
}

void Core::hand_back_queued(Function& function) {
  while (!function.queue.empty()) {
    Held& held = *function.queue.front();
    function.queue.pop_front();
    hand_back(held);
  }
}

// Once everything is reported the broker should confirm it, but it is not waited for without end.
void Core::note_finished(Now now) {
  if (finished_) return;
  if (pool_.in_use() > 0) {
    // What cannot be ended or committed even now stays in the journal; the broker lends it again.
    const TimePoint gives_up = drain_ends_at_ + options_.kill_grace + kGoodbyePatience;
    finished_ = now.steady >= gives_up;
    return due(gives_up);
  }
  const bool usage_told = usage_is_told(now);
  if (link_ == Link::kJoined && sent_done_.empty() && done_rows_.empty() &&
      done_committed_.empty() && usage_told) {
    if (!local_is_told()) send_heartbeat(now);
    effects_.send(protocol::encode(protocol::Bye{session_}));
    finished_ = true;
    return;
  }
  if (!goodbye_ends_at_) {
    goodbye_ends_at_ = now.steady + kGoodbyePatience;
    if (link_ == Link::kJoined) send_heartbeat(now);  // its answer confirms
  }
  finished_ = now.steady >= *goodbye_ends_at_;
  due(*goodbye_ends_at_);
}

}  // namespace fanfare::worker
