// Stands between two ends of a stream connection (Unix socket or TCP) and spoils it: a slow wire, a
// reply that never comes, a peer that is gone without a word.
//
// Listens where clients are told to connect, and connects to the real server for each of them.
// Knows nothing of what passes. One thread of its own; all calls may come from another. Everything
// is closed when it goes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace fanfare::chaos {

class LinkProxy {
 public:
  // Both are "unix:///path" or "tcp://127.0.0.1:port". Throws if it cannot listen.
  LinkProxy(const std::string& listen, const std::string& server);
  ~LinkProxy();
  LinkProxy(const LinkProxy&) = delete;
  LinkProxy& operator=(const LinkProxy&) = delete;

  // ---- what it does from now on, to connections old and new ----
  // What passes is held up for so long, in each direction, in order.
  void delay(std::chrono::milliseconds by);
  // Requests pass; the next reply on each connection is swallowed, and the connection closed.
  void lose_next_replies();
  // Nothing passes, and nobody is told; false: what was held up passes.
  void half_open(bool yes);
  // All connections are reset at once. New ones are taken.
  void reset_all();
  // Of the next piece on each connection only the first bytes pass, then it is closed.
  void cut_next_requests(std::size_t bytes);

  // ---- what it has done ----
  std::uint64_t lost_replies() const;  // swallowed
  std::uint64_t cut_requests() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::chaos
