#include "tests/chaos/rig.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/sha256.h"
#include "cli/deploy.h"
#include "protocol/package.h"
#include "store/library.h"
#include "tests/chaos/append_only_file.h"
#include "tests/chaos/checker.h"
#include "tests/chaos/execution_log.h"
#include "tests/chaos/process_watch.h"
#include "tests/chaos/remains.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/switches.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

template <typename T>
T value_or_throw(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

// More than this may be on its way back to the kernel.
constexpr std::int64_t kKibKeptAtOnce = 1024;
// Of the events that come before the load; above those of all others.
constexpr Tag kFirstWarmTag = 2'000'000'000'000;

// What Redis keeps of its waits for the disk starts with these.
constexpr int kDiskWaitToldMs = 200;

// The history needs the file as it was written.
test::RedisServerOptions redis_options(const RigOptions& options) {
  test::RedisServerOptions redis = options.redis;
  redis.more.insert(redis.more.end(),
                    {"--auto-aof-rewrite-percentage", "0", "--latency-monitor-threshold",
                     std::to_string(kDiskWaitToldMs)});
  if (!options.redis_dir.empty()) {
    redis.more.insert(redis.more.end(), {"--dir", options.redis_dir});
  }
  return redis;
}

}  // namespace

std::int64_t Rig::now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

Rig::Rig(RigOptions options)
    : options_(std::move(options)),
      redis_(std::make_unique<test::RedisServer>(redis_options(options_))) {
  if (!options_.sabotage.empty()) load_sabotaged_library();
  if (options_.proxy_redis) {
    redis_link_ = std::make_unique<LinkProxy>("unix://" + file("redis-link.sock"),
                                              "unix://" + redis_->socket_path());
  }
  for (std::size_t i = 0; options_.proxy_broker && i < options_.workers; ++i) {
    broker_links_.push_back(std::make_unique<LinkProxy>(
        "unix://" + file(fmt::format("broker-link-{}.ipc", i)), "unix://" + file("broker.ipc")));
  }
  add("broker", {FANFARE_BINARY_DIR "/tests/chaos_broker"}, settings_of_broker(endpoint()));
  for (std::size_t i = 0; i < options_.workers; ++i) {
    Member& worker = add(fmt::format("worker-{}", i), {FANFARE_BINARY_DIR "/tests/chaos_worker"},
                         settings_of_worker(i));
    if (options_.adjust_worker) options_.adjust_worker(i, worker);
  }
  client::ClientOptions client;
  client.broker = endpoint();
  client.connect_timeout = 500ms;
  client.admin_timeout = 2s;
  client_ = value_or_throw(client::BlockingClient::open(std::move(client)));
  start(broker());
  if (!run_until([this] { return answers(); }, 20s)) {
    throw std::runtime_error("the broker does not answer\n" + logs());
  }
  if (options_.destination) {
    deploy(kTold, fmt::format("[env]\n{} = \"{}\"\n", kExecutionLogVariable, file("told.log")));
  }
  deploy_probe(options_.env);
  for (std::size_t i = 0; i < options_.workers; ++i) start(worker(i));
  warm_up();
}

Rig::~Rig() {
  ending_ = true;
  client_.reset();
  for (auto& publication : publications_) publication->child.reset();
  for (auto& command : commands_) command->child.reset();
  // Workers first, and in peace, so that they take their memory cgroups along: without its broker a
  // worker would look for it for a while.
  for (std::size_t i = 0; i < workers(); ++i) {
    if (!worker(i).running()) continue;
    ::kill(worker(i).pid(), SIGCONT);
    worker(i).child->send_signal(SIGTERM);
  }
  loop_.run_until(
      [this] {
        for (std::size_t i = 0; i < workers(); ++i) {
          if (worker(i).running()) return false;
        }
        return true;
      },
      3s);
  for (auto& member : members_) member->child.reset();
}

// Brings what comes once: connections, the package, a zygote, instances.
void Rig::warm_up() {
  publish({.rate = 400, .seconds = 0.1, .mix = {{"sleep 5", 1}}});
  const auto all_ran = [this] {
    if (!published()) return false;
    const Counts now = counts();
    return now.accepted > 0 && now.open == 0;
  };
  if (!run_until(all_ran, 20s)) throw std::runtime_error("nothing runs\n" + logs());
  for (auto& member : members_) {
    member->before = holding_of(member->pid());
    if (member->before) member->warm = *member->before;
  }
  warm_ = true;
}

// One that was started again has its own beginning, but for what comes once and may not have come
// yet: that it will have as the first one had it.
void Rig::look_at_new_ones() {
  for (auto& member : members_) {
    if (member->before || !member->running()) continue;
    if (now_ns() <= member->started_ns + 500'000'000) continue;
    member->before = holding_of(member->pid());
    if (!member->before) continue;
    Holding &before = *member->before, &warm = member->warm;
    before.kib = std::max(before.kib, warm.kib);
    before.descriptors = std::max(before.descriptors, warm.descriptors);
    before.threads = std::max(before.threads, warm.threads);
  }
}

// Connections that have ended are closed a moment later, and memory is given back when nothing has
// been done for a second.
std::vector<Held> Rig::look_at_rest() {
  // A broker remembers its last answer to each of the latest 8192 publishers, also of those that
  // have left: a sixteenth of what one takes that is connected.
  std::int64_t publishers = 0;
  for (const auto& one : publications_) publishers += one->clients;
  const std::int64_t clients = clients_max_ + std::min<std::int64_t>(publishers, 8192) / 16;
  std::vector<Held> all;
  run_until(
      [&] {
        all.clear();
        for (auto& member : members_) {
          const auto now = member->running() ? holding_of(member->pid()) : std::nullopt;
          if (!now || !member->before) continue;
          all.push_back({.process = member->name,
                         .clients = member->name.starts_with("broker") ? clients : 0,
                         .before = *member->before,
                         .after = *now});
        }
        return std::ranges::all_of(all, [](const Held& one) {
          return not_given_back(one).empty() && one.after.kib <= one.before.kib + kKibKeptAtOnce;
        });
      },
      3s);
  return all;
}

RedisSync Rig::connected() const {
  return value_or_throw(RedisSync::connect(redis_->options()));
}

std::string Rig::redis_url() const {
  return "unix://" + (options_.proxy_redis ? file("redis-link.sock") : redis_->socket_path());
}

void Rig::load_sabotaged_library() {
  auto redis = connected();
  const std::string text = sabotaged(store::library_text(), options_.sabotage);
  const auto reply = value_or_throw(redis.call({"FUNCTION", "LOAD", "REPLACE", text}));
  if (reply->is_error()) throw std::runtime_error(std::string(reply->text()));
}

Variables Rig::settings_of_broker(const std::string& endpoint) const {
  Variables settings{{"FANFARE_BROKER_ENDPOINT", endpoint},
                     {"FANFARE_BROKER_REDIS", redis_url()},
                     {"FANFARE_BROKER_DURABILITY", options_.durability},
                     {kWithoutVariable, options_.broker_without}};
  settings.insert(settings.end(), options_.broker.begin(), options_.broker.end());
  return settings;
}

Variables Rig::settings_of_worker(std::size_t number) const {
  Variables settings{
      {"FANFARE_WORKER_NAME", fmt::format("worker-{}", number)},
      {"FANFARE_WORKER_BROKER", options_.proxy_broker
                                    ? "ipc://" + file(fmt::format("broker-link-{}.ipc", number))
                                    : endpoint()},
      {"FANFARE_WORKER_REDIS", redis_url()},
      {"FANFARE_WORKER_CACHE_DIR", file(fmt::format("cache-{}", number))},
      {"FANFARE_WORKER_INSTANCE", FANFARE_BIN_DIR "/fanfare-instance"},
      // The probe's log lies in a directory that is this user's only.
      {"FANFARE_WORKER_RUN_AS", "root"},
      {"FANFARE_WORKER_GRACE", "1s"},
      {"FANFARE_WORKER_SLOTS", fmt::format("{}", options_.slots)},
      {kTokensVariable, file("tokens.log")},
      {kWithoutVariable, options_.worker_without}};
  settings.insert(settings.end(), options_.worker.begin(), options_.worker.end());
  return settings;
}

Member& Rig::add(std::string name, std::vector<std::string> command, Variables environment) {
  auto member = std::make_unique<Member>();
  member->name = std::move(name);
  member->command = std::move(command);
  member->environment = std::move(environment);
  return *members_.emplace_back(std::move(member));
}

Member& Rig::add_broker(const std::string& endpoint) {
  return add(fmt::format("broker-{}", members_.size()), {FANFARE_BINARY_DIR "/tests/chaos_broker"},
             settings_of_broker(endpoint));
}

void Rig::start(Member& member) {
  Variables environment = member.environment;
  environment.insert(environment.end(), member.next_start.begin(), member.next_start.end());
  member.next_start.clear();
  member.child.reset();
  member.before.reset();
  member.started_ns = now_ns();
  ++member.starts;
  member.child = value_or_throw(
      cli::Child::start(loop_,
                        {.name = member.name,
                         .command = member.command,
                         .environment = std::move(environment),
                         .log_file = file(member.name + ".log")},
                        [this, &member](const cli::ChildEnd& end) { on_exit(member, end); }));
  member.pids.push_back(member.child->pid());
}

void Rig::on_exit(Member& member, const cli::ChildEnd& end) {
  member.exit_codes.push_back(end.exit_code);
  member.ends_ns.push_back(now_ns());
  if (end.exit_code == kDiedAtPlace) {
    ++member.died_at_place;
    note_fault(member.name + " died at a place", now_ns() - 50'000'000,
               &member == &broker() ? 0 : member.pid());
  }
  if (ending_ || !member.supervised) return;
  // Not from within the child's own callback. A program that ends at once must not spin.
  later_.push_back([this, &member] {
    if (member.starts > 2000) throw std::runtime_error(member.name + " keeps dying\n" + logs());
    if (!ending_ && !member.running()) start(member);
  });
}

bool Rig::nobody_runs() const {
  return std::none_of(members_.begin(), members_.end(),
                      [](const auto& member) { return member->running(); });
}

void Rig::run_for(Duration duration) {
  run_until([] { return false; }, duration);
}

bool Rig::run_until(const std::function<bool()>& done, Duration at_most) {
  const auto give_up_at = std::chrono::steady_clock::now() + at_most;
  for (;;) {
    // The loop wakes when a child ends; `done` may look at anything, so it is asked now and then.
    loop_.run_until([this] { return !later_.empty(); },
                    std::min<Duration>(5ms, give_up_at - std::chrono::steady_clock::now()));
    for (auto& work : std::exchange(later_, {})) work();
    if (warm_) look_at_new_ones();
    if (done()) return true;
    if (std::chrono::steady_clock::now() >= give_up_at) return false;
  }
}

Publication& Rig::publish(Load load) {
  if (!warm_) {
    load.first_tag = kFirstWarmTag;
  } else {
    load.first_tag = next_tag_;
    next_tag_ += static_cast<std::uint64_t>(load.rate * load.seconds) + 1;
  }
  auto publication = std::make_unique<Publication>();
  publication->clients = load.clients;
  publication->first_tag = load.first_tag;
  publication->log = file(fmt::format("submissions-{}.log", publications_.size()));
  std::vector<std::string> command{FANFARE_BINARY_DIR "/tests/chaos_publisher", endpoint(), kProbe,
                                   publication->log};
  for (std::string& word : to_words(load)) command.push_back(std::move(word));
  publication->child = value_or_throw(cli::Child::start(loop_,
                                                        {.name = "publisher",
                                                         .command = std::move(command),
                                                         .environment = {},
                                                         .log_file = file("publisher.log")},
                                                        [](const cli::ChildEnd&) {}));
  publications_.push_back(std::move(publication));
  std::int64_t clients = 0;
  for (const auto& one : publications_) clients += one->running() ? one->clients : 0;
  clients_max_ = std::max(clients_max_, clients);
  return *publications_.back();
}

std::string Command::output() const {
  std::ifstream in(output_file);
  return {std::istreambuf_iterator<char>(in), {}};
}

Command& Rig::command(std::vector<std::string> words) {
  Command& one = *commands_.emplace_back(std::make_unique<Command>());
  one.words = std::move(words);
  one.output_file = file(fmt::format("command-{}.log", commands_.size()));
  std::vector<std::string> command{
      FANFARE_BIN_DIR "/fanfare",       "--json", "--broker", endpoint(), "--redis",
      "unix://" + redis_->socket_path()};
  command.insert(command.end(), one.words.begin(), one.words.end());
  one.child = value_or_throw(cli::Child::start(loop_,
                                               {.name = "fanfare",
                                                .command = std::move(command),
                                                .environment = {},
                                                .log_file = one.output_file},
                                               [&one](const cli::ChildEnd& end) {
                                                 one.exit_code = end.exit_code;
                                                 one.ended_ns = now_ns();
                                               }));
  return one;
}

void Rig::kill(Command& command) {
  if (!command.running()) return;
  command.killed = true;
  command.child->send_signal(SIGKILL);
}

void Rig::stop_publishing() {
  for (auto& publication : publications_) {
    if (publication->running()) publication->child->send_signal(SIGTERM);
  }
}

// ---- faults ----

void Rig::note_fault(const std::string& what, std::int64_t from_ns, pid_t pid) {
  // What a fault costs shows a little later: a new broker waits for its workers, and lends anew.
  faults_.push_back(
      {.what = what, .pid = pid, .from_ns = from_ns, .to_ns = now_ns() + 2'000'000'000});
}

void Rig::kill(Member& member) {
  if (!member.running()) return;
  const std::int64_t from = now_ns();
  const pid_t pid = member.pid();
  member.child->send_signal(SIGKILL);
  note_fault(member.name + " killed", from, member.name.starts_with("broker") ? 0 : pid);
}

void Rig::stop(Member& member) {
  if (!member.running()) return;
  ::kill(member.pid(), SIGSTOP);
  note_fault(member.name + " stopped", now_ns());
  stopped_[member.pid()] = faults_.size() - 1;
}

void Rig::go_on(Member& member) {
  ::kill(member.pid(), SIGCONT);
  const auto found = stopped_.find(member.pid());
  if (found == stopped_.end()) return;
  faults_[found->second].to_ns = now_ns() + 2'000'000'000;
  stopped_.erase(found);
}

void Rig::kill_redis() {
  const std::int64_t from = now_ns();
  redis_->kill_hard();
  note_fault("Redis killed", from);
}

void Rig::start_redis() {
  redis_->start();
  faults_.back().to_ns = now_ns() + 2'000'000'000;
}

void Rig::restart_redis() {
  kill_redis();
  start_redis();
}

// ---- the end ----

bool Rig::answers() {
  const auto answer = client_->admin("status", "{}");
  return answer.has_value();
}

void Rig::need_cgroups() {
  std::string said;
  run_until(
      [&] {
        std::ifstream log(file("worker-0.log"));
        said.assign(std::istreambuf_iterator<char>(log), {});
        return said.find("memory limited by") != std::string::npos;
      },
      5s);
  if (said.find("memory limited by cgroup") == std::string::npos) {
    throw CannotHere("workers may make no memory cgroups here");
  }
}

Counts Rig::counts() {
  auto redis = connected();
  return read_counts(redis, kProbe);
}

bool Rig::published() const {
  return std::none_of(publications_.begin(), publications_.end(),
                      [](const auto& publication) { return publication->running(); });
}

bool Rig::has_result(const protocol::EventId& id) {
  auto redis = connected();
  return chaos::has_result(redis, kProbe, id);
}

bool Rig::run_while_it_moves(const std::function<bool()>& done, Duration at_most) {
  const auto size = [](const std::string& log) {
    std::error_code missing;
    return fs::file_size(log, missing);
  };
  std::vector<std::uintmax_t> seen;
  auto looked_at = std::chrono::steady_clock::now();
  Duration still{};
  const auto stands_still = [&] {
    const Counts now = counts();
    std::vector<std::uintmax_t> sees{
        size(file("executions.log")), static_cast<std::uintmax_t>(now.accepted),
        static_cast<std::uintmax_t>(now.open), static_cast<std::uintmax_t>(now.later)};
    for (const auto& publication : publications_) sees.push_back(size(publication->log));
    // A machine that is too busy to let anybody look stands still itself.
    const auto looks_at = std::chrono::steady_clock::now();
    still += std::min<Duration>(looks_at - std::exchange(looked_at, looks_at), 200ms);
    if (std::exchange(seen, sees) != sees) still = {};
    return still > kStandstill;
  };
  bool is_done = false;
  run_until([&] { return (is_done = done()) || stands_still(); }, at_most);
  return is_done;
}

bool Rig::come_to_rest(Duration at_most) {
  const auto ended = [&] {
    if (!published()) return false;
    const Counts now = counts();
    if (now.open != 0 || now.later != 0) return false;
    if (!options_.destination) return true;
    auto redis = connected();
    return is_at_rest(redis, kProbe) && is_at_rest(redis, kTold);
  };
  came_to_rest_ = run_while_it_moves(ended, at_most);
  if (came_to_rest_) {
    held_ = look_at_rest();
  } else {
    unrest_ = what_the_broker_says();
  }
  return came_to_rest_;
}

// Who waits for whom, before everybody is killed.
std::string Rig::what_the_broker_says() {
  std::string text;
  for (const auto& [verb, body] :
       {std::pair{"status", std::string("{}")},
        std::pair{"deliveries", fmt::format("{{\"name\":\"{}\"}}", kProbe)},
        std::pair{"metrics", std::string()}}) {
    const auto answer = client_->admin(verb, body);
    text += fmt::format("--- {}\n{}\n", verb, answer ? *answer : answer.error().message);
  }
  return text;
}

std::vector<Execution> Rig::executions() const {
  std::vector<Execution> executions;
  read_executions(file("executions.log"), executions);
  return executions;
}

std::vector<BirthRecord> Rig::births() const {
  return read_births(file("births.log"));
}

void Rig::keep() const {
  const char* const folder = std::getenv(kKeepVariable);
  if (!folder) return;
  fs::create_directories(folder);
  for (const auto& file : fs::directory_iterator(dir_.path())) {
    if (file.path().extension() != ".log") continue;
    fs::copy_file(file.path(), folder / file.path().filename(),
                  fs::copy_options::overwrite_existing);
  }
  if (options_.redis.append_only) {
    fs::copy(redis_dir() / "appendonlydir", fs::path(folder) / "appendonlydir",
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
}

fs::path Rig::redis_dir() const {
  return options_.redis_dir.empty() ? redis_->data_dir() : fs::path(options_.redis_dir);
}

History Rig::collect() {
  if (!came_to_rest_) {
    ending_ = true;  // nobody is started again
    for (auto& member : members_) kill(*member);
    run_until([this] { return nobody_runs(); }, 5s);
  }
  keep();
  History history;
  for (const auto& publication : publications_) {
    read_submissions(publication->log, history.submissions);
  }
  if (options_.redis.append_only && options_.read_file) {
    read_append_only_file(redis_dir(), history);
  }
  auto redis = connected();
  read_ended(redis, kProbe, history);
  read_unfinished(redis, kProbe, history);
  history.at_rest.push_back(counts());
  if (options_.destination) {
    history.destination = kTold;
    history.at_rest.push_back(read_counts(redis, kTold));
  }
  history.rows = read_rows(redis, kProbe);
  // After the results: should something still run, each result's execution is among them.
  history.executions = executions();
  read_tokens(file("tokens.log"), history.executions);
  history.faults = faults_;
  history.held = held_;
  history.came_to_rest = came_to_rest_;
  history.attempts_max = 5;
  return history;
}

std::string Rig::logs() const {
  std::string text;
  for (const auto& member : members_) {
    text +=
        fmt::format("--- {}\n{}\n", member->name, cli::last_lines(file(member->name + ".log"), 12));
  }
  if (const double waited = disk_wait_ms(); waited > 0) {
    text += fmt::format("--- Redis waited for its disk, {} ms at most\n", waited);
  }
  return text + unrest_;
}

// https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor
double Rig::disk_wait_ms() const {
  if (!redis_->running()) return 0;
  double longest = 0;
  for (const char* cause : {"aof-fsync-always", "aof-write-pending-fsync"}) {
    // Pairs of a second and a length.
    std::istringstream lines(redis_->command({"LATENCY", "HISTORY", cause}));
    for (double second = 0, ms = 0; lines >> second >> ms;) longest = std::max(longest, ms);
  }
  return longest;
}

void Rig::deploy_probe(const std::string& more_env) {
  deploy(kProbe, manifest_of_probe(more_env));
  std::ofstream{file("executions.log"), std::ios::app};
}

std::string Rig::why_probe_is_refused(const std::string& more_env) {
  const auto deployed = try_to_deploy(kProbe, manifest_of_probe(more_env));
  return deployed ? std::string{} : deployed.error().message;
}

std::string Rig::manifest_of_probe(const std::string& more_env) const {
  std::string manifest = options_.manifest;
  if (options_.destination) {
    manifest = fmt::format("on_success = \"{0}\"\non_failure = \"{0}\"\n{1}", kTold, manifest);
  }
  return fmt::format(
      "{}\n[env]\n{} = \"{}\"\n{} = \"{}\"\n{}"
      "[[on]]\npattern = '{{\"type\": [\"{}\"]}}'\n",
      manifest, kExecutionLogVariable, file("executions.log"), kBirthLogVariable,
      file("births.log"), more_env, kProbe);
}

void Rig::deploy(const std::string& name, const std::string& manifest) {
  value_or_throw(try_to_deploy(name, manifest));
}

Result<cli::Deployed> Rig::try_to_deploy(const std::string& name, const std::string& manifest) {
  cli::Checked checked;
  checked.name = name;
  checked.manifest_toml =
      fmt::format("name = \"{}\"\nhandler = \"{}.so\"\n{}", name, kProbe, manifest);
  checked.package = value_or_throw(protocol::pack_directory(FANFARE_BINARY_DIR "/chaos/probe"));
  checked.digest = sha256_hex(checked.package);
  auto redis = connected();
  return cli::deploy_function(checked, redis, *client_);
}

}  // namespace fanfare::chaos
