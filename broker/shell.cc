#include "broker/shell.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <ctime>
#include <utility>

#include "base/daemon_metrics.h"
#include "base/zmq_endpoint.h"
#include "broker/metrics.h"
#include "store/check.h"
#include "store/keys.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

constexpr char kLocalPeerTag = 'l';
constexpr char kDirectPeerTag = 'd';
constexpr Duration kDrainMax = 10s;  // how long a stopping broker waits for Redis' answers

// Counts on while the machine is suspended, and nobody sets it.
std::chrono::nanoseconds since_boot() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

// Names calls to Redis for failpoints.
struct NameOfCall {
  std::string_view operator()(const store::Begin&) const { return "begin"; }
  std::string_view operator()(const store::Append&) const { return "append"; }
  std::string_view operator()(const store::Postpone&) const { return "postpone"; }
  std::string_view operator()(const store::Bury&) const { return "bury"; }
  std::string_view operator()(const store::Page&) const { return "page"; }
  std::string_view operator()(const store::Due&) const { return "due"; }
  std::string_view operator()(const store::Recall&) const { return "recall"; }
  template <typename Other>
  std::string_view operator()(const Other&) const {
    return "other";
  }
};

}  // namespace

Result<std::unique_ptr<Shell>> Shell::start(Loop& loop, const Config& config) {
  if (auto fine = check_endpoint(config.endpoint); !fine) return fine.error();
  if (auto fine = check(remote_options(config)); !fine) return fine.error();
  auto options = core_options(config);
  if (!options) return options.error();
  auto tracepoint = protocol::trace_to(config.trace, "broker");
  if (!tracepoint) return tracepoint.error();
  options->tracepoint = *std::move(tracepoint);
  auto redis = parse_redis_url(config.redis);
  if (!redis) return redis.error();
  auto fine = store::check_server(*redis, config.durability, 0s);
  if (!fine && fine.error().kind == ErrorKind::kReconnect) {
    spdlog::info("waiting for Redis at {}", to_string(*redis));
    fine = store::check_server(*redis, config.durability);
  }
  if (!fine) return fine.error();

  std::unique_ptr<Shell> shell(new Shell(loop, config, *options, *redis));
  if (auto listening = shell->listen(); !listening) return listening.error();
  return shell;
}

Shell::Shell(Loop& loop, const Config& config, CoreOptions options, const RedisOptions& redis)
    : loop_(loop),
      config_(config),
      redis_(redis),
      wall_(since_boot(), loop.now().wall),
      tick_(loop, [this] { core_->tick(now()); }),
      idle_memory_(loop, [this] { return work_done(); }, {.huge_pages = true}) {
  if (auto id = this_host_id()) host_id_ = *id;
  store_ = std::make_unique<store::RedisStore>(
      loop_, redis_,
      store::RedisStore::Hooks{.on_ready = [] { spdlog::info("connected to Redis"); },
                               .on_down =
                                   [this](const Error& error) {
                                     ++redis_lost_;
                                     if (error.kind == ErrorKind::kFatal) return fail(error);
                                     if (auto swallowed = redis_log_.allow(now().steady)) {
                                       spdlog::warn("Redis: {}; trying again, nothing is lost",
                                                    error.message);
                                     }
                                   },
                               .on_restarted =
                                   [this] {
                                     ++redis_restarts_;
                                     spdlog::info("Redis was restarted: what waits is read again");
                                     core_->on_store_restarted();
                                   }});
  socket_ = std::make_unique<ZmqSocket>(
      loop_, context_,
      ZmqOptions{.kind = ZmqKind::kRouter,
                 .message_bytes_max = static_cast<std::int64_t>(protocol::kMessageBytesMax),
                 .peer_tag = kLocalPeerTag},
      ZmqSocket::Handlers{
          .on_message =
              [this](const PeerId& peer, std::string_view frame) {
                core_->on_frame(peer.value(), frame, now());
              },
          .on_malformed = [this](const PeerId& peer) { core_->on_not_one_frame(peer.value()); }});
  send_queue_ = std::make_unique<SendQueue>(
      [this](const std::string& peer, std::string&& frame) { return send(peer, std::move(frame)); },
      [this](const std::string& peer) {
        loop_.post([this, peer] { core_->on_peer_gone(peer, now()); });
      });
  core_ = std::make_unique<Core>(std::move(options), now());
  turn_hook_ = loop_.before_wait([this] { turn(); });
}

Shell::~Shell() = default;

Result<void> Shell::listen() {
  if (auto open = open_direct_door(Endpoint::kToBeBound); !open) return open;
  if (auto bound = socket_->bind(config_.endpoint); !bound) return bound;
  if (direct_ && !direct_->has_its_name()) {
    direct_.reset();
    if (auto open = open_direct_door(Endpoint::kOurs); !open) return open;
  }
  if (auto open = open_to_others(); !open) return open;
  if (!config_.metrics.empty()) {
    auto server = MetricsServer::start(loop_, config_.metrics,
                                       {.metrics = [this] { return metrics_page(); },
                                        .ready = [this] { return core_->accepting(); }});
    if (!server) return server.error();
    metrics_ = *std::move(server);
    redis_watch_ = std::make_unique<RedisWatch>(loop_, *parse_redis_url(config_.redis));
  }
  service_.keep_watchdog(loop_);
  return {};
}

// Before the endpoint itself: whoever finds that open, and this not, stays there.
Result<void> Shell::open_direct_door(Endpoint endpoint) {
  if (!config_.direct || direct_path(config_.endpoint).empty()) return {};
  if (endpoint == Endpoint::kToBeBound) {
    if (auto fine = check_bind(config_.endpoint); !fine) return fine;
  }
  auto opened = DirectDoor::open(
      loop_, config_.endpoint,
      {.frame_bytes_max = protocol::kMessageBytesMax, .peer_tag = kDirectPeerTag},
      {.on_message = [this](
                         const PeerId& peer,
                         std::string_view frame) { core_->on_frame(peer.value(), frame, now()); },
       .on_stranger = [this](const PeerId& peer) { core_->on_not_one_frame(peer.value()); }});
  if (!opened) return opened.error();
  direct_ = *std::move(opened);
  return {};
}

Result<void> Shell::open_to_others() {
  if (config_.listen.empty()) return {};
  raise_file_limit();
  RemoteDoor::Handlers handlers;
  handlers.on_frame = [this](const PeerId& peer, std::string_view frame) {
    core_->on_frame(peer.value(), frame, now());
  };
  handlers.on_not_one_frame = [this](const PeerId& peer) { core_->on_not_one_frame(peer.value()); };
  handlers.on_not_allowed = [this](const PeerId& peer, std::string_view frame, std::string why) {
    core_->on_not_allowed(peer.value(), frame, std::move(why));
  };
  handlers.on_connection_refused = [this](ConnectionRefusal why) {
    core_->on_connection_refused(why);
  };
  handlers.on_cut_off = [this](std::size_t connections) { core_->on_cut_off(connections); };
  handlers.on_not_worker = [this](const std::string& key) {
    core_->on_workers_barred(RemoteDoor::peers_of(key), now());
  };
  handlers.worker = [this](const std::string& name) {
    for (const auto& [id, session] : core_->sessions()) {
      if (session.hello.name != name) continue;
      return session.peer.starts_with(RemoteDoor::kPeerTag) ? WorkerNames::Here::kRemote
                                                            : WorkerNames::Here::kLocal;
    }
    return WorkerNames::Here::kNobody;
  };
  auto opened = RemoteDoor::open(loop_, remote_options(config_), std::move(handlers));
  if (!opened) return opened.error();
  remote_ = *std::move(opened);
  return {};
}

Result<void> Shell::send(const std::string& peer, std::string&& frame) {
  if (peer.starts_with(kDirectPeerTag)) return direct_->send(PeerId{peer}, frame);
  ZmqSocket& socket = peer.starts_with(RemoteDoor::kPeerTag) ? remote_->socket() : *socket_;
  return socket.send(PeerId{peer}, std::move(frame));
}

std::string Shell::metrics_page() {
  MetricsText text;
  tell_daemon(text, "broker", core_->accepting());
  tell_core(text, *core_, now());
  text.gauge("fanfare_redis_up", "1 while the broker is connected to its Redis.")
      .add({}, store_->ready() ? 1 : 0);
  text.gauge("fanfare_redis_calls_outstanding", "Calls that Redis has not answered yet.")
      .add({}, store_->outstanding());
  text.counter("fanfare_redis_connections_lost_total",
               "Times that the connection to Redis broke, or could not be made at first.")
      .add({}, redis_lost_);
  text.counter("fanfare_redis_restarts_total", "Times that another Redis process answered.")
      .add({}, redis_restarts_);
  if (redis_watch_) redis_watch_->tell(text);
  text.gauge(
          "fanfare_clock_offset_seconds",
          "By how much the machine's clock was set ahead of the broker's, which goes on as before.")
      .add({}, std::chrono::duration<double>(wall_.kept_off()).count());
  return text.take();
}

// As the loop's, with the wall time that this broker goes by. One reading for a turn.
Now Shell::now() {
  const Now read = loop_.now();
  if (read.steady == now_.steady) return now_;
  now_ = {read.steady, wall_.at(since_boot(), read.wall)};
  const auto kept_off = wall_.kept_off();
  if (std::chrono::abs(kept_off - kept_off_told_) > SteadyWall::kFollowed &&
      clock_log_.allow(read.steady)) {
    kept_off_told_ = kept_off;
    if (kept_off.count() == 0) {
      spdlog::info("the clock of this machine and this broker's agree again");
    } else {
      spdlog::warn(
          "the clock of this machine has been set: it is {} ms {} this broker's, which goes on as "
          "before, so that delays stay right; start the broker anew for it to take the new time",
          std::chrono::abs(kept_off).count(), kept_off.count() < 0 ? "behind" : "ahead of");
    }
  }
  return now_;
}

void Shell::turn() {
  if (remote_) core_->note_remote_connections(remote_->connections());
  core_->flush(now());
  config_.failpoint("broker.turn.flushed");
  carry_out();
  if (core_->wants_turn()) loop_.post([] {});
  if (!announced_ready_ && core_->accepting()) {
    announced_ready_ = true;
    std::string where = config_.endpoint;
    if (remote_) where += fmt::format(" and {}", fmt::join(remote_->listens_on(), ", "));
    service_.ready(fmt::format("taking events on {}", where));
    spdlog::info("taking events on {}, class {}, epoch {}, {} functions", where, config_.durability,
                 core_->epoch(), core_->functions().size());
  }
  if (core_->ended()) fail(*core_->ended());
  if (draining_) stop_when_drained();
  log_unreadable();
  arm_tick();
}

void Shell::log_unreadable() {
  const Counters& counters = core_->counters();
  const std::uint64_t unreadable = counters.frames_malformed + counters.frames_wrong_version;
  if (unreadable == unreadable_logged_) return;
  if (!peer_log_.allow(now().steady)) return;
  spdlog::warn("{} messages could not be read; whoever sent them was told why",
               unreadable - std::exchange(unreadable_logged_, unreadable));
}

// Set again only to ring earlier: setting a timer anew is a turn of the loop by itself.
// Another number whenever events came, went on or ended.
std::uint64_t Shell::work_done() const {
  if (!core_) return 0;
  const Counters& c = core_->counters();
  return c.events_accepted + c.pages_read + c.deliveries_dispatched + c.deliveries_succeeded +
         c.deliveries_retried + c.deliveries_dead + c.deliveries_cancelled + c.invocations;
}

void Shell::arm_tick() {
  const Now current = now();
  const TimePoint wanted = current.steady + core_->until_next_tick(current);
  if (tick_.running() && tick_at_ <= wanted) return;
  tick_at_ = wanted;
  tick_.start_after(wanted - current.steady);
}

void Shell::fail(const Error& error) {
  if (failure_) return;
  failure_ = error;
  spdlog::error("{}", error.message);
  loop_.stop();
}

// The core's wishes, until it has no more: an answer may come back at once.
void Shell::carry_out() {
  send_queue_->retry();
  auto frames = core_->take_frames();
  for (auto& out : frames) send_queue_->send(out.peer, std::move(out.frame));
  if (!frames.empty()) config_.failpoint("broker.frames.sent");
  for (auto& out : core_->take_calls()) {
    const std::string_view name = std::visit(NameOfCall{}, out.call);
    config_.failpoint("broker.call", name);
    store_->call(std::move(out.call),
                 [this, ticket = out.ticket, name](Result<store::Answer> answer) {
                   config_.failpoint("broker.answer", name);
                   core_->on_answer(ticket, std::move(answer), now());
                 });
    config_.failpoint("broker.called", name);
  }
  relay();
  watch_joined();
}

// Their workers are told "later", and say that in their own logs.
void Shell::tell_relay_trouble(std::string_view why) {
  if (!relay_log_.allow(now().steady)) return;
  spdlog::warn("Redis, for workers that reach it through this broker: {}; trying again", why);
}

// Another connection than the broker's own: see core_relay.cc.
void Shell::relay() {
  for (auto& out : core_->take_relayed()) {
    if (!relay_store_) {
      relay_store_ = std::make_unique<store::RedisStore>(
          loop_, redis_,
          store::RedisStore::Hooks{
              .on_ready = {},
              .on_down = [this](const Error& error) { tell_relay_trouble(error.message); },
              .on_restarted = {}});
    }
    config_.failpoint("broker.relay");
    relay_store_->call(std::move(out.call),
                       [this, ticket = out.ticket](Result<store::Answer> answer) {
                         config_.failpoint("broker.relayed");
                         core_->on_relay_answer(ticket, std::move(answer));
                       });
  }
  for (const auto& digest : core_->take_packages_wanted()) read_package(digest);
}

void Shell::read_package(const std::string& digest) {
  if (!package_link_) {
    package_link_ = std::make_unique<RedisLink>(
        loop_, redis_, RedisLink::Handlers{.on_up = {}, .on_down = [this](std::string_view why) {
                                             tell_relay_trouble(why);
                                           }});
  }
  package_link_->call({"HGET", store::kPackagesKey, digest},
                      [this, digest](const RedisReply& reply) {
                        const auto bytes = [&]() -> Result<std::string> {
                          if (reply.lost()) return retry_later("Redis did not answer");
                          if (reply.is_error())
                            return retry_later("Redis: " + std::string{reply.text()});
                          if (reply.is_nil()) return reject("it is not in Redis");
                          return std::string{reply.text()};
                        };
                        core_->on_package(digest, bytes(), now());
                      });
}

// A worker on this machine is watched by its pidfd: its death is known at once, not after a lease.
// One that came in from elsewhere is not, whatever it says of its host: its pid may be that of
// another PID namespace, or of another machine with a copied boot id.
void Shell::watch_joined() {
  for (const Session& session : core_->take_joined()) {
    spdlog::info("worker {} joined with {} slots", session.hello.name, session.hello.slots);
    if (session.peer.starts_with(RemoteDoor::kPeerTag)) continue;
    if (session.hello.host != host_id_ || host_id_.empty()) continue;
    const SessionId id = session.id;
    const auto died = [this, id, name = session.hello.name] {
      spdlog::warn("worker {} ended; what it held goes to others", name);
      core_->on_worker_died(id, now());
      loop_.post([this, id] { watched_.erase(id); });
    };
    auto watch = PidWatch::open(loop_, session.hello.pid, died);
    const auto started = process_start_time(session.hello.pid);
    const bool same = started && *started == session.hello.pid_started;
    if (watch && same) {
      watched_[id] = *std::move(watch);
    } else {
      loop_.post(died);
    }
  }
  std::erase_if(watched_,
                [&](const auto& entry) { return !core_->sessions().contains(entry.first); });
}

void Shell::on_signal(int signal) {
  // Of the broker's settings only the allowed keys change while it runs.
  if (signal == SIGHUP) {
    if (remote_) remote_->reload();
    return;
  }
  if (draining_) return loop_.stop();
  draining_ = true;
  drain_ends_at_ = now().steady + kDrainMax;
  spdlog::info("stopping: no new events; what is journaled stays in Redis");
  service_.stopping("waiting for Redis");
  service_.extend_timeout(2 * kDrainMax);
  core_->begin_drain();
}

// Everything acknowledged is in Redis already; only calls under way are waited for.
void Shell::stop_when_drained() {
  if (core_->settled() || now().steady >= drain_ends_at_) loop_.stop();
}

}  // namespace fanfare::broker
