#include "autoscaler/shell.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "autoscaler/exec_driver.h"
#include "autoscaler/systemd_driver.h"
#include "autoscaler/systemd_manager.h"
#include "base/daemon_metrics.h"
#include "base/process.h"

namespace fanfare::autoscaler {
namespace {

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

// What keeps workers from their work.
std::string in_words(const WorkerSet& workers, const std::string& unit) {
  std::string text;
  if (workers.failed > 0) text = fmt::format("{} workers do not stay up", workers.failed);
  if (workers.refused > 0) {
    text += fmt::format("{}{} cannot be started", text.empty() ? "" : ", ", workers.refused);
  }
  const std::string all = unit.substr(0, unit.find('@') + 1) + "*";
  return fmt::format(
      "{}; `systemctl status '{}'` says why. They are tried again in at most a minute", text, all);
}

}  // namespace

Result<std::unique_ptr<Shell>> Shell::start(Loop& loop, const Config& config) {
  const auto options = scaler_options(config);
  if (!options) return options.error();
  if (const auto fine = check_driver(config); !fine) return fine.error();
  auto redis = parse_redis_url(config.redis);
  if (!redis) return redis.error();
  std::unique_ptr<Shell> shell(new Shell(loop, config, *options));
  auto keys = broker_keys(config);
  if (!keys) return keys.error();
  auto client = client::Client::open(loop, shell->context_,
                                     {.broker = config.broker, .curve = *std::move(keys)});
  if (!client) return client.error();
  shell->client_ = *std::move(client);
  shell->redis_ = std::make_unique<RedisLink>(loop, *std::move(redis));
  shell->driver_ = shell->make_driver();
  if (!config.metrics.empty()) {
    auto server = MetricsServer::start(
        loop, config.metrics,
        {.metrics =
             [self = shell.get()] {
               MetricsText text;
               tell_daemon(text, "autoscaler", self->client_->connected());
               tell_scaling(text, self->metrics_, self->scaler_.options(),
                            self->loop_.now().steady);
               return text.take();
             },
         .ready = [self = shell.get()] { return self->client_->connected(); }});
    if (!server) return server.error();
    shell->metrics_server_ = *std::move(server);
  }
  shell->service_.keep_watchdog(loop);
  spdlog::info("{} to {} workers by {}{}", config.min, config.max, config.driver,
               config.dry_run ? "; dry run: nothing is changed" : "");
  shell->service_.ready("looking");
  shell->tick_.start_every(config.tick);
  shell->tick();
  return shell;
}

Shell::Shell(Loop& loop, Config config, const ScalerOptions& options)
    : loop_(loop),
      config_(std::move(config)),
      scaler_(options),
      history_(config_.driver, config_.dry_run, options),
      slots_(config_.slots),
      tick_(loop, [this] { tick(); }) {
  if (config_.name.empty()) config_.name = host_name();
  metrics_.decided = loop_.now().steady;
}

std::unique_ptr<Driver> Shell::make_driver() {
  if (config_.driver == "exec") {
    return std::make_unique<ExecDriver>(loop_, ExecOptions{.count = config_.count_command,
                                                           .scale = config_.scale_command,
                                                           .time = config_.command_time});
  }
  const auto boot = this_host_id();
  if (!boot) spdlog::warn("workers that go are stopped at once: {}", boot.error().message);
  return std::make_unique<SystemdDriver>(
      loop_, SystemdOptions{.prefix = config_.unit.substr(0, config_.unit.find('@') + 1),
                            .boot = boot ? *boot : std::string{},
                            .finish_time = config_.finish_time,
                            .connect = SystemdManager::connect,
                            .tell_broker = [this](const std::string& worker, bool quiet,
                                                  std::function<void(Result<void>)> done) {
                              tell_broker(worker, quiet, std::move(done));
                            }});
}

void Shell::tell_broker(const std::string& worker, bool quiet,
                        std::function<void(Result<void>)> done) {
  client_->admin(quiet ? "drain_worker" : "resume_worker",
                 nlohmann::json{{"worker", worker}}.dump(),
                 [done = std::move(done)](const Result<std::string>& answer) {
                   done(answer ? Result<void>{} : Result<void>{answer.error()});
                 });
}

// Who drains already is for Redis to say; it may come up later than this.
void Shell::tick() {
  if (busy_ || stopping_) return;
  busy_ = true;
  if (knows_drains_) return ask();
  redis_->call({"HGET", kStatusKey, config_.name}, [this](const RedisReply& reply) {
    knows_drains_ = !reply.lost() && !reply.is_error();
    if (knows_drains_ && !config_.dry_run) {
      driver_->adopt(drains_in(reply.text(), loop_.now().steady));
    }
    if (stopping_) return end_tick();
    ask();
  });
}

void Shell::ask() {
  client_->admin("status", "{}", [this](const Result<std::string>& status) { on_status(status); });
}

void Shell::on_status(const Result<std::string>& status) {
  if (!status)
    return fail(metrics_.failed_broker, "the broker does not tell how much there is to do",
                status.error());
  const auto view = broker_view_of(*status);
  if (!view) return fail(metrics_.failed_broker, "the broker's status", view.error());
  client_->admin("workers", "{}", [this, view = *view](const Result<std::string>& connected) {
    on_workers(view, connected);
  });
}

void Shell::on_workers(const BrokerView& view, const Result<std::string>& connected) {
  if (!connected) {
    return fail(metrics_.failed_broker, "the broker does not tell who is connected",
                connected.error());
  }
  const auto workers = connected_workers_of(*connected);
  if (!workers) return fail(metrics_.failed_broker, "the broker's workers", workers.error());
  driver_->count(*workers, [this, view](const Result<WorkerSet>& set) { on_count(view, set); });
}

void Shell::on_count(const BrokerView& view, const Result<WorkerSet>& workers) {
  if (!workers)
    return fail(metrics_.failed_driver, "the workers cannot be counted", workers.error());
  if (view.slots > 0) slots_ = view.slots;
  const Observation seen{.demand = view.demand,
                         .ready = workers->running,
                         .slots = slots_,
                         .elsewhere = workers->slots_elsewhere};
  const Decision decision = scaler_.decide(loop_.now().steady, seen);
  history_.decided(loop_.now().wall, seen, *workers, decision);
  metrics_.seen = seen;
  metrics_.workers = *workers;
  metrics_.decision = decision;
  metrics_.decided = loop_.now().steady;
  metrics_.decisions.note(decision, workers->running);
  spdlog::debug("{} workers, {} wanted: {}", workers->running, decision.desired, decision.reason);
  service_.status(fmt::format("{} workers, {} wanted", workers->running, decision.desired));
  if (stopping_) return end_tick();
  if (workers->failed > 0 || workers->refused > 0) note_trouble(in_words(*workers, config_.unit));
  const bool more_are_coming =
      decision.desired > workers->running && decision.desired <= workers->running + workers->failed;
  if (decision.desired == workers->running || more_are_coming) {
    told_.reset();
    return workers->drains.empty() ? end_tick() : look_after_drains(decision.desired);
  }
  change(*workers, decision);
}

void Shell::look_after_drains(std::uint32_t workers) {
  driver_->scale_to(workers, [this](const Result<std::string>& done) {
    if (!done) return fail(metrics_.failed_driver, "workers that go", done.error());
    if (!done->empty()) spdlog::info("{}", *done);
    end_tick();
  });
}

void Shell::change(const WorkerSet& workers, const Decision& decision) {
  Change change{.at = loop_.now().wall,
                .from = workers.running,
                .to = decision.desired,
                .reason = decision.reason,
                .outcome = "dry run"};
  if (config_.dry_run) {
    // Told once, and not with each tick, as nothing comes of it.
    if (told_ != decision.desired) {
      spdlog::info("{} workers should be {}: {}", change.from, change.to, change.reason);
      history_.changed(std::move(change));
    }
    told_ = decision.desired;
    return end_tick();
  }
  spdlog::info("{} workers become {}: {}", change.from, change.to, change.reason);
  ++(change.to > change.from ? metrics_.scaled_up : metrics_.scaled_down);
  driver_->scale_to(decision.desired, [this, change](const Result<std::string>& done) mutable {
    change.outcome = !done ? done.error().message : done->empty() ? "nothing to change" : *done;
    history_.changed(change);
    if (!done) return fail(metrics_.failed_driver, "the workers cannot be changed", done.error());
    spdlog::info("{}", change.outcome);
    end_tick();
  });
}

void Shell::fail(std::uint64_t& counter, const std::string& what, const Error& error) {
  ++counter;
  note_trouble(fmt::format("{}: {}", what, error.message));
  end_tick();
}

void Shell::note_trouble(const std::string& why) {
  if (trouble_.allow(loop_.now().steady)) spdlog::warn("{}", why);
  history_.failed(loop_.now().wall, why);
  service_.status(why);
}

void Shell::end_tick() {
  busy_ = false;
  if (stopping_) return say_goodbye();
  if (!knows_drains_) return;  // nothing is told over what is there and was not read
  redis_->call({"HSET", kStatusKey, config_.name, history_.to_json()}, [](const RedisReply&) {});
}

// The first lets a change that is under way come to its end; the second does not.
void Shell::on_signal(int) {
  if (std::exchange(stopping_, true)) return loop_.stop();
  tick_.stop();
  service_.stopping("workers stay as they are");
  spdlog::info("stopping; workers stay as they are");
  if (!busy_) return say_goodbye();
  service_.extend_timeout(2 * config_.command_time);
}

// Those with whom it goes no further are for whoever is started next.
void Shell::say_goodbye() {
  driver_->release([this](const std::vector<Drain>& left) {
    for (const Drain& drain : left) {
      spdlog::warn(
          "{} may still be quiet at the broker; once it is back: fanfare workers resume {}",
          drain.worker, drain.worker);
    }
    if (!left.empty() || !knows_drains_) return loop_.stop();
    redis_->call({"HDEL", kStatusKey, config_.name}, [this](const RedisReply&) { loop_.stop(); });
  });
}

}  // namespace fanfare::autoscaler
