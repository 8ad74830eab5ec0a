#include "triggers/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/ids.h"

namespace fanfare::triggers {

using namespace std::chrono_literals;

ConfigSpec config_spec(Config& c) {
  ConfigSpec spec;
  spec.describe_section(
      "triggers", "fanfare-triggers: makes events of HTTP requests: forms, CloudEvents, calls");
  spec.text("triggers", "listen", &c.listen, "127.0.0.1:8080",
            "Where it listens: host:port or [v6]:port. Beyond this machine it wants certificate,\n"
            "tls_key and tokens.");
  spec.text(
      "triggers", "broker", &c.broker, "ipc:///run/fanfare/broker.ipc",
      "The broker it publishes to: ipc:///path, or tcp://host:port, which takes the next two.");
  spec.text("triggers", "broker_key", &c.broker_key, "",
            "The public key of a broker elsewhere, or a file with it.");
  spec.text("triggers", "curve_secret_key_file", &c.curve_secret_key_file, "",
            "File with the gateway's secret key: `ops/keys add NAME --role publisher,operator`.");
  spec.text("triggers", "redis", &c.redis, "unix:///run/fanfare/redis.sock",
            "The Redis that results are read from: unix:///path or redis://host:port.");
  spec.text("triggers", "definitions", &c.definitions, "/etc/fanfare/triggers.toml",
            "What becomes events, and how. Without that file there are no forms.");
  spec.text("triggers", "state", &c.state, "/var/lib/fanfare/triggers",
            "Directory for what it must remember of buckets. On a disk that lasts.");
  spec.text("triggers", "certificate", &c.certificate, "",
            "PEM file of the certificate and what signed it, for https; empty = http.");
  spec.text("triggers", "tls_key", &c.tls_key, "", "PEM file of the certificate's key.");
  spec.list("triggers", "tokens", &c.tokens, "",
            "What opens the routes that are not made for everybody: Authorization: Bearer TOKEN.\n"
            "At least 16 characters each; several, so that one can be replaced by another.");
  spec.flag("triggers", "trust_loopback", &c.trust_loopback, true,
            "Whoever is on this machine needs no token. Not those whose requests say that they\n"
            "were forwarded, are for another host's name, or come from pages of another origin.");
  spec.flag("triggers", "public", &c.is_public, false,
            "Listen beyond this machine also without TLS or without tokens, as behind a proxy\n"
            "that has both.");
  spec.size(
      "triggers", "max_body_bytes", &c.max_body_bytes, "6MiB",
      "Largest body of a request; more is answered with 413. Forms have limits of their own,\n"
      "and the broker has max_event_bytes, 1 MiB unless it is told otherwise.",
      {.min = 1024, .max = protocol::kEventDataBytesCeiling});
  spec.size("triggers", "max_body_bytes_total", &c.max_body_bytes_total, "256MiB",
            "Bytes of bodies in memory, of all requests together; more is answered with 503. At\n"
            "least max_body_bytes.",
            {.min = 1024, .max = std::uint64_t{1} << 40});
  spec.integer("triggers", "connections_max", &c.connections_max, 1024,
               "Connections at a time; one more is answered with 503. As many, and 256 more, must\n"
               "the process be allowed to have open files (LimitNOFILE=, ulimit -Hn).",
               {.min = 1, .max = 100'000});
  spec.duration("triggers", "request_timeout", &c.request_timeout, "10s",
                "How long a request's head may take, and how long a body may stand still.",
                {.min = 100ms, .max = 10min});
  spec.duration("triggers", "idle_timeout", &c.idle_timeout, "75s",
                "How long a connection stays open without a request.", {.min = 100ms, .max = 1h});
  spec.duration("triggers", "drain", &c.drain, "10s",
                "How long requests under way may take when it is told to stop.",
                {.min = 0ms, .max = 10min});
  spec.text("triggers", "log_level", &c.log_level, "info",
            "trace, debug, info, warn, error or off.");
  spec.choice("triggers", "log_format", &c.log_format, "text", "text or json.", {"text", "json"});
  return spec;
}

Result<void> check_exposure(const Config& config) {
  for (const std::string& token : config.tokens) {
    if (token.size() < 16) return reject("[triggers] tokens: one is shorter than 16 characters");
  }
  const auto loopback = listens_on_loopback(config.listen);
  if (!loopback) return reject("[triggers] listen: " + loopback.error().message);
  if (*loopback || config.is_public) return {};
  std::string missing;
  if (config.certificate.empty()) missing = "a certificate and tls_key";
  if (config.tokens.empty()) missing += missing.empty() ? "tokens" : ", and tokens";
  if (missing.empty()) return {};
  return reject(fmt::format(
      "[triggers] listen = '{}' is beyond this machine: set {}, or public = true where a proxy "
      "has them",
      config.listen, missing));
}

Result<std::shared_ptr<const CurveClient>> broker_keys(const Config& config) {
  return curve_client({.endpoint = config.broker,
                       .broker_key = config.broker_key,
                       .secret_key_file = config.curve_secret_key_file},
                      "[triggers]");
}

Result<void> check_bounds(const Config& config) {
  if (config.max_body_bytes_total >= config.max_body_bytes) return {};
  return reject("[triggers] max_body_bytes_total: must be at least max_body_bytes");
}

std::size_t connections_that_fit(std::size_t files_max) {
  constexpr std::size_t kOtherFiles = 256;
  return files_max > 2 * kOtherFiles ? files_max - kOtherFiles
                                     : std::max<std::size_t>(files_max / 2, 1);
}

HttpServerOptions http_options(const Config& config) {
  HttpServerOptions options;
  options.listen = config.listen;
  options.certificate = config.certificate;
  options.key = config.tls_key;
  options.connections_max = config.connections_max;
  options.bodies_bytes_max = config.max_body_bytes_total;
  options.head_timeout = config.request_timeout;
  options.idle_timeout = config.idle_timeout;
  return options;
}

AccessOptions access_options(const Config& config) {
  return {.tokens = config.tokens, .trust_loopback = config.trust_loopback};
}

}  // namespace fanfare::triggers
