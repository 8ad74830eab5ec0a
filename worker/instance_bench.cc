// Measures the instance side alone, without broker, Redis and worker loop:
//
//   ninja instance_bench && bin/instance_bench
//
// What the machine allows: a wake-up from one process to another costs 5 to 30 µs, a fork of a
// small process some 120 µs, and the batches below move 230 bytes in and 150 out per item.

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

#include "functions/testing/function_runner.h"
#include "protocol/event.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;

constexpr int kRoundTrips = 20'000;
constexpr int kThroughputItems = 64 * 40'000;

std::string noop() {
  return std::string(FANFARE_BIN_DIR) + "/../builtin/noop/noop.so";
}

std::string packed_event() {
  protocol::Event event;
  event.source = "/bench";
  event.type = "bench";
  event.data = std::string(200, 'e');
  return protocol::pack(event);
}

void wait_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  ::poll(&watched, 1, 10'000);
}

double percentile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

void measure_cold_starts(ZygoteClient& zygote, const Item& item) {
  std::vector<double> entered_us, answered_us;
  for (int i = 0; i < 500; ++i) {
    const TimePoint began = std::chrono::steady_clock::now();
    auto instance = zygote.fork();
    if (!instance || !(*instance)->send(std::array{item})) return;
    std::vector<ItemResult> results;
    while (results.empty()) {
      wait_readable((*instance)->channel_fd());
      if (!(*instance)->take_results(results)) return;
    }
    const TimePoint ended = std::chrono::steady_clock::now();
    entered_us.push_back(to_ms(results[0].started_at - began) * 1000);
    answered_us.push_back(to_ms(ended - began) * 1000);
    wait_readable(zygote.control_fd());
    for (auto& event : zygote.take_events()) {
      if (auto* forked = std::get_if<Forked>(&event)) {
        (*instance)->forked(forked->pid, std::move(forked->pidfd));
      }
    }
    if (i == 0) {
      std::ifstream stat("/proc/" + std::to_string((*instance)->pid()) + "/stat");
      std::string field;
      for (int k = 0; k < 10; ++k) stat >> field;
      std::printf("page faults of a cold start       %s\n", field.c_str());
    }
    (*instance)->kill_group(SIGKILL);
    wait_readable((*instance)->pidfd());
    (*instance)->reap();
  }
  std::printf("fork request → handler entered   p50 %.0f µs   p99 %.0f µs\n",
              percentile(entered_us, 0.5), percentile(entered_us, 0.99));
  std::printf("fork request → result taken      p50 %.0f µs   p99 %.0f µs\n",
              percentile(answered_us, 0.5), percentile(answered_us, 0.99));
}

void measure_round_trips(InstanceHandle& instance, const Item& item) {
  std::vector<double> took_us;
  std::vector<ItemResult> results;
  for (int i = 0; i < kRoundTrips; ++i) {
    const TimePoint began = std::chrono::steady_clock::now();
    if (!instance.send(std::array{item})) return;
    results.clear();
    while (results.empty()) {
      wait_readable(instance.channel_fd());
      if (!instance.take_results(results)) return;
    }
    took_us.push_back(to_ms(std::chrono::steady_clock::now() - began) * 1000);
  }
  std::printf("warm round trip of one item      p50 %.0f µs   p99 %.0f µs\n",
              percentile(took_us, 0.5), percentile(took_us, 0.99));
}

void measure_throughput(InstanceHandle& instance, const Item& item) {
  const std::vector<Item> items(64, item);
  constexpr std::size_t kTotal = kThroughputItems;
  std::size_t sent = 0, taken = 0;
  Duration inside{};
  std::vector<ItemResult> results;
  const TimePoint began = std::chrono::steady_clock::now();
  while (taken < kTotal) {
    while (sent < kTotal && instance.has_room()) {
      const auto batch = instance.send(items);
      if (!batch) break;
      sent += batch->items;
    }
    wait_readable(instance.channel_fd());
    results.clear();
    if (!instance.take_results(results)) return;
    for (const ItemResult& result : results) inside += result.duration;
    taken += results.size();
  }
  const double seconds = to_ms(std::chrono::steady_clock::now() - began) / 1000;
  std::printf("batches of 64, instance side     %.2f M items/s (%.0f ns each)\n",
              static_cast<double>(kTotal) * 1000 / static_cast<double>(inside.count()),
              static_cast<double>(inside.count()) / static_cast<double>(kTotal));
  std::printf("batches of 64, both sides        %.2f M items/s\n",
              static_cast<double>(kTotal) / seconds / 1e6);
}

void measure_idle_memory(pid_t pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with("Pss:") || line.starts_with("Rss:") ||
        line.starts_with("Private_Dirty:")) {
      std::printf("after that: %s\n", line.c_str());
    }
  }
}

// Of all the items above; what a busy machine can tell, too.
void measure_processor_time(InstanceHandle& instance) {
  instance.kill_group(SIGKILL);
  wait_readable(instance.pidfd());
  if (const auto ending = instance.reap()) {
    std::printf("processor time of the instance   %.0f ns per item\n",
                static_cast<double>(ending->cpu_time.count()) / (kThroughputItems + kRoundTrips));
  }
}

int run() {
  auto runner = testing::FunctionRunner::start(noop());
  if (!runner) {
    std::fprintf(stderr, "%s\n", runner.error().message.c_str());
    return 1;
  }
  const std::string packed = packed_event();
  const Item item{.id = {}, .attempt = 1, .timeout = 30s, .packed_event = packed};
  measure_cold_starts((*runner)->zygote(), item);
  (*runner)->fork();
  measure_idle_memory((*runner)->instance()->pid());
  measure_round_trips(*(*runner)->instance(), item);
  measure_idle_memory((*runner)->instance()->pid());
  measure_throughput(*(*runner)->instance(), item);
  measure_idle_memory((*runner)->instance()->pid());
  measure_processor_time(*(*runner)->instance());
  return 0;
}

}  // namespace
}  // namespace fanfare::worker

int main() {
  return fanfare::worker::run();
}
