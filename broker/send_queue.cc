#include "broker/send_queue.h"

#include <vector>

namespace fanfare::broker {

void SendQueue::send(const std::string& peer, std::string frame) {
  if (const auto at = backlog_.find(peer); at != backlog_.end()) {
    Queue& queue = at->second;
    queue.bytes += frame.size();
    queue.frames.push_back(std::move(frame));
    if (queue.bytes > kBytesPerPeerMax || queue.frames.size() > kFramesPerPeerMax) {
      backlog_.erase(at);
      on_gone_(peer);
    }
    return;
  }
  const auto sent = send_(peer, std::move(frame));
  if (sent) return;
  if (sent.error().kind == ErrorKind::kRetryLater) {
    // NOLINTBEGIN(bugprone-use-after-move): what is to be sent later is left with us.
    Queue& queue = backlog_[peer];
    queue.bytes = frame.size();
    queue.frames.push_back(std::move(frame));
    // NOLINTEND(bugprone-use-after-move)
  } else {
    on_gone_(peer);
  }
}

void SendQueue::retry() {
  std::vector<std::string> gone;
  for (auto at = backlog_.begin(); at != backlog_.end();) {
    auto& [peer, queue] = *at;
    bool lost = false;
    while (!queue.frames.empty()) {
      const std::size_t bytes = queue.frames.front().size();
      const auto sent = send_(peer, std::move(queue.frames.front()));
      if (!sent) {
        lost = sent.error().kind != ErrorKind::kRetryLater;
        break;
      }
      queue.bytes -= bytes;
      queue.frames.pop_front();
    }
    if (lost) gone.push_back(peer);
    at = lost || queue.frames.empty() ? backlog_.erase(at) : std::next(at);
  }
  for (const auto& peer : gone) on_gone_(peer);
}

}  // namespace fanfare::broker
