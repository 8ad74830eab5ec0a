// Preloaded into an installation it makes all of it slower: each wait for messages ends some time
// later. The control of the guard on speed (guard_control) must notice.
#include <dlfcn.h>
#include <sys/epoll.h>
#include <time.h>

extern "C" int epoll_wait(int epoll, epoll_event* events, int room, int timeout_ms) {
  using Wait = int (*)(int, epoll_event*, int, int);
  static const auto wait = reinterpret_cast<Wait>(dlsym(RTLD_NEXT, "epoll_wait"));
  const int ready = wait(epoll, events, room, timeout_ms);
  const timespec later{.tv_sec = 0, .tv_nsec = 300'000};
  if (ready > 0) nanosleep(&later, nullptr);
  return ready;
}
