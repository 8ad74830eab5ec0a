#include "broker/deployment.h"

#include <fmt/format.h>

#include <algorithm>

namespace fanfare::broker {

namespace {
constexpr std::size_t kNamedMax = 8;  // workers in one sentence
}

Deployment::Trial* Deployment::trial_of(SessionId session) {
  const auto at = std::ranges::find(trials_, session, &Trial::session);
  return at == trials_.end() ? nullptr : &*at;
}

void Deployment::spare(const std::string& worker) {
  std::erase_if(trials_, [&](const Trial& trial) { return trial.worker == worker; });
}

// A worker that came back under its name takes the place of what it was.
void Deployment::ask(SessionId session, const std::string& worker) {
  spare(worker);
  trials_.push_back({session, worker, Trial::State::kAsked, {}, {}});
}

bool Deployment::on_prepared(SessionId session, const protocol::Prepared& prepared) {
  Trial* const trial = trial_of(session);
  if (state != State::kPreparing || !trial || prepared.number != number_) return false;
  trial->state = prepared.failure ? Trial::State::kFailed : Trial::State::kReady;
  if (prepared.failure) trial->failure = *prepared.failure;
  trial->log_tail = prepared.log_tail;
  return true;
}

void Deployment::on_lost(SessionId session) {
  Trial* const trial = trial_of(session);
  if (trial && trial->state != Trial::State::kFailed) trial->state = Trial::State::kLost;
}

void Deployment::on_time_up() {
  const bool nobody = nobody_is_left();
  for (Trial& trial : trials_) {
    if (trial.state == Trial::State::kAsked) {
      trial.state = Trial::State::kFailed;
      trial.failure = {.type = "NoAnswer",
                       .message = "it has not said in time whether it can run it: see its log"};
    } else if (nobody) {
      trial.state = Trial::State::kFailed;
      trial.failure = {.type = "WorkerLost",
                       .message = "it was lost while it tried it, and has not come back in time"};
    }
  }
}

bool Deployment::nobody_is_left() const {
  return !trials_.empty() && std::ranges::all_of(trials_, [](const Trial& trial) {
    return trial.state == Trial::State::kLost;
  });
}

bool Deployment::all_have_spoken() const {
  return !nobody_is_left() && std::ranges::none_of(trials_, [](const Trial& trial) {
    return trial.state == Trial::State::kAsked;
  });
}

bool Deployment::all_are_ready() const {
  return all_have_spoken() && std::ranges::none_of(trials_, [](const Trial& trial) {
           return trial.state == Trial::State::kFailed;
         });
}

std::string Deployment::objections() const {
  std::string text;
  std::size_t named = 0, more = 0;
  for (const Trial& trial : trials_) {
    if (trial.state != Trial::State::kFailed) continue;
    if (named == kNamedMax) {
      ++more;
      continue;
    }
    text += fmt::format("{}worker {}: {}: {}", named++ == 0 ? "" : "; ", trial.worker,
                        trial.failure.type, trial.failure.message);
  }
  if (more > 0) text += fmt::format("; and {} more", more);
  return text;
}

protocol::Prepare Deployment::message() const {
  return {.function = {.name = call_.name,
                       .manifest_toml = call_.manifest_toml,
                       .digest = call_.digest,
                       .generation = 0},
          .drop = false,
          .number = number_};
}

std::string_view to_string(Deployment::State state) {
  switch (state) {
    case Deployment::State::kDone:
      return "done";
    case Deployment::State::kRefused:
      return "refused";
    case Deployment::State::kPreparing:
    case Deployment::State::kWriting:
      break;
  }
  return "preparing";
}

std::string_view to_string(Deployment::Trial::State state) {
  using State = Deployment::Trial::State;
  switch (state) {
    case State::kReady:
      return "ready";
    case State::kFailed:
      return "failed";
    case State::kLost:
      return "lost";
    case State::kAsked:
      break;
  }
  return "asked";
}

}  // namespace fanfare::broker
