#include "tests/perf/calibration_chain.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "tests/perf/calibration_link.h"

namespace fanfare::calibration {
namespace {

constexpr std::size_t kFrame = sizeof(Frame);
constexpr std::size_t kResultBytes = 64;
// Entries of the journal and of results are named in turn, so that Redis holds no more than that.
constexpr std::uint64_t kNames = 1024;
// What an instance writes to before it comes to its function, in its own copies.
constexpr std::size_t kTouched = 64 * 4096;
char touched[kTouched];

// FNV-1a: each process reads all of each message, as one that unpacks it does.
std::uint64_t read_all(const char* data, std::size_t size) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (std::size_t i = 0; i < size; ++i)
    hash = (hash ^ static_cast<unsigned char>(data[i])) * 1099511628211ULL;
  return hash;
}

// Takes the whole frames off the front.
std::string take_frames(std::string& in) {
  const std::size_t whole = in.size() / kFrame * kFrame;
  std::string frames = in.substr(0, whole);
  in.erase(0, whole);
  for (std::size_t at = 0; at < frames.size(); at += kFrame) {
    const std::uint64_t hash =
        read_all(frames.data() + at + offsetof(Frame, data), sizeof(Frame::data));
    std::memcpy(frames.data() + at + offsetof(Frame, data), &hash, sizeof hash);
  }
  return frames;
}

void add_command(std::string& out, std::initializer_list<std::string_view> words) {
  out += "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    out += "$" + std::to_string(word.size()) + "\r\n";
    out += word;
    out += "\r\n";
  }
}

int connect_redis(const std::string& path) {
  if (path.empty()) return -1;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) give_up(path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    give_up(path);
  return socket;
}

// A process between two others: passes frames on in both directions, each turn's together.
class Stage {
 public:
  enum class Keeps { kNothing, kJournal, kResults };

  Stage(int up, int down, const std::string& redis, Keeps keeps)
      : up_(up),
        down_(down),
        redis_(keeps == Keeps::kNothing ? -1 : connect_redis(redis)),
        keeps_(keeps) {}

  void run() {
    while (turn()) {
    }
  }

 private:
  // What is kept until Redis has answered so often.
  struct Held {
    std::string frames;
    std::size_t answers = 0;
  };

  bool turn() {
    pollfd ready[] = {wanted(up_), wanted(down_), wanted(redis_)};
    if (poll(ready, 3, -1) < 0 && errno != EINTR) give_up("poll");
    if (ready[0].revents & (POLLIN | POLLHUP) && !up_.read()) return false;
    if (ready[1].revents & (POLLIN | POLLHUP) && !down_.read()) return false;
    if (ready[2].revents & (POLLIN | POLLHUP) && !redis_.read()) give_up("Redis has gone");
    pass(take_frames(up_.in), down_, Keeps::kJournal);
    pass(take_frames(down_.in), up_, Keeps::kResults);
    take_answers();
    for (Link* link : {&up_, &down_, &redis_}) link->write();
    return true;
  }

  static pollfd wanted(const Link& link) {
    return {link.socket(), static_cast<short>(link.wants_to_write() ? POLLIN | POLLOUT : POLLIN),
            0};
  }

  void pass(std::string frames, Link& to, Keeps on_this_way) {
    if (frames.empty()) return;
    if (keeps_ != on_this_way) {
      to.out += frames;
      return;
    }
    const std::size_t answers =
        on_this_way == Keeps::kJournal ? add_entry(frames) : add_results(frames);
    held_.push_back({std::move(frames), answers});
  }

  std::size_t add_entry(const std::string& frames) {
    add_command(redis_.out,
                {"HSET", "journal:" + std::to_string(++entries_ % kNames), "frames", frames});
    return 1;
  }

  std::size_t add_results(const std::string& frames) {
    const std::string key = "results:" + std::to_string(++entries_ % kNames);
    for (std::size_t at = 0; at < frames.size(); at += kFrame) {
      add_command(redis_.out, {"HSET", key, std::to_string(at / kFrame),
                               std::string_view(frames).substr(at, kResultBytes)});
    }
    add_command(redis_.out, {"PEXPIRE", key, "600000"});
    return frames.size() / kFrame + 1;
  }

  // All answers are numbers: a line each.
  void take_answers() {
    if (redis_.in.find('-') != std::string::npos) give_up(redis_.in);
    std::size_t lines =
        static_cast<std::size_t>(std::count(redis_.in.begin(), redis_.in.end(), '\n'));
    redis_.in.erase(0, redis_.in.rfind('\n') == std::string::npos ? 0 : redis_.in.rfind('\n') + 1);
    while (lines > 0) {
      const std::size_t these = std::min(lines, held_.front().answers);
      lines -= these;
      held_.front().answers -= these;
      if (held_.front().answers > 0) continue;
      (keeps_ == Keeps::kJournal ? down_ : up_).out += held_.front().frames;
      held_.pop_front();
    }
  }

  Link up_, down_, redis_;
  Keeps keeps_;
  std::deque<Held> held_;
  std::uint64_t entries_ = 0;
};

void enter(std::string& frames) {
  for (std::size_t at = 0; at < frames.size(); at += kFrame) {
    const std::int64_t entered = now_ns();
    std::memcpy(frames.data() + at + offsetof(Frame, entered_ns), &entered, sizeof entered);
  }
}

void answer_as_new_process(std::string frames, Link& up) {
  const pid_t child = fork();
  if (child < 0) give_up("fork");
  if (child > 0) {
    if (waitpid(child, nullptr, 0) < 0) give_up("waitpid");
    return;
  }
  for (std::size_t at = 0; at < kTouched; at += 4096) touched[at] = 1;
  enter(frames);
  up.out = std::move(frames);
  up.write();
  std::_Exit(0);
}

void run_instance(int socket, bool fork_each) {
  std::memset(touched, 2, sizeof touched);  // shared pages, not ones that were never there
  Link up(socket);
  for (;;) {
    pollfd ready{socket, static_cast<short>(up.wants_to_write() ? POLLIN | POLLOUT : POLLIN), 0};
    if (poll(&ready, 1, -1) < 0 && errno != EINTR) give_up("poll");
    if (ready.revents & (POLLIN | POLLHUP) && !up.read()) return;
    std::string frames = take_frames(up.in);
    if (fork_each && !frames.empty()) {
      answer_as_new_process(std::move(frames), up);
      continue;
    }
    enter(frames);
    up.out += frames;
    up.write();
  }
}

}  // namespace

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

template <typename Run>
int Chain::start(Run run) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) give_up("socketpair");
  const pid_t child = fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    close(ends[0]);
    run(ends[1]);
    std::_Exit(0);
  }
  close(ends[1]);
  processes_.push_back(child);
  return ends[0];
}

Chain::Chain(const ChainOptions& options) {
  const int instance = start([&](int up) { run_instance(up, options.fork_each); });
  if (options.fork_each) {
    socket_ = instance;
    return;
  }
  using Keeps = Stage::Keeps;
  const int worker = start([&](int up) {
    Stage(up, instance, options.redis, options.redis.empty() ? Keeps::kNothing : Keeps::kResults)
        .run();
  });
  close(instance);
  socket_ = start([&](int up) {
    Stage(up, worker, options.redis, options.journal ? Keeps::kJournal : Keeps::kNothing).run();
  });
  close(worker);
}

Chain::~Chain() {
  close(socket_);
  for (const pid_t process : processes_) waitpid(process, nullptr, 0);
}

}  // namespace fanfare::calibration
