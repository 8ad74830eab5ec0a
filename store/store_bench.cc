// How many deliveries a second the Redis side alone can take: append and commit of whole chunks,
// through one connection, pipelined, against a redis-server of its own.
//
//   store_bench [--batch N] [--chunks N] [--inflight N] [--event BYTES] [--record BYTES]
//               [--fsync always|everysec|no] [--split N]
//
// --split N commits each chunk in N calls instead of one. Prints one line.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "base/loop.h"
#include "store/redis_store.h"
#include "tests/support/redis_server.h"

using namespace fanfare;
using namespace fanfare::store;

namespace {

struct Setup {
  std::map<std::string, std::string> values{
      {"batch", "256"},  {"chunks", "4000"},    {"inflight", "4"}, {"event", "200"},
      {"record", "150"}, {"fsync", "everysec"}, {"split", "1"}};
  std::size_t number(const std::string& name) const { return std::stoul(values.at(name)); }
};

class Bench {
 public:
  Bench(Loop& loop, RedisStore& store, const Setup& setup)
      : loop_(loop),
        store_(store),
        batch_(setup.number("batch")),
        chunks_(setup.number("chunks")),
        inflight_(setup.number("inflight")),
        split_(setup.number("split")),
        event_(setup.number("event"), 'e'),
        record_(setup.number("record"), 'r') {}

  double run() {
    store_.call(Begin{}, [this](Result<Answer> answer) {
      epoch_ = std::get<Begun>(*answer).epoch;
      started_ = std::chrono::steady_clock::now();
      for (std::size_t i = 0; i < inflight_; ++i) append_next();
    });
    loop_.run_until([this] { return committed_ == chunks_ * split_; }, std::chrono::minutes{5});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started_;
    return static_cast<double>(chunks_ * batch_) / took.count();
  }

 private:
  void append_next() {
    if (appended_ == chunks_) return;
    const EntryId entry{1'700'000'000'000 + ++appended_, 0};
    Append append{.epoch = epoch_, .entry = entry};
    append.beside = true;
    append.streams.push_back({.function = "bench"});
    for (std::size_t i = 0; i < batch_; ++i) {
      append.streams[0].items.push_back({static_cast<std::uint8_t>(i), event_});
    }
    store_.call(std::move(append), [this, entry](Result<Answer> answer) {
      if (!answer) fail(answer.error());
      commit(entry);
      append_next();
    });
  }

  void commit(EntryId entry) {
    for (std::size_t part = 0; part < split_; ++part) {
      Commit commit{.function = "bench", .result_ttl_ms = 86'400'000, .packed = true};
      commit.groups.push_back(
          {.entry = entry, .entry_size = static_cast<std::uint16_t>(batch_), .items = {}});
      for (std::size_t i = part * batch_ / split_; i < (part + 1) * batch_ / split_; ++i) {
        const auto index = static_cast<std::uint8_t>(i);
        commit.groups[0].items.push_back({index, index, {epoch_ << 12 | 1}, record_});
      }
      store_.call(std::move(commit), [this](Result<Answer> answer) {
        if (!answer) fail(answer.error());
        for (const Verdict verdict : std::get<Committed>(*answer).verdicts) {
          if (verdict != Verdict::kOk) fail(reject("a verdict is not ok"));
        }
        ++committed_;
      });
    }
  }

  [[noreturn]] static void fail(const Error& error) {
    std::fprintf(stderr, "store_bench: %s\n", error.message.c_str());
    std::exit(1);
  }

  Loop& loop_;
  RedisStore& store_;
  const std::size_t batch_, chunks_, inflight_, split_;
  const std::string event_, record_;
  std::uint32_t epoch_ = 0;
  std::size_t appended_ = 0, committed_ = 0;
  std::chrono::steady_clock::time_point started_;
};

// What INFO says of a field, 0 if it does not.
double info(const test::RedisServer& server, const std::string& section, const std::string& field) {
  const std::string text = server.command({"INFO", section});
  const auto at = text.find(field + ":");
  return at == std::string::npos ? 0 : std::atof(text.c_str() + at + field.size() + 1);
}

}  // namespace

int main(int argc, char** argv) {
  Setup setup;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = std::string{argv[i]}.substr(2);
    if (!setup.values.contains(name)) {
      std::fprintf(stderr, "store_bench: no option --%s\n", name.c_str());
      return 2;
    }
    setup.values[name] = argv[i + 1];
  }
  // Without rewrites of the log in between, so that its size tells what each delivery adds.
  test::RedisServer server(
      {.append_fsync = setup.values["fsync"],
       .more = {"--slowlog-log-slower-than", "2000", "--auto-aof-rewrite-percentage", "0"}});
  Loop loop;
  RedisStore store(loop, server.options());
  const double rate = Bench(loop, store, setup).run();
  const auto deliveries = static_cast<double>(setup.number("chunks") * setup.number("batch"));
  const double cpu_us = 1e6 * (info(server, "cpu", "used_cpu_user_main_thread") +
                               info(server, "cpu", "used_cpu_sys_main_thread"));
  std::printf(
      "append + commit, %s a call, fsync %s, split %s: %.0f deliveries/s; of each in Redis "
      "%.2f us of CPU, %.0f bytes of log; %s calls over 2 ms\n",
      setup.values["batch"].c_str(), setup.values["fsync"].c_str(), setup.values["split"].c_str(),
      rate, cpu_us / deliveries, info(server, "persistence", "aof_current_size") / deliveries,
      server.command({"SLOWLOG", "LEN"}).c_str());
  return 0;
}
