// A generation that is about to be deployed: loaded and initialised beside the present one, so that
// what does not start here never takes its place, and what does takes it without a pause.
#include "worker/core.h"

namespace fanfare::worker {
namespace {

// Longer than any deployment may take (10 min): other workers may need that long.
constexpr Duration kCandidateKept = std::chrono::minutes{11};

bool is_same(const protocol::FunctionSpec& a, const protocol::FunctionSpec& b) {
  return a.digest == b.digest && a.manifest_toml == b.manifest_toml;
}

}  // namespace

void Core::on_prepare(protocol::Prepare message, Now now) {
  if (link_ != Link::kJoined || draining_) return;
  protocol::FunctionSpec& spec = message.function;
  if (message.drop && !functions_.contains(spec.name)) return;
  auto& slot = functions_[spec.name];
  if (!slot) {
    slot = std::make_unique<Function>();
    slot->spec.name = spec.name;
    slot->removed = true;  // until Functions has it
  }
  Function& function = *slot;
  if (message.drop) {
    if (function.candidate && is_same(function.candidate->spec, spec)) drop_candidate(function);
    return;
  }
  drop_candidate(function);
  if (!function.removed && function.zygote_state == Function::ZygoteState::kReady &&
      is_same(function.spec, spec)) {
    return answer_prepare(spec, message.number, std::nullopt, {});
  }
  auto manifest = protocol::parse_manifest(spec.manifest_toml, "function.toml", spec.name);
  if (!manifest) {
    return answer_prepare(
        spec, message.number,
        protocol::Failure{.type = "UnusableFunction", .message = manifest.error().message}, {});
  }
  Function::Candidate& candidate = function.candidate.emplace(Function::Candidate{});
  candidate.spec = std::move(spec);
  candidate.number = message.number;
  candidate.manifest = *std::move(manifest);
  candidate.zygote = ZygoteId{next_zygote_++};
  candidate.state = Function::ZygoteState::kPreparing;
  ++counters_.zygotes_started;
  options_.failpoint("worker.candidate.asked");
  if (effects_.start_zygote(candidate.zygote, candidate.spec, candidate.manifest)) {
    on_zygote_started(candidate.zygote, now);
  }
}

void Core::answer_prepare(const protocol::FunctionSpec& spec, std::uint64_t number,
                          std::optional<protocol::Failure> failure, std::string log_tail) {
  if (link_ != Link::kJoined) return;
  effects_.send(protocol::encode(protocol::Prepared{.session = session_,
                                                    .function = spec.name,
                                                    .digest = spec.digest,
                                                    .number = number,
                                                    .failure = std::move(failure),
                                                    .log_tail = std::move(log_tail)}));
}

void Core::drop_candidate(Function& function) {
  if (!function.candidate) return;
  effects_.stop_zygote(function.candidate->zygote);
  function.candidate.reset();
}

// Those that the present set of functions did not ask for.
void Core::drop_candidates() {
  for (auto& [name, function] : functions_) drop_candidate(*function);
}

Function* Core::function_of_candidate(ZygoteId zygote) {
  for (auto& [name, function] : functions_) {
    if (function->candidate && function->candidate->zygote == zygote) return function.get();
  }
  return nullptr;
}

void Core::on_candidate_started(Function& function, Now now) {
  function.candidate->state = Function::ZygoteState::kStarted;
  function.candidate->until = now.steady + options_.init_timeout;
  due(function.candidate->until);
}

void Core::on_candidate_ready(Function& function, Now now) {
  function.candidate->state = Function::ZygoteState::kReady;
  function.candidate->until = now.steady + kCandidateKept;
  due(function.candidate->until);
  answer_prepare(function.candidate->spec, function.candidate->number, std::nullopt, {});
}

// Its zygote is no more. One that had been ready is no longer: the deployment may still wait for
// others.
void Core::on_candidate_failed(Function& function, protocol::Failure failure,
                               std::string log_tail) {
  ++counters_.zygotes_failed;
  const Function::Candidate candidate = *std::move(function.candidate);
  function.candidate.reset();
  answer_prepare(candidate.spec, candidate.number, std::move(failure), std::move(log_tail));
}

void Core::check_candidate(Function& function, Now now) {
  using State = Function::ZygoteState;
  if (!function.candidate || function.candidate->state == State::kPreparing) return;
  if (function.candidate->until > now.steady) return due(function.candidate->until);
  if (function.candidate->state == State::kReady) return drop_candidate(function);
  std::string printed = effects_.printed_by(function.candidate->zygote);
  effects_.stop_zygote(function.candidate->zygote);
  on_candidate_failed(function, init_timeout(), std::move(printed));
}

protocol::Failure Core::init_timeout() const {
  return {.type = "InitTimeout",
          .message = "init took longer than " + format_duration(options_.init_timeout),
          .retryable = true,
          .retry_after_ms = {}};
}

// The present generation was deployed once more: what was tried is of use if it has no zygote, also
// where it had not started until now.
void Core::settle_candidate(Function& function, Now now) {
  using State = Function::ZygoteState;
  if (!function.candidate || !is_same(function.candidate->spec, function.spec)) return;
  if (function.candidate->state != State::kReady) return;  // its deployment still waits for it
  if (function.zygote_state != State::kNone) return drop_candidate(function);
  adopt_candidate(function, now);
  forget_failures(function);
}

// What has been deployed may have mended what was wrong.
void Core::forget_failures(Function& function) {
  function.failures_in_row = 0;
  function.paused_until.reset();
  function.broken = false;
}

// The function's zygote from now on is the candidate's, if that is what has been deployed.
bool Core::adopt_candidate(Function& function, Now now) {
  using State = Function::ZygoteState;
  if (!function.candidate || !is_same(function.candidate->spec, function.spec)) return false;
  Function::Candidate candidate = *std::move(function.candidate);
  function.candidate.reset();
  function.zygote = candidate.zygote;
  function.zygote_state = candidate.state;
  function.zygote_asked_at = now.steady;
  if (candidate.state == State::kStarted) due(now.steady + options_.init_timeout);
  return true;
}

}  // namespace fanfare::worker
