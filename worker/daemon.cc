#include "worker/daemon.h"

#include <spdlog/spdlog.h>

#include <csignal>

#include "base/daemon.h"
#include "base/daemon_arguments.h"
#include "base/exhaustion.h"
#include "base/log.h"
#include "worker/shell.h"

namespace fanfare::worker {

int run_daemon(int argc, char** argv, const std::function<void(Config&)>& adjust) {
  end_when_exhausted("fanfare-worker");
  ignore_sigpipe();

  Config config;
  const ConfigSpec spec = config_spec(config);
  const DaemonArguments about{
      .program = "fanfare-worker",
      .purpose = "runs functions in processes of their own and commits their results",
      .version = FANFARE_VERSION,
      .other_sections = {"broker", "triggers", "autoscaler"},
      .also_check = [&config]() -> Result<void> {
        const auto keys = broker_keys(config);
        return keys ? Result<void>{} : keys.error();
      }};
  if (const auto code = load_daemon_config(about, spec, argc, argv)) return *code;
  if (auto logging = init_logging({.program = about.program,
                                   .format = config.log_format,
                                   .level = config.log_level,
                                   .file = config.log_file,
                                   .file_bytes_max = config.log_file_max});
      !logging) {
    spdlog::error("{}", logging.error().message);
    return 2;
  }
  close_inherited_on_exec();

  if (adjust) adjust(config);

  Loop loop;
  auto shell = Shell::start(loop, config);
  if (!shell) {
    spdlog::error("{}", shell.error().message);
    return shell.error().kind == ErrorKind::kReject ? 2 : 1;
  }
  SignalWatch signals(loop, {SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
    if (signal != SIGHUP) return (*shell)->on_signal(signal);
    Config reread;
    const ConfigSpec rows = config_spec(reread);
    if (!load_daemon_config(about, rows, argc, argv)) (*shell)->set_log_level(reread.log_level);
  });
  loop.run();
  return 0;
}

}  // namespace fanfare::worker
