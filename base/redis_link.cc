#include "base/redis_link.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <random>
#include <vector>

namespace fanfare {
namespace {

constexpr int kReadsPerTurn = 16;  // of 16 KiB each, as hiredis reads
constexpr std::size_t kScratchBytesKept = 1 << 20;
// hiredis moves all that it could not write to the front of its buffer, after each write: it gets
// no more than a socket takes in one go or two.
constexpr std::size_t kHandedOverMax = 256 << 10;

char* write_size(char* at, char type, std::size_t size) {
  *at++ = type;
  at = std::to_chars(at, at + 20, size).ptr;
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

// The bytes of a command on the wire: an array of binary-safe strings. They are in `out`, which
// only grows: what is made room for is filled with zeros first.
std::string_view write_command(std::string& out, std::span<const std::string_view> arguments) {
  constexpr std::size_t kFrameBytesMax = 32;  // around one argument
  std::size_t bytes = kFrameBytesMax;
  for (const std::string_view argument : arguments) bytes += kFrameBytesMax + argument.size();
  if (out.size() < bytes) out.resize(bytes);
  char* at = write_size(out.data(), '*', arguments.size());
  for (const std::string_view argument : arguments) {
    at = write_size(at, '$', argument.size());
    at = std::copy(argument.begin(), argument.end(), at);
    *at++ = '\r';
    *at++ = '\n';
  }
  *at = '\0';  // hiredis reads on to it in some commands
  return {out.data(), at};
}

bool readable_now(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

}  // namespace

// hiredis frees its context by itself after any error; the cleanup hook is the only notice. So
// every call into hiredis may end with context == nullptr, and nothing is touched after it without
// a look.
struct RedisLink::Impl : std::enable_shared_from_this<RedisLink::Impl> {
  struct Pending {
    OnReply on_reply;
    TimePoint sent;
  };

  Impl(Loop& on_loop, RedisOptions with_options, Handlers with_handlers)
      : loop(on_loop),
        options(std::move(with_options)),
        handlers(std::move(with_handlers)),
        random(std::random_device{}()) {}

  // ---- connecting ----

  void connect() {
    redisAsyncContext* opening = options.unix_path.empty()
                                     ? redisAsyncConnect(options.host.c_str(), options.port)
                                     : redisAsyncConnectUnix(options.unix_path.c_str());
    if (opening == nullptr || opening->err != 0) {
      down_reason = opening == nullptr ? "out of memory" : opening->errstr;
      if (opening != nullptr) redisAsyncFree(opening);
      return went_down();
    }
    context = opening;
    fcntl(context->c.fd, F_SETFD, FD_CLOEXEC);  // instances must not inherit the connection
    watch = std::make_unique<FdWatch>(
        loop, context->c.fd, [this] { read_some(); },
        [this] { up ? write_some() : redisAsyncHandleWrite(context); });
    context->ev.data = this;
    context->ev.addWrite = [](void* self) { static_cast<Impl*>(self)->write_wanted = true; };
    context->ev.delWrite = [](void* self) { static_cast<Impl*>(self)->write_wanted = false; };
    context->ev.cleanup = [](void* self) { static_cast<Impl*>(self)->context_ended(); };
    redisAsyncSetConnectCallback(context, [](const redisAsyncContext* connected, int status) {
      if (status == REDIS_OK) static_cast<Impl*>(connected->ev.data)->went_up();
    });
    watch->want_write(true);  // becoming writable is how a connection says that it stands
    connect_timer.start_after(options.connect_timeout);
  }

  void went_up() {
    up = true;
    failed_attempts = 0;
    connect_timer.stop();
    loop.post([weak = weak_from_this()] {
      if (const auto self = weak.lock(); self && self->up && self->handlers.on_up)
        self->handlers.on_up();
    });
  }

  // hiredis has run the callback of every command that it had, without a reply, and is about to
  // close the socket.
  void context_ended() {
    if (down_reason.empty()) down_reason = context->errstr != nullptr ? context->errstr : "closed";
    context = nullptr;
    watch.reset();
    unsent.clear();
    while (!pending.empty()) answered(nullptr);
    went_down();
  }

  void went_down() {
    up = false;
    write_wanted = false;
    connect_timer.stop();
    command_timer.stop();
    if (closed) return;
    const unsigned doublings = std::min(failed_attempts++, 20u);
    const Duration ceiling =
        std::min(options.reconnect_max, options.reconnect_min * (1 << doublings));
    reconnect_timer.start_after(
        Duration{std::uniform_int_distribution<std::int64_t>(0, ceiling.count())(random)});
    loop.post([weak = weak_from_this(), reason = std::exchange(down_reason, {})] {
      if (const auto self = weak.lock(); self && self->handlers.on_down)
        self->handlers.on_down(reason);
    });
  }

  void drop(std::string reason) {
    if (context == nullptr) return;
    up = false;
    down_reason = std::move(reason);
    redisAsyncFree(context);  // from within a reply's callback hiredis frees it right after that
  }

  // ---- commands ----

  void call(std::span<const std::string_view> arguments, OnReply on_reply) {
    if (!up || context == nullptr) return refuse(std::move(on_reply));
    const std::string_view command = write_command(scratch, arguments);
    if (unsent.empty() && sdslen(context->c.obuf) < kHandedOverMax) {
      if (!hand_over(command)) return refuse(std::move(on_reply));
    } else {
      unsent.emplace_back(command);
    }
    if (scratch.capacity() > kScratchBytesKept) std::string().swap(scratch);
    pending.push_back({std::move(on_reply), loop.now().steady});
    if (!command_timer.running()) command_timer.start_after(options.command_timeout);
  }

  bool hand_over(std::string_view command) {
    const int status = redisAsyncFormattedCommand(
        context,
        [](redisAsyncContext*, void* reply, void* self) {
          static_cast<Impl*>(self)->answered(static_cast<const redisReply*>(reply));
        },
        this, command.data(), command.size());
    return status == REDIS_OK;
  }

  void answered(const redisReply* reply) {
    if (reply == nullptr)
      up = false;  // the context is being torn down: nothing more goes out on it
    const Pending answered = std::move(pending.front());  // answers come in order
    pending.pop_front();
    if (!closed && answered.on_reply) answered.on_reply(RedisReply(reply));
  }

  void refuse(OnReply on_reply) {
    refused.push_back(std::move(on_reply));
    if (refused.size() > 1) return;
    loop.post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      for (const auto& lost : std::exchange(self->refused, {})) {
        if (lost) lost(RedisReply{});
      }
    });
  }

  void read_some() {
    const redisAsyncContext* const mine = context;
    for (int reads = 0; reads < kReadsPerTurn; ++reads) {
      redisAsyncHandleRead(context);
      if (context != mine || !readable_now(mine->c.fd)) return;
    }
  }

  // Once per turn, after everybody has had their say: all new commands in one write, tried at once.
  void write_some() {
    if (context == nullptr || !up) return;
    if (write_wanted) redisAsyncHandleWrite(context);
    while (context != nullptr && !unsent.empty() && sdslen(context->c.obuf) < kHandedOverMax) {
      if (!hand_over(unsent.front())) return drop("a command was not taken");
      unsent.pop_front();
      redisAsyncHandleWrite(context);
    }
    if (context != nullptr) watch->want_write(write_wanted);
  }

  void check_command_timeout() {
    if (context == nullptr || pending.empty()) return;
    // If it was this process that stood still, the answer lies there already.
    if (readable_now(context->c.fd)) read_some();
    if (context == nullptr || pending.empty()) return;
    const Duration left = pending.front().sent + options.command_timeout - loop.now().steady;
    if (left > Duration::zero()) return command_timer.start_after(left);
    drop(fmt::format("no answer within {}", format_duration(options.command_timeout)));
  }

  void close() {
    closed = true;
    if (context != nullptr) redisAsyncFree(context);
  }

  Loop& loop;
  const RedisOptions options;
  const Handlers handlers;
  redisAsyncContext* context = nullptr;  // hiredis owns it
  std::unique_ptr<FdWatch> watch;
  bool up = false;
  bool closed = false;
  bool write_wanted = false;
  std::deque<Pending> pending;     // in the order of their commands
  std::deque<std::string> unsent;  // the last of these, which hiredis has not got yet
  std::vector<OnReply> refused;
  std::string scratch, down_reason;
  unsigned failed_attempts = 0;
  std::minstd_rand random;
  Timer connect_timer{
      loop, [this] {
        drop(fmt::format("not connected within {}", format_duration(options.connect_timeout)));
      }};
  Timer command_timer{loop, [this] { check_command_timeout(); }};
  Timer reconnect_timer{loop, [this] { connect(); }};
  Loop::Hook write_hook{loop.before_wait([this] { write_some(); }, Loop::HookOrder::kWrite)};
};

RedisLink::RedisLink(Loop& loop, RedisOptions options, Handlers handlers)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(handlers))) {
  loop.post([weak = std::weak_ptr(impl_)] {
    if (const auto impl = weak.lock()) impl->connect();
  });
}

RedisLink::~RedisLink() {
  impl_->close();
}

void RedisLink::call(std::span<const std::string_view> arguments, OnReply on_reply) {
  impl_->call(arguments, std::move(on_reply));
}

void RedisLink::call(std::span<const std::string> arguments, OnReply on_reply) {
  const std::vector<std::string_view> views(arguments.begin(), arguments.end());
  impl_->call(views, std::move(on_reply));
}

bool RedisLink::up() const {
  return impl_->up;
}

std::size_t RedisLink::pending() const {
  return impl_->pending.size() + impl_->refused.size();
}

void RedisLink::reset() {
  impl_->loop.post([weak = std::weak_ptr(impl_), broken = impl_->context] {
    if (const auto impl = weak.lock(); impl && impl->context == broken) impl->drop("reset");
  });
}

}  // namespace fanfare
