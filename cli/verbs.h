// What each verb of the `fanfare` command takes. command_line.cc fills these, one file per verb
// runs them; each returns an ExitCode.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "cli/installation.h"
#include "cli/output.h"

namespace fanfare::cli {

// What every verb has.
struct Common {
  Address address;
  Output output;
};

// The event that publish, invoke and topic publish describe by flags.
struct EventFlags {
  std::string type;
  std::string source = "/cli";
  std::string subject;
  std::string id;
  std::optional<std::string> data;  // TEXT, @FILE or - for standard input
  std::string content_type;         // empty = application/json if it parses, else text, else bytes
  std::string delay, max_age;       // durations
  std::string deliver_at, expires_at;  // instants
  std::optional<int> priority;
  std::string ordering_key, idempotency_key, tenant, to;
};

struct PublishCommand {
  EventFlags event;
  std::optional<Duration> wait;
  bool lines = false;  // one event per line of standard input
  double rate = 0;     // events per second, 0 = as fast as they are acknowledged
};
int run_publish(const Common& common, const PublishCommand& command);

struct InvokeCommand {
  std::string function;
  EventFlags event;
  Duration timeout = std::chrono::seconds{30};
  bool log = false;
};
int run_invoke(const Common& common, const InvokeCommand& command);

struct ResultCommand {
  std::string event_id;
  std::string function;  // empty = all
  std::optional<Duration> wait;
};
int run_result(const Common& common, const ResultCommand& command);

int run_functions_list(const Common& common);
int run_functions_describe(const Common& common, const std::string& name);
// Whether and how long a deployment is waited for.
struct FollowFlags {
  bool wait = true;
  Duration timeout = std::chrono::seconds{60};
};
struct DeployCommand {
  std::vector<std::string> folders;
  FollowFlags follow;
};
int run_functions_deploy(const Common& common, const DeployCommand& command);
struct RollbackCommand {
  std::string name;
  std::string to;  // a generation, or how a digest begins; empty: the one before
  FollowFlags follow;
};
int run_functions_rollback(const Common& common, const RollbackCommand& command);
int run_functions_history(const Common& common, const std::string& name);
int run_functions_remove(const Common& common, const std::string& name);
int run_functions_pause(const Common& common, const std::string& name);
int run_functions_resume(const Common& common, const std::string& name);
int run_functions_purge(const Common& common, const std::string& name, bool yes);

struct CancelCommand {
  std::string event_id;
  std::string function;  // empty = all
};
int run_cancel(const Common& common, const CancelCommand& command);

struct DeliveriesCommand {
  std::string function;
  std::string state;  // ready | running | delayed | retrying, empty = all
  std::string where;  // a pattern, empty = all
  std::uint64_t limit = 50;
};
int run_deliveries_list(const Common& common, const DeliveriesCommand& command);

int run_doctor(const Common& common);

int run_workers_list(const Common& common);
int run_workers_drain(const Common& common, const std::string& worker);
int run_workers_resume(const Common& common, const std::string& worker);

struct ConfigCommand {
  std::string file;     // empty = that of the installation, else the default one
  bool origin = false;  // say where each value came from
};
int run_config_show(const Common& common, const ConfigCommand& command);

struct StatusCommand {
  bool watch = false;
};
int run_status(const Common& common, const StatusCommand& command);

struct LogsCommand {
  std::string function;  // empty = all
  bool follow = false;
  std::optional<Duration> since;
  std::optional<std::size_t> lines;  // the last so many; default 100, or all with `since`
  std::vector<std::string> files;    // logs of workers elsewhere; - is standard input
};
int run_logs(const Common& common, const LogsCommand& command);

struct UsageCommand {
  Duration since = std::chrono::hours{24};
  std::string function;
  std::optional<std::string> tenant;  // the empty one: events without
  bool csv = false;
};
int run_usage(const Common& common, const UsageCommand& command);

struct DlqCommand {
  std::string function;
  std::vector<std::string> ids;  // events; show: one
  std::string where;             // a pattern; empty = all
  std::optional<std::uint64_t> limit;
  double rate = 0;  // letters per second, 0 = as fast as the broker takes them
  bool dry_run = false, yes = false;
};
inline constexpr std::uint64_t kLettersListed = 50;  // unless said otherwise
int run_dlq_list(const Common& common, const DlqCommand& command);
int run_dlq_show(const Common& common, const DlqCommand& command);
int run_dlq_redrive(const Common& common, const DlqCommand& command);
int run_dlq_purge(const Common& common, const DlqCommand& command);

struct StoreCommand {
  std::string function;
  std::string key;                // get, put
  std::vector<std::string> keys;  // delete
  std::string value;              // TEXT, @FILE or - for standard input
  std::string prefix, after;      // of keys
  std::uint64_t limit = 100;
  std::optional<Duration> ttl;
  std::string format = "csv";  // csv | jsonl
  bool for_spreadsheet = false;
};
int run_store_list(const Common& common, const StoreCommand& command);
int run_store_get(const Common& common, const StoreCommand& command);
int run_store_put(const Common& common, const StoreCommand& command);
int run_store_delete(const Common& common, const StoreCommand& command);
int run_store_export(const Common& common, const StoreCommand& command);

struct PatternCommand {
  std::string pattern;      // its text, or a file
  std::string event = "-";  // a file, or standard input
};
// kDone: the event matches; kFailed: it does not.
int run_pattern_test(const Common& common, const PatternCommand& command);

struct UpCommand {
  std::vector<std::string> functions;  // folders of functions' folders
  std::uint32_t slots = 0;             // instances per worker at once; 0 = the worker's own default
  std::string durability = "fsync";
  std::uint32_t workers = 1;
  std::string http = "127.0.0.1:0";  // host:port of the gateway; empty = none
  bool examples = true;              // deploy the shipped functions
};
int run_up(const Common& common, const UpCommand& command);

struct BenchCommand {
  // throughput | delayed | backlog | latency | invoke | cold-start
  std::string mode = "throughput";
  std::uint64_t events = 0;  // 0 = the mode's own
  std::uint64_t size = 200;  // bytes of data
  std::uint32_t publishers = 2;
  std::uint32_t functions = 1;      // that events go to, in turns
  std::uint32_t subscriptions = 0;  // of other functions, to which none goes
  std::uint64_t queued = 0;         // events that wait meanwhile, for a function that is paused
  std::uint32_t workers = 1;        // of a temporary installation
  double rate = 500;                // events per second, of latency
  bool hops = false;                // of latency: what each hop takes; temporary installation
  bool from_function = false;       // of invoke: a function invokes the other
  Duration ahead{};                 // until those of delayed are due; 0 = by their number
  std::uint32_t runs = 3;
  std::string durability;  // of a temporary installation; empty = fsync
};
int run_bench(const Common& common, const BenchCommand& command);

}  // namespace fanfare::cli
