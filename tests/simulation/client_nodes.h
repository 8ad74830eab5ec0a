// Those who talk to the broker without being workers: publishers, callers, operators.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/publish_queue.h"
#include "tests/simulation/world.h"

namespace fanfare::simulation {

// One process of a publisher: client::PublishQueue on a connection. Publishes while the world does.
class PublisherNode {
 public:
  PublisherNode(World& world, const std::string& name, Duration pace);
  ~PublisherNode();  // what it had not sent is lost with it, what is in flight is in doubt
  PublisherNode(const PublisherNode&) = delete;
  PublisherNode& operator=(const PublisherNode&) = delete;

  bool idle() const { return queue_.empty(); }
  ClientSocket& socket() { return *socket_; }
  void send_garbage();
  // The next batch goes out so that nobody can read it.
  void spoil_next() { spoil_next_ = true; }

 private:
  Now now() const { return world_.schedule.now(); }
  bool is_answer_to_garbage(const protocol::Refused& refused);
  void publish_some();
  void publish_one(std::optional<std::int64_t> instant_ms = {});
  std::int64_t common_instant();
  void submit(Tag tag, std::string packed);
  void on_frame(std::string_view frame);
  void send_all();
  void arm_timer();

  World& world_;
  const Life life_ = new_life();
  const Duration pace_;
  client::PublishQueue queue_;
  std::uint64_t timer_ = 0;
  bool spoil_next_ = false;
  // What cannot be read is answered in order: here by whose it was.
  enum class Unreadable : std::uint8_t { kGarbage, kBatch };
  std::deque<Unreadable> unreadable_;  // on this connection
  std::unique_ptr<ClientSocket> socket_;
};

// Invokes functions, waits for results, and deploys new generations. Every request must be answered
// once, by its time, unless its connection broke.
class CallerNode {
 public:
  CallerNode(World& world, const std::string& name, Duration pace);
  ~CallerNode() { *life_ = false; }
  CallerNode(const CallerNode&) = delete;
  CallerNode& operator=(const CallerNode&) = delete;

  bool idle() const { return pending_.empty(); }
  ClientSocket& socket() { return *socket_; }
  void deploy(std::size_t function, std::uint32_t generation);
  // An operator's verb; the answer's JSON comes back unless the request is refused or lost.
  using OnReply = std::function<void(const std::string& json)>;
  void control(const std::string& verb, std::string body, OnReply on_reply);
  void redrive(const std::string& function, const std::vector<protocol::EntryId>& letters);

 private:
  struct Pending {
    std::string what;
    OnReply on_reply;
  };
  void ask_something();
  void ask(std::uint64_t request, const protocol::Message& message, Duration timeout,
           std::string what, OnReply on_reply = {});
  void on_frame(std::string_view frame);

  World& world_;
  const Life life_ = new_life();
  const Duration pace_;
  std::uint64_t next_request_ = 1;
  std::map<std::uint64_t, Pending> pending_;
  std::unique_ptr<ClientSocket> socket_;
};

// Somebody who found the address and speaks no Fanfare. Must be refused, each time, while its
// connection stands.
class StrangerNode {
 public:
  explicit StrangerNode(World& world);
  ~StrangerNode() { *life_ = false; }
  StrangerNode(const StrangerNode&) = delete;
  StrangerNode& operator=(const StrangerNode&) = delete;

  void send_garbage();
  ClientSocket& socket() { return *socket_; }

 private:
  void on_frame(std::string_view frame);

  World& world_;
  const Life life_ = new_life();
  std::uint64_t connection_ = 0, sent_ = 0, answered_ = 0;  // on this connection
  std::unique_ptr<ClientSocket> socket_;
};

}  // namespace fanfare::simulation
