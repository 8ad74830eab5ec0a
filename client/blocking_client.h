// The publisher's library for threads: each call waits, or gives a future.
//
//   auto client = client::BlockingClient::open({.broker =
//   "ipc:///var/lib/fanfare/run/broker.ipc"}); auto receipt = (*client)->publish(event).get();
//
// It runs a loop in a thread of its own. All calls may be made from any number of threads at once.
// When too many events wait for the broker, publish blocks until there is room or the events' own
// timeout makes it: back-pressure, never unbounded memory. Destroying it fails the futures that
// are still pending and drops pending callbacks.
#pragma once

#include <future>
#include <memory>
#include <string>

#include "client/client.h"

namespace fanfare::client {

class BlockingClient {
 public:
  // kFatal if the address makes no sense. Does not wait for a connection.
  static Result<std::unique_ptr<BlockingClient>> open(ClientOptions options);
  ~BlockingClient();
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  std::future<Result<Receipt>> publish(const protocol::Event& event);
  // The same with a callback, which runs on the client's own thread and must not block. (Data that
  // is too large is refused within the call.)
  void publish(const protocol::Event& event, OnReceipt on_receipt);

  Result<protocol::ResultRecord> invoke(const std::string& function, const protocol::Event& event,
                                        Duration timeout);
  Result<Awaited> await(const protocol::EventId& event, const std::string& function,
                        Duration timeout);
  Result<std::string> admin(const std::string& verb, const std::string& body);

 private:
  struct Impl;
  explicit BlockingClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::client
