#include "broker/config.h"

#include <fmt/format.h>

#include <random>

#include "base/zmq_endpoint.h"

namespace fanfare::broker {

using namespace std::chrono_literals;

ConfigSpec config_spec(Config& c) {
  ConfigSpec spec;
  spec.describe_section("broker", "fanfare-broker: accepts, journals, routes and lends deliveries");
  spec.text("broker", "endpoint", &c.endpoint, "ipc:///run/fanfare/broker.ipc",
            "Where publishers and workers connect: ipc:///path or tcp://127.0.0.1:port.");
  spec.list("broker", "listen", &c.listen, "",
            "Where those of other machines do, encrypted, with keys: tcp://address:port, several\n"
            "if you like. Needs the next two.");
  spec.text("broker", "curve_secret_key_file", &c.curve_secret_key_file, "",
            "File with this broker's secret key, which `ops/keys init` makes; for its user alone.");
  spec.text("broker", "allowed_keys", &c.allowed_keys, "",
            "File that says who may come in, and as what; `ops/keys add` and `revoke` change it,\n"
            "and it is read again when it changes.");
  spec.integer("broker", "remote_connections_max", &c.remote_connections_max, 1024,
               "Connections of other machines at a time; one more is closed.",
               {.min = 1, .max = 60'000});
  spec.integer("broker", "remote_connections_per_key_max", &c.remote_connections_per_key_max, 256,
               "Of these, with the same key. A worker has one, so has a publisher.",
               {.min = 1, .max = 60'000});
  spec.text("broker", "redis", &c.redis, "unix:///run/fanfare/redis.sock",
            "The Redis that keeps the journal: unix:///path or redis://host:port.");
  spec.integer(
      "broker", "layout", &c.layout, 0,
      "What to bring older data in Redis to when this broker takes office; programs of older\n"
      "releases cannot read them then. 0 = they stay as they are; new data are the newest.",
      {.min = 0, .max = store::kLayoutNewest});
  spec.choice("broker", "durability", &c.durability, "fsync",
              "What an acknowledgement promises: fsync (on disk), everysec (in Redis; a crash may\n"
              "lose the last seconds), memory (in the broker; a crash loses it).",
              {"fsync", "everysec", "memory"});
  spec.size("broker", "max_event_bytes", &c.max_event_bytes, "1MiB",
            "Largest data of one event; more is refused as too_large.",
            {.min = 1, .max = protocol::kEventDataBytesCeiling});
  spec.integer("broker", "queue_max", &c.queue_max, 10'000'000,
               "Deliveries waiting per function before publishers are told queue_full.",
               {.min = 1, .max = 1'000'000'000});
  spec.size("broker", "intake_bytes_max", &c.intake_bytes_max, "64MiB",
            "Events accepted but not yet journaled, before publishers are told queue_full.",
            {.min = 1 << 20, .max = 4ull << 30});
  spec.duration(
      "broker", "dedup_window", &c.dedup_window, "5m",
      "How long the same source and id, or idempotency key, is the same event; 0 = off. Each\n"
      "such event costs Redis some 200 bytes for so long.",
      {.min = 0ms, .max = 24h});
  spec.flag(
      "broker", "start_early", &c.start_early, true,
      "Whether a delivery may run while its event is being journaled. It may then have run for\n"
      "an event that Redis refused.");
  spec.flag(
      "broker", "direct", &c.direct, true,
      "Whether this machine's workers and clients may reach the broker past ZeroMQ, by a socket\n"
      "named <endpoint's path>.direct. Without it all of them use ZeroMQ, and wait longer.");
  spec.duration("broker", "heartbeat", &c.heartbeat, "2s", "How often workers report.",
                {.min = 50ms, .max = 60s});
  spec.duration("broker", "lease", &c.lease, "30s",
                "A worker silent for so long is lost; what it held goes to others.",
                {.min = 200ms, .max = 1h});
  spec.duration("broker", "announce_grace", &c.announce_grace, "300ms",
                "How long a restarted broker waits for known workers to say what they hold.",
                {.min = 0ms, .max = 5min});
  spec.integer("broker", "max_worker_losses", &c.max_worker_losses, 5,
               "A delivery whose worker vanished so often becomes a dead letter.",
               {.min = 1, .max = 1000});
  spec.duration("broker", "dead_max_age", &c.dead_max_age, "14d",
                "Dead letters older than this go, when the next one of their function is written.",
                {.min = 1min, .max = 24h * 3650});
  spec.integer("broker", "dead_max_count", &c.dead_max_count, 100'000,
               "Dead letters kept per function, roughly; the oldest go. About event + ledger each.",
               {.min = 100, .max = 100'000'000});
  spec.integer("broker", "generations_kept", &c.generations_kept, 10,
               "Generations of a function that can be gone back to, the present one among them.\n"
               "Redis keeps their packages.",
               {.min = 1, .max = store::kGenerationsKeptMax});
  spec.text("broker", "metrics", &c.metrics, "",
            "host:port of the HTTP endpoint with /metrics, /healthz and /readyz; empty = none.");
  spec.text("broker", "log_level", &c.log_level, "info", "trace, debug, info, warn, error or off.");
  spec.choice("broker", "log_format", &c.log_format, "text", "text or json.", {"text", "json"});
  spec.text(
      "broker", "trace", &c.trace, "",
      "Folder where instants of each event's way are noted, as `fanfare bench latency --hops`\n"
      "has it; empty = none.");
  return spec;
}

Result<CoreOptions> core_options(const Config& c) {
  const auto durability = parse_durability(c.durability);
  if (!durability) return durability.error();
  if (c.lease < 2 * c.heartbeat) {
    return reject(fmt::format("[broker] lease ({}) must be at least two heartbeats ({} each)",
                              format_duration(c.lease), format_duration(c.heartbeat)));
  }
  CoreOptions options;
  options.durability = *durability;
  options.event_bytes_max = c.max_event_bytes;
  options.layout = c.layout;
  options.queue_max = c.queue_max;
  options.intake_bytes_max = c.intake_bytes_max;
  options.dedup_window = c.dedup_window;
  options.start_early = c.start_early;
  options.former_lends = Office::kSuccessorWaits;
  options.dead_max_age = c.dead_max_age;
  options.dead_max_count = c.dead_max_count;
  options.generations_kept = c.generations_kept;
  options.heartbeat = c.heartbeat;
  options.lease = c.lease;
  options.announce_grace = c.announce_grace;
  options.worker_losses_max = c.max_worker_losses;
  options.seed = std::random_device{}();
  options.protections = c.protections;
  options.failpoint = c.failpoint;
  return options;
}

Result<void> check_endpoint(const std::string& endpoint) {
  if (is_local(endpoint)) return {};
  return reject(fmt::format(
      "[broker] endpoint '{}' is not of this machine alone; use ipc:///path or "
      "tcp://127.0.0.1:port. Other machines come in by `listen`, with keys: run `ops/keys init`",
      endpoint));
}

RemoteOptions remote_options(const Config& config) {
  RemoteOptions options;
  options.listen = config.listen;
  options.secret_key_file = config.curve_secret_key_file;
  options.allowed_keys = config.allowed_keys;
  options.connections_max = config.remote_connections_max;
  options.connections_per_key_max = config.remote_connections_per_key_max;
  // Half of a lease: a worker that is cut off knows so before its work goes to others.
  options.silence_max = config.lease / 2;
  return options;
}

Result<void> check_files(const Config& config) {
  if (auto fine = check_endpoint(config.endpoint); !fine) return fine;
  if (auto fine = core_options(config); !fine) return fine.error();
  const RemoteOptions remote = remote_options(config);
  if (auto fine = check(remote); !fine || remote.listen.empty()) return fine;
  if (auto key = KeyPair::read(remote.secret_key_file); !key) {
    return reject("[broker] curve_secret_key_file: " + key.error().message);
  }
  if (auto list = AllowList::read(remote.allowed_keys); !list) {
    return reject("[broker] allowed_keys: " + list.error().message);
  }
  return {};
}

}  // namespace fanfare::broker
