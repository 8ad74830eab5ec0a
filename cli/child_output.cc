#include "cli/child_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

extern char** environ;

namespace fanfare::cli {
namespace {

constexpr std::size_t kOutputMax = 64 << 10;

// Reads until the other end is closed by all who hold it, or the time is up.
bool read_all(int fd, std::chrono::steady_clock::time_point end, std::string& output) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd watched{fd, POLLIN, 0};
    if (poll(&watched, 1, static_cast<int>(left.count())) <= 0) continue;
    char buffer[4096];
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got == 0) return true;
    if (got < 0) continue;
    output.append(buffer, std::min(static_cast<std::size_t>(got), kOutputMax - output.size()));
  }
}

}  // namespace

Result<ChildOutput> run_and_capture(const std::vector<std::string>& command, Duration timeout) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fatal(fmt::format("pipe: {}", std::strerror(errno)));
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  close(ends[1]);
  if (failed != 0) {
    close(ends[0]);
    return fatal(fmt::format("cannot run {}: {}", command[0], std::strerror(failed)));
  }
  ChildOutput result;
  const bool ended = read_all(ends[0], std::chrono::steady_clock::now() + timeout, result.output);
  close(ends[0]);
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) {
    result.exit_code = WEXITSTATUS(status);
    result.how = fmt::format("exit code {}", result.exit_code);
  } else {
    result.exit_code = 128 + WTERMSIG(status);
    result.how = ended
                     ? fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)))
                     : fmt::format("nothing within {}", format_duration(timeout));
  }
  return result;
}

}  // namespace fanfare::cli
