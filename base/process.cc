#include "base/process.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

namespace fanfare {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Result<std::string> this_boot_id() {
  std::string id = read_file("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  if (id.empty()) return fatal("cannot read /proc/sys/kernel/random/boot_id: is /proc mounted?");
  return id;
}

std::string host_id_of(std::string boot_id, std::uint64_t pid_namespace) {
  constexpr std::uint64_t kFirstPidNamespace = 0xEFFFFFFC;  // PROC_PID_INIT_INO of Linux
  if (pid_namespace == kFirstPidNamespace) return boot_id;
  return fmt::format("{}/pid:{}", boot_id, pid_namespace);
}

Result<std::string> this_host_id() {
  auto boot = this_boot_id();
  if (!boot) return boot;
  struct stat status{};
  if (stat("/proc/self/ns/pid", &status) != 0) {
    return fatal(fmt::format("cannot look at /proc/self/ns/pid: {}", std::strerror(errno)));
  }
  return host_id_of(*std::move(boot), status.st_ino);
}

Result<std::uint64_t> process_start_time(int pid) {
  const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  // The second field is the program's name in parentheses and may hold anything, ") " too.
  const auto name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return stale(fmt::format("there is no process {}", pid));
  std::string_view rest = std::string_view(stat).substr(name_end + 2);
  for (int field = 3; field < 22; ++field) {
    const auto blank = rest.find(' ');
    if (blank == std::string_view::npos) return fatal(fmt::format("/proc/{}/stat is cut off", pid));
    rest.remove_prefix(blank + 1);
  }
  std::uint64_t ticks = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
  return ticks;
}

Result<std::unique_ptr<PidWatch>> PidWatch::open(Loop& loop, int pid,
                                                 std::function<void()> on_exit) {
  const auto fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0u));
  if (fd < 0 && errno == ESRCH) return stale(fmt::format("there is no process {}", pid));
  if (fd < 0) return fatal(fmt::format("cannot watch process {}: {}", pid, std::strerror(errno)));
  return adopt(loop, fd, std::move(on_exit));
}

std::unique_ptr<PidWatch> PidWatch::adopt(Loop& loop, int pidfd, std::function<void()> on_exit) {
  return std::unique_ptr<PidWatch>(new PidWatch(loop, pidfd, std::move(on_exit)));
}

PidWatch::PidWatch(Loop& loop, int pidfd, std::function<void()> on_exit)
    : pidfd_(pidfd), on_exit_(std::move(on_exit)) {
  watch_ = std::make_unique<FdWatch>(loop, pidfd_, [this] {
    watch_->want_read(false);
    // The callback may destroy this watch, hence it runs from here.
    const auto on_exit_now = std::move(on_exit_);
    on_exit_now();
  });
}

PidWatch::~PidWatch() {
  watch_.reset();
  close(pidfd_);
}

}  // namespace fanfare
