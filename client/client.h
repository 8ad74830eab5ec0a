// The publisher's library on an event loop: publish, invoke, wait, ask.
//
// A Client belongs to its loop's thread. It connects by itself, again and again, and answers every
// call exactly once through its callback, on the loop, never from within the call. Where a broker
// refuses the connection (it does not allow the key, or wants one) what waits fails at once, unless
// it has answered before: then there is hope. Destroying it drops what is pending without calling
// anybody.
//
//   Loop loop;
//   ZmqContext zmq;
//   client::Client client(loop, zmq, {.broker = "ipc:///var/lib/fanfare/run/broker.ipc"});
//   protocol::Event event;
//   event.source = "/shop";
//   event.type = "order.placed";
//   client.publish(event, [](const Result<client::Receipt>& receipt) { … });
//
// Without a loop of your own use BlockingClient.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/endpoint_link.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/zmq_socket.h"
#include "client/local_lane.h"
#include "client/publish_queue.h"
#include "client/request_table.h"
#include "protocol/event.h"
#include "protocol/messages.h"
#include "protocol/record.h"

namespace fanfare::client {

struct ClientOptions {
  std::string broker;  // "ipc:///path" or "tcp://host:port"
  PublishLimits publish;
  std::string name = {};  // lasting_client_id() of a publisher that keeps it; else a new one
  PublishResume resume = {};
  // How long anything waits for a first connection (publish: while there was never one).
  Duration connect_timeout = std::chrono::seconds{3};
  Duration admin_timeout = std::chrono::seconds{10};
  std::shared_ptr<const CurveClient> curve = {};  // of curve_client(); none on this machine
  bool local = true;  // invoke() may ask a worker on this host rather than the broker
};

// What ended while somebody waited for it, and what the broker still holds.
struct Awaited {
  std::vector<std::string> ended, pending;
};

class Client {
 public:
  // kFatal if the address makes no sense.
  static Result<std::unique_ptr<Client>> open(Loop& loop, ZmqContext& zmq, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // kReject: too large. kRetryLater: too many events wait here already (see queued()); none of the
  // two calls back. An empty callback is allowed.
  Result<void> publish(const protocol::Event& event, OnReceipt on_receipt);
  // The same for an event packed by protocol::pack.
  Result<void> publish_packed(std::string packed_event, OnReceipt on_receipt);
  bool has_room(std::size_t packed_bytes) const { return queue_.has_room(packed_bytes); }
  std::size_t queued() const { return queue_.queued(); }

  // Runs a function once and gives its result. The function's own failure is a result, too. A
  // worker on this host is asked before the broker, see local_lane.h.
  using OnInvoked = std::function<void(Result<protocol::ResultRecord>)>;
  void invoke(const std::string& function, const protocol::Event& event, Duration timeout,
              OnInvoked on_invoked);

  // Waits until a delivery of the event ends: of `function`, or, if that is empty, any.
  using OnAwaited = std::function<void(Result<Awaited>)>;
  void await(const protocol::EventId& event, const std::string& function, Duration timeout,
             OnAwaited on_awaited);

  // Asks the broker; the body is JSON, the answer JSON or text.
  using OnAdmin = std::function<void(Result<std::string>)>;
  void admin(const std::string& verb, const std::string& body, OnAdmin on_admin);

  bool connected() const { return link_->connected(); }

 private:
  Client(Loop& loop, ClientOptions options);
  void on_frame(std::string_view frame);
  void on_unreadable(std::string_view frame, const Error& error);
  void ask_broker(protocol::Invoke request, OnInvoked on_invoked);
  void add_request(protocol::Message request, Duration timeout, RequestTable::OnAnswer on_answer);
  void on_refused(ConnectRefusal why);
  std::string where() const;
  void give_up_unless_met(TimePoint now);
  void wake();  // something may have to be sent
  void send_all();
  void arm_timer();

  Loop& loop_;
  ClientOptions options_;
  PublishQueue queue_;
  RequestTable requests_;
  Timer timer_;
  Loop::Hook hook_;
  bool woken_ = false;
  bool met_broker_ = false;   // connected at least once
  std::string last_refusal_;  // of a connection, since there was one that came up
  TimePoint first_event_at_;  // when the queue last began to fill
  std::unique_ptr<EndpointLink> link_;
  std::unique_ptr<LocalLane> lane_;  // none if it is not wanted
};

}  // namespace fanfare::client
