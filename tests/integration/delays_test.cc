// Events that are due later, from milliseconds to years. Many that are due at one instant: none
// early, none twice, also when the broker was not there at that instant.
//
// FANFARE_TEST_DELAYED=1000000 FANFARE_TEST_AHEAD_S=120 makes a large run of it; figures are
// printed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/redis_sync.h"
#include "cli/child_output.h"
#include "store/keys.h"
#include "store/row.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"
#include "tests/support/results.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using std::chrono::system_clock;

std::size_t setting(const char* name, std::size_t otherwise) {
  const char* given = std::getenv(name);
  return given ? std::strtoul(given, nullptr, 10) : otherwise;
}

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             system_clock::now().time_since_epoch())
      .count();
}
double seconds_since(steady_clock::time_point from) {
  return std::chrono::duration<double>(steady_clock::now() - from).count();
}

std::size_t resident_mib(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string word; status >> word;) {
    std::size_t kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib / 1024;
  }
  return 0;
}

// When each event entered its function, by the wall clock in ms: `noop` answers its monotonic one.
std::vector<std::int64_t> entered_ms(const RedisOptions& options,
                                     const std::vector<protocol::EventId>& ids) {
  std::map<protocol::EntryId, std::size_t> entries;
  for (const auto& id : ids) ++entries[id.entry];
  const std::int64_t wall_minus_steady_ns =
      std::chrono::nanoseconds(system_clock::now().time_since_epoch()).count() -
      std::chrono::nanoseconds(steady_clock::now().time_since_epoch()).count();
  auto redis = RedisSync::connect(options);
  std::vector<std::int64_t> all;
  for (const auto& [entry, count] : entries) {
    for (const auto& [index, result] : read_results(*redis, store::results_key("noop", entry))) {
      const auto stored = store::view_stored_result(result);
      const auto record = stored ? protocol::unpack_result(stored->record)
                                 : Result<protocol::ResultRecord>(stored.error());
      if (!record || record->output.size() < sizeof(std::int64_t)) {
        ADD_FAILURE() << "a result cannot be read";
        continue;
      }
      std::int64_t entered_ns = 0;
      std::memcpy(&entered_ns, record->output.data(), sizeof entered_ns);
      all.push_back((entered_ns + wall_minus_steady_ns) / 1'000'000);
    }
  }
  return all;
}

class SomeDelays : public ::testing::Test {
 protected:
  SomeDelays() { installation_.deploy("builtin/noop"); }

  // Publishes them and gives their ids once all are acknowledged.
  std::vector<protocol::EventId> publish(std::size_t count, std::int64_t deliver_at_ms) {
    protocol::Event event;
    event.source = "/tests";
    event.type = "noop";
    event.data = std::string(100, 'x');
    event.options.deliver_at = deliver_at_ms;
    std::vector<protocol::EventId> ids;  // filled by the client's thread, read when all are there
    ids.reserve(count);
    std::atomic<std::size_t> answered = 0, refused = 0;
    const auto began = steady_clock::now();
    constexpr std::size_t kUnansweredMax = 50'000;
    for (std::size_t i = 0; i < count; ++i) {
      while (i - answered >= kUnansweredMax) std::this_thread::sleep_for(1ms);
      installation_.client().publish(event, [&](const Result<client::Receipt>& receipt) {
        receipt ? ids.push_back(receipt->id) : void(++refused);
        ++answered;
      });
    }
    EXPECT_TRUE(eventually([&] { return answered == count; }, 300s)) << installation_.logs();
    EXPECT_EQ(refused, 0u);
    fmt::print("{} delayed events acknowledged, {:.0f} a second\n", count,
               static_cast<double>(count) / seconds_since(began));
    return ids;
  }

  void print_memory(const char* when) {
    fmt::print("{}: broker {} MiB, Redis {}\n", when, resident_mib(installation_.broker().pid()),
               used_by_redis());
  }
  std::string used_by_redis() {
    const std::string info = installation_.redis().command({"INFO", "memory"});
    const std::size_t at = info.find("used_memory_human:") + 18;
    return info.substr(at, info.find('\r', at) - at);
  }

  // How many deliveries this broker has lent.
  std::size_t lent() {
    const auto metrics = installation_.client().admin("metrics", "");
    if (!metrics) ADD_FAILURE() << metrics.error().message << "\n" << installation_.logs();
    constexpr std::string_view kName = "\nfanfare_deliveries_dispatched_total{function=\"noop\"} ";
    const std::size_t at = metrics ? metrics->find(kName) : std::string::npos;
    if (at == std::string::npos) return 0;
    return static_cast<std::size_t>(std::strtod(metrics->c_str() + at + kName.size(), nullptr));
  }

  Installation installation_;
};

class Delays : public SomeDelays, public ::testing::WithParamInterface<bool> {};

TEST_P(Delays, OfManyEventsEndAtOneInstant) {
  const bool broker_is_away = GetParam();
  const std::size_t count = setting("FANFARE_TEST_DELAYED", 5'000);
  const std::size_t ahead_s = setting("FANFARE_TEST_AHEAD_S", 6);
  const std::int64_t due_ms = wall_ms() + static_cast<std::int64_t>(ahead_s) * 1000;
  const auto ids = publish(count, due_ms);
  const auto redis = installation_.redis().options();
  const auto waits = [&] { return audit(redis, "noop", {}).counts["later"]; };
  EXPECT_TRUE(eventually([&] { return waits() == static_cast<std::int64_t>(count); }, 60s));
  ASSERT_LT(wall_ms(), due_ms) << "they are due before all of them wait: set FANFARE_TEST_AHEAD_S";
  EXPECT_EQ(lent(), 0u);
  print_memory("waiting");

  if (broker_is_away) installation_.broker().kill_hard();
  EXPECT_TRUE(eventually([&] { return wall_ms() >= due_ms; }, std::chrono::seconds{ahead_s + 1}));
  if (broker_is_away) installation_.start_broker();
  const auto began = steady_clock::now();
  EXPECT_TRUE(eventually([&] { return all_ended(redis, "noop"); }, 300s)) << installation_.logs();
  const double took = seconds_since(began);
  print_memory("ended");

  const auto entered = entered_ms(redis, ids);
  ASSERT_EQ(entered.size(), count);
  const auto [first, last] = std::ranges::minmax(entered);
  fmt::print(
      "{} ended in {:.2f} s, {:.0f} a second; the first began {} ms after its time, the last "
      "{} ms\n",
      count, took, static_cast<double>(count) / took, first - due_ms, last - due_ms);
  EXPECT_GE(first, due_ms - 1) << "early";  // two clocks are compared
  EXPECT_EQ(lent(), count) << "some were lent twice";
  EXPECT_EQ(audit(redis, "noop", {}).counts["succeeded"], static_cast<std::int64_t>(count));
}

// Those of months are not waited for: they are accepted, and shown.
TEST_F(SomeDelays, OfMillisecondsEndAndOfYearsAreShown) {
  const auto publish_in = [&](std::int64_t ms) {
    protocol::Event event;
    event.source = "/tests";
    event.type = "noop";
    event.options.delay = ms;
    return installation_.client().publish(event).get().value().id;
  };
  constexpr std::int64_t kDay = 24LL * 3600 * 1000;
  std::map<std::int64_t, protocol::EventId> far;
  for (const std::int64_t days : {1, 90, 3650}) far[days * kDay] = publish_in(days * kDay);
  // What no clock reaches is in nobody's way either.
  far[std::numeric_limits<std::int64_t>::max()] =
      publish_in(std::numeric_limits<std::int64_t>::max());
  for (const std::int64_t ms : {1, 20, 300, 1500}) {
    const std::int64_t before = wall_ms();
    const auto id = publish_in(ms);
    const auto record = installation_.result("noop", id);
    EXPECT_EQ(record.status, protocol::Status::kSucceeded);
    EXPECT_GE(record.ended_ms, before + ms);
  }
  // The last success is in its result before the broker has heard of it.
  EXPECT_TRUE(eventually([&] {
    const auto status = installation_.client().admin("status", "");
    return status && nlohmann::json::parse(*status)["functions"][0]["later"] == far.size();
  }));
  const auto shown = cli::run_and_capture(
      {FANFARE_BIN_DIR "/fanfare", "--json", "--broker", installation_.endpoint(), "--redis",
       "unix://" + installation_.redis().socket_path(), "deliveries", "list", "noop"},
      30s);
  ASSERT_TRUE(shown);
  for (const auto& [ms, id] : far) {
    EXPECT_THAT(shown->output, ::testing::HasSubstr(protocol::to_string(id)));
  }
  EXPECT_THAT(shown->output, ::testing::HasSubstr("delayed"));
}

INSTANTIATE_TEST_SUITE_P(Broker, Delays, ::testing::Values(false, true),
                         [](const auto& away) { return away.param ? "IsAway" : "IsThere"; });

}  // namespace
}  // namespace fanfare::test
