// Whether it is still this broker that lends: see office.h.
#include "broker/core.h"

namespace fanfare::broker {
namespace {

bool runs_alone(const FunctionState& function) {
  return function.manifest.max_concurrency > 0 || !function.queue.keys().empty();
}

}  // namespace

// A broker that stood still while another one took its place must find out and end, also if it has
// nothing to do. Every fenced call tells; this one changes nothing.
void Core::check_office(Now now) {
  if (epoch_ == 0 || ended_ || !office_.wants_look(now.steady, lending_waits_for_office_)) return;
  ask_office(now);
}

void Core::ask_office(Now now) {
  office_.asked(now.steady);
  call(store::NoteWorker{epoch_, "(nobody)", {}, true}, ForOffice{now.steady});
}

void Core::on_office(const ForOffice& asked, bool answered) {
  office_.answered();
  if (!answered) return;
  office_.proved(asked.asked_at);
  if (!std::exchange(lending_waits_for_office_, false)) return;
  for (auto& [name, function] : functions_) touch(*function);
}

// What must not run beside itself is lent by one broker at a time, whichever of them knows what.
bool Core::may_lend_alone(const FunctionState& function, Now now) {
  if (!runs_alone(function) || !options_.protections.prove_office) return true;
  if (office_.ages(now.steady) && !office_.asking()) ask_office(now);
  if (office_.holds(now.steady)) return true;
  lending_waits_for_office_ = true;
  return false;
}

bool Core::waits_for_office(const FunctionState& function) const {
  return lending_waits_for_office_ && runs_alone(function);
}

// A former broker's proofs hold no longer, whatever it knows of this one.
bool Core::former_is_out(Now now) const {
  return now.steady >= began_at_ + options_.former_lends;
}

}  // namespace fanfare::broker
