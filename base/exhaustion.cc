#include "base/exhaustion.h"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <boost/system/system_error.hpp>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

namespace fanfare {
namespace {

const char* name = "";
std::terminate_handler abort_as_before = nullptr;

iovec part(const char* text) {
  return {.iov_base = const_cast<char*>(text), .iov_len = std::strlen(text)};
}

// No buffers, no formatting: they would want memory, too.
[[noreturn]] void end_because_of(const char* reason) {
  const std::array line{part(name), part(": "), part(reason),
                        part("; it ends, and is to be started again: nothing that was "
                             "acknowledged is lost\n")};
  [[maybe_unused]] const ssize_t written =
      ::writev(STDERR_FILENO, line.data(), static_cast<int>(line.size()));
  ::_exit(kExhaustedStatus);
}

[[noreturn]] void end_without_memory() {
  end_because_of("out of memory");
}

void end_of_uncaught() {
  try {
    if (const auto uncaught = std::current_exception()) std::rethrow_exception(uncaught);
  } catch (const std::system_error& error) {
    end_because_of(error.what());
  } catch (const boost::system::system_error& error) {
    end_because_of(error.what());
  } catch (...) {
    // Not what this is for.
  }
  abort_as_before();
}

}  // namespace

void end_when_exhausted(const char* program) {
  name = program;
  std::set_new_handler(end_without_memory);
  abort_as_before = std::set_terminate(end_of_uncaught);
}

}  // namespace fanfare
