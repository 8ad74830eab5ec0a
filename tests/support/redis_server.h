// A real redis-server of a test's own, on a Unix socket in a directory of its own.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/redis_options.h"
#include "base/redis_sync.h"
#include "tests/support/temp_dir.h"

namespace fanfare::test {

struct RedisServerOptions {
  bool append_only = true;
  std::string append_fsync = "always";  // always | everysec | no
  std::string maxmemory = "0";          // "64mb"; 0 = no limit
  std::string maxmemory_policy = "noeviction";
  std::vector<std::string> more;  // further "--name value" arguments
  // Environment of the process, "NAME=value" each.
  std::vector<std::string> environment;
};

// Starts in the constructor and answers PING when that returns; any failure throws and so fails the
// test. Killed, with its data, by the destructor.
class RedisServer {
 public:
  explicit RedisServer(RedisServerOptions options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::string socket_path() const { return dir_.file("redis.sock"); }
  RedisOptions options() const;  // to connect with
  int pid() const { return pid_; }
  bool running() const;  // it has not ended by itself
  const std::filesystem::path& data_dir() const { return dir_.path(); }
  std::string log() const;  // what the server has logged

  void kill_hard();  // SIGKILL, waits until it is gone
  void stop();       // SIGTERM, waits
  void start();      // again, on the same data and socket
  void pause();      // SIGSTOP: connected, but does not answer
  // Pauses it at an instant at which more than `bytes` of what it has answered are in its memory
  // alone and not in its file, as happens with `everysec` on a slow disk. False if there is none.
  bool pause_with_unwritten(std::size_t bytes, std::chrono::milliseconds at_most);
  void resume();  // SIGCONT

  // One command on a connection of its own, answered as text: strings as they are, integers as
  // digits, arrays one element a line, nil as "(nil)", errors as "(error) …".
  std::string command(const std::vector<std::string>& arguments) const;

 private:
  void end(int signal);
  std::size_t append_only_bytes() const;
  RedisServerOptions options_;
  TempDir dir_;
  int pid_ = -1;
};

// What RedisServer::command prints.
std::string to_text(const RedisReply& reply);

}  // namespace fanfare::test
