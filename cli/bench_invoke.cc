#include "cli/bench.h"

namespace fanfare::cli {

using namespace std::chrono_literals;

Result<BenchRun> measure_invoke(BenchInstallation& bench, const BenchCommand& command) {
  Loop loop;
  ZmqContext zmq;
  auto client = client::Client::open(loop, zmq, {.broker = bench.broker()});
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
