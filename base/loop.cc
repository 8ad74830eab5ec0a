#include "base/loop_asio.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <system_error>

namespace fanfare {
namespace {

int open_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "an event loop's eventfd");
  return fd;
}

}  // namespace

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
  if (first) impl_->wake_from_any_thread();
}

void Loop::expect_soon() {
  impl_->expects_soon = true;
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
  impl_->wake_from_any_thread();
}

Loop::Impl::Impl() : waker(io, open_eventfd()) {
  check_that_timers_ring();
  wait_to_be_woken();
}

// Asio does not look whether the kernel takes its timer's descriptor into the epoll set
// (fs.epoll.max_user_watches says how many there may be). Without it no timer would ever ring, and
// who waits for one would wait for ever.
void Loop::Impl::check_that_timers_ring() {
  bool rang = false;
  boost::asio::steady_timer timer(io);
  timer.expires_after(Duration::zero());
  timer.async_wait([&rang](const auto& error) { rang = !error; });
  io.run_one_for(std::chrono::seconds{1});
  if (!rang) {
    throw std::system_error(std::make_error_code(std::errc::no_space_on_device),
                            "an event loop's timer was not taken into its epoll set");
  }
}

void Loop::Impl::wake_from_any_thread() {
  const std::uint64_t once = 1;
  // Refused only when it is full of wake-ups that have not been seen yet.
  [[maybe_unused]] const ssize_t written = ::write(waker.native_handle(), &once, sizeof once);
}

void Loop::Impl::wait_to_be_woken() {
  waker.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const auto& error) {
    if (error) return;
    std::uint64_t times = 0;
    [[maybe_unused]] const ssize_t got = ::read(waker.native_handle(), &times, sizeof times);
    wait_to_be_woken();
    take_remote();
  });
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
  const bool soon = std::exchange(expects_soon, false);
  if (may_wait && posted.empty()) wait(soon);
  io.poll();
  run_posted();
  now_is_stale = true;
  run_hooks();
  rearm_all();
}

void Loop::Impl::wait(bool soon) {
  if (soon && look_for(spin, [this] { return io.poll_one() > 0; })) return;
  io.run_one();
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
