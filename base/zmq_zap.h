// Asks who may connect: ZeroMQ's authentication protocol (RFC 27) for CURVE, on a Loop.
//
// libzmq's I/O thread sends a request for each connection that has proved its key, and goes on with
// others until the answer; so the loop may take its time. One handler per context, made before the
// sockets that ask it are bound, and gone after them. The key of whoever was let in comes with each
// of its messages (ZmqSocket::Sender).
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/loop.h"
#include "base/result.h"
#include "base/zmq_key.h"
#include "base/zmq_socket.h"

namespace fanfare {

class ZapHandler {
 public:
  // Whether the owner of `key`, who connects from `address` (without a port), may come in.
  using Judge = std::function<bool(const PublicKey& key, std::string_view address)>;

  // kFatal if the context has one already. Any other mechanism than CURVE is refused.
  static Result<std::unique_ptr<ZapHandler>> start(Loop& loop, ZmqContext& context, Judge judge);
  ~ZapHandler();
  ZapHandler(const ZapHandler&) = delete;
  ZapHandler& operator=(const ZapHandler&) = delete;

 private:
  ZapHandler(Loop& loop, void* socket, Judge judge);
  void answer_all();

  void* socket_;
  Judge judge_;
  std::unique_ptr<FdWatch> watch_;
};

// The domain that sockets name to it; libzmq asks nobody for a socket without one.
inline constexpr std::string_view kZapDomain = "fanfare";

}  // namespace fanfare
