#include "triggers/daemon.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/daemon.h"
#include "base/daemon_arguments.h"
#include "base/exhaustion.h"
#include "base/log.h"
#include "triggers/shell.h"

namespace fanfare::triggers {
namespace {

// Else requests would wait for connections to end, and with them Redis and the disks.
void fit_connections(Config& config) {
  const std::size_t files = raise_file_limit(), fit = connections_that_fit(files);
  if (fit >= config.connections_max) return;
  spdlog::warn(
      "connections_max = {} does not fit: this process may have {} files open, so {} connections "
      "are taken; raise that by LimitNOFILE= of its unit or ulimit -Hn",
      config.connections_max, files, fit);
  config.connections_max = static_cast<std::uint32_t>(fit);
}

// A file that is named by nobody need not be there.
Result<Definitions> definitions_of(const Config& config) {
  const bool by_default = config.definitions == "/etc/fanfare/triggers.toml";
  if (config.definitions.empty()) return Definitions{};
  if (by_default && !std::filesystem::exists(config.definitions)) return Definitions{};
  return read_definitions(config.definitions);
}

}  // namespace

int run_daemon(int argc, char** argv) {
  end_when_exhausted("fanfare-triggers");
  ignore_sigpipe();
  if (argc == 2 && std::strcmp(argv[1], "--sample-definitions") == 0) {
    fmt::print("{}", sample_definitions());
    return 0;
  }
  Config config;
  const ConfigSpec spec = config_spec(config);
  const DaemonArguments about{
      .program = "fanfare-triggers",
      .purpose = "makes events of HTTP requests; --sample-definitions prints a triggers.toml",
      .version = FANFARE_VERSION,
      .other_sections = {"broker", "worker", "autoscaler"},
      .also_check = [&config]() -> Result<void> {
        if (auto keys = broker_keys(config); !keys) return keys.error();
        const auto definitions = definitions_of(config);
        return definitions ? Result<void>{} : definitions.error();
      }};
  if (const auto code = load_daemon_config(about, spec, argc, argv)) return *code;
  if (auto logging = init_logging(
          {.program = about.program, .format = config.log_format, .level = config.log_level});
      !logging) {
    spdlog::error("{}", logging.error().message);
    return 2;
  }
  auto definitions = definitions_of(config);
  if (!definitions) {
    spdlog::error("{}", definitions.error().message);
    return 2;
  }
  fit_connections(config);
  Loop loop;
  auto shell = Shell::start(loop, config, *std::move(definitions));
  if (!shell) {
    spdlog::error("{}", shell.error().message);
    return shell.error().kind == ErrorKind::kReject ? 2 : 3;
  }
  SignalWatch signals(loop, {SIGTERM, SIGINT}, [&](int signal) { (*shell)->on_signal(signal); });
  loop.run();
  return 0;
}

}  // namespace fanfare::triggers
