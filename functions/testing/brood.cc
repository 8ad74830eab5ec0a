// Starts a child, `sleep DATA`, and sleeps itself; both ignore SIGTERM.

#include <fanfare/function.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context&) {
  std::signal(SIGTERM, SIG_IGN);
  const std::string seconds{event.data};
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    ::execl("/bin/sleep", "sleep", seconds.c_str(), nullptr);
    ::_exit(127);
  }
  ::sleep(1'000'000);
  return "it was not killed";
}
