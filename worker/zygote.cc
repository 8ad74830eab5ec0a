#include "worker/zygote.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <variant>
#include <vector>

#include "worker/board.h"
#include "worker/channel.h"
#include "worker/ending.h"
#include "worker/huge_pages.h"
#include "worker/instance_runtime.h"
#include "worker/loaded_function.h"
#include "worker/sandbox.h"
#include "worker/working_set.h"
#include "worker/zygote_wire.h"

namespace fanfare::worker {
namespace {

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

// So long after a fork an instance has done what it does first, most likely, and nobody waits.
constexpr int kLearnAfterMs = 100;
// Each look costs, and after these it has seen what there is.
constexpr int kLooksMax = 8;

class Zygote {
 public:
  explicit Zygote(int control) : control_(control) {}

  int serve() {
    const std::int64_t began = monotonic_ns();
    auto first = receive();
    if (!first) return 0;
    auto start = decode_start(first->bytes);
    if (!start) return complain(start.error().message);
    start_ = std::move(*start);
    if (!settle()) return 0;
    if (const auto confined = become_unprivileged(start_.uid, start_.gid, start_.enters_cgroups);
        !confined) {
      return complain(confined.error().message);
    }
    // A change of user resets these, so they come after it.
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != start_.worker) return 0;

    if (const auto failed = load()) {
      flush();
      reply({.kind = ZygoteReply::Kind::kInitFailed,
             .number = failed->retryable,
             .type = failed->type,
             .message = failed->message});
      return 0;
    }
    flush();  // or every instance would print what init left in the buffers
    reseed_random_state();
    use_huge_pages_for_large_heaps();
    reply({.kind = ZygoteReply::Kind::kReady, .number = monotonic_ns() - began});
    while (auto request = receive_request()) {
      if (request->fds.size() < 3) return complain("a fork request without its descriptors");
      const auto fork = decode_fork(request->bytes);
      if (!fork) return complain(fork.error().message);
      answer(fork->ticket, request->fds);
      reseed_random_state();  // for the next one, while nobody waits
    }
    return 0;
  }

 private:
  struct Request {
    std::string bytes;
    std::vector<Fd> fds;
  };

  std::optional<Request> receive() {
    auto received = receive_message(control_.get(), {buffer_.get(), kZygoteMessageMax}, {});
    if (!received) return std::nullopt;
    return Request{{buffer_.get(), received->size}, std::move(received->fds)};
  }

  // The next one; while there is none, it learns from the instance that it forked last.
  std::optional<Request> receive_request() {
    if (newest_ && !asked_for_within(kLearnAfterMs)) {
      working_set_.learn([this] { return asked_for_within(0); });
      newest_.reset();
      ++looks_;
    }
    return receive();
  }

  // Whether the worker wants something, or the newest instance has ended.
  bool asked_for_within(int ms) {
    std::array<pollfd, 2> watched{{{control_.get(), POLLIN, 0}, {newest_.get(), POLLIN, 0}}};
    return ::poll(watched.data(), watched.size(), ms) != 0;
  }

  void reply(const ZygoteReply& message, std::span<const int> fds = {}) {
    (void)send_message(control_.get(), encode(message), fds, {});
  }

  static int complain(const std::string& message) {
    std::fprintf(stderr, "fanfare-instance: %s\n", message.c_str());
    return kSetupFailedStatus;
  }

  static void flush() {
    std::cout.flush();
    std::fflush(nullptr);
  }

  // What instances inherit. False if the worker is gone already.
  bool settle() {
    ::signal(SIGPIPE, SIG_IGN);  // a function whose peer hangs up should get an error, not die
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    // Under memory pressure functions go before the worker, the broker and Redis.
    if (const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); file >= 0) {
      [[maybe_unused]] const ssize_t written = ::write(file, "500", 3);
      ::close(file);
    }
    for (const auto& [name, value] : start_.env) ::setenv(name.c_str(), value.c_str(), 1);
    entered_ = ::chdir(std::filesystem::path(start_.handler).parent_path().c_str()) == 0;
    return ::getppid() == start_.worker;
  }

  // From within its folder: another user may not be let through those above it.
  std::string handler() const {
    return entered_ ? "./" + std::filesystem::path(start_.handler).filename().string()
                    : start_.handler;
  }

  std::optional<protocol::Failure> load() {
    const std::size_t threads = count_threads();
    auto loaded = LoadedFunction::load(handler());
    if (auto* failure = std::get_if<protocol::Failure>(&loaded)) return std::move(*failure);
    function_ = std::get<LoadedFunction>(loaded);
    if (auto failed = function_.init()) return failed;
    if (count_threads() > threads) {
      return protocol::Failure{"StartsThreads",
                               "FANFARE_INIT starts threads: instances could not be forked; start "
                               "them in FANFARE_START",
                               true, std::nullopt};
    }
    return std::nullopt;
  }

  void answer(std::uint64_t ticket, std::vector<Fd>& fds) {
    int pidfd = -1;
    const int cgroup = fds.size() > 3 ? fds[3].get() : -1;
    const int birthplace = is_folder(cgroup) ? cgroup : -1;  // of cgroup v2
    const pid_t pid = fork_into(birthplace, pidfd);
    if (pid == 0) become_instance(fds, birthplace < 0 ? cgroup : -1);
    if (pid < 0) {
      return reply({.kind = ZygoteReply::Kind::kForkFailed,
                    .ticket = ticket,
                    .type = "ForkFailed",
                    .message = std::string("forking an instance: ") + std::strerror(errno)});
    }
    Fd owned(pidfd);
    reply({.kind = ZygoteReply::Kind::kForked, .ticket = ticket, .number = pid}, std::array{pidfd});
    if (looks_ < kLooksMax) newest_ = std::move(owned);
  }

  static bool is_folder(int fd) {
    struct stat status{};
    return fd >= 0 && ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
  }

  static pid_t fork_into(int birthplace, int& pidfd) {
    if (birthplace < 0) return fork_for_worker(birthplace, pidfd);
    const BornAsRoot born;
    return fork_for_worker(birthplace, pidfd);
  }

  // A fork whose child belongs to the worker. The C library's fork cannot do that, so its cached
  // thread id, which some of its locks use, is put right by the kernel.
  static pid_t fork_for_worker(int birthplace, int& pidfd) {
    int* thread_id = nullptr;
    ::prctl(PR_GET_TID_ADDRESS, &thread_id, 0, 0, 0);
    clone_args args{};
    args.flags = CLONE_PARENT | CLONE_PIDFD;
    if (thread_id) args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    args.child_tid = reinterpret_cast<std::uintptr_t>(thread_id);
    args.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    if (birthplace >= 0) {
      args.flags |= CLONE_INTO_CGROUP;
      args.cgroup = static_cast<std::uint64_t>(birthplace);
    }
    return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  }

  [[noreturn]] void become_instance(std::vector<Fd>& fds, int cgroup_tasks_fd) {
    control_.reset();
    newest_.reset();
    working_set_.let_go();
    ::dup2(fds[2].get(), STDOUT_FILENO);
    ::dup2(fds[2].get(), STDERR_FILENO);
    const auto confined = enter_sandbox({.worker = start_.worker,
                                         .cgroup_tasks_fd = cgroup_tasks_fd,
                                         .data_bytes_max = start_.data_bytes_max,
                                         .uid = start_.uid,
                                         .gid = start_.gid});
    if (!confined) ::_exit(complain(confined.error().message));
    working_set_.prefault();
    auto board = Board::attach(fds[1].get());
    if (!board) ::_exit(complain(board.error().message));

    InstanceRuntime runtime(function_, {.function = start_.function,
                                        .result_bytes_max = start_.result_bytes_max,
                                        .channel = std::move(fds[0]),
                                        .board = std::move(*board),
                                        .log = std::move(fds[2])});
    fds.clear();
    runtime.run();
    // No destructors: they are foreign code, and the worker has let go.
    flush();
    ::_exit(0);
  }

  Fd control_;
  // Not filled: what is written here stays resident in every instance.
  std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(kZygoteMessageMax);
  StartRequest start_;
  bool entered_ = false;  // the folder of its package
  LoadedFunction function_;
  WorkingSet working_set_;  // made while this process may still be looked at
  Fd newest_;               // the pidfd of the instance to learn from, if there is one
  int looks_ = 0;
};

}  // namespace

int run_zygote(int control) {
  ::prctl(PR_SET_NAME, "fanfare-instance", 0, 0, 0);  // run by its descriptor it has a number
  ::close_range(static_cast<unsigned>(control) + 1, ~0U, 0);
  return Zygote(control).serve();
}

}  // namespace fanfare::worker
