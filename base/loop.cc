#include "base/loop_asio.h"

#include <boost/asio/post.hpp>

namespace fanfare {

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

const Now& Loop::now() const {
  return impl_->read_now();
}

void Loop::post(std::function<void()> fn) {
  impl_->posted.push_back(std::move(fn));
}

void Loop::post_from_any_thread(std::function<void()> fn) {
  bool first = false;
  {
    const std::lock_guard lock(impl_->remote_mutex);
    first = impl_->remote_posted.empty();
    impl_->remote_posted.push_back(std::move(fn));
  }
  if (first) boost::asio::post(impl_->io, [impl = impl_.get()] { impl->take_remote(); });
}

Loop::Hook::~Hook() {
  if (state_) state_->alive = false;
}
Loop::Hook::Hook(Hook&&) noexcept = default;
Loop::Hook& Loop::Hook::operator=(Hook&& other) noexcept {
  if (state_ && state_ != other.state_) state_->alive = false;
  state_ = std::move(other.state_);
  return *this;
}

Loop::Hook Loop::before_wait(std::function<void()> fn, HookOrder order) {
  Hook hook;
  hook.state_ = std::make_shared<Hook::State>();
  hook.state_->fn = std::move(fn);
  impl_->hooks[static_cast<int>(order)].push_back(hook.state_);
  return hook;
}

void Loop::run() {
  // The first turn does not wait: hooks may have something to say before anything has happened.
  bool may_wait = false;
  while (!impl_->stopping) {
    impl_->turn(may_wait);
    may_wait = true;
  }
  impl_->stopping = false;
}

bool Loop::run_until(const std::function<bool()>& done, Duration at_most) {
  bool timed_out = false;
  Timer deadline(*this, [&timed_out] { timed_out = true; });
  deadline.start_after(at_most);
  bool may_wait = false;
  bool finished = done();
  while (!finished && !timed_out && !impl_->stopping) {
    impl_->turn(may_wait);
    may_wait = true;
    finished = done();
  }
  impl_->stopping = false;
  return finished;
}

void Loop::stop() {
  impl_->stopping = true;
  boost::asio::post(impl_->io, [] {});  // wakes a loop that waits
}

const Now& Loop::Impl::read_now() {
  if (now_is_stale) {
    now = read_clocks();
    now_is_stale = false;
  }
  return now;
}

void Loop::Impl::turn(bool may_wait) {
  now_is_stale = true;
  if (may_wait && posted.empty()) io.run_one();
  io.poll();
  run_posted();
  run_hooks();
  rearm_all();
}

void Loop::Impl::run_posted() {
  running_posted.swap(posted);
  for (auto& fn : running_posted) fn();
  running_posted.clear();
}

void Loop::Impl::run_hooks() {
  for (auto& ordered : hooks) {
    // By index and with the state held: a hook may register others or remove itself.
    for (std::size_t i = 0; i < ordered.size(); ++i) {
      const std::shared_ptr<Hook::State> hook = ordered[i];
      if (hook->alive) hook->fn();
    }
    std::erase_if(ordered, [](const auto& hook) { return !hook->alive; });
  }
}

void Loop::Impl::rearm_all() {
  for (auto& watch : rearming) watch->rearm();
  rearming.clear();
}

void Loop::Impl::take_remote() {
  const std::lock_guard lock(remote_mutex);
  for (auto& fn : remote_posted) posted.push_back(std::move(fn));
  remote_posted.clear();
}

}  // namespace fanfare
