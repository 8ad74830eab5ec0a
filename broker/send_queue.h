// Frames on their way to peers, kept while a peer's connection is full.
//
// ZeroMQ's high-water mark is not our limit: what it refuses waits here, in order, up to a bound
// per peer. A peer that does not read until then is given up.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <unordered_map>

#include "base/result.h"

namespace fanfare::broker {

class SendQueue {
 public:
  // `send` hands a frame to the socket that the peer is at, as ZmqSocket::send does. `on_gone`
  // hears of peers that are gone or were given up; nothing of theirs is kept.
  using Send = std::function<Result<void>(const std::string& peer, std::string&& frame)>;
  SendQueue(Send send, std::function<void(const std::string& peer)> on_gone)
      : send_(std::move(send)), on_gone_(std::move(on_gone)) {}

  void send(const std::string& peer, std::string frame);
  void retry();  // once per turn while anything waits
  bool waiting() const { return !backlog_.empty(); }

 private:
  struct Queue {
    std::deque<std::string> frames;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t kBytesPerPeerMax = 64u << 20;
  static constexpr std::size_t kFramesPerPeerMax = 100'000;

  Send send_;
  std::function<void(const std::string&)> on_gone_;
  std::unordered_map<std::string, Queue> backlog_;
};

}  // namespace fanfare::broker
