// ROUTER and DEALER sockets on a Loop, one frame a message.
//
// A socket lives on its loop's thread. Messages are taken in bounded portions per turn, so that a
// flood cannot starve the rest of the loop. What ZeroMQ would drop in silence comes back as an
// error: a ROUTER's message to a peer that is gone is kStale, a full or missing connection
// kRetryLater. A message that was taken can still vanish with the peer's connection; only an answer
// proves arrival.
//
// Where strangers can reach it, a ROUTER has `curve_server`: then it speaks to nobody but those
// whom the context's ZapHandler lets in, and names the sender of each message. What was refused is
// told. A DEALER with `curve_client` speaks to the owner of one key alone.
//
// Must not be destroyed from within its own handlers; the context must outlive its sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/peer_id.h"
#include "base/result.h"
#include "base/time.h"
#include "base/zmq_connections.h"
#include "base/zmq_curve.h"

namespace fanfare {

class ZmqContext {
 public:
  explicit ZmqContext(int io_threads = 1);
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;
  void* handle() { return context_; }

 private:
  void* context_;
};

enum class ZmqKind { kRouter, kDealer };

struct ZmqOptions {
  ZmqKind kind = ZmqKind::kDealer;
  Duration linger = std::chrono::milliseconds{200};  // how long closing waits for what was sent
  std::int64_t message_bytes_max = 16 << 20;  // a peer that sends more is disconnected: check first
  int send_messages_max = 1000;  // high-water marks: memory bounds, never the admission limit
  int receive_messages_max = 1000;
  Duration handshake_timeout = std::chrono::seconds{5};
  Duration reconnect_min = std::chrono::milliseconds{50};  // plus a random part of the same size
  Duration reconnect_max = std::chrono::seconds{1};        // doubling up to here
  bool immediate = true;  // queue only on finished connections: send is kRetryLater until connected

  // Stands before each routing id in PeerId, so that peers of several ROUTERs cannot be mixed up;
  // 0 = nothing does.
  char peer_tag = 0;
  // A connection that nothing comes by for so long is closed; pings see to it that something does,
  // with a third of it between them. 0 = connections are not looked at, as where the kernel tells
  // of every end. A message that takes longer than this to arrive never does.
  Duration silence_max{0};
  Duration connect_timeout{0};  // of one attempt, by TCP; 0 = the kernel's

  std::shared_ptr<const CurveServer> curve_server;  // of a ROUTER
  ConnectionLimits connection_limits;               // of one with curve_server
  std::shared_ptr<const CurveClient> curve_client;  // of a DEALER
};

// Of a DEALER that is to connect to `endpoint`: over a network it looks after its connection.
ZmqOptions options_to(const std::string& endpoint, std::shared_ptr<const CurveClient> curve);

class ZmqSocket {
 public:
  // Valid during the call.
  struct Sender {
    std::string_view user;     // the text of its public key
    std::string_view address;  // without a port
  };

  struct Handlers {
    // Required, the others not. The frame is valid during the call.
    std::function<void(const PeerId& peer, std::string_view frame)> on_message;
    // DEALER: the connection is up (each time anew), or gone. Messages sent before may be lost.
    std::function<void()> on_connected, on_disconnected;
    // A little (2 ms) after a send was refused with kRetryLater: time to try again.
    std::function<void()> on_writable;
    // Something that is not one frame arrived; it was dropped.
    std::function<void(const PeerId& peer)> on_malformed;
    // ROUTER with curve_server, instead of on_message: who sent it, besides.
    std::function<void(const PeerId& peer, const Sender& sender, std::string_view frame)>
        on_message_from = {};
    // ROUTER with curve_server: a connection ended that never came in.
    std::function<void(const ConnectionTable::Refused&)> on_connection_refused = {};
    // DEALER: there is somebody, who refused the connection; it is tried again.
    std::function<void(ConnectRefusal)> on_refused = {};
  };

  ZmqSocket(Loop& loop, ZmqContext& context, ZmqOptions options, Handlers handlers);
  ~ZmqSocket();
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  // "ipc:///path", "tcp://127.0.0.1:7400", "tcp://127.0.0.1:*". An ipc path where
  // nobody listens any more is taken over; one where somebody does is refused. kFatal with what to
  // do.
  Result<void> bind(const std::string& endpoint);
  Result<void> connect(const std::string& endpoint);
  // What bind() chose for a wildcard.
  std::string bound_endpoint() const;

  // Takes `frame` if it succeeds and leaves it as it was if not.
  // kRetryLater: the peer does not read fast enough, or there is no connection yet.
  // kStale: the peer is gone. kReject: over message_bytes_max.
  Result<void> send(const PeerId& peer, std::string&& frame);
  Result<void> send(std::string&& frame) { return send(PeerId{}, std::move(frame)); }  // DEALER

  bool connected() const;           // DEALER: between on_connected and on_disconnected
  std::uint64_t malformed() const;  // dropped so far

  // ROUTER with curve_server.
  void note_key_refused(std::string_view address);  // by the context's ZapHandler
  // Closes the connections by which messages of `user` have come, at once; of the empty one, those
  // by which nothing has. Returns how many.
  std::size_t cut_off(std::string_view user);
  std::size_t open_connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare
