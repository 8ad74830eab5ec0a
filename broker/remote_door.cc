#include "broker/remote_door.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "protocol/kinds.h"
#include "protocol/messages.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookEvery = 1s;
constexpr Duration kHandshakeMax = 3s;  // a few round trips, of the slowest network there is

// " (12 more like it)", of lines that were swallowed.
std::string and_more(std::uint64_t swallowed) {
  return swallowed == 0 ? std::string{} : fmt::format(" ({} more like it)", swallowed);
}

std::string_view explain(ConnectionRefusal why) {
  switch (why) {
    case ConnectionRefusal::kUnknownKey:
      return "its key is not allowed";
    case ConnectionRefusal::kWrongKey:
      return "it takes the broker for another one: its broker_key is not this broker's";
    case ConnectionRefusal::kNoKey:
      return "it has no keys: set broker_key and curve_secret_key_file there";
    case ConnectionRefusal::kMalformed:
      return "it does not speak ZeroMQ's protocol";
    case ConnectionRefusal::kTimeout:
      return "it did not finish its handshake in time";
    case ConnectionRefusal::kLeft:
      return "it left in its handshake";
    case ConnectionRefusal::kFull:
      return "there are too many, in all, of its key, or of such as have not proved one: see "
             "[broker] "
             "remote_connections_max and remote_connections_per_key_max";
    case ConnectionRefusal::kSilent:
      return "it has said nothing for a minute";
  }
  return "";
}

}  // namespace

Result<void> check(const RemoteOptions& options) {
  if (options.listen.empty()) return {};
  for (const std::string& endpoint : options.listen) {
    if (endpoint.starts_with("tcp://")) continue;
    return reject(fmt::format(
        "[broker] listen: '{}' is no tcp://address:port; peers of this machine use `endpoint`",
        endpoint));
  }
  if (!options.secret_key_file.empty() && !options.allowed_keys.empty()) return {};
  return reject(fmt::format(
      "[broker] listen = '{}' lets other machines in, which wants curve_secret_key_file and "
      "allowed_keys: run `ops/keys init`, then `ops/keys add NAME --role worker` for each peer",
      fmt::join(options.listen, ", ")));
}

Result<std::unique_ptr<RemoteDoor>> RemoteDoor::open(Loop& loop, const RemoteOptions& options,
                                                     Handlers handlers) {
  if (auto fine = check(options); !fine) return fine.error();
  auto own = KeyPair::read(options.secret_key_file);
  if (!own) {
    return reject(fmt::format("[broker] curve_secret_key_file: {}; `ops/keys init` makes one",
                              own.error().message));
  }
  auto list = AllowList::read(options.allowed_keys);
  if (!list) {
    return reject(
        fmt::format("[broker] allowed_keys: {}; `ops/keys add` writes it", list.error().message));
  }
  std::unique_ptr<RemoteDoor> door(
      new RemoteDoor(loop, options, *std::move(list), std::move(handlers)));
  if (auto listening = door->listen(*std::move(own)); !listening) return listening.error();
  return door;
}

RemoteDoor::RemoteDoor(Loop& loop, const RemoteOptions& options, AllowList list, Handlers handlers)
    : loop_(loop),
      options_(options),
      list_(std::move(list)),
      list_state_(state_of(options.allowed_keys)),
      handlers_(std::move(handlers)),
      names_(handlers_.worker),
      look_(loop, [this] { look_at_list(); }) {}

RemoteDoor::~RemoteDoor() = default;

Result<void> RemoteDoor::listen(KeyPair own) {
  spdlog::info("this broker's public key is {}; {} keys are allowed", own.open.text(),
               list_.size());
  auto zap = ZapHandler::start(
      loop_, context_,
      [this](const PublicKey& key, std::string_view address) { return may_connect(key, address); });
  if (!zap) return zap.error();
  zap_ = *std::move(zap);
  ZmqOptions options;
  options.kind = ZmqKind::kRouter;
  options.message_bytes_max = static_cast<std::int64_t>(protocol::kMessageBytesMax);
  options.handshake_timeout = kHandshakeMax;
  options.peer_tag = kPeerTag;
  options.silence_max = options_.silence_max;
  options.connection_limits.open_max = options_.connections_max;
  options.connection_limits.unproven_max = std::max<std::size_t>(1, options_.connections_max / 4);
  options.connection_limits.per_user_max = options_.connections_per_key_max;
  options.curve_server = std::make_shared<const CurveServer>(CurveServer{std::move(own)});
  ZmqSocket::Handlers handlers;
  handlers.on_message_from = [this](const PeerId& peer, const ZmqSocket::Sender& sender,
                                    std::string_view frame) { on_message(peer, sender, frame); };
  handlers.on_malformed = [this](const PeerId& peer) { handlers_.on_not_one_frame(peer); };
  handlers.on_connection_refused = [this](const ConnectionTable::Refused& refused) {
    on_refused(refused);
  };
  socket_ = std::make_unique<ZmqSocket>(loop_, context_, options, std::move(handlers));
  for (const std::string& endpoint : options_.listen) {
    if (auto bound = socket_->bind(endpoint); !bound) return bound;
    bound_.push_back(socket_->bound_endpoint());
  }
  look_.start_every(kLookEvery);
  return {};
}

// ---- who comes in ----

bool RemoteDoor::may_connect(const PublicKey& key, std::string_view address) {
  if (list_.find(key.text())) return true;
  socket_->note_key_refused(address);
  const auto swallowed = log_of(ConnectionRefusal::kUnknownKey).allow(loop_.now().steady);
  if (swallowed) {
    spdlog::warn("refused a connection from {}: its key {} is not in {}; `ops/keys add` adds one{}",
                 address, key.text(), options_.allowed_keys, and_more(*swallowed));
  }
  return false;
}

void RemoteDoor::on_refused(const ConnectionTable::Refused& refused) {
  handlers_.on_connection_refused(refused.why);
  if (refused.why == ConnectionRefusal::kUnknownKey) return;  // told with its key
  const auto swallowed = log_of(refused.why).allow(loop_.now().steady);
  if (!swallowed) return;
  spdlog::warn("refused a connection from {}: {}{}", refused.address, explain(refused.why),
               and_more(*swallowed));
}

// ---- what they may ----

void RemoteDoor::on_message(const PeerId& peer, const ZmqSocket::Sender& sender,
                            std::string_view frame) {
  std::string why = why_not(sender, frame);
  if (why.empty()) return handlers_.on_frame(peer, frame);
  if (const auto swallowed = frames_log_.allow(loop_.now().steady)) {
    spdlog::warn("refused a message from {}: {}{}", sender.address, why, and_more(*swallowed));
  }
  handlers_.on_not_allowed(peer, frame, std::move(why));
}

std::string RemoteDoor::why_not(const ZmqSocket::Sender& sender, std::string_view frame) {
  const AllowedPeer* known = list_.find(sender.user);
  if (!known) {
    socket_->cut_off(sender.user);
    return fmt::format("the key {} is not allowed any more", sender.user);
  }
  const std::uint8_t kind = protocol::peek_kind(frame);
  if (kind == 0) return {};  // not a message: the core says so
  const Roles wanted = roles_for(kind);
  if (!known->roles.any_of(wanted)) {
    if (wanted.empty()) return {};  // nobody sends it: likewise
    return fmt::format("the key of {} has the role {}; this takes {}", known->name,
                       to_string(known->roles), to_string(wanted));
  }
  if (kind != protocol::kKind<protocol::Hello>.number) return {};
  const auto message = protocol::decode(frame);
  if (!message) return {};
  const std::string& name = std::get<protocol::Hello>(*message).name;
  if (names_.take(name, sender.user)) return {};
  return fmt::format("a worker named {} is here already, with another key than that of {}", name,
                     known->name);
}

// ---- the list ----

RemoteDoor::FileState RemoteDoor::state_of(const std::string& file) {
  struct stat status{};
  if (stat(file.c_str(), &status) != 0) return {};
  return {status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec, status.st_size,
          status.st_ino};
}

void RemoteDoor::look_at_list() {
  if (list_unread_ || state_of(options_.allowed_keys) != list_state_) reload();
}

// What is wrong in it is so until it changes; what could not be read just now may say that a key is
// revoked, so that is tried again at the next look.
void RemoteDoor::reload() {
  const FileState state = state_of(options_.allowed_keys);  // before: a later change is seen
  auto read = AllowList::read(options_.allowed_keys);
  list_unread_ = !read && read.error().kind == ErrorKind::kRetryLater;
  if (!list_unread_) list_state_ = state;
  if (!read) {
    if (list_unread_ && !list_log_.allow(loop_.now().steady)) return;
    spdlog::error("the allowed keys stay as they were: {}", read.error().message);
    return;
  }
  const AllowList former = std::exchange(list_, *std::move(read));
  std::size_t cut_off = 0, silent = 0;
  bool any_gone = false;
  for (const std::string& key : former.keys()) {
    const AllowedPeer* const now = list_.find(key);
    const bool was_worker = former.find(key)->roles.has(Role::kWorker);
    if (was_worker && !(now && now->roles.has(Role::kWorker))) handlers_.on_not_worker(key);
    if (now) continue;
    any_gone = true;
    cut_off += socket_->cut_off(key);
  }
  // Whose the others are that have said nothing yet, nobody knows. Those that may come back do.
  if (any_gone) silent = socket_->cut_off({});
  spdlog::info(
      "{} keys are allowed now; {} connections of others were closed, and {} that had said nothing",
      list_.size(), cut_off, silent);
  if (cut_off > 0) handlers_.on_cut_off(cut_off);
}

}  // namespace fanfare::broker
