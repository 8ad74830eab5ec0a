#include "cli/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cli/deploy.h"
#include "cli/results.h"
#include "cli/shipped.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr Duration kPollEvery = 3ms;
constexpr Duration kLockPatience = 5s;      // a predecessor's Redis may still be writing its last
constexpr Duration kRedisStartMax = 10min;  // reading a large journal takes its time
constexpr Duration kStartMax = 30s;
constexpr Duration kGatewayDrainMax = 15s;  // its own drain is 10 s
constexpr Duration kWorkersDrainMax =
    24h;  // attempts may run so long; a second signal cuts it short
constexpr Duration kBrokerEndMax = 20s;
constexpr Duration kRedisEndMax = 60s;
constexpr std::uintmax_t kLogBytesMax = 16u
                                        << 20;  // then it begins anew, and the old one is kept once

void rotate(const std::string& file) {
  std::error_code error;
  if (fs::file_size(file, error) > kLogBytesMax && !error) fs::rename(file, file + ".1", error);
}

// The journal holds every event, the logs what functions print. A group that was let in may stay.
void close_to_others(const std::string& directory, bool is_new) {
  struct stat now{};
  if (stat(directory.c_str(), &now) != 0) return;
  chmod(directory.c_str(), is_new ? 0700 : now.st_mode & 0770);
}

// Started by root, functions run as another user, who must be able to put objects into storage.
void give_storage_to_functions(const std::string& storage) {
  if (geteuid() != 0) return;
  const char* name = std::getenv("FANFARE_WORKER_RUN_AS");
  const passwd* user = getpwnam(name ? name : "nobody");
  if (user && chown(storage.c_str(), user->pw_uid, user->pw_gid) != 0) {
    fmt::print(stderr, "fanfare: {} stays root's, functions cannot write there: {}\n", storage,
               std::strerror(errno));
  }
}

// The broker's memory in huge pages, where the kernel gives them to who asks: what waits in it is
// many small pieces, and a page fault costs more than writing an event into it. glibc reads this
// once, as a process begins (glibc's manual, "Memory Allocation Tunables"). What the caller has set
// stays.
constexpr const char* kTunables = "GLIBC_TUNABLES";
std::string with_huge_pages(const char* tunables) {
  constexpr std::string_view kName = "glibc.malloc.hugetlb";
  const std::string own = fmt::format("{}=1", kName);
  if (!tunables || !*tunables) return own;
  const std::string_view set = tunables;
  return set.find(kName) == set.npos ? fmt::format("{}:{}", set, own) : std::string{set};
}

// "…" as a TOML string.
std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::vector<std::string> redis_command(const Installation& installation,
                                       const std::string& durability) {
  return {"redis-server", "--port", "0", "--unixsocket", installation.redis_socket(),
          "--unixsocketperm", "700", "--dir", installation.redis_dir(), "--appendonly", "yes",
          "--appendfsync", durability == "fsync" ? "always" : "everysec", "--save", "",
          "--maxmemory-policy", "noeviction",
          // Rewriting forks: seldom, and not while the journal is small.
          "--auto-aof-rewrite-min-size", "512mb", "--latency-tracking", "no", "--daemonize", "no",
          // Backups ask for a snapshot as a replica does, and need not wait for others.
          "--repl-diskless-sync-delay", "0", "--loglevel", "notice"};
}

Supervisor::Supervisor(const Common& common, const UpCommand& command)
    : common_(common), command_(command) {}

Supervisor::~Supervisor() {
  children_.clear();
  if (lock_fd_ >= 0) close(lock_fd_);
}

void Supervisor::say(const std::string& line) const {
  fmt::print(stderr, "fanfare: {}\n", line);
}

Result<void> Supervisor::prepare_directory() {
  auto found = find_own_installation(common_.address);
  if (!found) return found.error();
  installation_ = *std::move(found);
  // Nobody else's business, but functions run as another user and must get through to the storage.
  std::error_code unknown;
  const bool is_new = !fs::exists(installation_.dir, unknown);
  for (const auto& dir : {installation_.run_dir(), installation_.redis_dir(),
                          installation_.storage_dir(), installation_.log_dir()}) {
    std::error_code error;
    const bool made = fs::create_directories(dir, error);
    if (error || access(dir.c_str(), W_OK) != 0) {
      return fatal(
          fmt::format("cannot write to the data directory {}: {}; choose another with --data",
                      installation_.dir, error ? error.message() : std::strerror(errno)));
    }
    // Whoever can reach the sockets in it owns the installation.
    if (dir == installation_.run_dir()) chmod(dir.c_str(), 0700);
    if (dir == installation_.redis_dir() || dir == installation_.log_dir()) {
      close_to_others(dir, made);
    }
  }
  if (is_new) chmod(installation_.dir.c_str(), 0711);
  give_storage_to_functions(installation_.storage_dir());
  return {};
}

// Held by this process and by its Redis: as long as either lives, the directory is in use.
Result<void> Supervisor::take_lock() {
  lock_fd_ = open(installation_.lock_file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) {
    return fatal(fmt::format("{}: {}", installation_.lock_file(), std::strerror(errno)));
  }
  const auto locked = [this] { return flock(lock_fd_, LOCK_EX | LOCK_NB) == 0; };
  if (!locked() && !wait_for("the data directory", locked, kLockPatience)) {
    char holder[32] = "?";
    const ssize_t got = pread(lock_fd_, holder, sizeof holder - 1, 0);
    holder[std::max<ssize_t>(got, 0)] = '\0';
    return reject(
        fmt::format("the data directory {} is in use by process {}; stop that one first, or "
                    "choose another with --data",
                    installation_.dir, holder));
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(lock_fd_, 0) != 0 ||
      pwrite(lock_fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return fatal(
        fmt::format("cannot write to {}: {}", installation_.lock_file(), std::strerror(errno)));
  }
  return {};
}

Result<void> Supervisor::write_config() const {
  std::ofstream file(installation_.config_file(), std::ios::trunc);
  file << "# Written by `fanfare up` at each start. FANFARE_<SECTION>_<KEY> in its environment "
          "overrides.\n"
       << fmt::format("[broker]\nendpoint = {}\nredis = {}\ndurability = {}\n\n",
                      toml_text(installation_.broker_endpoint()), toml_text(redis_url_),
                      toml_text(command_.durability))
       << fmt::format("[worker]\nbroker = {}\nredis = {}\ncache_dir = {}\nstorage_dir = {}\n",
                      toml_text(installation_.broker_endpoint()), toml_text(redis_url_),
                      toml_text(installation_.dir + "/cache"),
                      toml_text(installation_.storage_dir()));
  if (command_.slots > 0) file << fmt::format("slots = {}\n", command_.slots);
  if (!command_.http.empty()) {
    file << fmt::format(
        "\n[triggers]\nlisten = {}\nbroker = {}\nredis = {}\ndefinitions = {}\nstate = {}\n",
        toml_text(command_.http), toml_text(installation_.broker_endpoint()), toml_text(redis_url_),
        toml_text(installation_.triggers_file()), toml_text(installation_.dir + "/triggers"));
  }
  file.close();
  if (!file) return fatal(fmt::format("cannot write {}", installation_.config_file()));

  std::error_code error;
  fs::remove(installation_.redis_url_file(), error);
  fs::remove(installation_.gateway_url_file(), error);
  if (common_.address.redis.empty()) return {};
  std::ofstream url(installation_.redis_url_file());
  url << redis_url_ << '\n';
  return {};
}

Supervisor::Managed& Supervisor::add(ChildSpec spec) {
  rotate(spec.log_file);
  auto managed = std::make_unique<Managed>();
  std::error_code none;
  const auto size = fs::file_size(spec.log_file, none);
  managed->log_begins = none ? 0 : size;
  managed->spec = std::move(spec);
  children_.push_back(std::move(managed));
  return *children_.back();
}

Result<void> Supervisor::launch(Managed& managed) {
  managed.end.reset();
  managed.started = loop_.now().steady;
  auto child = Child::start(loop_, managed.spec, [this, &managed](const ChildEnd& end) {
    // Not within the watch's own callback: this ends by replacing the child and its watch.
    loop_.post([this, &managed, end] { on_exit(managed, end); });
  });
  if (!child) return child.error();
  managed.child = *std::move(child);
  return {};
}

void Supervisor::on_exit(Managed& managed, const ChildEnd& end) {
  managed.end = end;
  managed.child.reset();
  if (!managed.wanted || !started_ || stop_signals_ > 0) return;  // whoever waits sees `end`
  const Duration pause = managed.policy.next_pause(loop_.now().steady - managed.started);
  say(fmt::format("the {} ended with {}; starting it again in {} (log: {})", managed.spec.name,
                  end.how, format_duration(pause), managed.spec.log_file));
  managed.restart = std::make_unique<Timer>(loop_, [this, &managed] {
    if (stop_signals_ > 0) return;
    if (auto launched = launch(managed); !launched) say(launched.error().message);
  });
  managed.restart->start_after(pause);
}

Result<void> Supervisor::wait_for(const std::string& what, const std::function<bool()>& ready,
                                  Duration at_most) {
  const Managed* dead = nullptr;
  Timer poll(loop_, [] {});
  poll.start_every(kPollEvery);
  bool is_ready = false;
  loop_.run_until(
      [&] {
        for (const auto& managed : children_) {
          if (managed->end) dead = managed.get();
        }
        return stop_signals_ > 0 || dead || (is_ready = ready());
      },
      at_most);
  if (is_ready) return {};
  if (stop_signals_ > 0) return stale("stopped by a signal");
  if (dead) {
    const Error error =
        fatal(fmt::format("the {} ended with {} while starting\n{}", dead->spec.name,
                          dead->end->how, last_lines(dead->spec.log_file, 5, dead->log_begins)));
    return dead->end->exit_code == kUnreachable ? reconnect(error.message) : error;
  }
  return retry_later(fmt::format("{} not ready after {}", what, format_duration(at_most)));
}

Result<void> Supervisor::start_redis() {
  if (common_.address.redis.empty()) {
    redis_url_ = "unix://" + installation_.redis_socket();
    // It is the last to go, and gently: SIGTERM lets it finish its file.
    ChildSpec spec{.name = "redis-server",
                   .command = redis_command(installation_, command_.durability),
                   .environment = {},
                   .log_file = installation_.log_dir() + "/redis.log",
                   .death_signal = SIGTERM,
                   .inherited_fd = lock_fd_};
    if (auto launched = launch(add(std::move(spec))); !launched) return launched.error();
  } else {
    redis_url_ = common_.address.redis;
  }
  const auto options = parse_redis_url(redis_url_);
  if (!options) return fatal(options.error().message);
  const auto answers = [&] {
    auto redis = RedisSync::connect(*options);
    if (!redis) return false;
    const auto pong = redis->call({"PING"});
    return pong && (*pong)->text() == "PONG";
  };
  const Duration patience = common_.address.redis.empty() ? kRedisStartMax : Duration{5s};
  auto waited = wait_for("Redis", answers, patience);
  if (!waited && waited.error().kind == ErrorKind::kRetryLater) {
    return reconnect(fmt::format("unreachable: no Redis at {}; start it, or leave out --redis",
                                 to_string(*options)));
  }
  return waited;
}

Result<void> Supervisor::start_broker() {
  const auto program = find_program("fanfare-broker");
  if (!program) return program.error();
  ChildSpec spec{.name = "broker",
                 .command = {*program, "--config", installation_.config_file()},
                 .environment = {{kTunables, with_huge_pages(std::getenv(kTunables))}},
                 .log_file = installation_.log_dir() + "/broker.log"};
  if (auto launched = launch(add(std::move(spec))); !launched) return launched.error();
  return wait_for("the broker", [this] { return connected_workers().has_value(); }, kStartMax);
}

Result<std::size_t> Supervisor::connected_workers() {
  Address address{
      .data = installation_.dir, .broker = installation_.broker_endpoint(), .redis = {}};
  auto broker = connect_broker(address);
  if (!broker) return broker.error();
  const auto answer = (*broker)->admin("status", "{}");
  if (!answer) return answer.error();
  const auto status = nlohmann::json::parse(*answer, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object()) return reject("the broker's status is not JSON");
  return status.value("workers", nlohmann::json::array()).size();
}

Result<void> Supervisor::start_workers() {
  const auto program = find_program("fanfare-worker");
  if (!program) return program.error();
  for (std::uint32_t i = 1; i <= command_.workers; ++i) {
    // The worker writes its log by itself, and so can begin it anew when it is full.
    const std::string log_file = fmt::format("{}/worker-{}.log", installation_.log_dir(), i);
    ChildSpec spec{.name = command_.workers == 1 ? "worker" : fmt::format("worker {}", i),
                   .command = {*program, "--config", installation_.config_file()},
                   .environment = {{"FANFARE_WORKER_NAME", fmt::format("local-{}", i)},
                                   {"FANFARE_WORKER_NUMBER", std::to_string(i)},
                                   {"FANFARE_WORKER_LOG_FILE", log_file}},
                   .log_file = log_file};
    if (auto launched = launch(add(std::move(spec))); !launched) return launched.error();
  }
  return wait_for(
      "the workers",
      [this] {
        const auto connected = connected_workers();
        return connected && *connected >= command_.workers;
      },
      kStartMax);
}

// Its definitions are the user's to change: they are written once.
Result<void> Supervisor::start_gateway() {
  if (command_.http.empty()) return {};
  const auto program = find_program("fanfare-triggers");
  if (!program) return program.error();
  if (!fs::exists(installation_.triggers_file())) {
    std::ofstream(installation_.triggers_file())
        << "# What becomes events, and how: `fanfare-triggers --sample-definitions` shows all.\n"
           "[forms.\"*\"]\n";
  }
  ChildSpec spec{.name = "gateway",
                 .command = {*program, "--config", installation_.config_file()},
                 .environment = {},
                 .log_file = installation_.log_dir() + "/triggers.log"};
  Managed& gateway = add(std::move(spec));
  if (auto launched = launch(gateway); !launched) return launched.error();
  // It says where it listens, as port 0 is any, and later that the broker takes its events.
  const auto ready = [this, &gateway] {
    std::ifstream log(gateway.spec.log_file);
    log.seekg(static_cast<std::streamoff>(gateway.log_begins));
    static constexpr std::string_view kListening = "listening on ";
    for (std::string line; std::getline(log, line) && !log.eof();) {
      if (const auto at = line.find(kListening); at != line.npos) {
        gateway_url_ = line.substr(at + kListening.size());
      }
      if (line.find("ready: the broker takes events") != line.npos) return !gateway_url_.empty();
    }
    return false;
  };
  if (auto waited = wait_for("the gateway", ready, kStartMax); !waited) return waited.error();
  std::ofstream(installation_.gateway_url_file()) << gateway_url_ << '\n';
  // There it listens also when it has to be started again.
  gateway.spec.environment.emplace_back("FANFARE_TRIGGERS_LISTEN",
                                        gateway_url_.substr(gateway_url_.find("://") + 3));
  return {};
}

Result<std::vector<Supervisor::Folder>> Supervisor::folders_to_deploy() const {
  std::vector<Folder> folders;
  if (command_.examples) {
    for (auto& folder : shipped_functions("functions"))
      folders.push_back({std::move(folder), true});
  }
  for (const auto& parent : command_.functions) {
    std::error_code error;
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(parent, error)) {
      if (entry.is_directory(error) && fs::exists(entry.path() / "function.toml", error)) {
        found.push_back(entry.path().string());
      }
    }
    if (error) return fatal(fmt::format("--functions {}: {}", parent, error.message()));
    if (found.empty() && fs::exists(fs::path(parent) / "function.toml", error)) {
      return fatal(fmt::format(
          "--functions {}: this is a function's own folder; name the one that it lies in, {}",
          parent, fs::weakly_canonical(fs::path(parent) / "..", error).string()));
    }
    if (found.empty()) {
      return fatal(
          fmt::format("--functions {}: none of its sub-folders holds a function.toml", parent));
    }
    std::sort(found.begin(), found.end());
    for (auto& folder : found) folders.push_back({std::move(folder), false});
  }
  return folders;
}

Result<std::vector<std::string>> Supervisor::deploy_all() {
  const auto folders = folders_to_deploy();
  if (!folders) return folders.error();
  Address address{
      .data = installation_.dir, .broker = installation_.broker_endpoint(), .redis = redis_url_};
  auto broker = connect_broker(address);
  if (!broker) return broker.error();
  auto redis = connect_redis(address);
  if (!redis) return redis.error();
  const auto ours = Shipped::read(*redis);
  if (!ours) return ours.error();
  struct Chosen {
    Checked function;
    bool shipped = false;
  };
  std::map<std::string, Chosen> functions;  // by name: the user's own come after the shipped ones
  for (const auto& [folder, shipped] : *folders) {
    auto checked = check_function(folder);
    if (checked) {
      functions.insert_or_assign(checked->name, Chosen{*checked, shipped});
    } else if (shipped) {  // of a package that is not whole: the rest works without it
      say(fmt::format("an example is not deployed: {}", checked.error().message));
    } else {
      return checked.error();
    }
  }
  for (const auto& [name, chosen] : functions) {
    const Checked& function = chosen.function;
    if (chosen.shipped && !ours->wanted(name, function.digest)) continue;
    const auto deployed = deploy_function(function, *redis, **broker);
    if (!deployed) return deployed.error();
    if (!chosen.shipped) {
      for (const auto& line : remarks(function)) say("note: " + line);
    } else if (auto noted = Shipped::deployed(*redis, name, function.digest); !noted) {
      return noted.error();
    }
  }
  if (command_.examples) {
    if (auto noted = Shipped::all_deployed(*redis); !noted) return noted.error();
  }
  return function_names(*redis);
}

void Supervisor::announce(const std::vector<std::string>& functions) const {
  if (common_.output.json) {
    nlohmann::ordered_json ready{{"ready", true},
                                 {"data", installation_.dir},
                                 {"broker", installation_.broker_endpoint()},
                                 {"redis", redis_url_},
                                 {"durability", command_.durability},
                                 {"functions", functions}};
    if (!gateway_url_.empty()) ready["http"] = gateway_url_;
    print_line(ready.dump());
    return;
  }
  print_line(
      fmt::format("fanfare: ready · data {} · durability {} · functions {}", installation_.dir,
                  command_.durability,
                  functions.empty() ? "none" : fmt::format("{}", fmt::join(functions, ", "))));
  print_line(fmt::format(
      "  publish:  fanfare --data {} publish --type text.submitted --data 'to be or not "
      "to be' --wait",
      installation_.dir));
  if (!gateway_url_.empty()) {
    print_line(
        fmt::format("  http:     curl -d name=Ada -d email=ada@example.org -d message=Hello "
                    "{}/forms/contact",
                    gateway_url_));
  }
  print_line("  stop:     Ctrl-C drains; twice stops at once");
}

void Supervisor::on_signal() {
  if (++stop_signals_ == 2) say("stopping at once");
}

void Supervisor::end_children(const std::vector<Managed*>& children, int signal,
                              Duration patience) {
  for (Managed* managed : children) {
    managed->wanted = false;
    managed->restart.reset();
    if (managed->child) managed->child->send_signal(stop_signals_ > 1 ? SIGKILL : signal);
  }
  const auto gone = [&] {
    return std::all_of(children.begin(), children.end(),
                       [](const Managed* managed) { return !managed->child; });
  };
  const auto hurried = [&] { return stop_signals_ > 1; };
  loop_.run_until([&] { return gone() || hurried(); }, patience);
  for (Managed* managed : children) {
    if (managed->child) managed->child->send_signal(SIGKILL);
  }
  loop_.run_until(gone, 10s);
}

void Supervisor::drain() {
  std::vector<Managed*> gateways, workers, brokers, stores;
  for (const auto& managed : children_) {
    const std::string& name = managed->spec.name;
    auto& same = name == "gateway"            ? gateways
                 : name.starts_with("worker") ? workers
                 : name == "broker"           ? brokers
                                              : stores;
    same.push_back(managed.get());
  }
  end_children(gateways, SIGTERM, kGatewayDrainMax);
  end_children(workers, SIGTERM, kWorkersDrainMax);
  end_children(brokers, SIGTERM, kBrokerEndMax);
  end_children(stores, SIGTERM, kRedisEndMax);
}

Result<void> Supervisor::start_all() {
  if (auto prepared = prepare_directory(); !prepared) return prepared.error();
  if (auto locked = take_lock(); !locked) return locked.error();
  if (auto redis = start_redis(); !redis) return redis.error();
  if (auto written = write_config(); !written) return written.error();
  if (auto broker = start_broker(); !broker) return broker.error();
  const auto functions = deploy_all();
  if (!functions) return functions.error();
  if (auto workers = start_workers(); !workers) return workers.error();
  if (auto gateway = start_gateway(); !gateway) return gateway.error();
  started_ = true;
  announce(*functions);
  return {};
}

int Supervisor::run() {
  signals_ = std::make_unique<SignalWatch>(
      loop_, std::initializer_list<int>{SIGINT, SIGTERM, SIGHUP}, [this](int) { on_signal(); });
  const auto started = start_all();
  if (!started && started.error().kind != ErrorKind::kStale) {
    drain();
    print_error(common_.output, started.error().message);
    return exit_code_of(started.error());
  }
  loop_.run_until([this] { return stop_signals_ > 0; }, 24h * 365 * 50);
  say("draining; once more stops at once");
  drain();
  say("stopped");
  return kDone;
}

}  // namespace fanfare::cli
