#include "tests/integration/installation.h"

#include <fmt/format.h>
#include <future>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "base/sha256.h"
#include "cli/deploy.h"
#include "cli/results.h"
#include "protocol/package.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

template <typename T>
T value_or_throw(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

}  // namespace

bool eventually(const std::function<bool()>& done, Duration at_most) {
  const auto give_up_at = std::chrono::steady_clock::now() + at_most;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= give_up_at) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

Process::Process(std::vector<std::string> command, Environment environment, std::string log_file) {
  auto child = cli::Child::start(loop_,
                                 {.name = fs::path(command.front()).filename(),
                                  .command = command,
                                  .environment = std::move(environment),
                                  .log_file = std::move(log_file)},
                                 [this](const cli::ChildEnd& end) { end_ = end; });
  child_ = value_or_throw(std::move(child));
}

void Process::kill_hard() {
  child_->send_signal(SIGKILL);
  if (!wait_end(20s)) throw std::runtime_error("a killed process does not end");
}

std::optional<int> Process::wait_end(Duration at_most) {
  loop_.run_until([this] { return end_.has_value(); }, at_most);
  if (!end_) return std::nullopt;
  return end_->exit_code;
}

Installation::Installation(InstallationOptions options)
    : durability_(std::move(options.durability)),
      broker_environment_(std::move(options.broker)),
      worker_environment_(std::move(options.worker)),
      redis_(std::move(options.redis)) {
  client::ClientOptions client;
  client.broker = endpoint();
  client.connect_timeout = 500ms;
  client_ = value_or_throw(client::BlockingClient::open(std::move(client)));
  start_broker();
  if (!eventually([this] { return broker_answers(0); })) {
    throw std::runtime_error("the broker does not answer\n" + logs());
  }
  start_worker();
  if (!eventually([this] { return broker_answers(1); })) {
    throw std::runtime_error("the worker does not join\n" + logs());
  }
}

Installation::~Installation() {
  client_.reset();
  if (worker_ && worker_->running()) {
    ::kill(worker_->pid(), SIGTERM);  // so that it takes its memory cgroups along
    worker_->wait_end(5s);
  }
}

std::string Installation::logs() const {
  std::string text;
  for (const char* name : {"broker.log", "worker.log"}) {
    text += fmt::format("--- {}\n{}\n", name, cli::last_lines(file(name), 15));
  }
  return text;
}

void Installation::start_broker() {
  Process::Environment environment{{"FANFARE_BROKER_ENDPOINT", endpoint()},
                                   {"FANFARE_BROKER_REDIS", "unix://" + redis_.socket_path()},
                                   {"FANFARE_BROKER_DURABILITY", durability_}};
  environment.insert(environment.end(), broker_environment_.begin(), broker_environment_.end());
  broker_ = std::make_unique<Process>(std::vector<std::string>{FANFARE_BIN_DIR "/fanfare-broker"},
                                      std::move(environment), file("broker.log"));
}

void Installation::start_worker() {
  worker_ = launch_worker("tested");
}

std::unique_ptr<Process> Installation::start_another_worker(const std::string& name,
                                                            const Process::Environment& more) {
  auto worker = launch_worker(name, more);
  if (!eventually([this] { return broker_answers(2); })) {
    throw std::runtime_error("another worker does not join\n" + logs());
  }
  return worker;
}

std::unique_ptr<Process> Installation::launch_worker(const std::string& name,
                                                     const Process::Environment& more) {
  Process::Environment environment{{"FANFARE_WORKER_NAME", name},
                                   {"FANFARE_WORKER_BROKER", endpoint()},
                                   {"FANFARE_WORKER_REDIS", "unix://" + redis_.socket_path()},
                                   {"FANFARE_WORKER_CACHE_DIR", file("cache-" + name)},
                                   {"FANFARE_WORKER_GRACE", "1s"},
                                   {"FANFARE_WORKER_SLOTS", "4"}};
  for (const auto& [variable, value] : worker_environment_) {
    std::erase_if(environment, [&](const auto& one) { return one.first == variable; });
    environment.emplace_back(variable, value);
  }
  environment.insert(environment.end(), more.begin(), more.end());
  return std::make_unique<Process>(
      std::vector<std::string>{FANFARE_BIN_DIR "/fanfare-worker"}, std::move(environment),
      file(name == "tested" ? "worker.log" : "worker-" + name + ".log"));
}

bool Installation::broker_answers(std::size_t workers) {
  const auto answer = client_->admin("status", "{}");
  if (!answer) return false;
  const auto status = nlohmann::json::parse(*answer, nullptr, /*allow_exceptions=*/false);
  return status.is_object() && status["workers"].size() >= workers;
}

void Installation::deploy(const std::string& folder, const std::string& more_manifest) {
  const std::string path = FANFARE_BINARY_DIR "/" + folder;
  const std::string name = fs::path(folder).filename();
  cli::Checked checked;
  checked.name = name;
  checked.manifest_toml = fmt::format(
      "name = \"{0}\"\nhandler = \"{0}.so\"\n{1}\n[[on]]\npattern = '{{\"type\": [\"{0}\"]}}'\n",
      name, more_manifest);
  checked.package = value_or_throw(protocol::pack_directory(path));
  checked.digest = sha256_hex(checked.package);
  auto redis = value_or_throw(RedisSync::connect(redis_.options()));
  value_or_throw(cli::deploy_function(checked, redis, *client_));
}

protocol::EventId Installation::publish(const std::string& type, const std::string& data) {
  return publish_all(type, {data}).front();
}

std::vector<protocol::EventId> Installation::publish_all(const std::string& type,
                                                         const std::vector<std::string>& data) {
  protocol::Event event;
  event.source = "/tests";
  event.type = type;
  event.content_type = "text/plain";
  std::vector<std::future<Result<client::Receipt>>> futures;
  for (const std::string& one : data) {
    event.data = one;
    futures.push_back(client_->publish(event));
  }
  std::vector<protocol::EventId> ids;
  for (auto& future : futures) ids.push_back(value_or_throw(future.get()).id);
  return ids;
}

protocol::ResultRecord Installation::result(const std::string& function,
                                            const protocol::EventId& id, Duration at_most) {
  auto redis = value_or_throw(RedisSync::connect(redis_.options()));
  std::optional<protocol::ResultRecord> record;
  eventually(
      [&] {
        record = value_or_throw(cli::read_result(redis, function, id));
        return record.has_value();
      },
      at_most);
  if (!record) {
    throw std::runtime_error(
        fmt::format("{} has no result of {}\n{}", function, protocol::to_string(id), logs()));
  }
  return *std::move(record);
}

std::vector<pid_t> Installation::children_of_worker() const {
  std::vector<pid_t> pids;
  const pid_t worker = worker_->pid();
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", worker));
  for (pid_t pid = 0; children >> pid;) pids.push_back(pid);
  return pids;
}

}  // namespace fanfare::test
