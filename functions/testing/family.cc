// Leaves processes behind: a child in its own process group, which ignores SIGTERM, and a
// grandchild in a session of its own. Writes their pids into the file that its data names behind
// how it goes on: "hang FILE", "crash FILE".

#include <fanfare/function.h>

#include <sys/prctl.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

[[noreturn]] void wait_for_ever() {
  std::signal(SIGTERM, SIG_IGN);
  while (true) ::pause();
}

}  // namespace

FANFARE_FUNCTION(const fanfare::Event& event) {
  const std::string data(event.data);
  const std::string how = data.substr(0, data.find(' '));
  int pids[2];
  if (::pipe(pids) != 0) throw fanfare::Failure{"NoPipe", "no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      ::setsid();
      const pid_t own = ::getpid();
      (void)!::write(pids[1], &own, sizeof own);
      wait_for_ever();
    }
    wait_for_ever();
  }
  pid_t grandchild = 0;
  if (child < 0 || ::read(pids[0], &grandchild, sizeof grandchild) != sizeof grandchild) {
    throw fanfare::Failure{"NoChildren", "it could not fork"};
  }
  std::ofstream(data.substr(how.size() + 1)) << child << ' ' << grandchild << std::endl;
  if (how == "crash") std::abort();
  while (true) ::pause();
}
