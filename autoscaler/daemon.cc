#include "autoscaler/daemon.h"

#include <spdlog/spdlog.h>

#include <csignal>

#include "autoscaler/shell.h"
#include "base/daemon.h"
#include "base/daemon_arguments.h"
#include "base/exhaustion.h"
#include "base/log.h"

namespace fanfare::autoscaler {

int run_daemon(int argc, char** argv) {
  end_when_exhausted("fanfare-autoscaler");
  ignore_sigpipe();
  Config config;
  const ConfigSpec spec = config_spec(config);
  const DaemonArguments about{.program = "fanfare-autoscaler",
                              .purpose = "starts and drains workers by demand",
                              .version = FANFARE_VERSION,
                              .other_sections = {"broker", "worker", "triggers"},
                              .also_check = [&config]() -> Result<void> {
                                const auto options = scaler_options(config);
                                if (!options) return options.error();
                                if (auto keys = broker_keys(config); !keys) return keys.error();
                                return check_driver(config);
                              }};
  if (const auto code = load_daemon_config(about, spec, argc, argv)) return *code;
  if (auto logging = init_logging(
          {.program = about.program, .format = config.log_format, .level = config.log_level});
      !logging) {
    spdlog::error("{}", logging.error().message);
    return 2;
  }
  Loop loop;
  auto shell = Shell::start(loop, config);
  if (!shell) {
    spdlog::error("{}", shell.error().message);
    return shell.error().kind == ErrorKind::kReject ? 2 : 3;
  }
  SignalWatch signals(loop, {SIGTERM, SIGINT}, [&](int signal) { (*shell)->on_signal(signal); });
  loop.run();
  return 0;
}

}  // namespace fanfare::autoscaler
