#include "broker/daemon.h"

#include <spdlog/spdlog.h>

#include <csignal>

#include "base/daemon.h"
#include "base/daemon_arguments.h"
#include "base/exhaustion.h"
#include "broker/shell.h"

namespace fanfare::broker {

int run_daemon(int argc, char** argv, const std::function<void(Config&)>& adjust) {
  end_when_exhausted("fanfare-broker");
  ignore_sigpipe();

  Config config;
  const ConfigSpec spec = config_spec(config);
  const DaemonArguments about{
      .program = "fanfare-broker",
      .purpose = "accepts events, journals them in Redis and lends deliveries",
      .version = FANFARE_VERSION,
      .other_sections = {"worker", "triggers", "autoscaler"},
      .also_check = [&config] { return check_files(config); }};
  if (const auto code = load_daemon_config(about, spec, argc, argv)) return *code;
  if (auto logging = init_logging(
          {.program = about.program, .format = config.log_format, .level = config.log_level});
      !logging) {
    spdlog::error("{}", logging.error().message);
    return 2;
  }

  if (adjust) adjust(config);

  Loop loop;
  auto shell = Shell::start(loop, config);
  if (!shell) {
    spdlog::error("{}", shell.error().message);
    return shell.error().kind == ErrorKind::kReject ? 2 : 3;
  }
  SignalWatch signals(loop, {SIGTERM, SIGINT, SIGHUP},
                      [&](int signal) { (*shell)->on_signal(signal); });
  loop.run();
  const bool failed = (*shell)->failure().has_value();
  return failed ? 1 : 0;
}

}  // namespace fanfare::broker
