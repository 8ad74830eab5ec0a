// trouble.so: see trouble.h. Standing before the C library, it must not call what it replaces
// before it has looked that up, nor anything that allocates from within malloc.
#include "tests/chaos/trouble.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

using fanfare::chaos::TroubleOrders;

TroubleOrders* orders = nullptr;

__attribute__((constructor)) void find_orders() {
  const char* const file = std::getenv(fanfare::chaos::kTroubleVariable);
  if (!file) return;
  const int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0));
  if (fd < 0) return;
  void* const shared =
      mmap(nullptr, sizeof(TroubleOrders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  if (shared == MAP_FAILED) return;
  orders = static_cast<TroubleOrders*>(shared);
  struct sigaction interrupt{};
  interrupt.sa_handler = [](int) { ++orders->interruptions; };
  sigaction(SIGWINCH, &interrupt, nullptr);
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// One of `count` is used up.
bool take_one(std::atomic<std::int32_t>& count) {
  std::int32_t left = count.load();
  while (left > 0) {
    if (count.compare_exchange_weak(left, left - 1)) return true;
  }
  return false;
}

bool strikes(const std::atomic<std::int32_t>& per_mille) {
  const std::int32_t share = per_mille.load(std::memory_order_relaxed);
  if (share <= 0) return false;
  thread_local std::uint64_t state =
      0x9E3779B97F4A7C15ull ^ static_cast<std::uint64_t>(syscall(SYS_gettid));
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<std::int32_t>(state % 1000) < share;
}

// Of an append-only directory; `ending` may ask for more.
bool is_append_only(int fd, const char* ending = "") {
  char link[64], path[512];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (size <= 0) return false;
  path[size] = 0;
  const std::size_t tail = std::strlen(ending);
  return std::strstr(path, "appendonly") != nullptr && static_cast<std::size_t>(size) >= tail &&
         std::strcmp(path + size - tail, ending) == 0;
}

bool is_socket(int fd) {
  struct stat status{};
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

bool is_stream(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// For the other end and for the next call, too, as when it is really broken.
int break_connection(int fd) {
  syscall(SYS_shutdown, fd, SHUT_RDWR);
  errno = ECONNRESET;
  return -1;
}

int sync_file(int fd, long number) {
  if (orders && (orders->slow_sync_ms > 0 || orders->failing_syncs > 0) && is_append_only(fd)) {
    if (const std::int32_t ms = orders->slow_sync_ms; ms > 0) {
      ++orders->slow_syncs;
      usleep(static_cast<useconds_t>(ms) * 1000);
    }
    if (take_one(orders->failing_syncs)) {
      ++orders->failed_syncs;
      errno = EIO;
      return -1;
    }
  }
  struct stat before{};
  const bool notes = orders && orders->notes_durable.load(std::memory_order_relaxed) > 0 &&
                     is_append_only(fd, ".incr.aof") && fstat(fd, &before) == 0;
  const int done = static_cast<int>(syscall(number, fd));
  if (notes && done == 0) {
    const auto bytes = static_cast<std::uint64_t>(before.st_size);
    if (bytes > orders->durable_bytes) orders->durable_bytes = bytes;
  }
  return done;
}

void add_ms(timespec& time, std::int64_t ms) {
  const std::int64_t ns = time.tv_sec * 1'000'000'000ll + time.tv_nsec + ms * 1'000'000;
  time.tv_sec = ns / 1'000'000'000;
  time.tv_nsec = ns % 1'000'000'000;
}

}  // namespace

extern "C" {

int fsync(int fd) {
  return sync_file(fd, SYS_fsync);
}
int fdatasync(int fd) {
  return sync_file(fd, SYS_fdatasync);
}

ssize_t write(int fd, const void* bytes, std::size_t size) {
  if (orders && orders->failing_writes.load(std::memory_order_relaxed) > 0 && is_append_only(fd) &&
      take_one(orders->failing_writes)) {
    ++orders->failed_writes;
    errno = EIO;
    return -1;
  }
  if (orders && strikes(orders->send_per_mille) && is_socket(fd)) {
    ++orders->failed_sends;
    return break_connection(fd);
  }
  return syscall(SYS_write, fd, bytes, size);
}

ssize_t read(int fd, void* bytes, std::size_t size) {
  if (orders && strikes(orders->recv_per_mille) && is_socket(fd)) {
    ++orders->failed_recvs;
    return break_connection(fd);
  }
  return syscall(SYS_read, fd, bytes, size);
}

int clock_gettime(clockid_t clock, timespec* time) {
  // Not the system call: that is what the vDSO saves.
  static const auto real = next<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int done = real(clock, time);
  if (done != 0 || !orders) return done;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
    if (const std::int64_t ms = orders->wall_clock_ms.load(std::memory_order_relaxed)) {
      add_ms(*time, ms);
    }
  } else if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) {
    if (const std::int64_t ms = orders->steady_clock_ms.load(std::memory_order_relaxed)) {
      add_ms(*time, ms);
    }
  }
  return done;
}

int gettimeofday(timeval* time, void*) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

void* malloc(std::size_t size) {
  // Small ones never fail on a machine like this; large ones are what limits refuse.
  if (orders && size >= 4096 && strikes(orders->malloc_per_mille)) {
    ++orders->failed_mallocs;
    errno = ENOMEM;
    return nullptr;
  }
  // Whoever's it is: Redis brings its own. Looking it up does not allocate with malloc.
  static void* (*real)(std::size_t) = nullptr;
  if (!real) real = next<void* (*)(std::size_t)>("malloc");
  return real(size);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const int mode = va_arg(rest, int);
  va_end(rest);
  if (orders && strikes(orders->open_per_mille)) {
    ++orders->failed_opens;
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  if (orders && strikes(orders->accept_per_mille)) {
    ++orders->failed_accepts;
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(syscall(SYS_accept4, fd, address, size, flags));
}
int accept(int fd, sockaddr* address, socklen_t* size) {
  return accept4(fd, address, size, 0);
}

int socket(int domain, int type, int protocol) {
  if (orders && strikes(orders->socket_per_mille)) {
    ++orders->failed_sockets;
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(syscall(SYS_socket, domain, type, protocol));
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  if (orders && operation == EPOLL_CTL_ADD && strikes(orders->epoll_per_mille)) {
    ++orders->failed_epolls;
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

ssize_t recv(int fd, void* bytes, std::size_t size, int flags) {
  if (orders && strikes(orders->recv_per_mille)) {
    ++orders->failed_recvs;
    return break_connection(fd);
  }
  return syscall(SYS_recvfrom, fd, bytes, size, flags, nullptr, nullptr);
}

ssize_t send(int fd, const void* bytes, std::size_t size, int flags) {
  if (orders && strikes(orders->send_per_mille)) {
    ++orders->failed_sends;
    return break_connection(fd);
  }
  return syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
}

// Of streams: those of packets lead to instances, which are no connections that break.
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (orders && strikes(orders->send_per_mille) && is_stream(fd)) {
    ++orders->failed_sends;
    return break_connection(fd);
  }
  return syscall(SYS_sendmsg, fd, message, flags);
}

pid_t fork() {
  static const auto real = next<pid_t (*)()>("fork");
  if (orders && strikes(orders->fork_per_mille)) {
    ++orders->failed_forks;
    errno = EAGAIN;
    return -1;
  }
  return real();
}

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]) {
  static const auto real = next<decltype(&posix_spawn)>("posix_spawn");
  if (orders && strikes(orders->fork_per_mille)) {
    ++orders->failed_forks;
    return EAGAIN;
  }
  return real(pid, path, actions, attributes, argv, envp);
}

}  // extern "C"
