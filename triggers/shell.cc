#include "triggers/shell.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "triggers/event_route.h"
#include "triggers/health_route.h"
#include "triggers/invoke_route.h"
#include "triggers/result_route.h"
#include "triggers/s3_route.h"
#include "triggers/topic_route.h"

namespace fanfare::triggers {

using namespace std::chrono_literals;

// As many calls of a bucket's disk as may be waited for at a time.
constexpr unsigned kDiskThreads = 2;
// How often it is looked whether the broker has answered for the first time, which is told once.
constexpr Duration kReadyLook = 5ms;
// What a disk may take for what waits for it when the gateway ends.
constexpr Duration kDiskPatience = 5s;

Result<std::unique_ptr<Shell>> Shell::start(Loop& loop, const Config& config,
                                            Definitions definitions) {
  if (const auto fine = check_exposure(config); !fine) return fine.error();
  if (const auto fine = check_bounds(config); !fine) return fine.error();
  auto redis = parse_redis_url(config.redis);
  if (!redis) return redis.error();
  std::unique_ptr<Shell> shell(new Shell(loop, config));
  auto keys = broker_keys(config);
  if (!keys) return keys.error();
  client::ClientOptions options{.broker = config.broker, .curve = *keys};
  options.publish.event_data_bytes_max = config.max_body_bytes;
  auto client = client::Client::open(loop, shell->context_, std::move(options));
  if (!client) return client.error();
  shell->client_ = *std::move(client);
  shell->reads_ = std::make_unique<store::Reads>(loop, *redis);
  shell->results_ = std::make_unique<ResultReader>(loop, *shell->reads_, *shell->client_);
  shell->scheduler_ = std::make_unique<Scheduler>(
      loop,
      SchedulerOptions{.redis = *std::move(redis), .declared = std::move(definitions.schedules)},
      [](const Error& error) { spdlog::error("schedules do not fire: {}", error.message); });
  if (const auto watched = shell->watch_buckets(definitions.buckets); !watched) {
    return watched.error();
  }
  shell->add_routes(std::move(definitions));
  auto server = HttpServer::start(
      loop, http_options(config),
      {.on_head = [gateway = &shell->gateway_](
                      const HttpExchange& exchange) { return gateway->on_head(exchange); },
       .on_request =
           [gateway = &shell->gateway_](const std::shared_ptr<HttpExchange>& exchange) {
             gateway->on_request(exchange);
           },
       .on_answered = [gateway = &shell->gateway_](
                          const HttpExchange* exchange, unsigned status,
                          Duration took) { gateway->on_answered(exchange, status, took); }});
  if (!server) return server.error();
  shell->server_ = *std::move(server);
  shell->service_.keep_watchdog(loop);
  const std::string at = fmt::format("{}:{}", config.listen.substr(0, config.listen.rfind(':')),
                                     shell->server_->port());
  spdlog::info("listening on {}://{}", config.certificate.empty() ? "http" : "https", at);
  shell->service_.ready("listening on " + at);
  shell->becoming_ready_.start_every(kReadyLook);
  return shell;
}

Shell::Shell(Loop& loop, const Config& config)
    : loop_(loop),
      config_(config),
      gateway_(access_options(config)),
      becoming_ready_(loop, [this] { look_whether_ready(); }),
      drain_(loop, [this] { look_whether_drained(); }) {}

// What waits for the disk is done, and what is not whole removed, while the loop is still there. A
// disk that hangs, as an NFS server's that is gone, would keep the process for good: then it ends
// here, and the next gateway removes what is left.
Shell::~Shell() {
  server_.reset();
  // With the same patience for all: what one takes the next one has had as well.
  const auto ends_at = std::chrono::steady_clock::now() + kDiskPatience;
  const bool stopped = std::ranges::all_of(disks_, [&](const auto& disk) {
    return disk->stop_within(std::max<Duration>(ends_at - std::chrono::steady_clock::now(), 0s));
  });
  if (stopped) return;
  spdlog::error("a bucket's disk has not answered for {}; what is not whole is left there",
                format_duration(kDiskPatience));
  spdlog::default_logger()->flush();
  ::_exit(1);
}

Result<void> Shell::watch_buckets(std::map<std::string, StorageBucketOptions> buckets) {
  std::erase_if(buckets, [](const auto& each) { return !each.second.watched; });
  if (buckets.empty()) return {};
  auto keys = broker_keys(config_);
  if (!keys) return keys.error();
  StorageWatcherOptions options{
      .broker = config_.broker, .state_directory = config_.state, .curve = *std::move(keys)};
  for (auto& [name, bucket] : buckets) {
    bucket.name = name;
    options.buckets.push_back(std::move(bucket));
  }
  auto storage = StorageThread::start(std::move(options));
  if (!storage) return storage.error();
  storage_ = *std::move(storage);
  return {};
}

// What a killed gateway has left in them is removed at once, and not when the next file comes.
FormFiles Shell::open_folders(const Definitions& definitions) {
  FormFiles files;
  for (const auto& [name, form] : definitions.forms) {
    if (form.bucket.empty() || files.contains(form.bucket)) continue;
    const auto& disk = disks_.emplace_back(std::make_shared<DiskThreads>(loop_, kDiskThreads));
    auto folder =
        std::make_shared<UploadFolder>(form.bucket, definitions.buckets.at(form.bucket).directory);
    files.emplace(form.bucket, FormBucket{.disk = disk, .folder = folder});
    disk->run(disk->new_lane(), [folder] {
      const auto opened = folder->open();
      if (!opened) spdlog::warn("forms cannot store files yet: {}", opened.error().message);
    });
  }
  return files;
}

void Shell::add_routes(Definitions definitions) {
  gateway_.add("events",
               std::make_unique<EventRoute>(*client_, published_["event"], config_.max_body_bytes));
  auto files = open_folders(definitions);
  auto forms = std::make_unique<FormRoute>(loop_, *client_, published_["form"],
                                           std::move(definitions.forms), std::move(files));
  forms_ = &forms->counters();
  gateway_.add("forms", std::move(forms));
  auto urls = std::make_unique<FunctionRoute>(loop_, *client_, access_options(config_),
                                              std::move(definitions.urls), config_.max_body_bytes);
  urls_ = &urls->counters();
  gateway_.add("functions", std::move(urls));
  gateway_.add("2015-03-31", std::make_unique<InvokeRoute>(*reads_, *client_, published_["invoke"],
                                                           config_.max_body_bytes));
  auto webhooks =
      std::make_unique<WebhookRoute>(loop_, *client_, published_["webhook"],
                                     std::move(definitions.webhooks), config_.max_body_bytes);
  webhooks_ = &webhooks->counters();
  gateway_.add("webhooks", std::move(webhooks));
  topics_declared_ =
      std::make_unique<TopicDeclaration>(loop_, *client_, to_declaration(definitions.topics));
  auto topics = std::make_unique<TopicRoute>(loop_, *client_, published_["topic"],
                                             std::move(definitions.topics), config_.max_body_bytes,
                                             [this] { return topics_declared_->settled(); });
  topics_ = &topics->counters();
  gateway_.add("topics", std::move(topics));
  gateway_.add("storage",
               std::make_unique<S3Route>(*client_, published_["s3"], config_.max_body_bytes));
  gateway_.add("results", std::make_unique<ResultRoute>(*results_));
  using Word = HealthRoute::Word;
  gateway_.add("healthz", std::make_unique<HealthRoute>(true, [] { return Word{.text = "ok\n"}; }));
  gateway_.add("readyz", std::make_unique<HealthRoute>(true, [this] {
                 const bool good = ready();
                 return Word{.good = good, .text = good ? "ready\n" : "not ready\n"};
               }));
  gateway_.add("metrics", std::make_unique<HealthRoute>(false, [this] {
                 return Word{.text = metrics(),
                             .content_type = "text/plain; version=0.0.4; charset=utf-8"};
               }));
}

void Shell::on_signal(int) {
  if (draining_) return loop_.stop();
  draining_ = true;
  drain_ends_at_ = loop_.now().steady + config_.drain;
  service_.stopping("answering what is under way");
  service_.extend_timeout(config_.drain + 2 * kDiskPatience);
  spdlog::info("stopping: {} connections are open", server_->connections());
  server_->begin_drain();
  if (storage_) storage_->begin_stop();
  drain_.start_every(10ms);
}

bool Shell::ready() const {
  return client_->connected() && topics_declared_->settled() && !draining_;
}

// `fanfare up` waits for this line.
void Shell::look_whether_ready() {
  if (!ready()) return;
  becoming_ready_.stop();
  spdlog::info("ready: the broker takes events");
}

void Shell::look_whether_drained() {
  const bool late = loop_.now().steady >= drain_ends_at_;
  const bool watching = storage_ && !storage_->stopped();
  if ((server_->connections() > 0 || watching) && !late) return;
  if (late) spdlog::warn("{} connections are cut off", server_->connections());
  loop_.stop();
}

}  // namespace fanfare::triggers
