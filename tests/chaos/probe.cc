// The function under fault: does as its data says, and writes each execution down by itself.
//
// Data: "<tag> <verb> [argument]", words apart by one space.
//   ok             answers at once
//   sleep MS       answers after that
//   spin US        computes for that long
//   fail N         fails in its attempts 1 to N (retryable, at once), then answers
//   later MS       fails in its first attempt, to be tried again after that
//   never          fails for good
//   crash N        dies of a signal in its attempts 1 to N
//   exit N         ends its process with code 0 in its attempts 1 to N
//   hang           never answers, and ignores SIGTERM
//   stop           stops itself (SIGSTOP)
//   burn           computes for ever, and ignores SIGTERM
//   read           waits for bytes that never come
//   vfork          waits for a child as vfork does, uninterruptibly; both ignore SIGTERM
//   brood MS       starts a child, and by it a grandchild in a session of its own, which ignore
//                  SIGTERM and stay for half a minute; answers after that
//   hog MIB        takes so much memory and touches it
//   bomb N         forks, and its children do, until they are N or forking fails; they stay for ten
//                  seconds, deaf to SIGTERM
//   fds            opens files until it fails, and fails with that
//   print MIB      writes so much to its standard output
// Answer: "<tag> <nonce>". With CHAOS_ROWS in its environment each attempt counts itself in the row
// "n/<tag>" and leaves its nonce in "e/<tag>".

#include <fanfare/function.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <thread>

#include "tests/chaos/execution_log.h"

namespace {

using fanfare::chaos::BirthRecord;
using fanfare::chaos::ExecutionRecord;

int log_file = -1;

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

std::string_view next_word(std::string_view& text, char separator = ' ') {
  const auto end = text.find(separator);
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void write_down(ExecutionRecord& record, std::uint32_t kind) {
  record.kind = kind;
  record.at_ns = now_ns();
  // Not written whole, it would tell lies about others: better to be missed as an execution.
  if (write(log_file, &record, sizeof record) != static_cast<ssize_t>(sizeof record)) std::abort();
}

}  // namespace

void write_birth(std::uint32_t kind, pid_t worker) {
  static const char* const file = std::getenv(fanfare::chaos::kBirthLogVariable);
  if (!file) return;
  const BirthRecord record{.kind = kind, .pid = getpid(), .worker = worker, .at_ns = now_ns()};
  const int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (write(fd, &record, sizeof record) != static_cast<ssize_t>(sizeof record)) std::abort();
  close(fd);
}

[[noreturn]] void stay(pid_t worker) {
  std::signal(SIGTERM, SIG_IGN);
  alarm(30);
  write_birth(BirthRecord::kLeft, worker);
  for (;;) pause();
}

// A child, and by it a grandchild in a session of its own.
void leave_brood(pid_t worker) {
  if (fork() != 0) return;
  if (fork() == 0) {
    setsid();
    stay(worker);
  }
  stay(worker);
}

void take_memory(std::uint64_t mebibytes) {
  const std::size_t bytes = mebibytes << 20;
  const auto memory = std::make_unique_for_overwrite<char[]>(bytes);
  std::memset(memory.get(), 1, bytes);
  asm volatile("" : : "r"(memory.get()) : "memory");
}

[[noreturn]] void explode(std::uint64_t processes, pid_t worker) {
  auto* const count = static_cast<std::atomic<std::uint64_t>*>(
      mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::signal(SIGTERM, SIG_IGN);
  while (count->fetch_add(1) < processes) {
    const pid_t child = fork();
    if (child < 0) break;
    if (child > 0) continue;
    alarm(10);
    write_birth(BirthRecord::kLeft, worker);
  }
  for (;;) pause();
}

fanfare::Failure open_all_files() {
  for (int count = 0;; ++count) {
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) continue;
    return fanfare::Failure{"NoMoreFiles", "after " + std::to_string(count)};
  }
}

void print_all(std::uint64_t mebibytes) {
  const std::string lines(64 * 1024, '\n');
  for (std::uint64_t i = 0; i < mebibytes * 16; ++i) {
    if (write(STDOUT_FILENO, lines.data(), lines.size()) < 0) return;
  }
}

// A plugin that starts a thread when it is loaded, if its environment says so.
struct EarlyThread {
  EarlyThread() {
    if (!std::getenv("CHAOS_EARLY_THREAD")) return;
    std::thread([] {
      for (;;) pause();
    }).detach();
  }
};
const EarlyThread early_thread;

FANFARE_INIT {
  write_birth(BirthRecord::kZygote, getppid());
  // What a model or a large table would take.
  if (const char* const mebibytes = std::getenv("CHAOS_BALLAST_MIB")) {
    const std::size_t bytes = number(mebibytes) << 20;
    static std::unique_ptr<char[]> ballast;
    ballast = std::make_unique_for_overwrite<char[]>(bytes);
    std::memset(ballast.get(), 1, bytes);
  }
  write_birth(BirthRecord::kWarm, getppid());
}

FANFARE_START {
  write_birth(BirthRecord::kInstance, getppid());
  const auto file = fanfare::Context::env(fanfare::chaos::kExecutionLogVariable);
  if (!file) return;
  log_file = open(std::string(*file).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  static std::uint64_t runs = 0;
  std::string_view data = event.data;
  ExecutionRecord record;
  record.nonce = static_cast<std::uint64_t>(getpid()) << 40 | fanfare::random_seed() >> 32 << 8 |
                 (++runs & 0xff);
  record.tag = number(next_word(data));
  std::string_view id = event.id;
  record.entry_ms = number(next_word(id, '-'));
  record.entry_seq = number(next_word(id, '.'));
  record.index = static_cast<std::uint32_t>(number(id));
  record.attempt = context.attempt();
  record.instance = getpid();
  record.worker = getppid();
  const std::string_view verb = next_word(data);
  const std::uint64_t argument = number(next_word(data));
  write_down(record, ExecutionRecord::kBegan);

  static const bool writes_rows = std::getenv("CHAOS_ROWS") != nullptr;
  if (writes_rows) {
    context.store().increment("n/" + std::to_string(record.tag));
    context.store().put("e/" + std::to_string(record.tag), std::to_string(record.nonce));
  }

  const bool still = context.attempt() <= argument;
  if (verb == "sleep") {
    usleep(static_cast<useconds_t>(argument * 1000));
  } else if (verb == "spin") {
    const std::int64_t until = now_ns() + static_cast<std::int64_t>(argument) * 1000;
    while (now_ns() < until) {
    }
  } else if (verb == "later" && context.attempt() == 1) {
    write_down(record, ExecutionRecord::kFailed);
    return fanfare::Failure{"Later", "as its data says"}.retry_after(
        std::chrono::milliseconds{argument});
  } else if (verb == "never" || (verb == "fail" && still)) {
    write_down(record, ExecutionRecord::kFailed);
    return fanfare::Failure{"Planned", "as its data says"}
        .retryable(verb == "fail")
        .retry_after(std::chrono::milliseconds{1});
  } else if (verb == "crash" && still) {
    write_down(record, ExecutionRecord::kFailed);
    std::raise(SIGSEGV);
  } else if (verb == "exit" && still) {
    write_down(record, ExecutionRecord::kFailed);
    std::_Exit(0);
  } else if (verb == "hang") {
    std::signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  } else if (verb == "stop") {
    std::raise(SIGSTOP);
  } else if (verb == "brood") {
    leave_brood(record.worker);
    usleep(static_cast<useconds_t>(argument * 1000));
  } else if (verb == "hog") {
    take_memory(argument);
  } else if (verb == "bomb") {
    explode(argument, record.worker);
  } else if (verb == "fds") {
    write_down(record, ExecutionRecord::kFailed);
    return open_all_files();
  } else if (verb == "print") {
    print_all(argument);
  } else if (verb == "burn") {
    std::signal(SIGTERM, SIG_IGN);
    for (;;) asm volatile("");
  } else if (verb == "read") {
    int ends[2];
    char byte = 0;
    if (pipe(ends) != 0 || read(ends[0], &byte, 1) != 0) std::abort();
  } else if (verb == "vfork") {
    std::signal(SIGTERM, SIG_IGN);
    if (vfork() == 0) {
      alarm(30);
      for (;;) pause();
    }
  }
  write_down(record, ExecutionRecord::kEnded);
  return std::to_string(record.tag) + " " + std::to_string(record.nonce);
}
