// A bad disk, for programs that are started with LD_PRELOAD.
//
// One that is slow while the file named by FANFARE_SLOW_DISK exists: each fdatasync and fsync takes
// 1.9 seconds then, just below the two that Redis puts a write off for. And one that hangs, as an
// NFS server's that is gone: in the directory named by FANFARE_HUNG_DISK neither of them returns.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool hangs(int fd) {
  const char* const directory = std::getenv("FANFARE_HUNG_DISK");
  if (!directory) return false;
  char link[64], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path);
  const std::size_t wanted = std::strlen(directory);
  return size >= static_cast<ssize_t>(wanted) && std::memcmp(path, directory, wanted) == 0;
}

void wait_if_slow(int fd) {
  const char* const marker = std::getenv("FANFARE_SLOW_DISK");
  if (marker && access(marker, F_OK) == 0) usleep(1'900'000);
  while (hangs(fd)) pause();
}

}  // namespace

extern "C" int fdatasync(int fd) {
  wait_if_slow(fd);
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

extern "C" int fsync(int fd) {
  wait_if_slow(fd);
  return static_cast<int>(syscall(SYS_fsync, fd));
}
