// watch_storage BROKER STATE_DIRECTORY NAME=DIRECTORY…
//
// A storage watcher in a process of its own, so that it can be killed. From the environment:
//   FANFARE_TEST_DIE_AT     "storage.begun:3": ends, as by SIGKILL, when it is there the third time
//   FANFARE_TEST_STATUS     a file that says every 20 ms how it stands
//   FANFARE_TEST_LOSE_NEWS  throws away each so-manieth piece of news
//   FANFARE_TEST_POLL       how often what cannot be watched is scanned
//   FANFARE_TEST_EXISTING   "0": what is there at first is not announced
#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/log.h"
#include "triggers/storage_watcher.h"

namespace {

using namespace fanfare;
using namespace std::chrono_literals;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Failpoint failpoint_of(const std::string& text) {
  if (text.empty()) return {};
  const std::size_t colon = text.find(':');
  return Failpoint([place = text.substr(0, colon),
                    left = std::stoi(text.substr(colon + 1))](std::string_view at) mutable {
    if (at == place && --left == 0) std::raise(SIGKILL);
  });
}

std::function<bool()> loser_of(const std::string& every) {
  if (every.empty()) return {};
  return [every = std::stoull(every), n = 0ull]() mutable { return ++n % every == 0; };
}

void write_status(const triggers::StorageWatcher& watcher, const std::string& file) {
  std::ofstream out(file + ".new");
  for (const auto& s : watcher.status()) {
    out << fmt::format(
        "files {} directories {} waiting {} scanning {} in_flight {} created {} removed {} "
        "duplicates {} refused {} overflows {} dropped {} scans {} unwatched {} ledger {} {}\n",
        s.files, s.directories, s.waiting, int{s.scanning}, int{s.in_flight}, s.counters.created,
        s.counters.removed, s.counters.duplicates, s.counters.refused, s.queue_overflows,
        s.counters.signs_dropped, s.scans, s.unwatched, s.ledger_bytes,
        s.away.empty() ? "there" : "away: " + s.away);
  }
  out.close();
  std::filesystem::rename(file + ".new", file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  if (!init_logging({.program = "watch_storage"})) return 2;
  Loop loop;
  ZmqContext zmq;
  triggers::StorageWatcherOptions options;
  options.broker = argv[1];
  options.state_directory = argv[2];
  options.failpoint = failpoint_of(environment("FANFARE_TEST_DIE_AT"));
  options.loses_news = loser_of(environment("FANFARE_TEST_LOSE_NEWS"));
  for (int i = 3; i < argc; ++i) {
    const std::string bucket = argv[i];
    triggers::StorageBucketOptions one;
    one.name = bucket.substr(0, bucket.find('='));
    one.directory = bucket.substr(bucket.find('=') + 1);
    one.core.announce_existing = environment("FANFARE_TEST_EXISTING") != "0";
    const std::string poll = environment("FANFARE_TEST_POLL");
    if (!poll.empty()) one.poll = *parse_duration(poll);
    options.buckets.push_back(one);
  }
  auto watcher = triggers::StorageWatcher::open(loop, zmq, std::move(options));
  if (!watcher) {
    fmt::print(stderr, "{}\n", watcher.error().message);
    return 1;
  }
  Timer status(loop,
               [&, file = environment("FANFARE_TEST_STATUS")] { write_status(**watcher, file); });
  if (!environment("FANFARE_TEST_STATUS").empty()) status.start_every(20ms);
  Timer stopping(loop, [&] {
    if ((*watcher)->stopped()) loop.stop();
  });
  SignalWatch signals(loop, {SIGTERM}, [&](int) {
    (*watcher)->stop();
    stopping.start_every(1ms);
  });
  loop.run();
  return 0;
}
