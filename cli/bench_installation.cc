#include "cli/bench_installation.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/deploy.h"
#include "store/bytes.h"
#include "store/keys.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// --durability was given although an installation was named: by what, and what to do.
Error durability_of_a_named_one(const Address& address) {
  const char* named = !address.data.empty() ? "--data" : "--broker";
  if (address.data.empty() && address.broker.empty()) {
    return fatal(
        "--durability is for a temporary installation, but FANFARE_DATA names one, which has its "
        "own; to measure a temporary one, run `env -u FANFARE_DATA fanfare bench …`");
  }
  return fatal(
      fmt::format("--durability is for a temporary installation, but {} names one, which has its "
                  "own; leave out one of the two",
                  named));
}

Result<std::string> folder_of(const std::string& builtin) {
  for (const auto& folder : shipped_functions("builtin")) {
    if (fs::path(folder).filename() == builtin) return folder;
  }
  return fatal(
      fmt::format("the built-in function `{}` is missing; it belongs to this package", builtin));
}

}  // namespace

Result<std::unique_ptr<BenchInstallation>> BenchInstallation::open(const Common& common,
                                                                   const BenchCommand& command) {
  std::unique_ptr<BenchInstallation> bench(new BenchInstallation);
  Address address = common.address;
  if (!names_installation(address)) {
    const std::string durability = command.durability.empty() ? "fsync" : command.durability;
    if (auto started = bench->start_temporary(durability); !started) return started.error();
    address.data = bench->temporary_;
  } else if (!command.durability.empty()) {
    return durability_of_a_named_one(address);
  }
  if (auto connected = bench->connect(address); !connected) return connected.error();
  return bench;
}

Result<void> BenchInstallation::start_temporary(const std::string& durability) {
  std::string directory = "/var/tmp/fanfare-bench-XXXXXX";
  if (!mkdtemp(directory.data()))
    return fatal(fmt::format("{}: {}", directory, std::strerror(errno)));
  temporary_ = directory;
  const std::string log = directory + "/up.log";
  std::error_code error;
  const ChildSpec spec{
      .name = "installation",
      .command = {fs::read_symlink("/proc/self/exe", error).string(), "--data", directory, "up",
                  "--durability", durability, "--no-examples", "--no-http"},
      .environment = {},
      .log_file = log,
      .death_signal = SIGTERM};
  auto child = Child::start(loop_, spec, [](const ChildEnd&) {});
  if (!child) return child.error();
  up_ = *std::move(child);
  Timer poll(loop_, [] {});
  poll.start_every(10ms);
  bool ready = false;
  loop_.run_until(
      [&] {
        return !up_->running() ||
               (ready = read_file(log).find("fanfare: ready") != std::string::npos);
      },
      60s);
  if (ready) return {};
  return fatal(fmt::format("the temporary installation does not start:\n{}", last_lines(log, 10)));
}

Result<void> BenchInstallation::connect(const Address& address) {
  auto options = client_options(address);
  if (!options) return options.error();
  broker_ = *std::move(options);
  auto client = connect_broker(address);
  if (!client) return client.error();
  client_ = *std::move(client);
  auto redis = connect_redis(address);
  if (!redis) return redis.error();
  redis_ = std::make_unique<RedisSync>(*std::move(redis));
  const auto answer = client_->admin("status", "{}");
  if (!answer) return answer.error();
  const auto status = nlohmann::json::parse(*answer, nullptr, /*allow_exceptions=*/false);
  if (status.is_object() && status.contains("broker")) {
    durability_ = status["broker"].value("durability", "");
  }
  return {};
}

BenchInstallation::~BenchInstallation() {
  for (const std::string& name : deployed_) {
    // Nothing to do about a failure: the installation may be gone already.
    static_cast<void>(client_->admin("remove", nlohmann::json{{"name", name}}.dump()));
  }
  if (up_) {
    up_->send_signal(SIGTERM);
    loop_.run_until([this] { return !up_->running(); }, 30s);
  }
  std::error_code error;
  if (!temporary_.empty()) fs::remove_all(temporary_, error);
}

Result<void> BenchInstallation::deploy(const std::string& more_manifest) {
  return deploy_builtin(
      "noop", kBenchFunction,
      fmt::format("{}\n[[on]]\npattern = '{{\"type\": [\"{}\"]}}'\n[result]\nttl = \"10m\"\n",
                  more_manifest, kBenchType));
}

Result<void> BenchInstallation::deploy_caller() {
  return deploy_builtin("relay", kBenchCaller, "");
}

Result<void> BenchInstallation::deploy_builtin(const std::string& builtin, const std::string& name,
                                               const std::string& more_manifest) {
  const auto folder = folder_of(builtin);
  if (!folder) return folder.error();
  auto checked = check_function(*folder);
  if (!checked) return checked.error();
  checked->name = name;
  checked->manifest_toml =
      fmt::format("name = \"{}\"\nhandler = \"{}.so\"\n{}", name, builtin, more_manifest);
  const auto deployed = deploy_function(*checked, *redis_, *client_);
  if (!deployed) return deployed.error();
  deployed_.push_back(name);
  return {};
}

Result<std::int64_t> BenchInstallation::succeeded() {
  const auto reply = redis_->call({"HGET", store::counts_key(kBenchFunction), "succeeded"});
  if (!reply) return reply.error();
  return store::parse_number<std::int64_t>((*reply)->text()).value_or(0);
}

Result<void> BenchInstallation::wait_succeeded(std::int64_t count) {
  std::int64_t last = -1;
  auto moved = std::chrono::steady_clock::now();
  for (;;) {
    const auto now = succeeded();
    if (!now) return now.error();
    if (*now >= count) return {};
    if (*now != last) moved = std::chrono::steady_clock::now();
    last = *now;
    if (std::chrono::steady_clock::now() - moved > 20s) {
      return retry_later(
          fmt::format("stuck: {} of {} deliveries have succeeded, none for 20 s", *now, count));
    }
    std::this_thread::sleep_for(5ms);
  }
}

}  // namespace fanfare::cli
