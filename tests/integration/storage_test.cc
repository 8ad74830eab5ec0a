// The storage watcher as a process, with a real broker and Redis: what it announces while it, or
// the broker, is killed. No worker runs, so that the journal keeps every event for the count.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/redis_sync.h"
#include "protocol/event.h"
#include "store/keys.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"
#include "tests/support/journal.h"

namespace fanfare::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Announcements of one key, in their order: the size of each version, -1 for a removal.
using Told = std::map<std::string, std::vector<std::int64_t>>;

class Watched {
 public:
  explicit Watched(InstallationOptions options = {}) : installation_(std::move(options)) {
    fs::create_directories(bucket());
    installation_.deploy("builtin/noop",
                         "[[on]]\npattern = '{\"type\": [{\"prefix\": \"storage.\"}]}'\n");
    installation_.worker().kill_hard();
  }
  ~Watched() {
    if (::testing::Test::HasFailure()) fmt::print("{}\n{}\n", status(), log());
  }

  Installation& installation() { return installation_; }
  fs::path bucket() const { return installation_.file("photos"); }
  fs::path ledger() const { return installation_.file("state/photos.ledger"); }

  void start(Process::Environment environment = {}) {
    fs::remove(status_file());
    environment.emplace_back("FANFARE_TEST_STATUS", status_file());
    start_quietly(std::move(environment));
  }
  void start_quietly(Process::Environment environment = {}) {
    watcher_ = std::make_unique<Process>(
        std::vector<std::string>{FANFARE_BINARY_DIR "/tests/watch_storage",
                                 installation_.endpoint(), installation_.file("state"),
                                 "photos=" + bucket().string()},
        environment, installation_.file("watcher.err"));
  }
  // In a user namespace with a limit of its own, scanning every second. False if there can be none.
  bool start_with_few_watches(int most) {
    const std::string enter = "unshare --user --map-root-user sh -c ";
    if (std::system((enter + "true 2>/dev/null").c_str()) != 0) return false;
    fs::remove(status_file());
    watcher_ = std::make_unique<Process>(
        std::vector<std::string>{
            "/usr/bin/unshare", "--user", "--map-root-user", "sh", "-c",
            fmt::format("echo {} > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"", most),
            FANFARE_BINARY_DIR "/tests/watch_storage", installation_.endpoint(),
            installation_.file("state"), "photos=" + bucket().string()},
        Process::Environment{{"FANFARE_TEST_STATUS", status_file()}, {"FANFARE_TEST_POLL", "1s"}},
        installation_.file("watcher.err"));
    return true;
  }
  Process& watcher() { return *watcher_; }
  std::string log() const { return text_of(installation_.file("watcher.err")); }
  std::size_t times_logged(const std::string& text) const {
    const std::string all = log();
    std::size_t times = 0;
    for (std::size_t at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) {
      ++times;
    }
    return times;
  }
  std::string status() const { return text_of(status_file()); }
  std::int64_t number(const std::string& name) const {
    const std::string all = status();
    const std::size_t at = all.find(name + ' ');
    return at == std::string::npos ? -1 : std::atoll(all.c_str() + at + name.size() + 1);
  }
  // Until everything is told that there is to tell.
  bool comes_to_rest(Duration at_most = 60s) {
    return eventually(
        [this] {
          return number("scanning") == 0 && number("waiting") == 0 && number("in_flight") == 0 &&
                 number("scans") > 0;
        },
        at_most);
  }

  // What the broker was told, as the journal has it.
  Told told() {
    Told told;
    auto redis = RedisSync::connect(installation_.redis().options());
    if (!redis) throw std::runtime_error(redis.error().message);
    const std::string journal = store::journal_key("noop", protocol::kDefaultLane);
    for (const auto& entry : test::read_journal(*redis, journal)) {
      for (const auto& [index, event] : entry.events) note(told, event);
    }
    return told;
  }
  void erase_keys(const std::string& pattern) {
    const auto keys = installation_.redis().command({"KEYS", pattern});
    std::istringstream lines(keys);
    for (std::string key; std::getline(lines, key);) installation_.redis().command({"DEL", key});
  }

 private:
  static std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  fs::path status_file() const { return installation_.file("watcher.status"); }
  static void note(Told& told, std::string_view packed) {
    const auto event = protocol::unpack_event(packed);
    if (!event) throw std::runtime_error(event.error().message);
    const auto object = nlohmann::json::parse(event->data)["Records"][0]["s3"]["object"];
    const bool created = event->type == "storage.object.created";
    told[event->subject.substr(7)].push_back(created ? object["size"].get<std::int64_t>() : -1);
  }

  Installation installation_;
  std::unique_ptr<Process> watcher_;
};

std::size_t count_of(const Told& told) {
  std::size_t count = 0;
  for (const auto& [key, versions] : told) count += versions.size();
  return count;
}

// Those that were not told exactly like this.
std::vector<std::string> other_than(const Told& told, const Told& expected) {
  std::vector<std::string> wrong;
  const auto word = [](const std::string& key, const std::vector<std::int64_t>& versions) {
    return fmt::format("{}: [{}]", key, fmt::join(versions, ", "));
  };
  for (const auto& [key, versions] : told) {
    const auto at = expected.find(key);
    if (at == expected.end() || at->second != versions) wrong.push_back(word(key, versions));
  }
  for (const auto& [key, versions] : expected) {
    if (!told.contains(key)) wrong.push_back("missing " + word(key, versions));
  }
  if (wrong.size() > 10) wrong.resize(10);
  return wrong;
}

TEST(Storage, AFileIsAnnouncedWhenItIsClosedAndNotBefore) {
  Watched watched;
  watched.start();
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  const std::string path = watched.bucket() / "slow.bin";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(write(fd, "0123456789", 10), 10);
    std::this_thread::sleep_for(200ms);  // longer than a first look at what was created
  }
  EXPECT_THAT(watched.told(), IsEmpty());
  close(fd);
  write_file(watched.bucket() / "upload.part", "12345");
  fs::rename(watched.bucket() / "upload.part", watched.bucket() / "upload");
  const Told expected{{"slow.bin", {120}}, {"upload", {5}}};
  EXPECT_TRUE(eventually([&] { return count_of(watched.told()) == 2; }));
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

// A file without a name gets one while it is written: of its closing nobody tells.
TEST(Storage, AFileThatWasMadeWithoutANameIsAnnouncedWhenItIsClosed) {
  Watched watched;
  watched.start();
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  const int fd = open(watched.bucket().c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (fd < 0) GTEST_SKIP() << "no O_TMPFILE here";
  ASSERT_EQ(write(fd, "12345", 5), 5);
  const std::string link = fmt::format("/proc/self/fd/{}", fd);
  const std::string path = watched.bucket() / "named";
  ASSERT_EQ(linkat(AT_FDCWD, link.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW), 0);
  std::this_thread::sleep_for(1500ms);
  ASSERT_EQ(write(fd, "67890", 5), 5);
  EXPECT_THAT(watched.told(), IsEmpty());
  close(fd);
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 1; })) << watched.status();
  EXPECT_THAT(other_than(watched.told(), {{"named", {10}}}), IsEmpty());
}

TEST(Storage, FilesComeGoAndMoveWithTheirDirectories) {
  Watched watched;
  const fs::path bucket = watched.bucket();
  write_file(bucket / "before", "1");
  watched.start();
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 1; })) << watched.log();
  const fs::path outside = watched.installation().file("outside");
  fs::create_directories(outside / "deep/er");
  write_file(outside / "a", "12");
  write_file(outside / "deep/er/b", "123");
  fs::rename(outside, bucket / "in");
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 3; }));
  write_file(bucket / "in/deep/er/c", "1234");  // the directories that came are watched
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 4; }));
  fs::rename(bucket / "in/deep", bucket / "deep");
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 8; }));
  write_file(bucket / "deep/er/d", "12345");
  fs::create_symlink("before", bucket / "link");
  fs::create_hard_link(bucket / "before", bucket / "hard");
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 10; }));
  write_file(bucket / "new", "123456");
  fs::rename(bucket / "new", bucket / "before");  // replaced
  fs::remove_all(bucket / "deep");
  ASSERT_TRUE(eventually([&] { return watched.told()["before"].size() == 2; }));
  ASSERT_TRUE(watched.comes_to_rest());
  const Told expected{{"before", {1, 6}},        {"in/a", {2}},          {"in/deep/er/b", {3, -1}},
                      {"in/deep/er/c", {4, -1}}, {"deep/er/b", {3, -1}}, {"deep/er/c", {4, -1}},
                      {"deep/er/d", {5, -1}},    {"hard", {1}}};
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) >= count_of(expected); }));
  auto told = watched.told();
  told.erase("new");  // gone before it could be told, as a rule
  EXPECT_THAT(other_than(told, expected), IsEmpty());
}

TEST(Storage, WhatHappensWhileTheWatcherIsDownIsAnnouncedOnce) {
  Watched watched;
  const fs::path bucket = watched.bucket();
  for (const char* name : {"kept", "changed", "removed"}) write_file(bucket / name, "1");
  watched.start();
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 3; })) << watched.log();
  ASSERT_TRUE(watched.comes_to_rest());
  ::kill(watched.watcher().pid(), SIGTERM);
  EXPECT_EQ(watched.watcher().wait_end(10s), 0);
  write_file(bucket / "changed", "12");
  write_file(bucket / "new", "123");
  fs::remove(bucket / "removed");
  for (int i = 0; i < 2; ++i) {
    watched.start();
    ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
    watched.watcher().kill_hard();
  }
  const Told expected{{"kept", {1}}, {"changed", {1, 2}}, {"new", {3}}, {"removed", {1, -1}}};
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

// The directory is there, but it is another one: as when its disk is not mounted.
TEST(Storage, ADirectoryThatIsAnotherOneThanBeforeIsNotTakenForAnEmptyOne) {
  Watched watched;
  const fs::path bucket = watched.bucket();
  write_file(bucket / "a", "1");
  watched.start();
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 1; })) << watched.log();
  fs::rename(bucket, watched.installation().file("disk"));
  fs::create_directory(bucket);
  ASSERT_TRUE(eventually([&] {
    return watched.status().find("is its disk mounted?") != std::string::npos;
  })) << watched.status();
  fs::remove(bucket);
  write_file(watched.installation().file("disk/b"), "12");
  fs::rename(watched.installation().file("disk"), bucket);
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 2; })) << watched.status();
  fs::remove_all(bucket);  // deleted under the watcher's eyes: that is told
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 4; })) << watched.status();
  EXPECT_TRUE(eventually([&] { return watched.status().find("away") != std::string::npos; }));
  fs::create_directory(bucket);
  write_file(bucket / "c", "123");
  ASSERT_TRUE(eventually([&] { return count_of(watched.told()) == 5; })) << watched.status();
  const Told expected{{"a", {1, -1}}, {"b", {2, -1}}, {"c", {3}}};
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

TEST(Storage, WhileTheBrokerIsAwayNothingIsLost) {
  Watched watched;
  watched.start();
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  watched.installation().broker().kill_hard();
  Told expected;
  for (int i = 0; i < 500; ++i) {
    const std::string name = fmt::format("{}", i);
    write_file(watched.bucket() / name, std::string(static_cast<std::size_t>(i), 'x'));
    expected[name] = {i};
  }
  watched.installation().start_broker();
  EXPECT_TRUE(eventually([&] { return count_of(watched.told()) >= 500; }, 30s));
  ASSERT_TRUE(watched.comes_to_rest());
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

TEST(Storage, WhatTheBrokerHasNoRoomForIsAnnouncedLaterAndOnce) {
  Watched watched({.broker = {{"FANFARE_BROKER_QUEUE_MAX", "100"}}, .redis = {}});
  for (int i = 0; i < 300; ++i) write_file(watched.bucket() / fmt::format("{}", i), "x");
  watched.start();
  ASSERT_TRUE(eventually([&] { return watched.number("refused") > 200; })) << watched.log();
  EXPECT_EQ(watched.number("created"), 100);
  EXPECT_THAT(watched.log(), HasSubstr("queue_full"));
  watched.installation().start_worker();
  ASSERT_TRUE(eventually([&] { return watched.number("created") == 300; }, 60s))
      << watched.status();
  const auto redis = watched.installation().redis().options();
  EXPECT_TRUE(eventually([&] { return all_ended(redis, "noop"); }));
  EXPECT_EQ(audit(redis, "noop", {}).counts["succeeded"], 300);
}

// The kernel's limit is one of the user's, and of the namespace's: so a namespace of its own. (The
// sysctl fs.inotify.max_user_watches is the machine's, wherever it is written.)
TEST(Storage, WhatCannotBeWatchedIsScannedAndThatIsSaid) {
  Watched watched;
  if (!watched.start_with_few_watches(10)) GTEST_SKIP() << "no user namespaces here";
  Told expected;
  const auto write_all = [&](int round) {
    for (int i = 0; i < 30; ++i) {
      const std::string name = fmt::format("d{}/{}", i, round);
      fs::create_directories((watched.bucket() / name).parent_path());
      write_file(watched.bucket() / name, "x");
      expected[name] = {1};
    }
  };
  write_all(0);
  ASSERT_TRUE(eventually([&] { return watched.number("created") == 30; }, 30s))
      << watched.status() << watched.log();
  EXPECT_THAT(watched.log(), HasSubstr("no more inotify watches: fs.inotify.max_user_watches is"));
  EXPECT_GT(watched.number("unwatched"), 0);
  write_all(1);
  fs::create_directory(watched.bucket() / "later");  // and nobody watches this one either
  write_file(watched.bucket() / "later/0", "x");
  expected["later/0"] = {1};
  fs::remove(watched.bucket() / "d29/0");
  expected["d29/0"].push_back(-1);
  EXPECT_TRUE(eventually([&] { return count_of(watched.told()) == 62; }, 30s)) << watched.status();
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

TEST(Storage, TheGatewayWatchesTheBucketsOfItsDefinitions) {
  Watched watched;
  Installation& installation = watched.installation();
  const std::string definitions = installation.file("triggers.toml");
  const Process::Environment settings{
      {"FANFARE_TRIGGERS_LISTEN", "127.0.0.1:0"},
      {"FANFARE_TRIGGERS_BROKER", installation.endpoint()},
      {"FANFARE_TRIGGERS_REDIS", "unix://" + installation.redis().socket_path()},
      {"FANFARE_TRIGGERS_DEFINITIONS", definitions},
      {"FANFARE_TRIGGERS_STATE", installation.file("state")}};
  const auto start_gateway = [&] {
    return Process({FANFARE_BIN_DIR "/fanfare-triggers"}, settings,
                   installation.file("watcher.err"));
  };
  write_file(definitions, fmt::format("[buckets.photos]\ndirectory = \"{}\"\nexisting = false\n"
                                      "ignore = [\"*.log\"]\nordered = false\nsettle = \"1s\"\n",
                                      watched.bucket().string()));
  write_file(watched.bucket() / "before", "1");
  {
    Process gateway = start_gateway();
    ASSERT_TRUE(eventually([&] { return watched.times_logged("watching 1 directories") == 1; }))
        << watched.log();
    write_file(watched.bucket() / "a", "12");
    write_file(watched.bucket() / "b.log", "123");
    EXPECT_TRUE(eventually([&] { return count_of(watched.told()) == 1; })) << watched.log();
    ::kill(gateway.pid(), SIGTERM);
    EXPECT_EQ(gateway.wait_end(10s), 0) << watched.log();
  }
  write_file(watched.bucket() / "c", "1234");
  Process gateway = start_gateway();
  EXPECT_TRUE(eventually([&] { return count_of(watched.told()) == 2; })) << watched.log();
  EXPECT_THAT(other_than(watched.told(), {{"a", {2}}, {"c", {4}}}), IsEmpty());

  write_file(definitions, "[buckets.photos]\ndirectory = \"photos\"\n");
  EXPECT_EQ(start_gateway().wait_end(10s), 2);
  EXPECT_THAT(watched.log(), HasSubstr("must be an absolute path"));
}

// ---- Killed at a given point, and started again when the broker has forgotten the events' ids

struct KilledAt {
  const char* place;
  bool guard_is_kept;
  std::vector<std::int64_t> told;
};
void PrintTo(const KilledAt& at, std::ostream* out) {
  *out << at.place << (at.guard_is_kept ? "" : " without the repeat guard");
}

class StorageKilled : public ::testing::TestWithParam<KilledAt> {};

TEST_P(StorageKilled, AtAnyPointAnnouncesEachFileOnceLongAfterTheDedupWindow) {
  Watched watched;
  for (int i = 0; i < 10; ++i) write_file(watched.bucket() / fmt::format("{}", i), "123");
  // Past the tick of the file system's clock, so that there is one batch for all.
  const fs::path later = watched.installation().file("later");
  ASSERT_TRUE(eventually([&] {
    write_file(later, "x");
    return fs::last_write_time(later) > fs::last_write_time(watched.bucket() / "9") + 20ms;
  }));
  watched.start({{"FANFARE_TEST_DIE_AT", fmt::format("{}:1", GetParam().place)}});
  ASSERT_TRUE(watched.watcher().wait_end(20s)) << "it was to be killed";
  watched.erase_keys("fanfare:ids:*");  // as after dedup_window
  if (!GetParam().guard_is_kept) watched.erase_keys("fanfare:publishers:lasting-*");
  watched.installation().broker().kill_hard();  // and it has forgotten as well
  watched.installation().start_broker();
  watched.start();
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  Told expected;
  for (int i = 0; i < 10; ++i) expected[fmt::format("{}", i)] = GetParam().told;
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Places, StorageKilled,
    ::testing::Values(KilledAt{"storage.begun", true, {3}}, KilledAt{"storage.answered", true, {3}},
                      KilledAt{"storage.settled", true, {3}},
                      // The control: nothing but the guard knows the batch again.
                      KilledAt{"storage.answered", false, {3, 3}}));

// ---- Killed at random

// Two thousand files, a third of them moved into place, while the watcher is killed again and
// again; then some are removed, and it is killed again.
struct Storm {
  bool keeps_ledger = true;
  bool kills_broker = false;
  std::atomic<int> kills = 0;

  void run(Watched& watched) {
    std::mt19937 random(2026);
    std::atomic<bool> done = false;
    std::thread writer([&] {
      const auto see_killed = [&](int times) {
        const int until = kills + times;
        eventually([&] { return kills >= until; });
      };
      for (int i = 0; i < kFiles; ++i) {
        write_one(watched.bucket(), i);
        if (i == kFiles / 2) see_killed(2);
      }
      see_killed(3);
      for (int i = 0; i < kFiles; i += 4) {
        fs::remove(path_of(watched.bucket(), i));
        if (i % 40 == 0) std::this_thread::sleep_for(10ms);
      }
      see_killed(1);
      done = true;
    });
    while (!done) {
      watched.start();
      std::this_thread::sleep_for(kSlowness * std::chrono::milliseconds(10 + random() % 200));
      watched.watcher().kill_hard();
      ++kills;
      if (kills_broker && kills % 3 == 0) {
        watched.installation().broker().kill_hard();
        watched.installation().start_broker();
      }
      if (!keeps_ledger) fs::remove(watched.ledger());
    }
    writer.join();
    watched.start();
  }

  static constexpr int kFiles = 2000;
  // In some of its lives it must come to announce something.
#if defined(FANFARE_SANITIZED)
  static constexpr int kSlowness = 8;
#else
  static constexpr int kSlowness = 1;
#endif
  static fs::path path_of(const fs::path& bucket, int i) {
    return bucket / fmt::format("d{}/file {}", i % 7, i);
  }
  static void write_one(const fs::path& bucket, int i) {
    const fs::path path = path_of(bucket, i);
    fs::create_directories(path.parent_path());
    const std::string text(static_cast<std::size_t>(100 + i), 'x');
    if (i % 3 == 0) {
      write_file(path.string() + ".part", text);
      return fs::rename(path.string() + ".part", path);
    }
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    EXPECT_EQ(write(fd, text.data(), 50), 50);
    if (i % 5 == 0) std::this_thread::sleep_for(2ms);
    EXPECT_EQ(write(fd, text.data() + 50, text.size() - 50),
              static_cast<ssize_t>(text.size() - 50));
    close(fd);
  }
};

void expect_each_once(Storm storm) {
  Watched watched({.broker = {{"FANFARE_BROKER_DEDUP_WINDOW", "1s"}}, .redis = {}});
  storm.run(watched);
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  auto told = watched.told();
  fmt::print("killed {} times, {} with a batch under way, {} announcements\n", storm.kills,
             watched.times_logged("were under way"), count_of(told));
  EXPECT_GT(storm.kills, 5);
  Told expected;
  for (int i = 0; i < Storm::kFiles; ++i) {
    const std::string key = fs::relative(Storm::path_of(watched.bucket(), i), watched.bucket());
    // What came and went while nobody was there is not told at all.
    if (i % 4 == 0 && !told.contains(key)) continue;
    expected[key] = {100 + i};
    if (i % 4 == 0) expected[key].push_back(-1);
  }
  EXPECT_THAT(other_than(told, expected), IsEmpty());
}

TEST(StorageStorm, EachFileIsAnnouncedOnceWhileTheWatcherIsKilledAgainAndAgain) {
  expect_each_once({});
}

TEST(StorageStorm, EachFileIsAnnouncedOnceWhileWatcherAndBrokerAreKilledAgainAndAgain) {
  expect_each_once({.kills_broker = true});
}

TEST(StorageStorm, WithoutTheLedgerFilesAreAnnouncedAgain) {
  Watched watched({.broker = {{"FANFARE_BROKER_DEDUP_WINDOW", "1s"}}, .redis = {}});
  Storm storm{.keeps_ledger = false};
  storm.run(watched);
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  EXPECT_GT(count_of(watched.told()), Storm::kFiles + 500u);
}

// ---- Lost news

TEST(StorageOverflow, OfTheKernelsQueueIsMadeUpForByAScan) {
  Watched watched;
  watched.start();
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  ::kill(watched.watcher().pid(), SIGSTOP);
  Told expected;
  for (int i = 0; i < 9000; ++i) {  // two events each, and 16,384 are kept
    const std::string name = fmt::format("{}", i);
    write_file(watched.bucket() / name, "x");
    expected[name] = {1};
  }
  ::kill(watched.watcher().pid(), SIGCONT);
  ASSERT_TRUE(eventually([&] { return watched.number("created") >= 9000; }, 60s))
      << watched.status();
  ASSERT_TRUE(watched.comes_to_rest());
  EXPECT_GE(watched.number("overflows"), 1);
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

TEST(StorageOverflow, AtAnyMomentLosesNothing) {
  Watched watched;
  watched.start({{"FANFARE_TEST_LOSE_NEWS", "7"}});
  ASSERT_TRUE(watched.comes_to_rest()) << watched.log();
  Told expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = fmt::format("d{}/{}", i % 10, i);
    fs::create_directories((watched.bucket() / name).parent_path());
    write_file(watched.bucket() / name, "x");
    expected[name] = {1};
  }
  ASSERT_TRUE(eventually([&] { return watched.number("created") >= 1000; }, 30s))
      << watched.status();
  for (int i = 0; i < 1000; i += 2) {
    const std::string name = fmt::format("d{}/{}", i % 10, i);
    fs::remove(watched.bucket() / name);
    expected[name].push_back(-1);
  }
  ASSERT_TRUE(eventually([&] { return watched.number("removed") >= 500; }, 30s))
      << watched.status();
  ASSERT_TRUE(watched.comes_to_rest());
  EXPECT_THAT(other_than(watched.told(), expected), IsEmpty());
}

// ---- How much it takes: FANFARE_TEST_STORAGE_FILES=100000 for the figures in docs/storage.md

std::size_t resident_kb(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

// User and system time so far.
std::chrono::milliseconds cpu_time(pid_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string all{std::istreambuf_iterator<char>(stat), {}};
  std::istringstream fields(all.substr(all.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  long user = 0, system = 0;
  fields >> user >> system;
  return std::chrono::milliseconds((user + system) * 1000 / sysconf(_SC_CLK_TCK));
}

TEST(StorageScale, ManyFilesTakeLittleAndNothingAtRest) {
  const char* given = std::getenv("FANFARE_TEST_STORAGE_FILES");
  const int files = given ? std::atoi(given) : 5000;
  Watched watched;
  for (int i = 0; i < files; ++i) {
    const fs::path path = watched.bucket() / fmt::format("{:03}/upload number {}.jpeg", i / 500, i);
    if (i % 500 == 0) fs::create_directories(path.parent_path());
    write_file(path, "x");
  }
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  auto begun = Clock::now();
  watched.start();
  ASSERT_TRUE(eventually([&] { return watched.number("created") >= files; }, 120s))
      << watched.status();
  fmt::print("{} files announced in {:.1f} s\n", files, seconds(Clock::now() - begun));
  ASSERT_TRUE(watched.comes_to_rest());
  EXPECT_EQ(count_of(watched.told()), static_cast<std::size_t>(files));
  watched.watcher().kill_hard();

  begun = Clock::now();
  watched.start();
  ASSERT_TRUE(watched.comes_to_rest());
  const pid_t pid = watched.watcher().pid();
  fmt::print("started again in {:.2f} s with {} ms of CPU, {} kB resident, ledger {} kB\n",
             seconds(Clock::now() - begun), cpu_time(pid).count(), resident_kb(pid),
             watched.number("ledger") / 1024);
  EXPECT_EQ(watched.number("created"), 0);
#if !defined(FANFARE_SANITIZED)  // sanitizers keep for a while what was freed
  EXPECT_LT(resident_kb(pid), 60'000u);
#endif
  watched.watcher().kill_hard();

  // At rest, without the file that this test reads.
  watched.start_quietly();
  std::this_thread::sleep_for(given ? 3s : 1s);
  const auto before = cpu_time(watched.watcher().pid());
  std::this_thread::sleep_for(given ? 20s : 2s);
  const auto used = cpu_time(watched.watcher().pid()) - before;
  fmt::print("at rest it used {} ms of CPU\n", used.count());
  EXPECT_LE(used, 50ms);
}

}  // namespace
}  // namespace fanfare::test
