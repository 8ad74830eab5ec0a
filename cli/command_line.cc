#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/autoscale_verbs.h"
#include "cli/event_flags.h"
#include "cli/explain.h"
#include "cli/key_verbs.h"
#include "cli/operator_verbs.h"
#include "cli/schedule_verbs.h"
#include "cli/self_description.h"
#include "cli/topic_verbs.h"
#include "cli/verbs.h"
#include "cli/webhook_verbs.h"

namespace fanfare::cli {
namespace {

constexpr const char* kDefaultWait = "30s";

// Everything the flags are read into; lives until the verb has run.
struct Parsed {
  Common common;
  std::string output = "table";
  bool json = false;
  PublishCommand publish;
  InvokeCommand invoke;
  ResultCommand result;
  DeployCommand deploy;
  RollbackCommand rollback;
  StatusCommand status;
  LogsCommand logs;
  UsageCommand usage;
  DlqCommand dlq;
  StoreCommand store;
  PatternCommand pattern;
  std::string ttl;  // of a row
  bool all = false;
  UpCommand up;
  BenchCommand bench;
  std::string name;                                                         // of a function
  bool yes = false;                                                         // do not ask
  std::string wait, timeout = "30s", follow_timeout = "60s", since, ahead;  // durations
  Run run;
};

std::string check_instant(const std::string& text) {
  const auto instant = parse_wall_time(text);
  return instant ? std::string{} : instant.error().message;
}

CLI::Validator instant_like() {
  return CLI::Validator(check_instant, "INSTANT");
}

// CLI11's own words for these bounds have hundreds of digits.
CLI::Validator above_zero() {
  return CLI::Validator(
      [](std::string& text) {
        if (text.ends_with("/s")) text.resize(text.size() - 2);
        double number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        const bool whole_text = error == std::errc{} && end == text.data() + text.size();
        if (whole_text && std::isfinite(number) && number > 0) return std::string{};
        return fmt::format("'{}' is not a number above 0", text);
      },
      "N");
}

CLI::Validator count_above_zero() {
  return CLI::Validator(
      [](std::string& text) {
        std::uint64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc{} && end == text.data() + text.size() && number > 0) {
          return std::string{};
        }
        return fmt::format("'{}' is not a whole number above 0", text);
      },
      "N");
}

// --wait stands for --wait=30s; an option with an optional value would swallow the next word.
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::vector<std::string> arguments;
  bool flags = true;
  for (int i = 1; i < argc; ++i) {
    arguments.emplace_back(argv[i]);
    flags = flags && arguments.back() != "--";
    if (flags && arguments.back() == "--wait")
      arguments.back() = fmt::format("--wait={}", kDefaultWait);
  }
  return arguments;
}

void add_delivery_flags(CLI::App& verb, EventFlags& event) {
  verb.add_option("--delay", event.delay, "Deliver not before this much later, e.g. 90s")
      ->check(duration_like());
  verb.add_option("--deliver-at", event.deliver_at,
                  "Deliver not before this instant, e.g. 2026-12-24T18:00:00+01:00, or Unix ms")
      ->check(instant_like());
  verb.add_option("--expires-at", event.expires_at,
                  "Deliver not after this instant; then it is a dead letter, `expired`")
      ->check(instant_like());
  verb.add_option("--max-age", event.max_age, "Give up deliveries that have not ended by then")
      ->check(duration_like());
  verb.add_option("--priority", event.priority, "0 to 9, 9 first (default 4)")
      ->check(CLI::Range(0, 9));
  verb.add_option("--ordering-key", event.ordering_key, "In order, one at a time per key");
  verb.add_option("--idempotency-key", event.idempotency_key,
                  "The same key is the same event: published again it is a duplicate");
  verb.add_option("--to", event.to, "The function that gets it, alone, whatever it subscribes to");
  verb.add_option("--tenant", event.tenant, "Tenants take turns, however much each has queued");
}

void add_event_flags(CLI::App& verb, EventFlags& event) {
  verb.add_option("--source", event.source, "CloudEvents source, a URI reference")
      ->capture_default_str();
  verb.add_option("--subject", event.subject, "CloudEvents subject");
  verb.add_option(
      "--id", event.id,
      "Your own CloudEvents id: the same of one source, published again, is a duplicate");
  add_data_flags(verb, event);
}

void add_publish(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand("publish", "Publish an event");
  PublishCommand& command = parsed.publish;
  verb->add_option("--type", command.event.type, "CloudEvents type, e.g. order.placed")->required();
  add_event_flags(*verb, command.event);
  add_delivery_flags(*verb, command.event);
  add_wait_flag(*verb, parsed.wait);
  verb->add_flag("--lines", command.lines, "One event per line of standard input");
  verb->add_option("--rate", command.rate, "With --lines: events per second, e.g. 100 or 100/s")
      ->transform(above_zero());
  verb->callback([&parsed] {
    if (parsed.publish.lines && parsed.publish.event.data) {
      throw CLI::ValidationError(
          "--lines takes its data from standard input; leave out --data and --data-file");
    }
    if (!parsed.publish.lines && parsed.publish.rate > 0) {
      throw CLI::ValidationError("--rate paces --lines; it means nothing for one event");
    }
    if (parsed.publish.lines && !parsed.wait.empty()) {
      throw CLI::ValidationError("--lines does not wait; look at results with `fanfare result`");
    }
    if (!parsed.wait.empty()) parsed.publish.wait = *parse_duration(parsed.wait);
    parsed.run = [&parsed](const Common& common) { return run_publish(common, parsed.publish); };
  });
}

void add_invoke(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand("invoke", "Run a function now and print what it returns");
  verb->add_option("function", parsed.invoke.function, "The function's name")->required();
  verb->add_option("--type", parsed.invoke.event.type,
                   "CloudEvents type (default function.invoked)");
  add_event_flags(*verb, parsed.invoke.event);
  verb->add_option("--timeout", parsed.timeout, "Waiting for a free worker included")
      ->check(duration_like())
      ->capture_default_str();
  verb->add_flag("--log", parsed.invoke.log, "Print what the function logged, on standard error");
  verb->callback([&parsed] {
    parsed.invoke.timeout = *parse_duration(parsed.timeout);
    if (parsed.invoke.timeout < std::chrono::milliseconds{1} ||
        parsed.invoke.timeout > std::chrono::hours{24}) {
      throw CLI::ValidationError("--timeout: 1 ms to 24 h");
    }
    parsed.run = [&parsed](const Common& common) { return run_invoke(common, parsed.invoke); };
  });
}

void add_result(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand("result", "Show what became of an event");
  verb->add_option("event", parsed.result.event_id, "The id that publish printed")->required();
  verb->add_option("function", parsed.result.function, "Only this function's result");
  verb->add_option("--wait", parsed.wait, "Wait until it ended, --wait=DURATION for how long (30s)")
      ->check(duration_like());
  verb->callback([&parsed] {
    if (!parsed.wait.empty()) parsed.result.wait = *parse_duration(parsed.wait);
    parsed.run = [&parsed](const Common& common) { return run_result(common, parsed.result); };
  });
}

// Of what workers try before it counts.
void add_follow_flags(CLI::App& verb, FollowFlags& flags, std::string& timeout) {
  verb.add_flag("!--no-wait", flags.wait, "Do not wait until every worker has started it");
  verb.add_option("--timeout", timeout, "How long workers have for that (default 60s)")
      ->check(duration_like());
}

Duration follow_timeout(const std::string& text) {
  const Duration timeout = *parse_duration(text);
  if (timeout < std::chrono::seconds{1} || timeout > std::chrono::minutes{10}) {
    throw CLI::ValidationError("--timeout: 1 s to 10 min");
  }
  return timeout;
}

void add_functions(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand("functions", "List, describe, deploy, remove, hold up");
  verb->require_subcommand(1);
  verb->add_subcommand("list", "The deployed functions")->callback([&parsed] {
    parsed.run = run_functions_list;
  });
  CLI::App* describe = verb->add_subcommand("describe", "Every setting and where it came from");
  describe->add_option("name", parsed.name)->required();
  describe->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) {
      return run_functions_describe(common, parsed.name);
    };
  });
  CLI::App* deploy =
      verb->add_subcommand("deploy", "Deploy folders with function.toml and handler");
  deploy->add_option("folder", parsed.deploy.folders)->required();
  add_follow_flags(*deploy, parsed.deploy.follow, parsed.follow_timeout);
  deploy->callback([&parsed] {
    parsed.deploy.follow.timeout = follow_timeout(parsed.follow_timeout);
    parsed.run = [&parsed](const Common& common) {
      return run_functions_deploy(common, parsed.deploy);
    };
  });
  CLI::App* history = verb->add_subcommand("history", "The generations that can be gone back to");
  history->add_option("name", parsed.name)->required();
  history->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) {
      return run_functions_history(common, parsed.name);
    };
  });
  CLI::App* rollback =
      verb->add_subcommand("rollback", "Deploy an earlier generation again: the one before");
  rollback->add_option("name", parsed.rollback.name)->required();
  rollback->add_option("--to", parsed.rollback.to,
                       "This generation, or the one whose digest begins so");
  add_follow_flags(*rollback, parsed.rollback.follow, parsed.follow_timeout);
  rollback->callback([&parsed] {
    parsed.rollback.follow.timeout = follow_timeout(parsed.follow_timeout);
    parsed.run = [&parsed](const Common& common) {
      return run_functions_rollback(common, parsed.rollback);
    };
  });
  CLI::App* remove = verb->add_subcommand("remove", "Events are no longer delivered to it");
  remove->add_option("name", parsed.name)->required();
  remove->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) {
      return run_functions_remove(common, parsed.name);
    };
  });
  CLI::App* pause = verb->add_subcommand(
      "pause", "Events keep queueing, none is handed to a worker; what runs is finished");
  pause->add_option("name", parsed.name)->required();
  pause->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) {
      return run_functions_pause(common, parsed.name);
    };
  });
  CLI::App* purge = verb->add_subcommand(
      "purge", "Empty its queue: what waits, is delayed or being retried ends as cancelled");
  purge->add_option("name", parsed.name)->required();
  purge->add_flag("--yes", parsed.yes, "Do not ask");
  purge->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) {
      return run_functions_purge(common, parsed.name, parsed.yes);
    };
  });
  CLI::App* resume = verb->add_subcommand("resume", "A paused function goes on");
  resume->add_option("name", parsed.name)->required();
  resume->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) {
      return run_functions_resume(common, parsed.name);
    };
  });
}

void add_status(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand("status", "Broker, Redis, workers, queues");
  verb->add_flag("--watch", parsed.status.watch, "Show it again every second");
  verb->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) { return run_status(common, parsed.status); };
  });
}

void add_logs(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand("logs", "What functions print, and a report of each attempt");
  LogsCommand& command = parsed.logs;
  verb->add_option("function", command.function, "Only this function's");
  verb->add_flag("-f,--follow", command.follow, "Go on with what is added");
  verb->add_option("--since", parsed.since, "Only what is younger, e.g. 10m")
      ->check(duration_like());
  verb->add_option("-n,--lines", command.lines,
                   "The last so many (default 100, or all with --since)")
      ->check(count_above_zero());
  verb->add_option("--file", command.files,
                   "The log of a worker that is not of `up`, - for standard input; may be given "
                   "again");
  verb->callback([&parsed] {
    if (!parsed.since.empty()) parsed.logs.since = *parse_duration(parsed.since);
    parsed.run = [&parsed](const Common& common) { return run_logs(common, parsed.logs); };
  });
}

void add_usage(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand(
      "usage", "Invocations, billed time and GB-seconds, by function and tenant");
  UsageCommand& command = parsed.usage;
  verb->add_option("--since", parsed.since, "How far back, in whole hours (default 24h)")
      ->check(duration_like());
  verb->add_option("--function", command.function, "Only this function's");
  verb->add_option("--tenant", command.tenant, "Only this tenant's; empty: events without one");
  verb->add_flag("--csv", command.csv, "A row per hour, function and tenant");
  verb->callback([&parsed] {
    if (!parsed.since.empty()) parsed.usage.since = *parse_duration(parsed.since);
    parsed.run = [&parsed](const Common& common) { return run_usage(common, parsed.usage); };
  });
}

// Which letters: all, those that match, those of the events named.
void add_letter_flags(CLI::App& verb, DlqCommand& command) {
  verb.add_option("function", command.function)->required();
  verb.add_option("--where", command.where,
                  "Only those that match: JSON as in [[on]], also over error.type, error.message, "
                  "reason, attempts and died");
  verb.add_option("--limit", command.limit, "How many at most")->check(CLI::Range(1, 100'000'000));
}

void add_letter_changes(CLI::App& verb, DlqCommand& command) {
  add_letter_flags(verb, command);
  verb.add_option("event", command.ids, "Only the letters of these events");
  verb.add_flag("--dry-run", command.dry_run, "Only say how many it would be");
}

void add_dlq(CLI::App& app, Parsed& parsed) {
  CLI::App* verb =
      app.add_subcommand("dlq", "Dead letters: deliveries that will not be tried again");
  verb->require_subcommand(1);
  const auto runs = [&parsed](int (*run)(const Common&, const DlqCommand&)) {
    return [&parsed, run] {
      parsed.run = [&parsed, run](const Common& common) { return run(common, parsed.dlq); };
    };
  };
  CLI::App* list = verb->add_subcommand("list", "The newest letters of a function (50)");
  add_letter_flags(*list, parsed.dlq);
  list->callback(runs(run_dlq_list));
  CLI::App* show =
      verb->add_subcommand("show", "One letter: its event, every attempt, the last error");
  show->add_option("function", parsed.dlq.function)->required();
  show->add_option("event", parsed.dlq.ids, "The event's id")->required()->expected(1);
  show->callback(runs(run_dlq_show));
  CLI::App* redrive =
      verb->add_subcommand("redrive", "Try letters again, oldest first, with fresh attempts");
  add_letter_changes(*redrive, parsed.dlq);
  redrive->add_option("--rate", parsed.dlq.rate, "Letters per second, e.g. 100 or 100/s")
      ->transform(above_zero());
  redrive->callback(runs(run_dlq_redrive));
  CLI::App* purge = verb->add_subcommand("purge", "Delete letters for good, after asking");
  add_letter_changes(*purge, parsed.dlq);
  purge->add_flag("--yes", parsed.dlq.yes, "Do not ask");
  purge->callback(runs(run_dlq_purge));
}

CLI::App* add_store_verb(CLI::App& verb, Parsed& parsed, const char* name, const char* what,
                         int (*run)(const Common&, const StoreCommand&)) {
  CLI::App* added = verb.add_subcommand(name, what);
  added->add_option("function", parsed.store.function)->required();
  added->callback([&parsed, run] {
    if (!parsed.ttl.empty()) parsed.store.ttl = *parse_duration(parsed.ttl);
    parsed.run = [&parsed, run](const Common& common) { return run(common, parsed.store); };
  });
  return added;
}

void add_store_delete(CLI::App& verb, Parsed& parsed) {
  StoreCommand& command = parsed.store;
  CLI::App* added =
      add_store_verb(verb, parsed, "delete", "Rows by key, or many at once", run_store_delete);
  added->add_option("key", command.keys, "Keys of rows");
  added->add_option("--prefix", command.prefix, "All rows whose keys begin so; needs --yes");
  added->add_flag("--all", parsed.all, "All rows of the function; needs --yes");
  added->add_flag("--yes", parsed.yes, "Yes, delete them: there is no way back");
  added->callback([&parsed] {
    StoreCommand& chosen = parsed.store;
    const int ways = !chosen.keys.empty() + !chosen.prefix.empty() + parsed.all;
    if (ways != 1) throw CLI::ValidationError("name keys, or --prefix P, or --all");
    if (chosen.keys.empty() && !parsed.yes) {
      throw CLI::ValidationError("rows that are deleted are gone; say --yes if you mean it");
    }
    parsed.run = [&parsed](const Common& common) { return run_store_delete(common, parsed.store); };
  });
}

void add_store(CLI::App& app, Parsed& parsed) {
  StoreCommand& command = parsed.store;
  CLI::App* verb = app.add_subcommand("store", "What a function keeps of its own: its rows");
  verb->require_subcommand(1);
  CLI::App* list =
      add_store_verb(*verb, parsed, "list", "Rows in the order of keys", run_store_list);
  list->add_option("--prefix", command.prefix, "Only rows whose keys begin so");
  list->add_option("--limit", command.limit, "How many at most")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  list->add_option("--after", command.after, "Go on behind this key");
  CLI::App* get = add_store_verb(*verb, parsed, "get", "One row's value, as it is", run_store_get);
  get->add_option("key", command.key)->required();
  CLI::App* put = add_store_verb(*verb, parsed, "put", "Write a row", run_store_put);
  put->add_option("key", command.key)->required();
  put->add_option("value", command.value, "Text, @FILE, or - for standard input")->required();
  put->add_option("--ttl", parsed.ttl, "It is gone after this long, e.g. 24h")
      ->check(duration_like());
  add_store_delete(*verb, parsed);
  CLI::App* all = add_store_verb(*verb, parsed, "export",
                                 "All rows, for other tools: members of JSON values become columns",
                                 run_store_export);
  all->add_option("--prefix", command.prefix, "Only rows whose keys begin so");
  all->add_option("--format", command.format, "csv (RFC 4180) or jsonl")
      ->check(CLI::IsMember({"csv", "jsonl"}))
      ->capture_default_str();
  all->add_flag("--for-spreadsheet", command.for_spreadsheet,
                "An apostrophe before cells that a spreadsheet would run as formulas");
}

void add_pattern(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand("pattern", "Try the patterns of subscriptions");
  verb->require_subcommand(1);
  CLI::App* test = verb->add_subcommand(
      "test", "Does an event match, and if not, why? Ends with 0 if it does, with 1 if not");
  test->add_option("--pattern", parsed.pattern.pattern,
                   "Its JSON, as in [[on]] of a manifest, or a file of it")
      ->required();
  test->add_option("--event", parsed.pattern.event,
                   "A file, or - for standard input: {\"type\": …, \"data\": …}, or CloudEvents")
      ->capture_default_str();
  test->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) {
      return run_pattern_test(common, parsed.pattern);
    };
  });
}

void add_up(CLI::App& app, Parsed& parsed) {
  CLI::App* verb =
      app.add_subcommand("up", "Run a whole installation in the foreground; Ctrl-C drains it");
  UpCommand& command = parsed.up;
  verb->add_option("--functions", command.functions,
                   "A folder whose sub-folders are functions to deploy; may be given again");
  verb->add_option("--slots", command.slots,
                   "Instances that a worker runs at once (default: its own)")
      ->check(CLI::Range(1, 10000));
  verb->add_option("--workers", command.workers, "Worker processes")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--durability", command.durability,
                   "fsync: acknowledged is on disk; everysec: a crash may lose the last seconds; "
                   "memory: queued events live in the broker only")
      ->check(CLI::IsMember({"fsync", "everysec", "memory"}))
      ->capture_default_str();
  CLI::Option* http =
      verb->add_option("--http", command.http,
                       "Where HTTP requests are taken: forms, CloudEvents, calls (port 0: a free "
                       "one, which is told)")
          ->capture_default_str();
  verb->add_flag_callback(
          "--no-http", [&command] { command.http.clear(); },
          "No gateway: nothing takes HTTP requests, fires schedules or watches directories")
      ->excludes(http);
  verb->add_flag("!--no-examples", command.examples, "Do not deploy the functions that ship");
  verb->callback([&parsed] {
    parsed.run = [&parsed](const Common& common) { return run_up(common, parsed.up); };
  });
}

void add_bench(CLI::App& app, Parsed& parsed) {
  CLI::App* verb = app.add_subcommand(
      "bench",
      "Measure an installation (or, if none is named, one of its own) with a no-op function");
  BenchCommand& command = parsed.bench;
  verb->add_option("mode", command.mode,
                   "throughput, delayed, backlog, latency, invoke or cold-start")
      ->check(
          CLI::IsMember({"throughput", "delayed", "backlog", "latency", "invoke", "cold-start"}))
      ->capture_default_str();
  verb->add_option("--events", command.events, "Per run")->check(count_above_zero());
  verb->add_option("--size", command.size, "Bytes of data per event")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  verb->add_option("--publishers", command.publishers, "Threads, each with a connection of its own")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  verb->add_option("--functions", command.functions,
                   "No-op functions that events go to in turns; of throughput")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  verb->add_option("--subscriptions", command.subscriptions,
                   "Patterns of other functions, which no event matches")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  verb->add_option("--queued", command.queued,
                   "Events that wait meanwhile for a paused function; temporary installation")
      ->check(CLI::Range(0, 10'000'000))
      ->capture_default_str();
  verb->add_option("--workers", command.workers, "Of the temporary installation")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--rate", command.rate, "Events per second, of latency")
      ->transform(above_zero())
      ->capture_default_str();
  verb->add_option("--ahead", parsed.ahead,
                   "How far ahead those of `delayed` are due; else by their number")
      ->check(duration_like());
  verb->add_flag("--hops", command.hops,
                 "Of `latency`: what each hop of the way takes; temporary installation");
  verb->add_flag("--from-function", command.from_function,
                 "Of `invoke`: from within a function, to another one");
  verb->add_option("--runs", command.runs, "The median of so many")
      ->check(CLI::Range(1, 99))
      ->capture_default_str();
  verb->add_option("--durability", command.durability, "Class of the temporary installation")
      ->check(CLI::IsMember({"fsync", "everysec", "memory"}));
  verb->callback([&parsed] {
    if (!parsed.ahead.empty()) parsed.bench.ahead = *parse_duration(parsed.ahead);
    if (parsed.bench.from_function && parsed.bench.mode != "invoke") {
      throw CLI::ValidationError("--from-function is for `bench invoke`");
    }
    if (parsed.bench.hops && parsed.bench.mode != "latency") {
      throw CLI::ValidationError("--hops is for `bench latency`");
    }
    if (parsed.bench.functions > 1 && parsed.bench.mode != "throughput") {
      throw CLI::ValidationError("--functions is for `bench throughput`");
    }
    parsed.run = [&parsed](const Common& common) { return run_bench(common, parsed.bench); };
  });
}

// What the command says of itself is made of `app` when all of it has been declared.
void add_self_description(CLI::App& app, Parsed& parsed) {
  CLI::App* completion = app.add_subcommand("completion", "Print completions for a shell");
  completion->add_option("shell", parsed.name, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&app, &parsed] {
    parsed.run = [&app, &parsed](const Common&) {
      fmt::print("{}", completion_script(app, parsed.name));
      return kDone;
    };
  });
  // For who builds a package: nobody types it.
  CLI::App* manual = app.add_subcommand("manual", "Print the manual page, as roff")->group("");
  manual->callback([&app, &parsed] {
    parsed.run = [&app](const Common&) {
      fmt::print("{}", manual_page(app, FANFARE_VERSION));
      return kDone;
    };
  });
}

void add_common_flags(CLI::App& app, Parsed& parsed) {
  Address& address = parsed.common.address;
  app.add_option(
      "--data", address.data,
      "Directory of a local installation (FANFARE_DATA, else ./fanfare-data if it is there, else "
      "the services of this machine)");
  app.add_option("--broker", address.broker, "A broker elsewhere: ipc:///path or tcp://host:port");
  app.add_option("--broker-key", address.broker_key,
                 "Its public key, or a file with it; for a broker of another machine");
  app.add_option("--key-file", address.key_file, "File with your secret key, likewise");
  app.add_option("--redis", address.redis, "A Redis elsewhere: unix:///path or redis://host:port");
  app.add_option("--output", parsed.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_flag("--json", parsed.json, "Short for --output json");
  app.set_version_flag("--version", std::string("fanfare " FANFARE_VERSION));
}

// Makes every verb take the common flags too. `--data` of an event is another one: it belongs to
// verbs that make one, where the installation is then named before the verb or by FANFARE_DATA.
void let_fall_through(CLI::App& app) {
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    verb->fallthrough();
    let_fall_through(*verb);
  }
}

}  // namespace

int run_command_line(int argc, char** argv) {
  Parsed parsed;
  CLI::App app("Fanfare fans events out to functions.", "fanfare");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 the function or event failed, 2 usage, 3 broker or Redis\n"
      "unreachable, 4 refused. All verbs take --broker, --redis, --output, --json and, for the\n"
      "installation, --data; behind publish, topic publish and invoke --data is the event's.");
  add_common_flags(app, parsed);
  add_up(app, parsed);
  add_publish(app, parsed);
  add_invoke(app, parsed);
  add_result(app, parsed);
  add_functions(app, parsed);
  add_status(app, parsed);
  add_logs(app, parsed);
  add_usage(app, parsed);
  add_dlq(app, parsed);
  add_store(app, parsed);
  add_pattern(app, parsed);
  add_bench(app, parsed);
  add_operator_verbs(app, parsed.run);
  add_schedule_verbs(app, parsed.run);
  add_webhook_verbs(app, parsed.run);
  add_topic_verbs(app, parsed.run);
  add_autoscale_verbs(app, parsed.run);
  add_key_verbs(app, parsed.run);
  add_self_description(app, parsed);
  let_fall_through(app);

  if (const std::string word = duration_after_wait(argc, argv); !word.empty()) {
    print_error(detect_output(false), fmt::format("--wait does not take the next word, '{}'", word),
                fmt::format("Write --wait={}.", word));
    return kUsage;
  }
  std::vector<std::string> arguments = arguments_of(argc, argv);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return explain(app, error, arguments, detect_output(false));
  }
  parsed.common.output = detect_output(parsed.json || parsed.output == "json");
  return parsed.run(parsed.common);
}

}  // namespace fanfare::cli
