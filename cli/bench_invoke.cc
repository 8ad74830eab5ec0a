#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cli/bench.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTimesPerCall = 500;  // of one function by another, while one call lasts

// A function invokes the other over and over, and says how long each took.
Result<BenchRun> measure_from_function(BenchInstallation& bench, const BenchCommand& command) {
  std::vector<double> latency_us;
  while (latency_us.size() < command.events) {
    protocol::Event event;
    event.source = "/bench";
    event.type = "function.invoked";
    const std::uint64_t times =
        std::min<std::uint64_t>(kTimesPerCall, command.events - latency_us.size());
    event.data = fmt::format("{} {} {}", kBenchFunction, times, command.size);
    const auto record = bench.client().invoke(kBenchCaller, event, 60s);
    if (!record) return record.error();
    if (record->status != protocol::Status::kSucceeded) return reject(record->error_message);
    for (std::uint64_t i = 0; i < times; ++i) {
      std::int64_t took_ns = 0;
      if (record->output.size() < (i + 1) * sizeof took_ns)
        return reject("a round trip is missing");
      std::memcpy(&took_ns, record->output.data() + i * sizeof took_ns, sizeof took_ns);
      latency_us.push_back(static_cast<double>(took_ns) / 1e3);
    }
  }
  return BenchRun{0, 0, percentiles(latency_us)};
}

}  // namespace

Result<BenchRun> measure_invoke(BenchInstallation& bench, const BenchCommand& command) {
  if (command.from_function) return measure_from_function(bench, command);
  Loop loop;
  ZmqContext zmq;
  auto client = client::Client::open(loop, zmq, bench.broker());
  if (!client) return client.error();
  protocol::Event event;
  event.source = "/bench";
  event.type = "function.invoked";
  event.data.assign(command.size, 'x');

  std::vector<double> latency_us;
  for (std::uint64_t i = 0; i < command.events; ++i) {
    std::optional<Result<protocol::ResultRecord>> answer;
    const std::int64_t sent_ns = monotonic_ns();
    std::int64_t answered_ns = 0;
    (*client)->invoke(kBenchFunction, event, 10s, [&](Result<protocol::ResultRecord> record) {
      answered_ns = monotonic_ns();
      answer = std::move(record);
    });
    loop.run_until([&] { return answer.has_value(); }, 20s);
    if (!answer) return reconnect("no answer to an invocation");
    if (!*answer) return answer->error();
    if ((*answer)->status != protocol::Status::kSucceeded) return reject((*answer)->error_message);
    latency_us.push_back(static_cast<double>(answered_ns - sent_ns) / 1e3);
  }
  return BenchRun{0, 0, percentiles(latency_us)};
}

}  // namespace fanfare::cli
