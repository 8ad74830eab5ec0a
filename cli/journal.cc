#include "cli/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

extern char** environ;

namespace fanfare::cli {
namespace {

std::string stamp(const char* option, JournalTime time) {
  const auto microseconds = time.time_since_epoch().count();
  return fmt::format("{}=@{}.{:06}", option, microseconds / 1'000'000, microseconds % 1'000'000);
}

}  // namespace

Result<void> read_journal(std::optional<JournalTime> since, std::optional<JournalTime> until) {
  std::vector<std::string> words{"journalctl", "--unit=fanfare-worker@*", "--output=cat",
                                 "--no-pager"};
  if (since) words.push_back(stamp("--since", *since));
  if (until) {
    words.push_back(stamp("--until", *until));
  } else {
    words.insert(words.end(), {"--follow", "--no-tail"});
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fatal(std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = 0;
  const int refused =
      ::posix_spawnp(&child, "journalctl", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (!until) ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const bool replaced = refused == 0 && ::dup2(ends[0], STDIN_FILENO) >= 0;
  ::close(ends[0]);
  if (!replaced) {
    return fatal(fmt::format("the journal cannot be read: journalctl: {}",
                             std::strerror(refused != 0 ? refused : errno)));
  }
  return {};
}

}  // namespace fanfare::cli
