// The inside of a Loop, for adapters that need Boost.Asio itself. Include in .cc files only.
#pragma once

#include <utility>  // Asio of Boost 1.74 wants it first

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/loop.h"
#include "base/spin.h"

namespace fanfare {

struct Loop::Hook::State {
  std::function<void()> fn;
  bool alive = true;
};

struct Loop::Impl {
  // A descriptor's watch waits here from its callback to the end of the turn, so that a busy
  // descriptor gets one callback a turn and cannot keep the hooks from running.
  struct Rearming {
    virtual ~Rearming() = default;
    virtual void rearm() = 0;
  };

  boost::asio::io_context io{1};
  // Without work an io_context would stop, and stay stopped.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::vector<std::shared_ptr<Rearming>> rearming;

  std::vector<std::function<void()>> posted, running_posted;
  std::vector<std::shared_ptr<Hook::State>> hooks[2];  // by HookOrder

  // An eventfd that other threads write to. Asio has one of its own for this, but does not say when
  // the kernel refuses to watch it; this one is refused with an exception.
  boost::asio::posix::stream_descriptor waker;
  std::mutex remote_mutex;
  std::vector<std::function<void()>> remote_posted;  // under remote_mutex
  std::atomic<bool> stopping{false};

  Now now;
  bool now_is_stale = true;

  bool expects_soon = false;
  Spin spin;

  Impl();
  const Now& read_now();
  void check_that_timers_ring();
  void wake_from_any_thread();
  void wait_to_be_woken();
  void turn(bool may_wait);
  void wait(bool soon);
  void run_posted();
  void run_hooks();
  void rearm_all();
  void take_remote();
};

// The io_context behind a loop; what runs on it runs as part of the loop's turns.
inline boost::asio::io_context& io_context_of(Loop& loop) {
  return loop.impl().io;
}

}  // namespace fanfare
