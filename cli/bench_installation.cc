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

// Named like the folder, as deploy_as() wants it.
Result<Checked> checked_builtin(const std::string& builtin) {
  const auto folder = folder_of(builtin);
  if (!folder) return folder.error();
  auto checked = check_function(*folder);
  if (checked) checked->name = builtin;
  return checked;
}

std::string subscription_to(const std::string& type) {
  return fmt::format("[[on]]\npattern = '{{\"type\": [\"{}\"]}}'\n", type);
}

constexpr std::uint32_t kSubscriptionsEach = 100;  // as many as a manifest may have

}  // namespace

std::string bench_function(std::uint32_t number) {
  return number == 0 ? kBenchFunction : fmt::format("{}-{}", kBenchFunction, number + 1);
}

std::string bench_type(std::uint32_t number) {
  return number == 0 ? kBenchType : fmt::format("{}.{}", kBenchType, number + 1);
}

Result<std::unique_ptr<BenchInstallation>> BenchInstallation::open(const Common& common,
                                                                   const BenchCommand& command) {
  std::unique_ptr<BenchInstallation> bench(new BenchInstallation);
  Address address = common.address;
  if (!names_installation(address)) {
    if (auto started = bench->start_temporary(command); !started) return started.error();
    address.data = bench->temporary_;
  } else if (!command.durability.empty()) {
    return durability_of_a_named_one(address);
  } else if (command.queued > 0 || command.workers > 1 || command.hops) {
    return fatal(
        "--queued, --workers and --hops are for a temporary installation; name none, and run `env "
        "-u "
        "FANFARE_DATA fanfare bench …` if FANFARE_DATA is set");
  }
  if (auto connected = bench->connect(address); !connected) return connected.error();
  return bench;
}

Result<void> BenchInstallation::start_temporary(const BenchCommand& command) {
  const std::string durability = command.durability.empty() ? "fsync" : command.durability;
  std::string directory = "/var/tmp/fanfare-bench-XXXXXX";
  if (!mkdtemp(directory.data()))
    return fatal(fmt::format("{}: {}", directory, std::strerror(errno)));
  temporary_ = directory;
  const std::string log = directory + "/up.log";
  std::error_code error;
  std::vector<std::pair<std::string, std::string>> environment;
  if (command.hops) {
    fs::create_directory(trace_folder(), error);
    environment = {{"FANFARE_BROKER_TRACE", trace_folder()},
                   {"FANFARE_WORKER_TRACE", trace_folder()}};
  }
  const ChildSpec spec{.name = "installation",
                       .command = {fs::read_symlink("/proc/self/exe", error).string(), "--data",
                                   directory, "up", "--durability", durability, "--workers",
                                   std::to_string(command.workers), "--no-examples", "--no-http"},
                       .environment = environment,
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

Result<void> BenchInstallation::deploy(const BenchCommand& command,
                                       const std::string& more_manifest) {
  const auto noop = checked_builtin("noop");
  if (!noop) return noop.error();
  for (std::uint32_t i = 0; i < command.functions; ++i) {
    const std::string manifest = fmt::format("{}\n{}[result]\nttl = \"10m\"\n", more_manifest,
                                             subscription_to(bench_type(i)));
    if (auto done = deploy_as(*noop, bench_function(i), manifest); !done) return done;
  }
  return deploy_subscribers(*noop, command.subscriptions);
}

Result<void> BenchInstallation::deploy_subscribers(const Checked& noop,
                                                   std::uint32_t subscriptions) {
  std::uint32_t made = 0;
  for (int number = 1; made < subscriptions; ++number) {
    std::string manifest;
    for (std::uint32_t i = 0; i < kSubscriptionsEach && made < subscriptions; ++i) {
      manifest += subscription_to(fmt::format("{}.other.{}", kBenchType, ++made));
    }
    auto done = deploy_as(noop, fmt::format("{}-subscriber-{}", kBenchFunction, number), manifest);
    if (!done) return done;
  }
  return {};
}

Result<void> BenchInstallation::deploy_waiting() {
  const auto noop = checked_builtin("noop");
  if (!noop) return noop.error();
  if (auto done = deploy_as(*noop, kBenchWaiting, subscription_to(kBenchWaiting)); !done) {
    return done;
  }
  return tell("pause", kBenchWaiting);
}

Result<void> BenchInstallation::deploy_caller() {
  const auto relay = checked_builtin("relay");
  if (!relay) return relay.error();
  return deploy_as(*relay, kBenchCaller, "");
}

Result<void> BenchInstallation::deploy_as(Checked builtin, const std::string& name,
                                          const std::string& more_manifest) {
  builtin.manifest_toml =
      fmt::format("name = \"{}\"\nhandler = \"{}.so\"\n{}", name, builtin.name, more_manifest);
  builtin.name = name;
  const auto deployed = deploy_function(builtin, *redis_, *client_);
  if (!deployed) return deployed.error();
  deployed_.push_back(name);
  return {};
}

Result<void> BenchInstallation::tell(const char* verb, const std::string& function) {
  const auto answer = client_->admin(verb, nlohmann::json{{"name", function}}.dump());
  if (!answer) return answer.error();
  return {};
}

Result<std::int64_t> BenchInstallation::succeeded(const std::string& function) {
  const auto reply = redis_->call({"HGET", store::counts_key(function), "succeeded"});
  if (!reply) return reply.error();
  return store::parse_number<std::int64_t>((*reply)->text()).value_or(0);
}

Result<void> BenchInstallation::wait_succeeded(std::int64_t count, const std::string& function) {
  std::int64_t last = -1;
  auto moved = std::chrono::steady_clock::now();
  for (;;) {
    const auto now = succeeded(function);
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
