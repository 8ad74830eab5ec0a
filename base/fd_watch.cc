#include <poll.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <system_error>

#include "base/loop_asio.h"

namespace fanfare {

struct FdWatch::State : Loop::Impl::Rearming, std::enable_shared_from_this<FdWatch::State> {
  using Wait = boost::asio::posix::stream_descriptor::wait_type;

  // One of the two directions: wanted by the user, and whether a wait for it is under way.
  struct Direction {
    Wait wait_for;
    std::function<void()> fn;
    bool wanted;
    bool waiting = false;
  };

  State(Loop& on_loop, int fd, std::function<void()> on_readable, std::function<void()> on_writable)
      : loop(on_loop.impl()),
        descriptor(io_context_of(on_loop), fd),
        read{Wait::wait_read, std::move(on_readable), true},
        write{Wait::wait_write, std::move(on_writable), false} {}

  void rearm() override {
    queued = false;
    if (!alive) return;
    if (forget_write) begin_anew();
    arm(read);
    arm(write);
  }

  void arm(Direction& direction) {
    if (!direction.wanted || direction.waiting) return;
    direction.waiting = true;
    if (&direction == &write) asked_for_write = true;
    descriptor.async_wait(direction.wait_for, [self = shared_from_this(), &direction,
                                               of = registered](const auto& error) {
      if (of != self->registered) return;
      direction.waiting = false;
      if (!self->alive) return;
      // Never to hear of it again would be worse than to end.
      if (error) throw std::system_error(error, "watching a descriptor");
      self->arm_at_end_of_turn();
      if (direction.wanted && self->is_ready(direction)) direction.fn();
    });
  }

  // Asio keeps what it knows of a descriptor that was let go for the next one. If it had an event
  // for the former in the same turn, the wait for the latter ends with it (seen with Boost 1.74, as
  // its epoll_reactor pools these states). So the first event is not believed; after it there is
  // nothing left of anybody else.
  bool is_ready(const Direction& direction) {
    if (seen_ready) return true;
    const short event = direction.wait_for == Wait::wait_read ? POLLIN : POLLOUT;
    pollfd now{.fd = descriptor.native_handle(), .events = event, .revents = 0};
    seen_ready = ::poll(&now, 1, 0) != 0;
    return seen_ready;
  }

  // From the first wait for it on Asio's epoll tells when a descriptor is writable, for good: each
  // later wait, for whatever, ends at once and is a turn for nothing. Registered anew it is told
  // what is wanted now.
  void begin_anew() {
    forget_write = false;
    if (write.wanted) return;
    const int fd = descriptor.native_handle();
    ++registered;  // what was waited for until now is heard no more
    descriptor.release();
    descriptor.assign(fd);
    read.waiting = write.waiting = asked_for_write = seen_ready = false;
  }

  void arm_at_end_of_turn() {
    if (queued) return;
    queued = true;
    loop.rearming.push_back(shared_from_this());
  }

  void want(Direction& direction, bool wanted) {
    if (direction.wanted == wanted) return;
    direction.wanted = wanted;
    if (!write.wanted && asked_for_write) {
      forget_write = true;
      arm_at_end_of_turn();
    }
    // A wait for something no longer wanted is left to end by itself.
    if (wanted && !queued) arm(direction);
  }

  void close() {
    alive = false;
    descriptor.release();  // leaves the descriptor open: it is not ours
  }

  Loop::Impl& loop;
  boost::asio::posix::stream_descriptor descriptor;
  Direction read, write;
  bool alive = true;
  bool queued = false;
  bool seen_ready = false;
  bool asked_for_write = false, forget_write = false;
  unsigned registered = 0;  // how often
};

FdWatch::FdWatch(Loop& loop, int fd, std::function<void()> on_readable,
                 std::function<void()> on_writable)
    : state_(std::make_shared<State>(loop, fd, std::move(on_readable), std::move(on_writable))) {
  state_->arm(state_->read);
}

FdWatch::~FdWatch() {
  state_->close();
}

void FdWatch::want_read(bool wanted) {
  state_->want(state_->read, wanted);
}
void FdWatch::want_write(bool wanted) {
  state_->want(state_->write, wanted);
}

}  // namespace fanfare
