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

// Has 16 MiB of its own before the first event, and writes to as many pages of it as that says.
std::string heavy() {
  return std::string(FANFARE_BIN_DIR) + "/../functions-testing/heavy/heavy.so";
}

std::string packed_event(std::string data) {
  protocol::Event event;
  event.source = "/bench";
  event.type = "bench";
  event.data = std::move(data);
  return protocol::pack(event);
}

Item item_of(const std::string& packed) {
  return {.id = {}, .attempt = 1, .timeout = 30s, .packed_event = packed};
}

void wait_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  ::poll(&watched, 1, 10'000);
}

double percentile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

struct ColdStarts {
  std::vector<double> entered_us, answered_us, processor_us;
};

// One instance from the request to its first result; then it lives on for a while, and is killed.
void start_cold(ZygoteClient& zygote, const Item& item, std::chrono::milliseconds lives,
                ColdStarts& into) {
  const TimePoint began = std::chrono::steady_clock::now();
  auto instance = zygote.fork();
  if (!instance || !(*instance)->send(std::array{item})) return;
  ItemResults results;
  while (results.empty()) {
    wait_readable((*instance)->channel_fd());
    if (!(*instance)->take_results(results)) return;
  }
  const TimePoint ended = std::chrono::steady_clock::now();
  into.entered_us.push_back(to_ms(results[0].started_at - began) * 1000);
  into.answered_us.push_back(to_ms(ended - began) * 1000);
  wait_readable(zygote.control_fd());
  for (auto& event : zygote.take_events()) {
    if (auto* forked = std::get_if<Forked>(&event)) {
      (*instance)->forked(forked->pid, std::move(forked->pidfd));
    }
  }
  std::this_thread::sleep_for(lives);
  (*instance)->kill_group(SIGKILL);
  wait_readable((*instance)->pidfd());
  if (const auto ending = (*instance)->reap()) {
    into.processor_us.push_back(to_ms(ending->cpu_time) * 1000);
  }
}

void print(const char* which, ColdStarts& starts) {
  std::printf("  %s: fork request → handler      p50 %.0f µs   p99 %.0f µs\n", which,
              percentile(starts.entered_us, 0.5), percentile(starts.entered_us, 0.99));
  std::printf("  %s: fork request → result taken p50 %.0f µs   p99 %.0f µs\n", which,
              percentile(starts.answered_us, 0.5), percentile(starts.answered_us, 0.99));
  std::printf("  %s: processor time, whole life  p50 %.0f µs\n", which,
              percentile(starts.processor_us, 0.5));
}

// Of a zygote that knows the working set of its instances and of one that does not, in turns.
bool measure_cold_starts(const char* of, const std::string& path, const std::string& data) {
  const auto start = [&] { return testing::FunctionRunner::start(path, {{"HEAVY_MIB", "16"}}); };
  auto knowing = start(), other = start();
  if (!knowing || !other) {
    std::fprintf(stderr, "%s\n", (knowing ? other : knowing).error().message.c_str());
    return false;
  }
  const std::string packed = packed_event(data);
  ColdStarts learned, plain, first;
  start_cold((*knowing)->zygote(), item_of(packed), 300ms, first);
  for (int i = 0; i < 300; ++i) {
    start_cold((*other)->zygote(), item_of(packed), 0ms, plain);
    start_cold((*knowing)->zygote(), item_of(packed), 0ms, learned);
  }
  if (plain.entered_us.empty() || learned.entered_us.empty()) return false;
  std::printf("cold start of %s\n", of);
  print("working set unknown", plain);
  print("working set known  ", learned);
  return true;
}

void measure_round_trips(InstanceHandle& instance, const Item& item) {
  std::vector<double> took_us;
  ItemResults results;
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
  ItemResults results;
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
    for (const ItemResult& result : results.all()) inside += result.duration;
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
  if (!measure_cold_starts("noop", noop(), std::string(200, 'e'))) return 1;
  if (!measure_cold_starts("one that writes to 256 pages", heavy(), "256")) return 1;
  auto runner = testing::FunctionRunner::start(noop());
  if (!runner) return 1;
  const std::string packed = packed_event(std::string(200, 'e'));
  const Item item = item_of(packed);
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
