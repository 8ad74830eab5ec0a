#include <fmt/format.h>

#include <thread>

#include "cli/bench.h"
#include "cli/results.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;

// Longer than the function's keep_alive and the worker's look for idle instances together.
constexpr auto kApart = 60ms;

}  // namespace

Result<BenchRun> measure_cold_start(BenchInstallation& bench, const BenchCommand& command) {
  protocol::Event event;
  event.source = "/bench";
  event.type = kBenchType;
  event.data.assign(command.size, 'x');
  std::vector<double> cold_us;
  for (std::uint64_t i = 0; i < command.events; ++i) {
    std::this_thread::sleep_for(kApart);
    const auto receipt = bench.client().publish(event).get();
    if (!receipt) return receipt.error();
    const auto results =
        wait_results(bench.redis(), bench.client(), {kBenchFunction}, receipt->id, 10s);
    if (!results) return results.error();
    if (results->empty()) return retry_later("an event's result did not come within 10 s");
    const auto ledger = protocol::unpack_ledger(results->begin()->second.ledger);
    if (!ledger || ledger->empty()) continue;
    if (ledger->back().cold_start) cold_us.push_back(ledger->back().cold_start_us);
  }
  if (cold_us.size() * 2 < command.events) {
    return reject(
        fmt::format("only {} of {} events found no instance; is the function provisioned?",
                    cold_us.size(), command.events));
  }
  return BenchRun{0, 0, percentiles(cold_us)};
}

}  // namespace fanfare::cli
