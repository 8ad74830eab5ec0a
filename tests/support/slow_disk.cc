// A disk that is slow while the file named by FANFARE_SLOW_DISK exists: loaded into redis-server
// with LD_PRELOAD, this makes each fdatasync and fsync take 1.9 seconds then: just below the two
// that Redis puts a write off for.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

namespace {

void wait_if_slow() {
  const char* const marker = std::getenv("FANFARE_SLOW_DISK");
  if (marker && access(marker, F_OK) == 0) usleep(1'900'000);
}

}  // namespace

extern "C" int fdatasync(int fd) {
  wait_if_slow();
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

extern "C" int fsync(int fd) {
  wait_if_slow();
  return static_cast<int>(syscall(SYS_fsync, fd));
}
