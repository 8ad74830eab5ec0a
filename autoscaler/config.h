// Settings of fanfare-autoscaler: section [autoscaler] of fanfare.toml, FANFARE_AUTOSCALER_<KEY> in
// the environment.
#pragma once

#include <string>
#include <vector>

#include "autoscaler/exec_driver.h"
#include "autoscaler/scaler.h"
#include "base/config.h"
#include "base/zmq_curve.h"

namespace fanfare::autoscaler {

struct Config {
  std::string broker, redis;  // as in [worker]
  std::string broker_key, curve_secret_key_file;
  std::string name;    // of this autoscaler; empty: the host's
  std::string driver;  // systemd | exec
  std::string unit;    // of systemd's driver: the template, as fanfare-worker@.service
  std::vector<std::string> count_command, scale_command;  // of exec's
  Duration command_time{}, finish_time{};
  std::uint32_t min = 0, max = 0;
  Duration tick{}, stable_window{}, scale_down_delay{}, cooldown{};
  std::string panic_window, panic_threshold, utilisation, scale_up_rate_max, scale_down_rate_max;
  std::uint32_t slots = 0;  // of a worker, while none is connected that could say
  bool dry_run = false;
  std::string metrics;  // host:port; empty: none
  std::string log_level, log_format;
};

// Rows bound to `config`, which must stay where it is.
ConfigSpec config_spec(Config& config);

// kReject: a number that is none, a bound that does not hold (a tick may be as long as the panic
// window), a driver that lacks what it needs.
Result<ScalerOptions> scaler_options(const Config& config);
Result<void> check_driver(const Config& config);
// The keys that connecting to the broker takes; kReject if it wants some and has none.
Result<std::shared_ptr<const CurveClient>> broker_keys(const Config& config);

}  // namespace fanfare::autoscaler
