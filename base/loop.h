// One thread's event loop: file descriptors, timers, signals and posted work.
//
// A turn of the loop is: wait until something is ready, run the handler of everything that is
// (each descriptor at most once a turn), run what was posted, then call the before_wait hooks. The
// hooks are where a shell sends off, as one group, what the turn's handlers have gathered: however
// many events arrived in the turn, they share one write.
//
// Everything here belongs to the thread that runs the loop, except post_from_any_thread and stop.
// Timers, watches and hooks may be destroyed at any time, also from within their own callbacks;
// once destroyed their callback does not run any more. All of them must go before their Loop.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "base/time.h"

namespace fanfare {

class Loop {
 public:
  struct Impl;  // defined in loop_asio.h, for adapters that need the Boost.Asio context itself

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Both clocks, read when first asked for in a turn, and once more for its hooks: what they see is
  // not before anything that the turn's handlers have received.
  const Now& now() const;

  // Runs `fn` once, later in this turn or in the next one, before the loop waits again. Work posted
  // while posted work runs waits for the next turn, so a chain of posts never keeps hooks, timers
  // or descriptors from their share.
  void post(std::function<void()> fn);

  // The same from another thread; the only call that threads other than the loop's may make, with
  // stop.
  void post_from_any_thread(std::function<void()> fn);

  // Something is likely to come within microseconds: the next turn looks for it for a moment before
  // it sleeps, where that has paid lately (base/spin.h). Whatever comes first ends the look.
  void expect_soon();

  // A registered hook, called once per turn; unregistered when destroyed.
  class [[nodiscard]] Hook {
   public:
    Hook() = default;
    ~Hook();
    Hook(Hook&&) noexcept;
    Hook& operator=(Hook&&) noexcept;

   private:
    friend class Loop;
    struct State;
    std::shared_ptr<State> state_;
  };
  // kFlush: shells send what the turn gathered. kWrite: adapters write what the shells have sent.
  enum class HookOrder { kFlush, kWrite };
  // Calls `fn` once per turn, after all handlers and before the loop waits. In order of
  // registration.
  Hook before_wait(std::function<void()> fn, HookOrder order = HookOrder::kFlush);

  // Runs until stop(). Exceptions out of callbacks are a bug and end the process.
  void run();
  // Runs until `done` says so after a turn, or `at_most` has passed; returns what `done` said last.
  // For command line tools and tests. Not from within a callback of the same loop.
  bool run_until(const std::function<bool()>& done, Duration at_most);
  // Ends run() after the turn that is going on, its hooks included. From any thread.
  void stop();

  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// Calls back once or periodically. Restarting replaces what was set before.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> fn);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start_after(Duration delay);
  // First after one period, then on the same beat; beats missed while the loop was busy are
  // skipped.
  void start_every(Duration period);
  void stop();
  bool running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Calls back when a descriptor is readable, and, while asked to, when it is writable. Level-
// triggered: what a callback leaves unread makes it run again in the next turn. Owns neither the
// descriptor nor its closing; destroy the watch before closing the descriptor.
class FdWatch {
 public:
  FdWatch(Loop& loop, int fd, std::function<void()> on_readable,
          std::function<void()> on_writable = nullptr);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  void want_read(bool wanted);   // on at first
  void want_write(bool wanted);  // off at first

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Turns signals into callbacks on the loop, with the signal's number, each time one arrives.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, std::initializer_list<int> signals, std::function<void(int)> fn);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace fanfare
