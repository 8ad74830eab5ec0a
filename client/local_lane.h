// Invocations that need not pass the broker, because a worker on this host runs them: the local
// lane, as callers use it (protocol/local_socket.h has the way).
//
// Asks a worker; what that one has no room for, or may not run, comes back, and the broker is
// asked. For a function of which that was so no worker is asked for kRestFirst, and longer each
// time, up to kRestMax. While there is something to invoke, workers are looked for every
// kLookEvery.
//
// No promise is lost by it: an invocation goes to one of the two, never to both, but for one that
// came back, which has not begun. If the worker dies while it has one, the answer is
// what the broker gives when a worker dies.
//
// Belongs to its loop's thread; calls back on the loop, never from within a call. Destroying it
// drops what is pending without calling anybody.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "protocol/local_socket.h"
#include "protocol/messages.h"

namespace fanfare::client {

class LocalLane {
 public:
  static constexpr Duration kGreetingPatience = std::chrono::milliseconds{20};
  static constexpr Duration kLookEvery = std::chrono::seconds{1};
  static constexpr Duration kRestFirst = std::chrono::milliseconds{20};
  static constexpr Duration kRestMax = std::chrono::seconds{2};
  static constexpr std::size_t kWaitingMax = 1000;  // calls on their way, of a worker's connection

  // Workers are looked for when something is invoked: who only publishes connects to none. Where
  // none can be reached like that, all is for the broker.
  LocalLane(Loop& loop, std::string_view broker_endpoint);
  ~LocalLane();
  LocalLane(const LocalLane&) = delete;
  LocalLane& operator=(const LocalLane&) = delete;

  // Invoked, or why not. Nothing: it is not here; then what was asked is handed back, with the time
  // that is left.
  using OnAnswer = std::function<void(std::optional<Result<protocol::Message>>, protocol::Invoke)>;

  // False: it is for the broker, `request` is as it was, and nothing is called.
  bool invoke(protocol::Invoke& request, const OnAnswer& on_answer);

 private:
  struct Call {
    protocol::Invoke request;
    OnAnswer on_answer;
    TimePoint ends_at;
    bool sent = false;
  };
  struct Worker {
    std::string path;
    Fd socket;
    std::unique_ptr<FdWatch> watch;
    bool greeted = false;
    bool stands_still =
        false;  // it has not said a word in time: it gets nothing more until it does
    TimePoint connected_at;
    std::map<std::uint64_t, Call> calls;
  };
  struct Rest {
    TimePoint until;
    Duration pause{};
  };

  void look_for_workers();
  void connect(const std::string& path);
  Worker* choose(const std::string& function);
  void read_from(std::size_t number);
  void on_message(Worker& worker, std::string_view frame);
  void on_not_here(Worker& worker, std::uint64_t request);
  bool send(Worker& worker, std::uint64_t request, Call& call);
  void give_back(Worker& worker, std::uint64_t request);
  void drop(std::size_t number, const std::string& why);
  void tick();
  void arm();
  void rest(const std::string& function);

  Loop& loop_;
  protocol::LocalPlace place_;
  std::string broker_path_;
  Timer timer_;
  std::map<std::size_t, std::unique_ptr<Worker>> workers_;
  std::size_t next_worker_ = 1;
  std::uint64_t next_request_ = 1;
  std::map<std::string, Rest, std::less<>> rests_;
  TimePoint look_at_;
  bool looked_ = false;
  std::string buffer_;
};

}  // namespace fanfare::client
