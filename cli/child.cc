#include "cli/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>

extern char** environ;

namespace fanfare::cli {
namespace {

// Everything the child needs after fork, made before: other threads of the parent may hold locks of
// the allocator at that instant.
struct Prepared {
  std::vector<std::string> words, environment;
  std::vector<char*> argv, envp;
  int log_fd = -1, null_fd = -1, inherited_fd = -1;
  int death_signal = SIGKILL;
  pid_t parent = 0;
};

void prepare_environment(Prepared& prepared, const ChildSpec& spec) {
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const bool replaced =
        std::any_of(spec.environment.begin(), spec.environment.end(), [&](const auto& variable) {
          return text.starts_with(variable.first) &&
                 text.substr(variable.first.size()).starts_with('=');
        });
    if (!replaced) prepared.environment.emplace_back(text);
  }
  for (const auto& [name, value] : spec.environment) {
    prepared.environment.push_back(fmt::format("{}={}", name, value));
  }
  for (auto& entry : prepared.environment) prepared.envp.push_back(entry.data());
  prepared.envp.push_back(nullptr);
}

[[noreturn]] void become_child(const Prepared& prepared) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, prepared.death_signal);
  if (getppid() != prepared.parent) _exit(127);  // it ended before the death signal was asked for
  std::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(prepared.null_fd, STDIN_FILENO);
  dup2(prepared.log_fd, STDOUT_FILENO);
  dup2(prepared.log_fd, STDERR_FILENO);
  if (prepared.inherited_fd >= 0) fcntl(prepared.inherited_fd, F_SETFD, 0);
  execvpe(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  const char* reason = std::strerror(errno);
  for (const char* part :
       {"cannot run ", static_cast<const char*>(prepared.argv[0]), ": ", reason, "\n"}) {
    if (write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  }
  _exit(127);
}

}  // namespace

Child::Child(pid_t pid, std::function<void(const ChildEnd&)> on_exit)
    : pid_(pid), on_exit_(std::move(on_exit)) {}

Result<std::unique_ptr<Child>> Child::start(Loop& loop, const ChildSpec& spec,
                                            std::function<void(const ChildEnd&)> on_exit) {
  Prepared prepared;
  prepared.words = spec.command;
  for (auto& word : prepared.words) prepared.argv.push_back(word.data());
  prepared.argv.push_back(nullptr);
  prepare_environment(prepared, spec);
  prepared.death_signal = spec.death_signal;
  prepared.inherited_fd = spec.inherited_fd;
  prepared.parent = getpid();
  prepared.log_fd = open(spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (prepared.log_fd < 0) return fatal(fmt::format("{}: {}", spec.log_file, std::strerror(errno)));
  prepared.null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t pid = fork();
  if (pid == 0) become_child(prepared);
  const int reason = errno;
  close(prepared.log_fd);
  close(prepared.null_fd);
  if (pid < 0)
    return fatal(fmt::format("cannot start the {}: {}", spec.name, std::strerror(reason)));

  std::unique_ptr<Child> child(new Child(pid, std::move(on_exit)));
  Child* self = child.get();
  // A child that has ended already is a zombie, so there is always something to watch.
  auto watch = PidWatch::open(loop, pid, [self] { self->reap(); });
  if (!watch) return watch.error();
  child->watch_ = *std::move(watch);
  return child;
}

Child::~Child() {
  if (!running_) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Child::send_signal(int signal) const {
  if (running_) kill(pid_, signal);
}

void Child::reap() {
  int status = 0;
  const pid_t reaped = waitpid(pid_, &status, WNOHANG);
  if (reaped != pid_) return;
  running_ = false;
  const auto tell = std::move(on_exit_);
  tell(describe_end(status));  // may destroy this child
}

ChildEnd describe_end(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return {128 + signal, fmt::format("signal {} ({})", signal, strsignal(signal))};
  }
  const int code = WEXITSTATUS(wait_status);
  return {code, fmt::format("exit code {}", code)};
}

std::string last_lines(const std::string& file, std::size_t count, std::size_t begin) {
  std::ifstream in(file);
  in.seekg(static_cast<std::streamoff>(begin));
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > count) lines.pop_front();
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace fanfare::cli
