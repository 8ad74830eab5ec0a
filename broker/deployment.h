// A deployment on its way: which workers try it, what each has said, and what follows from that.
//
// It is registered once every worker that was asked could load and start it. One that could not
// refuses it for all, so that a generation runs everywhere or nowhere. A worker that is lost
// meanwhile is not waited for, unless nobody else could start it: the trial itself may have ended
// it. One that says nothing until the time is up counts as one that could not.
//
// No I/O, no clock: it lives on the broker's loop thread, in its core.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "broker/lease_table.h"
#include "protocol/messages.h"
#include "store/calls.h"

namespace fanfare::broker {

class Deployment {
 public:
  enum class State : std::uint8_t {
    kPreparing,  // workers try it
    kWriting,    // Redis is told
    kDone,
    kRefused,  // nothing has changed
  };
  struct Trial {
    SessionId session;
    std::string worker;
    enum class State : std::uint8_t { kAsked, kReady, kFailed, kLost } state = State::kAsked;
    protocol::Failure failure;  // of kFailed
    std::string log_tail;       // of kFailed: what its init printed
  };

  // `number` names it to those who ask how far it is.
  Deployment(std::uint64_t number, store::Deploy call, TimePoint ends_at)
      : number_(number), call_(std::move(call)), ends_at_(ends_at) {}

  void ask(SessionId session, const std::string& worker);
  // A worker of this name is here and is not asked (any more).
  void spare(const std::string& worker);
  // False if it means another deployment, or nobody asked.
  bool on_prepared(SessionId session, const protocol::Prepared& prepared);
  void on_lost(SessionId session);
  void on_time_up();

  // Whether nobody is waited for any more; then whether nobody was against it.
  bool all_have_spoken() const;
  bool all_are_ready() const;
  // Who could not and why, a sentence.
  std::string objections() const;

  protocol::Prepare message() const;

  std::uint64_t number() const { return number_; }
  const store::Deploy& call() const { return call_; }
  TimePoint ends_at() const { return ends_at_; }
  const std::vector<Trial>& trials() const { return trials_; }

  State state = State::kPreparing;
  std::uint64_t generation = 0;  // of kDone
  bool changed = false;          // of kDone: it was not what is deployed already
  std::string error;             // of kRefused

 private:
  Trial* trial_of(SessionId session);
  bool nobody_is_left() const;  // all that were asked are lost

  std::uint64_t number_;
  store::Deploy call_;
  TimePoint ends_at_;
  std::vector<Trial> trials_;
};
std::string_view to_string(Deployment::State state);         // "preparing", "done", "refused"
std::string_view to_string(Deployment::Trial::State state);  // "asked", "ready", "failed", "lost"

}  // namespace fanfare::broker
