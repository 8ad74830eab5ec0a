// Where other machines reach the broker: TCP, encrypted, for those alone whom an allow-list names.
//
// A socket of its own, since CURVE is a whole socket's, with a context and so an I/O thread of its
// own: what strangers cost does not slow this machine's peers. Peers that came in by it are told
// apart from those of the broker's own socket by the first byte of their PeerId.
//
// A connection comes in if its key is in the list; what each of its messages may be is looked up
// anew, so that a list that changes holds at once. The list is read again when its file changes,
// which is looked for each second, and on SIGHUP: connections of keys that it no longer names are
// closed then, and those that have said nothing yet, since they may be of such a key. A list that
// is wrong changes nothing and is told as an error, until it changes; one that could not be read at
// that moment is read at the next look.
//
// On the loop's thread. What is refused is counted by the core and told in the log, each reason
// once in ten seconds.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "base/zmq_socket.h"
#include "base/zmq_zap.h"
#include "broker/access.h"
#include "broker/allow_list.h"

namespace fanfare::broker {

struct RemoteOptions {
  std::vector<std::string> listen;  // tcp://…; empty: nobody comes in from elsewhere
  std::string secret_key_file, allowed_keys;
  std::size_t connections_max = 1024;  // a quarter of it may have proved no key yet
  std::size_t connections_per_key_max = 256;
  // A third of it between two pings; a connection that is silent for so long is closed.
  Duration silence_max = std::chrono::seconds{15};
};

// kReject: an address that is none, or no keys for it; says what to run.
Result<void> check(const RemoteOptions& options);

class RemoteDoor {
 public:
  static constexpr char kPeerTag = 'r';
  // How the PeerIds of all connections of a key begin.
  static std::string peers_of(const std::string& key) { return kPeerTag + key; }

  struct Handlers {
    std::function<void(const PeerId& peer, std::string_view frame)> on_frame;
    std::function<void(const PeerId& peer)> on_not_one_frame;
    // It may not send this; `why` is for its owner.
    std::function<void(const PeerId& peer, std::string_view frame, std::string why)> on_not_allowed;
    std::function<void(ConnectionRefusal)> on_connection_refused;
    std::function<void(std::size_t connections)> on_cut_off;
    // It was a worker's key, and is no more: revoked, or without that role.
    std::function<void(const std::string& key)> on_not_worker;
    WorkerNames::Look worker;
  };

  // Listens. kReject for what check() says and for files that do not do, kFatal for addresses that
  // cannot be had.
  static Result<std::unique_ptr<RemoteDoor>> open(Loop& loop, const RemoteOptions& options,
                                                  Handlers handlers);
  ~RemoteDoor();

  ZmqSocket& socket() { return *socket_; }
  std::size_t connections() const { return socket_->open_connections(); }
  const std::vector<std::string>& listens_on() const { return bound_; }
  // Reads the list again, whether or not its file has changed.
  void reload();

 private:
  // What tells one state of a file from another.
  struct FileState {
    std::int64_t changed_ns = 0, size = -1;
    std::uint64_t inode = 0;
    friend bool operator==(const FileState&, const FileState&) = default;
  };
  static FileState state_of(const std::string& file);

  RemoteDoor(Loop& loop, const RemoteOptions& options, AllowList list, Handlers handlers);
  Result<void> listen(KeyPair own);
  void look_at_list();
  bool may_connect(const PublicKey& key, std::string_view address);
  void on_message(const PeerId& peer, const ZmqSocket::Sender& sender, std::string_view frame);
  // Empty if it may.
  std::string why_not(const ZmqSocket::Sender& sender, std::string_view frame);
  void on_refused(const ConnectionTable::Refused& refused);
  LogThrottle& log_of(ConnectionRefusal why) { return logs_[static_cast<std::size_t>(why)]; }

  Loop& loop_;
  RemoteOptions options_;
  AllowList list_;
  FileState list_state_;      // of what was read last, well or badly
  bool list_unread_ = false;  // it could not be read since
  Handlers handlers_;
  WorkerNames names_;
  ZmqContext context_;
  std::unique_ptr<ZapHandler> zap_;
  std::unique_ptr<ZmqSocket> socket_;
  std::vector<std::string> bound_;
  std::array<LogThrottle, kConnectionRefusals> logs_;
  LogThrottle frames_log_, list_log_;
  Timer look_;
};

}  // namespace fanfare::broker
