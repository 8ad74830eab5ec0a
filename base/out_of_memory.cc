#include "base/out_of_memory.h"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <new>

namespace fanfare {
namespace {

const char* name = "";

iovec part(const char* text) {
  return {.iov_base = const_cast<char*>(text), .iov_len = std::strlen(text)};
}

// No buffers, no formatting: they would want memory, too.
[[noreturn]] void end() {
  const std::array line{
      part(name), part(": out of memory; it ends, and is to be started again: nothing that was "
                       "acknowledged is lost\n")};
  [[maybe_unused]] const ssize_t written =
      ::writev(STDERR_FILENO, line.data(), static_cast<int>(line.size()));
  ::_exit(kOutOfMemoryStatus);
}

}  // namespace

void end_when_out_of_memory(const char* program) {
  name = program;
  std::set_new_handler(end);
}

}  // namespace fanfare
