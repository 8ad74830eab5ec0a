#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "base/loop_asio.h"

namespace fanfare {

struct Timer::State : std::enable_shared_from_this<Timer::State> {
  State(Loop& loop, std::function<void()> callback)
      : timer(io_context_of(loop)), fn(std::move(callback)) {}

  void start(TimePoint at, Duration every) {
    running = true;
    period = every;
    next = at;
    wait();
  }

  void stop() {
    running = false;
    armed_for.reset();
    timer.cancel();
  }

  // A wait that is armed for an earlier time stays and is prolonged when it ends: cancelling it
  // would wake the loop, and a shell that restarts its timer every turn would turn for ever.
  void wait() {
    if (armed_for && *armed_for <= next) return;
    armed_for = next;
    timer.expires_at(next);
    timer.async_wait([self = shared_from_this()](const auto& error) {
      if (error) return;  // rearmed or stopped meanwhile
      self->armed_for.reset();
      if (!self->running) return;
      if (std::chrono::steady_clock::now() < self->next) return self->wait();
      self->expire();
    });
  }

  void expire() {
    if (period > Duration::zero()) {
      const TimePoint now = std::chrono::steady_clock::now();
      next += period;
      if (next <= now) next += (now - next) / period * period + period;
      wait();
    } else {
      running = false;
    }
    fn();
  }

  boost::asio::steady_timer timer;
  std::function<void()> fn;
  bool running = false;
  Duration period{};
  TimePoint next;
  std::optional<TimePoint> armed_for;  // what the pending wait will end at
};

Timer::Timer(Loop& loop, std::function<void()> fn)
    : state_(std::make_shared<State>(loop, std::move(fn))) {}

Timer::~Timer() {
  state_->stop();
}

void Timer::start_after(Duration delay) {
  state_->start(std::chrono::steady_clock::now() + delay, Duration::zero());
}

void Timer::start_every(Duration period) {
  period = std::max<Duration>(period, std::chrono::milliseconds{1});
  state_->start(std::chrono::steady_clock::now() + period, period);
}

void Timer::stop() {
  state_->stop();
}

bool Timer::running() const {
  return state_->running;
}

}  // namespace fanfare
