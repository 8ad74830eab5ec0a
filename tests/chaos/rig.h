// A system under fault: Redis, brokers, workers and publishers as real processes in a directory of
// their own, a supervisor that starts again what dies, and a record of everything that was done to
// them. One thread; all is gone when the object goes.
//
//   Rig rig({.workers = 3});
//   Publication& load = rig.publish({.rate = 1000, .seconds = 2});
//   rig.run_for(300ms);
//   rig.kill(rig.worker(1));          // noted as a fault; the supervisor starts it again
//   rig.come_to_rest(10s);
//   History history = rig.collect();
//
// Failures of the rig itself (a process that does not start) throw.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/redis_sync.h"
#include "cli/child.h"
#include "cli/deployment.h"
#include "client/blocking_client.h"
#include "tests/chaos/history.h"
#include "tests/chaos/link_proxy.h"
#include "tests/chaos/load.h"
#include "tests/chaos/sabotage.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_dir.h"

namespace fanfare::chaos {

using Variables = std::vector<std::pair<std::string, std::string>>;

class Member;

struct RigOptions {
  std::string durability = "fsync";
  test::RedisServerOptions redis;
  std::size_t workers = 1;
  std::size_t slots = 2;                       // of each worker
  Variables broker, worker;                    // more settings, for every start
  std::string broker_without, worker_without;  // protections that are off, by commas
  // Of the probe. Retries come at once, so that a run need not wait for them.
  std::string manifest =
      "timeout = \"5s\"\n[retry]\nmax_attempts = 5\nbase = \"10ms\"\ncap = \"50ms\"\n";
  bool destination = false;   // another function is told how the probe's deliveries end
  std::string env;            // of the probe: more lines of its manifest's [env]
  Sabotage sabotage;          // of Redis' function library
  bool proxy_redis = false;   // brokers and workers reach Redis through redis_link()
  bool proxy_broker = false;  // each worker reaches the broker through a broker_link()
  bool read_file = true;      // the append-only file, into the history
  std::string redis_dir;      // where Redis keeps its file; empty: in a directory of its own
  // Sees each worker before its first start.
  std::function<void(std::size_t number, Member& worker)> adjust_worker;
};

// One broker or worker: a place in the system, which successive processes fill.
class Member {
 public:
  std::string name;  // "broker", "worker-1"
  std::vector<std::string> command;
  Variables environment;   // of every start
  Variables next_start;    // of the next one only
  bool supervised = true;  // started again when it dies
  std::size_t starts = 0;
  std::size_t died_at_place = 0;  // ended with kDiedAtPlace
  std::vector<int> exit_codes;
  std::vector<pid_t> pids;            // all there have been
  Holding warm;                       // of the first one, once it had what comes once
  std::optional<Holding> before;      // of the one that runs; see Held
  std::vector<std::int64_t> ends_ns;  // when they were seen to end

  bool running() const { return child && child->running(); }
  pid_t pid() const { return child ? child->pid() : -1; }

 private:
  friend class Rig;
  std::unique_ptr<cli::Child> child;
  std::int64_t started_ns = 0;
};

// An operator's command: a process of the installed command line.
struct Command {
  std::vector<std::string> words;
  std::string output_file;
  std::int64_t ended_ns = 0;
  int exit_code = -1;
  bool killed = false;
  std::unique_ptr<cli::Child> child;
  bool running() const { return child && child->running(); }
  std::string output() const;
};

// A publisher and its log.
struct Publication {
  std::string log;
  Tag first_tag = 0;
  std::int64_t clients = 0;
  std::unique_ptr<cli::Child> child;
  bool running() const { return child && child->running(); }
};

class Rig {
 public:
  explicit Rig(RigOptions options);
  ~Rig();

  // ---- what there is ----
  test::RedisServer& redis() { return *redis_; }
  LinkProxy& redis_link() { return *redis_link_; }
  LinkProxy& broker_link(std::size_t worker) { return *broker_links_.at(worker); }
  Member& broker() { return *members_.front(); }
  Member& worker(std::size_t i) { return *members_.at(1 + i); }
  std::size_t workers() const { return options_.workers; }
  client::BlockingClient& client() { return *client_; }
  std::string file(const std::string& name) const { return dir_.file(name); }
  std::string endpoint() const { return "ipc://" + dir_.file("broker.ipc"); }
  const RigOptions& options() const { return options_; }

  // ---- what happens ----
  Publication& publish(Load load);  // fills in first_tag
  void stop_publishing();           // publishers end when what they have sent is answered
  void run_for(Duration duration);
  bool run_until(const std::function<bool()>& done, Duration at_most);

  // ---- faults; each is noted ----
  void kill(Member& member);   // SIGKILL
  void stop(Member& member);   // SIGSTOP
  void go_on(Member& member);  // SIGCONT; the fault ends here
  void restart_redis();        // SIGKILL, and again on the same data
  void kill_redis();
  void start_redis();
  void note_fault(const std::string& what, std::int64_t from_ns, pid_t pid = 0);
  std::size_t faults() const { return faults_.size(); }

  // `fanfare WORDS… --json`; ours until the end.
  Command& command(std::vector<std::string> words);
  void kill(Command& command);

  // Starts it, or again. The supervisor does so by itself.
  void start(Member& member);
  // The probe anew: a new generation of it, with such lines in its manifest's [env].
  void deploy_probe(const std::string& more_env);
  // The same for a version that must not be deployed: why it was not, or nothing if it was.
  std::string why_probe_is_refused(const std::string& more_env);
  // One more broker, on the same endpoint as the first or on one of its own; not started.
  Member& add_broker(const std::string& endpoint);

  // ---- the end ----
  // Like run_until, but gives up early where nothing moves any more: nobody has published, run or
  // ended anything for kStandstill. So a control that gets stuck has the patience of a run, and
  // does not take as long.
  bool run_while_it_moves(const std::function<bool()>& done, Duration at_most);
  // All publishers have ended, and nothing is open or later. False if that takes longer, or nothing
  // moves any more.
  bool come_to_rest(Duration at_most);
  bool published() const;  // all publishers have ended
  Counts counts();         // one atomic read
  bool has_result(const protocol::EventId& id);
  bool answers();       // the broker does
  void need_cgroups();  // throws CannotHere if the first worker may make none
  std::vector<Execution> executions() const;
  std::vector<BirthRecord> births() const;  // of the probe's processes
  // Reads everything. What has not come to rest is killed first, so that all witnesses speak of one
  // instant.
  History collect();
  // The last lines of each process, and when Redis waited long for its disk.
  std::string logs() const;
  // The longest time since Redis was started last for which it answered nobody, as it waited for
  // its disk. The machine's doing: no bound on what others take can hold meanwhile.
  double disk_wait_ms() const;

  static std::int64_t now_ns();

 private:
  std::string what_the_broker_says();
  Member& add(std::string name, std::vector<std::string> command, Variables environment);
  void on_exit(Member& member, const cli::ChildEnd& end);
  Variables settings_of_broker(const std::string& endpoint) const;
  Variables settings_of_worker(std::size_t number) const;
  std::string redis_url() const;
  void load_sabotaged_library();
  std::string manifest_of_probe(const std::string& more_env) const;
  void deploy(const std::string& name, const std::string& manifest);
  Result<cli::Deployed> try_to_deploy(const std::string& name, const std::string& manifest);
  RedisSync connected() const;  // to Redis itself
  std::filesystem::path redis_dir() const;
  bool nobody_runs() const;
  void keep() const;
  void warm_up();
  void look_at_new_ones();
  std::vector<Held> look_at_rest();

  RigOptions options_;
  test::TempDir dir_;
  Loop loop_;
  std::unique_ptr<test::RedisServer> redis_;
  std::unique_ptr<LinkProxy> redis_link_;
  std::vector<std::unique_ptr<LinkProxy>> broker_links_;  // by worker
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<std::unique_ptr<Publication>> publications_;
  std::vector<std::unique_ptr<Command>> commands_;
  std::unique_ptr<client::BlockingClient> client_;
  std::vector<Fault> faults_;
  std::map<pid_t, std::size_t> stopped_;      // faults that have not ended, by process
  std::vector<std::function<void()>> later_;  // starts, outside of their child's callback
  std::uint64_t next_tag_ = 1;
  std::vector<Held> held_;
  std::int64_t clients_max_ = 0;  // that published at one time
  bool warm_ = false;
  bool came_to_rest_ = true;
  std::string unrest_;  // what the broker said when it did not
  bool ending_ = false;
};

// Longer than any pause in a run: than leases, retries and the wait for announcements.
inline constexpr Duration kStandstill = std::chrono::seconds{10};

// A folder that collect() leaves copies of all logs and of Redis' file in, if the environment names
// one.
inline constexpr const char* kKeepVariable = "CHAOS_KEEP";

// The name of the probe, and the type of its events.
inline constexpr const char* kProbe = "probe";
// The function that is told, see RigOptions::destination: the probe again, under another name.
inline constexpr const char* kTold = "told";

}  // namespace fanfare::chaos
