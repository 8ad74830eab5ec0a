// fanfare-worker with switches (switches.h). Never installed.
#include <fmt/format.h>

#include <cstdlib>

#include "tests/chaos/switches.h"
#include "worker/daemon.h"

int main(int argc, char** argv) {
  using namespace fanfare;
  return worker::run_daemon(argc, argv, [](worker::Config& config) {
    worker::Protections& p = config.protections;
    const std::pair<std::string_view, bool*> names[] = {
        {"commit_before_done", &p.commit_before_done},
        {"repeat_commits", &p.repeat_commits},
        {"repeat_done", &p.repeat_done},
        {"announce_held", &p.announce_held},
        {"kill_after_grace", &p.kill_after_grace},
        {"sweep_orphans", &p.sweep_orphans},
        {"limit_memory", &p.limit_memory},
        {"repeat_relayed", &p.repeat_relayed},
        {"take_back_unborn", &p.take_back_unborn},
        {"let_old_finish", &p.let_old_finish},
        {"wait_for_journal", &p.wait_for_journal}};
    static_assert(sizeof(worker::Protections) == sizeof(bool) * std::size(names),
                  "one has no name");
    const char* const without = std::getenv(chaos::kWithoutVariable);
    const auto fine = chaos::switch_off(without ? without : "", names);
    auto failpoint = chaos::failpoint_from_environment();
    if (!fine || !failpoint) {
      fmt::print(stderr, "{}\n", (fine ? failpoint.error() : fine.error()).message);
      std::_Exit(2);
    }
    config.failpoint = *std::move(failpoint);
    if (const char* const every_ms = std::getenv(chaos::kHousekeepingVariable)) {
      config.housekeeping_every = std::chrono::milliseconds{std::atoi(every_ms)};
    }
  });
}
