#include "worker/config.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/process.h"
#include "protocol/ids.h"

namespace fanfare::worker {

using namespace std::chrono_literals;

ConfigSpec config_spec(Config& c) {
  ConfigSpec spec;
  spec.describe_section("worker", "fanfare-worker: runs functions and commits their results");
  spec.text("worker", "name", &c.name, "",
            "Unique among the broker's workers; empty = host name and process id.");
  spec.text("worker", "broker", &c.broker, "ipc:///run/fanfare/broker.ipc",
            "The broker's endpoint: ipc:///path, or tcp://host:port, which takes the next two.");
  spec.text("worker", "broker_key", &c.broker_key, "",
            "The public key of a broker elsewhere, or a file with it.");
  spec.text("worker", "curve_secret_key_file", &c.curve_secret_key_file, "",
            "File with this worker's secret key, made by `ops/keys add NAME --role worker`.");
  spec.text(
      "worker", "redis", &c.redis, "unix:///run/fanfare/redis.sock",
      "The Redis that results are committed to: unix:///path or redis://host:port. \"broker\": by\n"
      "way of the broker, for a worker on a host that has no way to Redis.");
  spec.text("worker", "cache_dir", &c.cache_dir, "/var/cache/fanfare",
            "Where packages of functions are unpacked; made if it is not there.");
  spec.text("worker", "storage_dir", &c.storage_dir, "",
            "Folder of buckets, which functions find as FANFARE_STORAGE; empty = none.");
  spec.text("worker", "instance", &c.instance, "",
            "Path of fanfare-instance; empty = beside this program.");
  spec.text("worker", "run_as", &c.run_as, "nobody",
            "User that instances become when the worker runs as root; empty = stay root.");
  spec.integer(
      "worker", "slots", &c.slots, 0,
      "Instances at once, at most; 0 = twice the cores. One more runs what is quick while all of\n"
      "them take long.",
      {.min = 0, .max = 1000});
  spec.duration("worker", "grace", &c.grace, "30s",
                "How long running attempts may take to end when the worker is stopped.",
                {.min = 0s, .max = 24h});
  spec.text("worker", "log_level", &c.log_level, "info", "trace, debug, info, warn, error or off.");
  spec.choice("worker", "log_format", &c.log_format, "text", "text or json.", {"text", "json"});
  spec.text("worker", "log_file", &c.log_file, "",
            "Where the log goes, for `fanfare logs` to read; empty = standard error.");
  spec.size("worker", "log_file_max", &c.log_file_max, "16MiB",
            "The log file becomes FILE.1 at this size and is begun anew; 0 = never.", {});
  spec.choice("worker", "reports", &c.reports, "all",
              "Which attempts get a line in the log: all, failures or none.",
              {"all", "failures", "none"});
  spec.integer(
      "worker", "forks_per_second", &c.forks_per_second, 0,
      "Instances begun per second at most, so that a storm of them leaves the processors to\n"
      "what runs already; 0: 1000 for each processor (one takes some 300 us of it).",
      {.min = 0, .max = 1'000'000});
  spec.integer("worker", "reports_per_second", &c.reports_per_second, 1000,
               "Such lines, at most; how many more there were is said once a second.",
               {.min = 1, .max = 1'000'000});
  spec.integer("worker", "output_lines_per_second", &c.output_lines_per_second, 1000,
               "Lines of what functions print, at most, likewise; 0 = none in the log.",
               {.min = 0, .max = 1'000'000});
  spec.flag(
      "worker", "local", &c.local, true,
      "Whether what is invoked on this host, by functions that run here or by clients, is run\n"
      "here without asking the broker, where it may be; else all of it passes the broker.");
  spec.text("worker", "metrics", &c.metrics, "",
            "host:port of the HTTP endpoint with /metrics, /healthz and /readyz; empty = none.");
  spec.text(
      "worker", "number", &c.number, "",
      "Which of the workers it is that share these settings on this host: its metrics have the\n"
      "port of `metrics` and so many more. `fanfare up` and fanfare-worker@N say it.");
  spec.text(
      "worker", "trace", &c.trace, "",
      "Folder where instants of each event's way are noted, as `fanfare bench latency --hops`\n"
      "has it; empty = none.");
  spec.duration("worker", "usage_ttl", &c.usage_ttl, "90d",
                "How long `fanfare usage` reaches back; 0 = nothing is metered.",
                {.min = 0s, .max = 24h * 366 * 10});
  spec.integer("worker", "usage_rows_max", &c.usage_rows_max, 1000,
               "Functions and tenants that an hour tells apart; more tenants share \"(other)\".",
               {.min = 1, .max = 100'000});
  return spec;
}

namespace {

Result<void> complete(Config& config) {
  if (config.name.empty()) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) return fatal("this host has no name");
    config.name = fmt::format("{}-{}", host.data(), ::getpid());
  }
  if (!protocol::is_worker_name(config.name)) {
    return reject("[worker] name: 1 to 255 bytes, without control characters");
  }
  const std::uint32_t processors = std::max(1u, std::thread::hardware_concurrency());
  if (config.slots == 0) config.slots = 2 * processors;
  if (config.forks_per_second == 0) config.forks_per_second = 1000 * processors;
  if (config.instance.empty()) {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return fatal(fmt::format("cannot find this program's folder: {}", error.message()));
    config.instance = self.parent_path() / "fanfare-instance";
  }
  if (::access(config.instance.c_str(), X_OK) != 0) {
    return fatal(fmt::format(
        "cannot execute {}; set [worker] instance to where fanfare-instance is", config.instance));
  }
  return {};
}

}  // namespace

Result<CoreOptions> core_options(Config& config) {
  if (auto completed = complete(config); !completed) return completed.error();
  const auto host = this_host_id();
  if (!host) return host.error();
  const auto started = process_start_time(::getpid());
  if (!started) return started.error();
  CoreOptions options;
  options.name = config.name;
  options.host = *host;
  options.pid = ::getpid();
  options.pid_started = *started;
  options.slots = config.slots;
  options.grace = config.grace;
  options.protections = config.protections;
  options.failpoint = config.failpoint;
  options.local = config.local;
  options.forks_per_second = config.forks_per_second;
  options.reports_per_second = config.reports_per_second;
  options.output_lines_per_second = config.output_lines_per_second;
  options.usage_ttl = config.usage_ttl;
  options.usage_rows_max = config.usage_rows_max;
  options.relayed = config.redis == kByBroker;
  return options;
}

Result<std::shared_ptr<const CurveClient>> broker_keys(const Config& config) {
  return curve_client({.endpoint = config.broker,
                       .broker_key = config.broker_key,
                       .secret_key_file = config.curve_secret_key_file},
                      "[worker]");
}

Result<std::string> metrics_address(const Config& config) {
  if (config.metrics.empty() || config.number.empty()) return config.metrics;
  const auto number_in = [](std::string_view text, std::uint32_t& number) {
    const char* const end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && after == end;
  };
  std::uint32_t number = 0, port = 0;
  if (!number_in(config.number, number)) return std::string{};
  const std::size_t colon = config.metrics.rfind(':');
  if (colon == std::string::npos ||
      !number_in(std::string_view(config.metrics).substr(colon + 1), port)) {
    return reject(fmt::format("[worker] metrics is '{}'; it is host:port", config.metrics));
  }
  if (port > 65'535 || number > 65'535 - port) {
    return reject(fmt::format("[worker] metrics: worker {} would have the port {}, of 65535",
                              number, std::uint64_t{port} + number));
  }
  return fmt::format("{}{}", config.metrics.substr(0, colon + 1), port + number);
}

Result<RunAs> find_user(const std::string& user) {
  if (user.empty() || ::geteuid() != 0) return RunAs{};
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) {
    return reject(
        fmt::format("[worker] run_as: there is no user '{}'; name one or leave it empty", user));
  }
  return RunAs{found->pw_uid, found->pw_gid};
}

}  // namespace fanfare::worker
