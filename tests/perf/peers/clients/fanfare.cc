// Fanfare's client, with the client library: two connections in two threads that keep two batches
// full (at a rate: one connection), as `fanfare bench` does; a call is an invocation, one after the
// other.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"
#include "tests/perf/peers/clients/measured.h"

namespace {

using namespace fanfare;
using namespace std::chrono_literals;

constexpr std::size_t kWindow = 2 * protocol::kBatchEventsMax;  // one in flight, one gathering

[[noreturn]] void fail(const Error& error) {
  measured_fail("fanfare", error.message.c_str());
  std::abort();
}

protocol::Event event(std::int64_t index, std::int64_t pause_us, std::int64_t* stamp_ns = nullptr) {
  protocol::Event one;
  one.source = "/compare";
  one.type = "compare.measured";
  one.data.resize(kPayloadBytes);
  const std::int64_t stamp = measured_payload(one.data.data(), index, pause_us);
  if (stamp_ns) *stamp_ns = stamp;
  return one;
}

// A connection, and the events from `first` on that it publishes.
class Publisher {
 public:
  explicit Publisher(const measured_request& request) : request_(request) {}

  // Returns when the last one is acknowledged.
  void run() {
    ZmqContext zmq;
    // Registered before the client's own hook: what is added here leaves in the same turn.
    const auto refill = loop_.before_wait([this] { add_due(); });
    Timer beat(loop_, [] {});  // wakes the loop, whose hook does the rest
    auto opened = client::Client::open(
        loop_, zmq, {.broker = request_.address, .publish = {.queued_events_max = 1u << 20}});
    if (!opened) fail(opened.error());
    client_ = *std::move(opened);
    loop_.run_until([&] { return client_->connected(); }, 5s);
    if (request_.rate > 0) {
      beat.start_every(std::chrono::duration_cast<Duration>(
          std::chrono::duration<double>(1.0 / double(request_.rate))));
    }
    began_ns_ = measured_now_ns();
    loop_.run_until([&] { return answered_ == request_.count; }, 10min);
    ended_ns_ = measured_now_ns();
    client_.reset();
  }

  std::int64_t began_ns() const { return began_ns_; }
  std::int64_t ended_ns() const { return ended_ns_; }

 private:
  bool is_due() const {
    if (request_.rate == 0) return client_->queued() < kWindow;
    return began_ns_ + sent_ * 1'000'000'000 / request_.rate <= measured_now_ns();
  }

  void add_due() {
    while (client_ && began_ns_ > 0 && sent_ < request_.count && is_due()) {
      const auto added = client_->publish(event(request_.first + sent_, request_.pause_us),
                                          [this](const Result<client::Receipt>& receipt) {
                                            if (!receipt) fail(receipt.error());
                                            ++answered_;
                                          });
      if (!added) fail(added.error());
      ++sent_;
    }
  }

  measured_request request_;
  Loop loop_;
  std::unique_ptr<client::Client> client_;
  std::int64_t began_ns_ = 0, ended_ns_ = 0, sent_ = 0, answered_ = 0;
};

void publish(const measured_request& request) {
  const std::int64_t connections = request.rate > 0 ? 1 : 2;
  const std::int64_t each = request.count / connections;
  std::vector<std::unique_ptr<Publisher>> publishers;
  std::vector<std::thread> threads;
  for (std::int64_t i = 0; i < connections; ++i) {
    measured_request share = request;
    share.first += each * i;
    share.count = i + 1 < connections ? each : request.count - each * i;
    publishers.push_back(std::make_unique<Publisher>(share));
  }
  for (auto& one : publishers) threads.emplace_back([&one] { one->run(); });
  for (auto& thread : threads) thread.join();
  std::int64_t began_ns = publishers[0]->began_ns(), ended_ns = 0;
  for (auto& one : publishers) {
    began_ns = std::min(began_ns, one->began_ns());
    ended_ns = std::max(ended_ns, one->ended_ns());
  }
  measured_told(request.count, began_ns, ended_ns);
}

void call(const measured_request& request) {
  const int calls = measured_open(request.records);
  Loop loop;
  ZmqContext zmq;
  // By the broker, as from another host: what stays on one is measured from function to function.
  auto client =
      client::Client::open(loop, zmq, {.broker = request.address, .publish = {}, .local = false});
  if (!client) fail(client.error());
  for (std::int64_t i = 0; i < request.count; ++i) {
    std::int64_t stamp_ns = 0;
    const protocol::Event one = event(request.first + i, 0, &stamp_ns);
    std::optional<Result<protocol::ResultRecord>> answer;
    (*client)->invoke("measured", one, 10s, [&](Result<protocol::ResultRecord> record) {
      measured_append(calls, request.first + i, measured_now_ns(), stamp_ns);
      answer = std::move(record);
    });
    loop.run_until([&] { return answer.has_value(); }, 20s);
    if (!answer) measured_fail("invoke", "no answer");
    if (!*answer) fail(answer->error());
    if ((*answer)->output.size() != kResultBytes) measured_fail("invoke", "not a result");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const measured_request request = measured_arguments(argc, argv);
  const std::string verb = request.verb;
  if (verb == "publish") {
    publish(request);
  } else if (verb == "call") {
    call(request);
  } else {
    measured_fail("work", "workers are the installation's own");
  }
}
