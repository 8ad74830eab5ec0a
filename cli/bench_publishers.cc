#include "cli/bench_publishers.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "cli/bench.h"
#include "client/client.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;

// One batch in flight, one gathering.
constexpr std::size_t kWindow = 2 * protocol::kBatchEventsMax;
constexpr std::uint64_t kSampleEvery = 64;

}  // namespace

struct BenchPublishers::Share {
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

BenchPublishers::BenchPublishers(client::ClientOptions broker, std::vector<std::string> packed,
                                 const BenchCommand& command)
    : broker_(std::move(broker)), packed_(std::move(packed)) {
  for (std::uint64_t i = 0; i < command.publishers; ++i) {
    shares_.push_back(std::make_unique<Share>());
    shares_[i]->events =
        command.events / command.publishers + (i < command.events % command.publishers);
  }
  for (const auto& share : shares_) {
    threads_.emplace_back([this, mine = share.get()] { publish(*mine); });
  }
}

BenchPublishers::~BenchPublishers() {
  for (auto& thread : threads_) thread.join();
}

void BenchPublishers::publish(Share& share) const {
  Loop loop;
  ZmqContext zmq;
  std::unique_ptr<client::Client> client;
  // Registered before the client's own hook: what is added here leaves in the same turn.
  const auto refill = loop.before_wait([&] {
    while (client && share.sent < share.events && client->queued() < kWindow) {
      // Two words, so that the callback needs no memory of its own.
      const std::int64_t sent_ns = share.sent % kSampleEvery == 0 ? monotonic_ns() : 0;
      const auto added =
          client->publish_packed(packed_[share.sent % packed_.size()],
                                 [mine = &share, sent_ns](const Result<client::Receipt>& receipt) {
                                   mine->on_receipt(receipt, sent_ns);
                                 });
      if (!added) break;
      ++share.sent;
    }
  });
  auto opened = client::Client::open(loop, zmq, broker_);
  if (!opened) {
    share.error = opened.error();
    return;
  }
  client = *std::move(opened);
  loop.run_until([&] { return share.answered == share.events || share.error; }, 10min);
  share.last_ack_ns = monotonic_ns();
  client.reset();
}

Result<BenchPublishers::Acknowledged> BenchPublishers::wait() {
  for (auto& thread : std::exchange(threads_, {})) thread.join();
  Acknowledged all;
  for (const auto& share : shares_) {
    if (share->error) return *share->error;
    all.last_ns = std::max(all.last_ns, share->last_ack_ns);
    all.latency_us.insert(all.latency_us.end(), share->ack_us.begin(), share->ack_us.end());
  }
  return all;
}

}  // namespace fanfare::cli
