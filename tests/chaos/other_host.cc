#include "tests/chaos/other_host.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

// Runs what the shell may read; nothing of it comes from outside.
void must(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  if (status == 0) return;
  throw CannotHere(fmt::format("`{}` fails here; it takes root and Debian's iproute2", command));
}

// A process that is in a namespace of its own when this returns, and does nothing.
pid_t hold_namespace() {
  int ready[2];
  if (pipe(ready) != 0) throw std::runtime_error("pipe");
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char made = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    if (write(ready[1], &made, 1) != 1) _exit(1);
    close(ready[0]);
    close(ready[1]);
    for (;;) pause();
  }
  close(ready[1]);
  char made = 'n';
  const ssize_t got = read(ready[0], &made, 1);
  close(ready[0]);
  if (pid < 0 || got != 1 || made != 'y') throw CannotHere("no network namespace can be made here");
  return pid;
}

}  // namespace

OtherHost::OtherHost() {
  if (unshare(CLONE_NEWNET) != 0) {
    throw CannotHere(fmt::format("a network namespace of its own: {}", std::strerror(errno)));
  }
  must("ip link set lo up");
  holder_ = hold_namespace();
  must(fmt::format("ip link add cable type veth peer name cable netns {}", holder_));
  must(fmt::format("ip addr add {}/24 dev cable && ip link set cable up", kHere));
  const std::string inside = fmt::format("nsenter --net=/proc/{}/ns/net", holder_);
  must(
      fmt::format("{0} ip addr add {1}/24 dev cable && {0} ip link set cable up && "
                  "{0} ip link set lo up",
                  inside, kThere));
}

OtherHost::~OtherHost() {
  if (holder_ <= 0) return;
  kill(holder_, SIGKILL);
  while (waitpid(holder_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::vector<std::string> OtherHost::there(const std::vector<std::string>& command) const {
  std::vector<std::string> words{"nsenter", fmt::format("--net=/proc/{}/ns/net", holder_), "--"};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

void OtherHost::unplug() {
  must("ip link set cable down");
}

void OtherHost::plug_in() {
  must("ip link set cable up");
}

}  // namespace fanfare::chaos
