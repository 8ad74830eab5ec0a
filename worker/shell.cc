#include "worker/shell.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/daemon.h"
#include "base/daemon_metrics.h"
#include "store/redis_store.h"
#include "worker/broker_store.h"
#include "worker/log_lines.h"
#include "worker/metrics.h"
#include "worker/package_source.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;

// Of a drain, beyond its grace: for what is killed then to end, and for results to be committed.
constexpr Duration kDrainSlack = 15s;
constexpr std::size_t kOutboxMax = 10'000;  // frames; the core's own limits keep it far below

// Nothing is made for a log that does not take it.
CoreOptions::Reports reports_of(const Config& config) {
  using Reports = CoreOptions::Reports;
  if (!spdlog::should_log(spdlog::level::info) || config.reports == "none") return Reports::kNone;
  return config.reports == "failures" ? Reports::kFailures : Reports::kAll;
}

void tell_door(MetricsText& text, const LocalDoor* door) {
  const LocalDoor::Counters c = door ? door->counters() : LocalDoor::Counters{};
  text.gauge("fanfare_worker_local_connections", "Clients on this host that are connected here.")
      .add({}, door ? door->connections() : 0);
  text.counter("fanfare_worker_local_refused_total", "What they were refused, by reason.")
      .add({{"reason", "connection"}}, c.refused)
      .add({{"reason", "malformed"}}, c.malformed)
      .add({{"reason", "full"}}, c.full);
}

}  // namespace

Result<std::unique_ptr<Shell>> Shell::start(Loop& loop, Config config) {
  raise_file_limit();  // each instance takes half a dozen descriptors
  auto keys = broker_keys(config);
  if (!keys) return keys.error();
  auto options = core_options(config);
  if (!options) return options.error();
  auto tracepoint = protocol::trace_to(config.trace, "worker");
  if (!tracepoint) return tracepoint.error();
  options->tracepoint = *std::move(tracepoint);
  std::optional<RedisOptions> redis;
  if (config.redis != kByBroker) {
    auto parsed = parse_redis_url(config.redis);
    if (!parsed) return parsed.error();
    redis = *std::move(parsed);
  }
  auto run_as = find_user(config.run_as);
  if (!run_as) return run_as.error();
  std::unique_ptr<Shell> shell(new Shell(loop, std::move(config), *std::move(options),
                                         std::move(redis), *run_as, *std::move(keys)));
  if (auto prepared = shell->packages_->prepare(); !prepared) return prepared.error();
  if (auto connected = shell->link_->connect(shell->config_.broker); !connected) {
    return connected.error();
  }
  if (auto serving = shell->serve_metrics(); !serving) return serving.error();
  return shell;
}

Shell::Shell(Loop& loop, Config config, CoreOptions options, std::optional<RedisOptions> redis,
             RunAs run_as, std::shared_ptr<const CurveClient> keys)
    : loop_(loop),
      config_(std::move(config)),
      keys_(std::move(keys)),
      tick_(loop, [] {}),  // the turn it makes is all that is needed
      housekeeping_(loop,
                    [this] {
                      processes_->housekeeping();
                      say_unreachable();
                      say_fenced();
                    }),
      started_at_(loop.now().steady),
      idle_memory_(loop, [this] { return work_done(); }, {}) {
  redis ? reach_redis(*redis) : reach_redis_by_broker();
  ZmqOptions to_broker = options_to(config_.broker, keys_);
  to_broker.message_bytes_max = static_cast<std::int64_t>(protocol::kMessageBytesMax);
  link_ = std::make_unique<EndpointLink>(
      loop_, context_, to_broker,
      EndpointLink::Handlers{.on_message =
                                 [this](std::string_view frame) {
                                   if (relay_ && relay_->on_frame(frame, loop_.now().steady))
                                     return;
                                   core_->on_frame(frame, loop_.now());
                                 },
                             .on_connected =
                                 [this] {
                                   outbox_.clear();  // of the connection before
                                   core_->on_connected(loop_.now());
                                 },
                             .on_disconnected =
                                 [this] {
                                   outbox_.clear();
                                   core_->on_disconnected(loop_.now());
                                   if (relay_) relay_->on_session(0, {});
                                 },
                             .on_writable = [this] { write_outbox(); },
                             .on_malformed = [this] { core_->on_not_one_frame(); },
                             .on_refused =
                                 [this](ConnectRefusal why) {
                                   const std::string line =
                                       explain(why, config_.broker, keys_.get());
                                   if (line.empty() || !refusal_log_.allow(loop_.now().steady))
                                     return;
                                   spdlog::warn("{}; trying again", line);
                                 }});
  Effects& effects = *this;
  core_ = std::make_unique<Core>(std::move(options), effects, loop_.now());
  core_->want_reports(reports_of(config_));
  processes_ =
      std::make_unique<Processes>(loop_, *core_,
                                  Processes::Options{config_.instance, run_as.uid, run_as.gid,
                                                     config_.storage_dir, config_.protections});
  turn_hook_ = loop_.before_wait([this] { turn(); });
  lines_hook_ = loop_.before_wait([this] { write_lines(); }, Loop::HookOrder::kWrite);
  housekeeping_.start_every(config_.housekeeping_every);
  service_.keep_watchdog(loop_);
  spdlog::info("worker {} with {} slots, memory limited by {}", config_.name, config_.slots,
               processes_->describe_limits());
}

Shell::~Shell() {
  write_lines();
}

void Shell::reach_redis(const RedisOptions& redis) {
  packages_ = std::make_unique<PackageCache>(config_.cache_dir, packages_in_redis(loop_, redis));
  store_ = std::make_unique<store::RedisStore>(
      loop_, redis,
      store::RedisStore::Hooks{.on_ready =
                                   [this] {
                                     redis_up_ = true;
                                     spdlog::info("connected to Redis");
                                   },
                               .on_down =
                                   [this](const Error& error) {
                                     redis_up_ = false;
                                     if (!redis_log_.allow(loop_.now().steady)) return;
                                     spdlog::warn("Redis: {}; results wait for it, trying again",
                                                  error.message);
                                   }});
}

void Shell::reach_redis_by_broker() {
  relay_ = std::make_unique<Relay>([this](std::string frame) { send(std::move(frame)); },
                                   config_.protections.repeat_relayed);
  packages_ = std::make_unique<PackageCache>(config_.cache_dir,
                                             std::make_unique<PackagesAtBroker>(*relay_));
  store_ = std::make_unique<BrokerStore>(*relay_);
}

Result<void> Shell::serve_metrics() {
  const auto address = metrics_address(config_);
  if (!address) return address.error();
  if (!config_.metrics.empty() && address->empty()) {
    spdlog::warn(
        "no metrics: '{}' is no number to be added to the port of [worker] metrics; give this "
        "worker a port of its own in FANFARE_WORKER_METRICS, and an empty FANFARE_WORKER_NUMBER",
        config_.number);
  }
  if (address->empty()) return {};
  auto server = MetricsServer::start(
      loop_, *address,
      {.metrics = [this] { return metrics_page(); }, .ready = [this] { return ready(); }});
  if (!server) return server.error();
  metrics_ = *std::move(server);
  return {};
}

std::string Shell::metrics_page() {
  MetricsText text;
  tell_daemon(text, "worker", ready());
  tell_core(text, *core_, [this](InstanceId id) { return processes_->peak_memory_bytes(id); });
  text.gauge("fanfare_worker_redis_up",
             "1 while the worker is connected to its Redis, or to a broker that relays to it.")
      .add({}, (relay_ ? core_->joined() && !core_->lacks_relay() : redis_up_) ? 1 : 0);
  tell_door(text, door_.get());
  return text.take();
}

// It takes work: what /readyz says.
bool Shell::ready() const {
  return core_->joined() && !core_->draining() && !core_->lacks_relay();
}

void Shell::turn() {
  const Now& now = loop_.now();
  if (relay_) relay_->tick(now.steady);
  core_->tick(now);
  core_->flush(now);
  if (relay_) {
    relay_->on_session(core_->session(), core_->relay_terms());
    relay_->flush(now.steady);
  }
  if (core_->joined() != was_joined_) {
    was_joined_ = core_->joined();
    if (was_joined_) {
      spdlog::info("joined the broker at {}", config_.broker);
      service_.ready(fmt::format("working for {}", config_.broker));
      open_door();
    } else if (!core_->draining()) {
      spdlog::warn("lost the broker at {}; what is here goes on", config_.broker);
    }
  }
  if (core_->finished() && !std::exchange(said_stopped_, true)) {
    const Counters& c = core_->counters();
    spdlog::info(
        "stopped; {} attempts succeeded, {} failed, {} were handed back, {} cancelled; {} results "
        "were refused by Redis and kept, {} attempts are not metered",
        c.attempts_ok, c.attempts_failed, c.attempts_drained, c.attempts_cancelled,
        c.commits_refused, core_->unmetered());
    loop_.stop();
  }
  arm_tick();
}

// Set again only to ring earlier: setting a timer anew is a turn of the loop by itself.
// Another number whenever deliveries came or ended.
std::uint64_t Shell::work_done() const {
  if (!core_) return 0;
  const Counters& c = core_->counters();
  return c.delivered + c.committed + c.attempts_ok + c.attempts_failed + c.invokes + c.row_reads;
}

void Shell::arm_tick() {
  const Now& now = loop_.now();
  TimePoint wanted = now.steady + core_->until_next_tick(now);
  if (relay_) wanted = std::clamp(relay_->next_tick(), now.steady, wanted);
  if (tick_.running() && tick_at_ <= wanted) return;
  tick_at_ = wanted;
  tick_.start_after(wanted - now.steady);
}

// Not before the broker's own socket is there, for it says who may connect. Without the door all
// calls pass the broker.
void Shell::open_door() {
  if (door_) return door_->renew_rights();
  if (!config_.local || !protocol::local_place(config_.broker).any()) return;
  auto door =
      LocalDoor::open(loop_, config_.broker,
                      {.on_invoke =
                           [this](CallerId caller, protocol::Invoke message) {
                             core_->on_call(caller, std::move(message), loop_.now());
                           },
                       .on_gone = [this](CallerId caller) { core_->on_caller_gone(caller); }});
  if (door) {
    door_ = *std::move(door);
    return spdlog::info("callers on this host are served at {}", door_->path());
  }
  if (!std::exchange(door_tried_, true)) {
    spdlog::info("callers on this host pass the broker: {}", door.error().message);
  }
}

void Shell::say_unreachable() {
  const Now& now = loop_.now();
  if (core_->lacks_relay()) {
    if (!broker_log_.allow(now.steady)) return;
    return spdlog::error(
        "the broker at {} is of an older build that passes nothing on to Redis, so this worker "
        "takes "
        "no work; install the newer broker, or give [worker] redis the address of Redis",
        config_.broker);
  }
  if (core_->joined() || core_->draining() || now.steady - started_at_ < 2s) return;
  if (!broker_log_.allow(now.steady)) return;
  spdlog::warn("no answer from a broker at {}; is it running? trying again", config_.broker);
}

// As when this worker was cut off beyond its lease. Nothing is wrong with it, or with the results.
void Shell::say_fenced() {
  const std::uint64_t fenced = core_->counters().commits_fenced;
  if (fenced == fenced_said_) return;
  spdlog::info("{} results came too late: other attempts had ended their deliveries",
               fenced - std::exchange(fenced_said_, fenced));
}

// ---- effects ----

void Shell::send(std::string frame) {
  if (outbox_.empty()) {
    const auto sent = link_->send(std::move(frame));
    if (sent) return;
    if (sent.error().kind != ErrorKind::kRetryLater) return warn(sent.error().message);
  }
  if (outbox_.size() >= kOutboxMax) outbox_.pop_front();
  // NOLINTNEXTLINE(bugprone-use-after-move): a send that failed has left it as it was
  outbox_.push_back(std::move(frame));
}

void Shell::write_outbox() {
  while (!outbox_.empty()) {
    const auto sent = link_->send(std::move(outbox_.front()));
    if (!sent && sent.error().kind == ErrorKind::kRetryLater) return;
    outbox_.pop_front();
  }
}

bool Shell::start_zygote(ZygoteId zygote, const protocol::FunctionSpec& spec,
                         const protocol::Manifest& manifest) {
  if (const std::string folder = packages_->find(spec.digest); !folder.empty()) {
    const auto started = processes_->start_zygote(zygote, manifest, folder);
    if (started) return true;
    loop_.post([this, zygote, error = started.error()] { zygote_failed(zygote, error); });
    return false;
  }
  preparing_[zygote] = manifest;  // not here, or not as it should be
  packages_->fetch(spec.digest, [this, zygote](const Result<std::string>& folder) {
    auto node = preparing_.extract(zygote);
    if (node.empty()) return;  // stopped meanwhile
    if (!folder) return zygote_failed(zygote, folder.error());
    const auto started = processes_->start_zygote(zygote, node.mapped(), *folder);
    if (!started) return zygote_failed(zygote, started.error());
    core_->on_zygote_started(zygote, loop_.now());
  });
  return false;
}

void Shell::zygote_failed(ZygoteId zygote, const Error& error) {
  core_->on_zygote_failed(
      zygote,
      {.type = "StartFailed", .message = error.message, .retryable = true, .retry_after_ms = {}},
      {}, loop_.now());
}

void Shell::stop_zygote(ZygoteId zygote) {
  preparing_.erase(zygote);
  processes_->stop_zygote(zygote);
}

std::string Shell::printed_by(ZygoteId zygote) {
  return processes_->printed_by(zygote);
}

bool Shell::fork(ZygoteId zygote, InstanceId instance) {
  return processes_->fork(zygote, instance);
}

Result<InstanceHandle::Sent> Shell::run(InstanceId instance, std::span<const Item> items) {
  return processes_->run(instance, items);
}

std::optional<InstanceHandle::Running> Shell::running(InstanceId instance) {
  return processes_->running(instance);
}

std::vector<InstanceHandle::Kept> Shell::recall(InstanceId instance) {
  return processes_->recall(instance);
}

std::optional<Progress> Shell::progress(InstanceId instance) {
  return processes_->progress(instance);
}

void Shell::kill(InstanceId instance, int signal) {
  processes_->kill(instance, signal);
}

void Shell::commit(CommitId id, const store::Commit& call) {
  store_->call(call, [this, id](Result<store::Answer> answer) {
    if (!answer) return core_->on_commit_failed(id, answer.error(), loop_.now());
    if (const auto* committed = std::get_if<store::Committed>(&*answer)) {
      return core_->on_commit_answer(id, *committed, loop_.now());
    }
    core_->on_commit_failed(id, reject("Redis answered a commit with something else"), loop_.now());
  });
}

std::optional<InstanceHandle::Output> Shell::output(InstanceId instance) {
  return processes_->output(instance);
}

void Shell::meter(const store::Meter& call) {
  store_->call(call, [this](const Result<store::Answer>& answer) {
    if (!answer) return core_->on_meter_failed(answer.error(), loop_.now());
    core_->on_meter_answer(loop_.now());
  });
}

void Shell::read_rows(ReadId id, store::Call call) {
  store_->call(std::move(call), [this, id](Result<store::Answer> answer) {
    core_->on_rows(id, std::move(answer), loop_.now());
  });
}

void Shell::give_rows(InstanceId instance, std::uint64_t number, const Result<store::Rows>& rows) {
  processes_->give_rows(instance, number, rows);
}

void Shell::give_invoked(InstanceId instance, std::uint64_t number, const InvokeAnswer& answer) {
  processes_->give_invoked(instance, number, answer);
  loop_.expect_soon();  // the next one, from who invokes in turns, or its result
}

void Shell::answer_caller(CallerId caller, std::uint64_t request, std::string frame) {
  door_->answer(caller, request, std::move(frame));
}

void Shell::report(const AttemptReport& report) {
  later_lines_.emplace_back(report_line(report),
                            log_takes_fields() ? report_fields(report) : std::string{});
}

void Shell::print(const OutputLine& line) {
  later_lines_.emplace_back(output_line(line),
                            log_takes_fields() ? output_fields(line) : std::string{});
}

void Shell::say_left_out(const LeftOut& left_out) {
  later_lines_.emplace_back(left_out_line(left_out),
                            log_takes_fields() ? left_out_fields(left_out) : std::string{});
}

// Whoever waits for what the turn has brought is told first: a line takes as long as a hop.
void Shell::write_lines() {
  for (const auto& [line, fields] : later_lines_) log_with_fields(line, fields);
  later_lines_.clear();
}

void Shell::warn(std::string_view line) {
  const auto swallowed = warn_log_.allow(loop_.now().steady);
  if (!swallowed) return;
  spdlog::warn("{}{}", line,
               *swallowed > 0 ? fmt::format(" ({} other warnings not shown)", *swallowed) : "");
}

// ---- signals ----

void Shell::on_signal(int) {
  const Now& now = loop_.now();
  switch (++stop_signals_) {
    case 1:
      spdlog::info("stopping: no new work; {} deliveries here, what runs has {}", core_->held(),
                   format_duration(config_.grace));
      service_.stopping("finishing what runs");
      service_.extend_timeout(config_.grace + kDrainSlack);
      if (door_) door_->stop_listening();
      return core_->begin_drain(now);
    case 2:
      spdlog::warn("stopping at once: what runs is ended and handed back");
      return core_->stop_at_once(now);
    default:
      loop_.stop();
  }
}

void Shell::set_log_level(const std::string& level) {
  spdlog::set_level(spdlog::level::from_str(level));
  core_->want_reports(reports_of(config_));
  spdlog::info("log level is {} now", level);
}

}  // namespace fanfare::worker
