#include "worker/zygote_client.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "worker/channel.h"
#include "worker/ending.h"
#include "worker/zygote_wire.h"

namespace fanfare::worker {
namespace {

// Of the worker's environment nothing else reaches foreign code: it may hold keys.
constexpr std::array kPassedOn{
    "PATH",         "HOME",          "LANG",         "LC_ALL",      "TZ", "LD_LIBRARY_PATH",
    "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"};

std::vector<std::string> passed_on_environment() {
  std::vector<std::string> environment;
  for (const char* name : kPassedOn) {
    if (const char* value = ::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

// Where a zygote finds the program that it is to become, if that is given by its descriptor.
// run_zygote closes all beyond the control socket first.
constexpr int kProgramFd = kZygoteControlFd + 1;

// The zygote's file actions and attributes; freed whatever happens.
class Spawning {
 public:
  // `program` may be -1.
  Spawning(int control, int log, int program) : by_descriptor_(program >= 0) {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files_, log, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files_, log, STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&files_, control, kZygoteControlFd);
    if (by_descriptor_) ::posix_spawn_file_actions_adddup2(&files_, program, kProgramFd);
    ::posix_spawn_file_actions_addclosefrom_np(&files_, kProgramFd + (by_descriptor_ ? 1 : 0));

    ::posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    // A group of its own: Ctrl-C is for the worker, which then drains.
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Spawning() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;

  Result<pid_t> spawn(const std::string& program) {
    std::string name = program, mode = "--zygote";
    std::array<char*, 3> arguments{name.data(), mode.data(), nullptr};
    std::vector<std::string> environment = passed_on_environment();
    std::vector<char*> pointers;
    for (std::string& each : environment) pointers.push_back(each.data());
    pointers.push_back(nullptr);
    pid_t pid = 0;
    const std::string path =
        by_descriptor_ ? "/proc/self/fd/" + std::to_string(kProgramFd) : program;
    const int error =
        ::posix_spawn(&pid, path.c_str(), &files_, &attributes_, arguments.data(), pointers.data());
    if (error != 0) return fatal("cannot start " + program + ": " + std::strerror(error));
    return pid;
  }

 private:
  const bool by_descriptor_;
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<std::unique_ptr<ZygoteClient>> ZygoteClient::start(const ZygoteOptions& options) {
  auto channel = make_channel();
  if (!channel) return channel.error();
  auto log = LogBuffer::create();
  if (!log) return log.error();
  const StartRequest request{.worker = ::getpid(),
                             .function = options.function,
                             .handler = options.handler,
                             .env = options.env,
                             .data_bytes_max = options.data_bytes_max,
                             .result_bytes_max = options.result_bytes_max,
                             .uid = options.uid,
                             .gid = options.gid,
                             .enters_cgroups = options.enters_cgroups ? 1u : 0u};
  const std::string encoded = encode(request);
  if (encoded.size() > kZygoteMessageMax) {
    return reject("the environment of " + options.function + " is larger than 128 KiB");
  }
  if (auto sent = send_message(channel->first.get(), encoded, {}, {.dont_wait = true}); !sent) {
    return sent.error();
  }
  // The spawned process gets 0 to 4; what is moved there must not lie there already.
  Fd control(::fcntl(channel->second.get(), F_DUPFD_CLOEXEC, 10));
  const Fd output(::fcntl(log->memfd(), F_DUPFD_CLOEXEC, 10));
  const Fd program(options.program_fd < 0 ? -1 : ::fcntl(options.program_fd, F_DUPFD_CLOEXEC, 10));
  if (!control || !output || (options.program_fd >= 0 && !program)) {
    return retry_later(std::string("descriptors: ") + std::strerror(errno));
  }
  const auto pid = Spawning(control.get(), output.get(), program.get()).spawn(options.program);
  if (!pid) return pid.error();
  return std::unique_ptr<ZygoteClient>(
      new ZygoteClient(std::move(channel->first), *pid, std::move(*log), options.result_bytes_max));
}

ZygoteClient::ZygoteClient(Fd control, pid_t pid, LogBuffer log, std::uint64_t result_bytes_max)
    : control_(std::move(control)),
      pid_(pid),
      log_(std::move(log)),
      result_bytes_max_(result_bytes_max),
      buffer_(std::make_unique_for_overwrite<char[]>(kZygoteMessageMax)) {}

ZygoteClient::~ZygoteClient() {
  (void)end();
}

// It is dead or has nothing more to say; killing what is dying already changes nothing.
Ending ZygoteClient::end() {
  Ending ending;
  if (pid_ == 0) return ending;
  siginfo_t info{};
  // Its socket closes a moment before its exit status can be had.
  ::kill(pid_, SIGKILL);
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  pid_ = 0;
  ending.code = info.si_code;
  ending.status = info.si_status;
  return ending;
}

Result<std::unique_ptr<InstanceHandle>> ZygoteClient::fork(int cgroup_fd,
                                                           std::optional<Equipment> equipment) {
  if (gone_) return reconnect("the zygote is gone");
  if (!equipment) {
    auto made = Equipment::make();
    if (!made) return made.error();
    equipment = *std::move(made);
  }
  auto instance =
      std::make_unique<InstanceHandle>(next_ticket_, result_bytes_max_, *std::move(equipment));
  const Fd end = instance->take_instance_end();
  std::vector<int> fds{end.get(), instance->board_memfd(), instance->log().memfd()};
  if (cgroup_fd >= 0) fds.push_back(cgroup_fd);
  const auto sent = send_message(control_.get(), encode(ForkRequest{.ticket = next_ticket_}), fds,
                                 {.dont_wait = true});
  if (!sent) return sent.error();
  ++next_ticket_;
  return instance;
}

std::vector<ZygoteEvent> ZygoteClient::take_events() {
  std::vector<ZygoteEvent> events;
  while (!gone_) {
    auto received =
        receive_message(control_.get(), {buffer_.get(), kZygoteMessageMax}, {.dont_wait = true});
    if (!received && received.error().kind == ErrorKind::kRetryLater) break;
    auto reply = received ? decode_reply({buffer_.get(), received->size})
                          : Result<ZygoteReply>(received.error());
    if (reply) {
      on_reply(std::move(*reply), received->fds, events);
    } else {
      on_gone(events);
    }
  }
  return events;
}

void ZygoteClient::on_reply(ZygoteReply reply, std::vector<Fd>& fds,
                            std::vector<ZygoteEvent>& events) {
  switch (reply.kind) {
    case ZygoteReply::Kind::kReady: {
      ready_ = true;
      events.emplace_back(std::in_place_type<ZygoteReady>, Duration(reply.number));
      return;
    }
    case ZygoteReply::Kind::kInitFailed: {
      gone_ = true;
      protocol::Failure failure{std::move(reply.type), std::move(reply.message), reply.number != 0,
                                std::nullopt};
      events.emplace_back(std::in_place_type<ZygoteInitFailed>, std::move(failure),
                          log_tail().text);
      return;
    }
    case ZygoteReply::Kind::kForked: {
      if (fds.size() != 1) return on_gone(events);
      events.emplace_back(std::in_place_type<Forked>, reply.ticket,
                          static_cast<pid_t>(reply.number), std::move(fds[0]));
      return;
    }
    case ZygoteReply::Kind::kForkFailed: {
      events.emplace_back(std::in_place_type<ForkFailed>, reply.ticket, std::move(reply.message));
      return;
    }
  }
}

void ZygoteClient::on_gone(std::vector<ZygoteEvent>& events) {
  gone_ = true;
  NamedEnding named = name_ending(end(), StopReason::kNone, {});
  if (ready_) {
    events.emplace_back(std::in_place_type<ZygoteGone>, std::move(named.failure));
  } else {
    events.emplace_back(std::in_place_type<ZygoteInitFailed>, std::move(named.failure),
                        log_tail().text);
  }
}

LogBuffer::Text ZygoteClient::log_tail() const {
  return log_.tail({0, log_.size()});
}

}  // namespace fanfare::worker
