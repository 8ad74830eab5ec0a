#include <boost/asio/signal_set.hpp>

#include "base/loop_asio.h"

namespace fanfare {

struct SignalWatch::State : std::enable_shared_from_this<SignalWatch::State> {
  State(Loop& loop, std::function<void(int)> callback)
      : signals(io_context_of(loop)), fn(std::move(callback)) {}

  void wait() {
    signals.async_wait([self = shared_from_this()](const auto& error, int number) {
      if (error || !self->alive) return;
      self->wait();
      self->fn(number);
    });
  }

  boost::asio::signal_set signals;
  std::function<void(int)> fn;
  bool alive = true;
};

SignalWatch::SignalWatch(Loop& loop, std::initializer_list<int> signals,
                         std::function<void(int)> fn)
    : state_(std::make_shared<State>(loop, std::move(fn))) {
  for (const int number : signals) state_->signals.add(number);
  state_->wait();
}

SignalWatch::~SignalWatch() {
  state_->alive = false;
  boost::system::error_code ignored;
  state_->signals.cancel(ignored);
  state_->signals.clear(ignored);
}

}  // namespace fanfare
