#include "autoscaler/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/process.h"

extern char** environ;

namespace fanfare::autoscaler {
namespace {

constexpr std::size_t kOutputMax = 64u << 10;
constexpr int kReadsAtOnce = 16;  // then others have their turn

std::string without_end_of_line(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& more) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) all.emplace_back(*entry);
  // The first of two is the one that counts.
  for (const auto& [name, value] : more) all.insert(all.begin(), name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// In a process group of its own, with default signals; its errors go with its output.
int spawn(pid_t* pid, std::vector<std::string> words, std::vector<std::string> environment,
          int output) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawnp(pid, words.front().c_str(), &files, &attributes,
                                 pointers(words).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return error;
}

}  // namespace

struct Command::Impl {
  Impl(Loop& the_loop, std::string the_name, OnEnd the_on_end)
      : loop(the_loop),
        name(std::move(the_name)),
        on_end(std::move(the_on_end)),
        deadline(loop, [this] {
          late = true;
          ::kill(-pid, SIGKILL);
          ::kill(pid, SIGKILL);  // it may have left the group
        }) {}

  ~Impl() {
    watch.reset();
    output_watch.reset();
    if (output >= 0) ::close(output);
    if (pid <= 0) return;
    ::kill(-pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  void read_output() {
    char bytes[4096];
    for (int turn = 0; turn < kReadsAtOnce; ++turn) {
      const ssize_t got = ::read(output, bytes, sizeof bytes);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        if (got == 0) output_watch.reset();  // its end
        return;
      }
      const std::size_t room = kOutputMax - std::min(kOutputMax, text.size());
      text.append(bytes, std::min(room, static_cast<std::size_t>(got)));
    }
  }

  void on_exit() {
    ::kill(-pid, SIGKILL);  // what it has left behind, while its number is still its own
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    pid = 0;
    deadline.stop();
    read_output();
    output_watch.reset();
    const std::string said = without_end_of_line(std::move(text));
    const auto failed = [&](std::string_view how) {
      return fatal(fmt::format("{} {}{}{}", name, how, said.empty() ? "" : ": ",
                               said.substr(said.size() - std::min<std::size_t>(said.size(), 400))));
    };
    const auto tell = std::move(on_end);
    if (late) return tell(failed("took longer than command_time and was killed"));
    if (WIFSIGNALED(status)) {
      return tell(failed(fmt::format("ended with signal {}", WTERMSIG(status))));
    }
    if (WEXITSTATUS(status) != 0) {
      return tell(failed(fmt::format("ended with exit code {}", WEXITSTATUS(status))));
    }
    tell(said);  // may destroy this
  }

  Loop& loop;
  std::string name;
  OnEnd on_end;
  Timer deadline;
  pid_t pid = 0;
  int output = -1;
  bool late = false;
  std::string text;
  std::unique_ptr<FdWatch> output_watch;
  std::unique_ptr<PidWatch> watch;
};

Command::Command(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Command::~Command() = default;

Result<std::unique_ptr<Command>> Command::start(
    Loop& loop, const std::vector<std::string>& words,
    const std::vector<std::pair<std::string, std::string>>& environment, Duration time,
    OnEnd on_end) {
  auto impl = std::make_unique<Impl>(loop, words.front(), std::move(on_end));
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return fatal(fmt::format("pipe: {}", std::strerror(errno)));
  impl->output = pipe[0];
  ::fcntl(pipe[0], F_SETFL, O_NONBLOCK);
  const int error = spawn(&impl->pid, words, environment_with(environment), pipe[1]);
  ::close(pipe[1]);
  if (error != 0) {
    impl->pid = 0;
    return fatal(fmt::format("cannot run {}: {}", words.front(), std::strerror(error)));
  }
  Impl* self = impl.get();
  auto watch = PidWatch::open(loop, impl->pid, [self] { self->on_exit(); });
  if (!watch) return watch.error();
  impl->watch = *std::move(watch);
  impl->output_watch =
      std::make_unique<FdWatch>(loop, impl->output, [self] { self->read_output(); });
  impl->deadline.start_after(time);
  return std::unique_ptr<Command>(new Command(std::move(impl)));
}

}  // namespace fanfare::autoscaler
