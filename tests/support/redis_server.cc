#include "tests/support/redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace fanfare::test {
namespace {

// Becomes redis-server in a child that ends with this thread, whatever happens to it.
int spawn(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
          const std::string& log_file) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  close_range(3, ~0u, 0);
  for (const std::string& one : environment) putenv(const_cast<char*>(one.c_str()));
  execvp(argv[0], argv.data());
  _exit(127);
}

}  // namespace

RedisServer::RedisServer(RedisServerOptions options) : options_(std::move(options)) {
  start();
}

RedisServer::~RedisServer() {
  if (pid_ > 0) kill_hard();
}

RedisOptions RedisServer::options() const {
  RedisOptions options;
  options.unix_path = socket_path();
  // A disk that stands still for ten seconds is the machine's, and seen.
  options.command_timeout = std::chrono::seconds{60};
  return options;
}

std::string RedisServer::log() const {
  std::ifstream file(dir_.file("redis.log"));
  return {std::istreambuf_iterator<char>(file), {}};
}

void RedisServer::start() {
  std::vector<std::string> arguments{"redis-server",
                                     "--port",
                                     "0",
                                     "--unixsocket",
                                     socket_path(),
                                     "--dir",
                                     dir_.path().string(),
                                     "--save",
                                     "",
                                     "--appendonly",
                                     options_.append_only ? "yes" : "no",
                                     "--appendfsync",
                                     options_.append_fsync,
                                     "--maxmemory",
                                     options_.maxmemory,
                                     "--maxmemory-policy",
                                     options_.maxmemory_policy};
  arguments.insert(arguments.end(), options_.more.begin(), options_.more.end());
  unlink(socket_path().c_str());  // left behind by a killed one
  pid_ = spawn(arguments, options_.environment, dir_.file("redis.log"));

  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (std::chrono::steady_clock::now() < give_up) {
    if (auto redis = RedisSync::connect(options())) {
      const auto pong = redis->call({"PING"});
      if (pong && (*pong)->text() == "PONG") return;  // not -LOADING
    }
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("redis-server ended at once: " + log());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  kill_hard();
  throw std::runtime_error("redis-server does not answer: " + log());
}

bool RedisServer::running() const {
  if (pid_ <= 0) return false;
  siginfo_t ended{};
  // Left to be waited for by end().
  return waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == 0;
}

void RedisServer::kill_hard() {
  end(SIGKILL);
}
void RedisServer::stop() {
  end(SIGTERM);
}

void RedisServer::end(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  if (signal != SIGKILL) kill(pid_, SIGCONT);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void RedisServer::pause() {
  kill(pid_, SIGSTOP);
}
bool RedisServer::pause_with_unwritten(std::size_t bytes, std::chrono::milliseconds at_most) {
  constexpr std::string_view kField = "aof_buffer_length:";
  const auto give_up = std::chrono::steady_clock::now() + at_most;
  while (std::chrono::steady_clock::now() < give_up) {
    const std::size_t written = append_only_bytes();
    const std::string info = command({"INFO", "persistence"});
    const std::size_t at = info.find(kField);
    if (at != std::string::npos &&
        std::strtoull(info.c_str() + at + kField.size(), nullptr, 10) > bytes) {
      pause();
      if (append_only_bytes() == written) return true;
      resume();  // it has written since it said so
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return false;
}

std::size_t RedisServer::append_only_bytes() const {
  std::size_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(data_dir() / "appendonlydir")) {
    if (file.path().extension() != ".manifest") bytes += file.file_size();
  }
  return bytes;
}

void RedisServer::resume() {
  kill(pid_, SIGCONT);
}

std::string RedisServer::command(const std::vector<std::string>& arguments) const {
  auto redis = RedisSync::connect(options());
  if (!redis) throw std::runtime_error(redis.error().message);
  const auto reply = redis->call(arguments);
  if (!reply) throw std::runtime_error(reply.error().message);
  return to_text(**reply);
}

std::string to_text(const RedisReply& reply) {
  switch (reply.type()) {
    case RedisReply::Type::kLost:
      return "(lost)";
    case RedisReply::Type::kNil:
      return "(nil)";
    case RedisReply::Type::kError:
      return "(error) " + std::string(reply.text());
    case RedisReply::Type::kInteger:
      return std::to_string(reply.integer());
    case RedisReply::Type::kStatus:
    case RedisReply::Type::kString:
      return std::string(reply.text());
    case RedisReply::Type::kArray:
      break;
  }
  std::string text;
  for (std::size_t i = 0; i < reply.size(); ++i) {
    if (i > 0) text += '\n';
    text += to_text(reply[i]);
  }
  return text;
}

}  // namespace fanfare::test
