// How fast this machine is, at this moment, at what an installation does: a chain of processes that
// is no part of Fanfare (calibration_chain.h), measured as `fanfare bench` measures Fanfare. For
// ops/bench.
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "tests/perf/calibration_chain.h"
#include "tests/perf/calibration_link.h"

namespace fanfare::calibration {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kWindow = 4096;  // messages under way at full load
constexpr std::uint64_t kBatch = 64;     // sent at once then
constexpr auto kApart = 20ms;            // of cold-start: longer than one takes

struct Options {
  std::string mode, redis;
  bool journal = false;
  std::uint64_t events = 0;
};

void send(int socket, const std::vector<Frame>& frames) {
  const std::size_t size = frames.size() * sizeof(Frame);
  if (::send(socket, frames.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size))
    give_up("send");
}

// Messages a second. The broker always reads, so a send never waits for our receiving.
double throughput(const Options& options) {
  const Chain chain({.redis = options.redis, .journal = options.journal});
  std::vector<char> buffer(kWindow * sizeof(Frame));
  std::uint64_t sent = 0, received_bytes = 0;
  const std::int64_t started = now_ns();
  while (received_bytes < options.events * sizeof(Frame)) {
    if (sent < options.events && sent - received_bytes / sizeof(Frame) < kWindow) {
      const std::uint64_t these = std::min(kBatch, options.events - sent);
      send(chain.socket(), std::vector<Frame>(these));
      sent += these;
      continue;
    }
    const ssize_t got = ::recv(chain.socket(), buffer.data(), buffer.size(), 0);
    if (got <= 0) give_up("recv");
    received_bytes += static_cast<std::uint64_t>(got);
  }
  return static_cast<double>(options.events) / (static_cast<double>(now_ns() - started) / 1e9);
}

// One message after the other. Microseconds at the median, until the instance got to it or until
// the answer is here.
double one_by_one(const Options& options, std::chrono::milliseconds apart, bool until_answer) {
  const Chain chain({.redis = options.redis,
                     .journal = options.journal,
                     .fork_each = options.mode == "cold-start"});
  std::vector<double> took_us;
  auto due = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < options.events; ++i) {
    std::this_thread::sleep_until(due += apart);
    Frame frame;
    frame.sent_ns = now_ns();
    send(chain.socket(), {frame});
    if (::recv(chain.socket(), &frame, sizeof frame, MSG_WAITALL) !=
        static_cast<ssize_t>(sizeof frame))
      give_up("recv");
    took_us.push_back(
        static_cast<double>((until_answer ? now_ns() : frame.entered_ns) - frame.sent_ns) / 1e3);
  }
  std::sort(took_us.begin(), took_us.end());
  return took_us[took_us.size() / 2];
}

double measure(const Options& options) {
  if (options.mode == "throughput") return throughput(options);
  if (options.mode == "invoke") return one_by_one(options, 0ms, true);
  return one_by_one(options, kApart, false);
}

}  // namespace
}  // namespace fanfare::calibration

int main(int argc, char** argv) {
  fanfare::calibration::Options options;
  CLI::App app{
      "Measures this machine with a chain of processes; prints messages a second, or microseconds"};
  app.add_option("mode", options.mode, "throughput, invoke or cold-start")
      ->required()
      ->check(CLI::IsMember({"throughput", "invoke", "cold-start"}));
  app.add_option("--redis", options.redis, "Socket of a Redis, which keeps results");
  app.add_flag("--journal", options.journal, "Redis keeps each batch first, too");
  app.add_option("--events", options.events, "How many messages")
      ->required()
      ->check(CLI::Range(1, 100'000'000));
  CLI11_PARSE(app, argc, argv);
  if (options.journal && options.redis.empty())
    return std::fprintf(stderr, "--journal needs --redis\n"), 2;
  std::printf("%.1f\n", fanfare::calibration::measure(options));
  return 0;
}
