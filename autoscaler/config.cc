#include "autoscaler/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace fanfare::autoscaler {

using namespace std::chrono_literals;

namespace {

std::optional<double> number_of(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || after != end) return std::nullopt;
  return number;
}

}  // namespace

ConfigSpec config_spec(Config& c) {
  ConfigSpec spec;
  spec.describe_section("autoscaler", "fanfare-autoscaler: starts and drains workers by demand");
  spec.text("autoscaler", "broker", &c.broker, "ipc:///run/fanfare/broker.ipc",
            "The broker whose queues are looked at; tcp://host:port takes the next two.");
  spec.text("autoscaler", "broker_key", &c.broker_key, "",
            "The public key of a broker elsewhere, or a file with it.");
  spec.text("autoscaler", "curve_secret_key_file", &c.curve_secret_key_file, "",
            "File with the autoscaler's secret key: `ops/keys add NAME --role operator`.");
  spec.text("autoscaler", "redis", &c.redis, "unix:///run/fanfare/redis.sock",
            "The Redis in which `fanfare autoscale status` finds the last decisions.");
  spec.text("autoscaler", "name", &c.name, "",
            "Under which it tells its decisions; empty = the host's name.");
  spec.choice("autoscaler", "driver", &c.driver, "systemd",
              "What starts and stops workers: systemd (units of this host) or exec (commands).",
              {"systemd", "exec"});
  spec.text("autoscaler", "unit", &c.unit, "fanfare-worker@.service",
            "systemd: the template of the workers' units; they are numbered from 1.");
  spec.duration("autoscaler", "finish_time", &c.finish_time, "15m",
                "systemd: a worker that is to go takes nothing new and finishes what runs, for so\n"
                "long; then it is stopped, and has [worker] grace. 0: it is stopped at once.",
                {.min = 0s, .max = 24h});
  spec.list(
      "autoscaler", "count_command", &c.count_command, "",
      "exec: prints how many workers there are and nothing else, as a list of words; no shell\n"
      "reads them. A second number is that of workers that are leaving.");
  spec.list(
      "autoscaler", "scale_command", &c.scale_command, "",
      "exec: makes it {workers} workers; those that go must drain (SIGTERM does it). What it\n"
      "leaves running when it ends is killed.");
  spec.duration("autoscaler", "command_time", &c.command_time, "30s",
                "exec: how long a command may take before it is killed.",
                {.min = 1s, .max = 10min});
  spec.integer("autoscaler", "min", &c.min, 1,
               "Workers at least; 0: none while there is nothing to do.",
               {.min = 0, .max = 10'000});
  spec.integer("autoscaler", "max", &c.max, 10, "Workers at most.", {.min = 1, .max = 10'000});
  spec.duration("autoscaler", "tick", &c.tick, "2s",
                "How often it looks and decides; no longer than panic_window × stable_window.",
                {.min = 100ms, .max = 1min});
  spec.duration("autoscaler", "stable_window", &c.stable_window, "60s",
                "Quiet times: the demand's average over so long is followed.",
                {.min = 6s, .max = 1h});
  spec.text("autoscaler", "panic_window", &c.panic_window, "0.1",
            "Bursts: the part of stable_window over which the demand is averaged (0.01 to 1).");
  spec.text("autoscaler", "panic_threshold", &c.panic_threshold, "2",
            "A burst wants so many times the workers that there are (1.1 to 10).");
  spec.text("autoscaler", "utilisation", &c.utilisation, "0.7",
            "The part of a worker's slots that should be busy (0.01 to 1).");
  spec.text("autoscaler", "scale_up_rate_max", &c.scale_up_rate_max, "1000",
            "In one decision the workers become at most so many times what they are.");
  spec.text("autoscaler", "scale_down_rate_max", &c.scale_down_rate_max, "2",
            "In one decision the workers are divided by so much at most.");
  spec.duration("autoscaler", "scale_down_delay", &c.scale_down_delay, "0",
                "Fewer workers have to be wanted for so long before any go.",
                {.min = 0s, .max = 1h});
  spec.duration("autoscaler", "cooldown", &c.cooldown, "0",
                "After any change no worker goes for so long.", {.min = 0s, .max = 1h});
  spec.integer("autoscaler", "slots", &c.slots, 16,
               "A worker's slots, while none is connected that could tell.",
               {.min = 1, .max = 100'000});
  spec.flag("autoscaler", "dry_run", &c.dry_run, false, "Decides and tells, and changes nothing.");
  spec.text("autoscaler", "metrics", &c.metrics, "",
            "host:port of the HTTP endpoint with /metrics, /healthz and /readyz; empty = none.");
  spec.text("autoscaler", "log_level", &c.log_level, "info",
            "trace, debug, info, warn, error or off.");
  spec.choice("autoscaler", "log_format", &c.log_format, "text", "text or json.", {"text", "json"});
  return spec;
}

Result<ScalerOptions> scaler_options(const Config& c) {
  ScalerOptions options{.min = c.min,
                        .max = c.max,
                        .stable_window = c.stable_window,
                        .scale_down_delay = c.scale_down_delay,
                        .cooldown = c.cooldown};
  struct Number {
    const char* key;
    const std::string& text;
    double& target;
  };
  const Number numbers[] = {
      {"panic_window", c.panic_window, options.panic_window},
      {"panic_threshold", c.panic_threshold, options.panic_threshold},
      {"utilisation", c.utilisation, options.utilisation},
      {"scale_up_rate_max", c.scale_up_rate_max, options.scale_up_rate_max},
      {"scale_down_rate_max", c.scale_down_rate_max, options.scale_down_rate_max}};
  for (const Number& one : numbers) {
    const auto number = number_of(one.text);
    if (!number) {
      return reject(fmt::format("[autoscaler] {} is '{}', which is no number", one.key, one.text));
    }
    one.target = *number;
  }
  if (const auto fine = check(options); !fine) {
    return reject("[autoscaler] " + fine.error().message);
  }
  if (c.tick > panic_window_of(options)) {
    return reject(fmt::format(
        "[autoscaler] tick is {}, and panic_window × stable_window {}: a longer tick would not "
        "notice a burst",
        format_duration(c.tick), format_duration(panic_window_of(options))));
  }
  return options;
}

Result<std::shared_ptr<const CurveClient>> broker_keys(const Config& c) {
  return curve_client({.endpoint = c.broker,
                       .broker_key = c.broker_key,
                       .secret_key_file = c.curve_secret_key_file},
                      "[autoscaler]");
}

Result<void> check_driver(const Config& c) {
  if (c.driver == "exec") {
    if (!c.count_command.empty() && !c.scale_command.empty()) return {};
    return reject("[autoscaler] driver = \"exec\" needs count_command and scale_command");
  }
  constexpr std::string_view kTemplate = "@.service";
  if (c.unit.size() > kTemplate.size() && c.unit.ends_with(kTemplate) &&
      std::ranges::count(c.unit, '@') == 1) {
    return {};
  }
  return reject(fmt::format(
      "[autoscaler] unit is '{}'; it is a template as fanfare-worker@.service", c.unit));
}

}  // namespace fanfare::autoscaler
