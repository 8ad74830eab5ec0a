#include <atomic>
#include <thread>

#include "cli/bench.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;

// One batch in flight, one gathering.
constexpr std::size_t kWindow = 2 * protocol::kBatchEventsMax;
constexpr std::uint64_t kSampleEvery = 64;

// One publisher's part: a thread with its own loop and connection.
struct Share {
  std::uint64_t events = 0;
  std::uint64_t sent = 0, answered = 0;
  std::int64_t last_ack_ns = 0;
  std::vector<double> ack_us;
  std::optional<Error> error;

  void on_receipt(const Result<client::Receipt>& receipt, std::int64_t sent_ns) {
    ++answered;
    if (!receipt) error = receipt.error();
    if (sent_ns != 0) ack_us.push_back(static_cast<double>(monotonic_ns() - sent_ns) / 1e3);
  }
};

void publish_share(const std::string& broker, const std::string& packed, Share& share) {
  Loop loop;
  ZmqContext zmq;
  std::unique_ptr<client::Client> client;
  // Registered before the client's own hook: what is added here leaves in the same turn.
  const auto refill = loop.before_wait([&] {
    while (client && share.sent < share.events && client->queued() < kWindow) {
      // Two words, so that the callback needs no memory of its own.
      const std::int64_t sent_ns = share.sent % kSampleEvery == 0 ? monotonic_ns() : 0;
      const auto added = client->publish_packed(
          packed, [mine = &share, sent_ns](const Result<client::Receipt>& receipt) {
            mine->on_receipt(receipt, sent_ns);
          });
      if (!added) break;
      ++share.sent;
    }
  });
  auto opened = client::Client::open(loop, zmq, {.broker = broker});
  if (!opened) {
    share.error = opened.error();
    return;
  }
  client = *std::move(opened);
  loop.run_until([&] { return share.answered == share.events || share.error; }, 10min);
  share.last_ack_ns = monotonic_ns();
  client.reset();
}

}  // namespace

Result<BenchRun> measure_throughput(BenchInstallation& bench, const BenchCommand& command) {
  const auto before = bench.succeeded();
  if (!before) return before.error();
  const std::string packed = bench_event(command.size);
  std::vector<Share> shares(command.publishers);
  for (std::uint64_t i = 0; i < command.publishers; ++i) {
    shares[i].events =
        command.events / command.publishers + (i < command.events % command.publishers);
  }
  const std::int64_t started = monotonic_ns();
  std::vector<std::thread> threads;
  for (Share& share : shares) {
    threads.emplace_back([&] { publish_share(bench.broker(), packed, share); });
  }
  auto done = bench.wait_succeeded(*before + static_cast<std::int64_t>(command.events));
  const std::int64_t ended = monotonic_ns();
  for (auto& thread : threads) thread.join();

  std::int64_t last_ack = 0;
  std::vector<double> ack_us;
  for (const Share& share : shares) {
    if (share.error) return *share.error;
    last_ack = std::max(last_ack, share.last_ack_ns);
    ack_us.insert(ack_us.end(), share.ack_us.begin(), share.ack_us.end());
  }
  if (!done) return done.error();
  const auto per_second = [&](std::int64_t end) {
    return static_cast<double>(command.events) / (static_cast<double>(end - started) / 1e9);
  };
  return BenchRun{per_second(last_ack), per_second(ended), percentiles(ack_us)};
}

}  // namespace fanfare::cli
