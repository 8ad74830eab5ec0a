// Functions in real zygotes and instances: forked, run, crashed, killed.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "functions/testing/function_runner.h"
#include "worker/memory_limiter.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;
using testing::FunctionRunner;

std::string fixture(const std::string& name) {
  return std::string(FANFARE_BIN_DIR) + "/../functions-testing/" + name + "/" + name + ".so";
}
std::string builtin(const std::string& name) {
  return std::string(FANFARE_BIN_DIR) + "/../builtin/" + name + "/" + name + ".so";
}

std::unique_ptr<FunctionRunner> start(const std::string& path) {
  auto runner = FunctionRunner::start(path);
  EXPECT_TRUE(runner) << runner.error().message;
  return runner ? std::move(*runner) : nullptr;
}

std::string start_error(const std::string& path) {
  auto runner = FunctionRunner::start(path);
  return runner ? "started" : runner.error().message;
}

void wait_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  ASSERT_GT(::poll(&watched, 1, 30'000), 0);
}

// A line of /proc/PID/FILE that begins with `key`, without it.
std::string proc_line(pid_t pid, const std::string& file, const std::string& key) {
  std::ifstream lines("/proc/" + std::to_string(pid) + "/" + file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key)) return line.substr(key.size());
  }
  return "";
}

struct Prepared {
  explicit Prepared(std::string data, std::string type = "test") {
    event.source = "/tests";
    event.type = std::move(type);
    event.data = std::move(data);
    packed = protocol::pack(event);
  }
  Item item() const { return {.id = {}, .attempt = 1, .timeout = 30s, .packed_event = packed}; }
  protocol::Event event;
  std::string packed;
};

ItemResults run_all(InstanceHandle& instance, std::size_t count) {
  ItemResults results;
  while (results.size() < count) {
    pollfd watched{instance.channel_fd(), POLLIN, 0};
    if (::poll(&watched, 1, 30'000) <= 0 || !instance.take_results(results)) break;
  }
  return results;
}

TEST(Instance, RunsAFunctionAndGivesItsResult) {
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  const ItemResult result = runner->run("test", "data");
  EXPECT_EQ(result.outcome, Outcome::kOk);
  EXPECT_EQ(result.output.size(), 64u);
  EXPECT_EQ(result.content_type, "application/octet-stream");
  EXPECT_GT(result.duration.count(), 0);
  EXPECT_GT(result.peak_memory_kb, 0u);
  EXPECT_EQ(result.log_tail, "");
}

TEST(Instance, ServesManyBatchesInOneProcess) {
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  runner->fork();
  InstanceHandle& instance = *runner->instance();
  const Prepared prepared(std::string(200, 'e'));
  const std::vector<Item> items(64, prepared.item());
  std::uint64_t sent = 0, taken = 0;
  ItemResults results;
  while (taken < 6400) {
    while (sent < 6400 && instance.has_room()) {
      const auto batch = instance.send(items);
      ASSERT_TRUE(batch);
      sent += batch->items;
    }
    EXPECT_EQ(instance.has_room(), sent == 6400 && instance.unfinished_batches() < 2);
    wait_readable(instance.channel_fd());
    results.clear();
    ASSERT_TRUE(instance.take_results(results));
    for (const ItemResult& result : results.all()) {
      ASSERT_EQ(result.batch, taken / 64 + 1);
      ASSERT_EQ(result.item, taken % 64);
      ASSERT_EQ(result.outcome, Outcome::kOk);
      ++taken;
    }
  }
}

TEST(Instance, TakesABatchBeforeItIsForked) {
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  auto instance = runner->zygote().fork();
  ASSERT_TRUE(instance);
  const Prepared prepared("early");
  ASSERT_TRUE((*instance)->send(std::array{prepared.item()}));
  const auto results = run_all(**instance, 1);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, Outcome::kOk);
}

TEST(Instance, PassesLargeEventsAndLargeResults) {
  const auto runner = start(fixture("crash"));
  ASSERT_TRUE(runner);
  const std::string large(900'000, 'L');
  const ItemResult result = runner->run("test", large);
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.failure.message;
  EXPECT_EQ(result.output.size(), large.size() + 9);
  EXPECT_EQ(result.content_type, "text/plain; charset=utf-8");
}

TEST(Instance, PassesAResultByMemfdWhenTheBoardIsFull) {
  const auto runner = start(fixture("crash"));
  ASSERT_TRUE(runner);
  runner->fork();
  const Prepared prepared(std::string(40'000, 'm'));
  const std::vector<Item> items(3, prepared.item());
  ASSERT_EQ(runner->instance()->send(items)->items, 3u);
  const auto results = run_all(*runner->instance(), 3);
  ASSERT_EQ(results.size(), 3u);
  for (const ItemResult& result : results.all()) EXPECT_EQ(result.output.size(), 40'009u);
}

TEST(Instance, RefusesAResultThatIsTooLarge) {
  const auto runner = start(fixture("crash"));
  ASSERT_TRUE(runner);
  const ItemResult result = runner->run("test", std::string(1 << 20, 'x'));
  EXPECT_EQ(result.outcome, Outcome::kFunctionError);
  EXPECT_EQ(result.failure.type, "ResultTooLarge");
  EXPECT_FALSE(result.failure.retryable);
}

TEST(Instance, NamesTheTypeOfAnException) {
  const auto runner = start(fixture("crash"));
  ASSERT_TRUE(runner);
  const ItemResult thrown = runner->run("test", "throw");
  EXPECT_EQ(thrown.outcome, Outcome::kFunctionError);
  EXPECT_EQ(thrown.failure.type, "std::runtime_error");
  EXPECT_EQ(thrown.failure.message, "thrown on purpose");
  EXPECT_TRUE(thrown.failure.retryable);
  const ItemResult strange = runner->run("test", "throw int");
  EXPECT_EQ(strange.failure.type, "int");
  // The same process goes on.
  EXPECT_EQ(runner->run("test", "nothing").outcome, Outcome::kOk);
}

TEST(Instance, CarriesWhatAFunctionSaysAboutRetrying) {
  const auto runner = start(fixture("flaky"));
  ASSERT_TRUE(runner);
  const ItemResult hopeless = runner->run("test", "never");
  EXPECT_EQ(hopeless.failure.type, "Hopeless");
  EXPECT_FALSE(hopeless.failure.retryable);
  const ItemResult later = runner->run("test", "3");
  EXPECT_EQ(later.failure.message, "attempt 1 of 3");
  EXPECT_EQ(later.failure.retry_after_ms, 250);
  protocol::Event event;
  event.source = "/tests";
  event.type = "test";
  event.data = "3";
  EXPECT_EQ(runner->run(event, 3).output, "done in attempt 3");
}

struct Crash {
  const char* data;
  const char* type;
  friend void PrintTo(const Crash& crash, std::ostream* out) { *out << crash.data; }
};
class InstanceCrash : public ::testing::TestWithParam<Crash> {};

TEST_P(InstanceCrash, EndsOnlyTheItemThatRan) {
  const auto runner = start(fixture("crash"));
  ASSERT_TRUE(runner);
  runner->fork();
  InstanceHandle& instance = *runner->instance();
  const Prepared good("be good"), bad(GetParam().data);
  ASSERT_TRUE(instance.send(std::array{good.item(), bad.item(), good.item()}));
  wait_readable(instance.pidfd());

  ItemResults results;
  // Its end of the channel is closed once the zygote has let go of its copy, too.
  while (instance.take_results(results)) wait_readable(instance.channel_fd());
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].output, "survived be good");
  EXPECT_EQ(results[0].log_tail, "about to be good\n");
  const auto running = instance.running();
  ASSERT_TRUE(running);
  EXPECT_EQ(running->item, 1u);
  const auto ending = instance.reap();
  ASSERT_TRUE(ending);
  const NamedEnding named = name_ending(*ending, StopReason::kNone, 30s);
  EXPECT_EQ(named.outcome, Outcome::kCrashed);
  EXPECT_EQ(named.failure.type, GetParam().type);
  EXPECT_GT(ending->peak_memory_kb, 0u);

  // The next one is served at once by a fresh instance.
  runner->fork();
  EXPECT_EQ(runner->run("test", "again").output, "survived again");
}

INSTANTIATE_TEST_SUITE_P(EveryWay, InstanceCrash,
                         ::testing::Values(Crash{"segfault", "SIGSEGV"}, Crash{"abort", "SIGABRT"},
                                           Crash{"exit 0", "Exited"}, Crash{"exit 3", "Exited"}));

TEST(Instance, KeepsTheOutputOfACrash) {
  const auto runner = start(fixture("crash"));
  ASSERT_TRUE(runner);
  const ItemResult result = runner->run("test", "exit 3");
  EXPECT_EQ(result.outcome, Outcome::kCrashed);
  EXPECT_EQ(result.failure.message, "exited with status 3 without answering");
  EXPECT_EQ(result.log_tail, "about to exit 3\n");
}

TEST(Instance, SaysThatItCannotBeReachedOnceItHasClosedItsChannel) {
  const auto runner = start(fixture("crash"));
  ASSERT_TRUE(runner);
  runner->fork();
  InstanceHandle& instance = *runner->instance();
  const Prepared prepared("close everything");
  ASSERT_TRUE(instance.send(std::array{prepared.item()}));
  wait_readable(instance.pidfd());  // it finds that it has no channel left and ends
  ItemResults results;
  auto taken = instance.take_results(results);
  while (taken) {  // its end of the channel is closed once the zygote has let go of its copy, too
    wait_readable(instance.channel_fd());
    taken = instance.take_results(results);
  }
  EXPECT_EQ(taken.error().kind, ErrorKind::kReconnect);
  // What it had finished is on the board all the same.
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].output, "survived close everything");
}

TEST(Instance, IsEndedWithItsWholeGroupWhenItIgnoresSigterm) {
  const auto runner = start(fixture("sleepy"));
  ASSERT_TRUE(runner);
  runner->fork();
  InstanceHandle& instance = *runner->instance();
  const Prepared prepared("forever");
  ASSERT_TRUE(instance.send(std::array{prepared.item()}));
  while (!instance.progress()) {
  }
  EXPECT_EQ(instance.progress()->note, "asleep");
  ASSERT_TRUE(instance.running());
  EXPECT_GT(instance.running()->started_at.time_since_epoch().count(), 0);
  instance.kill_group(SIGTERM);
  EXPECT_FALSE(instance.reap());
  instance.kill_group(SIGKILL);
  wait_readable(instance.pidfd());
  const auto ending = instance.reap();
  ASSERT_TRUE(ending);
  EXPECT_EQ(name_ending(*ending, StopReason::kTimeout, 30s).outcome, Outcome::kTimeout);
}

TEST(Instance, AttributesOutputToTheItemThatPrintedIt) {
  const auto runner = start(fixture("chatty"));
  ASSERT_TRUE(runner);
  EXPECT_EQ(runner->run("test", "one").log_tail,
            "printf one\ncout one\ncerr one\n[warning] logged one\nwrite one\nno newline");
  const ItemResult flood = runner->run("test", "flood 5000");
  EXPECT_TRUE(flood.log_truncated);
  EXPECT_EQ(flood.log_tail.size(), LogBuffer::kTailBytes);
  EXPECT_TRUE(flood.log_tail.ends_with("line 4999 of a great many that are all much alike\n"));
  EXPECT_EQ(flood.log.to - flood.log.from, runner->instance()->log().size() - flood.log.from);

  // Everything was read, so the log begins again.
  const ItemResult after = runner->run("test", "two");
  EXPECT_EQ(after.log.from, 0u);
  EXPECT_TRUE(after.log_tail.starts_with("printf two\n"));
}

TEST(Instance, LivesInItsSandbox) {
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  runner->run("test", "");
  const pid_t pid = runner->instance()->pid();
  EXPECT_EQ(proc_line(pid, "status", "PPid:\t"), std::to_string(::getpid()));
  EXPECT_EQ(proc_line(pid, "status", "NoNewPrivs:\t"), "1");
  EXPECT_EQ(proc_line(pid, "oom_score_adj", ""), "500");
  EXPECT_EQ(proc_line(pid, "limits", "Max core file size "),
            "       0                    0                    bytes     ");
  EXPECT_EQ(::getpgid(pid), pid);
  // Standard streams, channel, log: nothing that leads anywhere else.
  std::multiset<std::string> targets;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::string target = std::filesystem::read_symlink(entry.path());
    targets.insert(target.substr(0, target.find('[')));
  }
  EXPECT_EQ(targets, (std::multiset<std::string>{"/dev/null", "/memfd:fanfare-log (deleted)",
                                                 "/memfd:fanfare-log (deleted)",
                                                 "/memfd:fanfare-log (deleted)", "socket:"}));
}

TEST(Instance, EndsWhenItsWorkerLetsGo) {
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  auto instance = runner->zygote().fork();
  ASSERT_TRUE(instance);
  const auto event = runner->next_event();
  ASSERT_TRUE(event && std::holds_alternative<Forked>(*event));
  instance->reset();
  wait_readable(std::get<Forked>(*event).pidfd.get());
}

TEST(Instance, OutlivesItsZygote) {
  auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  auto forked = runner->zygote().fork();
  ASSERT_TRUE(forked);
  const auto event = runner->next_event();
  ASSERT_TRUE(event && std::holds_alternative<Forked>(*event));
  runner.reset();
  const Prepared prepared("still there?");
  ASSERT_TRUE((*forked)->send(std::array{prepared.item()}));
  const auto results = run_all(**forked, 1);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].outcome, Outcome::kOk);
}

TEST(Instance, IsEndedByItsMemoryCgroupWhenItTakesTooMuch) {
  auto limiter = MemoryLimiter::detect();
  if (limiter.means() == MemoryLimiter::Means::kRlimit) GTEST_SKIP() << limiter.reasons().back();
  const auto runner = start(fixture("hog"));
  ASSERT_TRUE(runner);
  auto leaf = limiter.make_leaf(64 << 20);
  ASSERT_TRUE(leaf);
  auto instance = runner->zygote().fork((*leaf)->entry_fd());
  ASSERT_TRUE(instance);
  auto event = runner->next_event();
  ASSERT_TRUE(event && std::holds_alternative<Forked>(*event));
  (*instance)->forked(std::get<Forked>(*event).pid, std::move(std::get<Forked>(*event).pidfd));

  const Prepared little("8"), much("512");
  ASSERT_TRUE((*instance)->send(std::array{little.item(), much.item()}));
  wait_readable((*instance)->pidfd());
  ItemResults results;
  (void)(*instance)->take_results(results);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].output, "held 8 MiB");
  auto ending = (*instance)->reap();
  ASSERT_TRUE(ending);
  ending->out_of_memory = (*leaf)->oom_kills() > 0;
  EXPECT_EQ(name_ending(*ending, StopReason::kNone, 30s).outcome, Outcome::kOutOfMemory);
}

// The unified hierarchy has no memory controller where v1 has it, but processes can live in it.
TEST(Instance, IsBornInAFolderOfTheUnifiedHierarchy) {
  const std::string name = "fanfare-test-born-" + std::to_string(::getpid());
  std::string folder = "/sys/fs/cgroup/unified/" + name;
  if (::mkdir(folder.c_str(), 0755) != 0) {
    folder = "/sys/fs/cgroup/" + name;
    if (::mkdir(folder.c_str(), 0755) != 0) GTEST_SKIP() << "no unified hierarchy to write to";
  }
  {
    const Fd birthplace(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto runner = start(builtin("noop"));
    ASSERT_TRUE(runner);
    auto instance = runner->zygote().fork(birthplace.get());
    ASSERT_TRUE(instance);
    auto event = runner->next_event();
    ASSERT_TRUE(event && std::holds_alternative<Forked>(*event));
    const pid_t pid = std::get<Forked>(*event).pid;
    std::ifstream file("/proc/" + std::to_string(pid) + "/cgroup");
    const std::string cgroups{std::istreambuf_iterator<char>(file), {}};
    EXPECT_NE(cgroups.find("0::/" + name), std::string::npos) << cgroups;
    (*instance)->forked(pid, std::move(std::get<Forked>(*event).pidfd));
    (*instance)->kill_group(SIGKILL);
    wait_readable((*instance)->pidfd());
    EXPECT_TRUE((*instance)->reap());
  }
  EXPECT_EQ(::rmdir(folder.c_str()), 0);
}

#if !defined(FANFARE_SANITIZED)  // sanitizers reserve terabytes
TEST(Instance, IsRefusedMemoryBeyondItsRlimit) {
  auto zygote = ZygoteClient::start({.program = std::string(FANFARE_BIN_DIR) + "/fanfare-instance",
                                     .function = "hog",
                                     .handler = fixture("hog"),
                                     .data_bytes_max = 64 << 20});
  ASSERT_TRUE(zygote);
  auto instance = (*zygote)->fork();
  ASSERT_TRUE(instance);
  const Prepared much("512"), little("8");
  ASSERT_TRUE((*instance)->send(std::array{much.item(), little.item()}));
  const auto results = run_all(**instance, 2);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].outcome, Outcome::kOutOfMemory);
  EXPECT_EQ(results[0].failure.type, "std::bad_alloc");
  EXPECT_EQ(results[1].output, "held 8 MiB");
}
#endif

TEST(Instance, RunsAsAnUnprivilegedUserWhenAskedTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  auto zygote = ZygoteClient::start({.program = std::string(FANFARE_BIN_DIR) + "/fanfare-instance",
                                     .function = "noop",
                                     .handler = builtin("noop"),
                                     .uid = 65534,
                                     .gid = 65534});
  ASSERT_TRUE(zygote);
  auto instance = (*zygote)->fork();
  ASSERT_TRUE(instance);
  const Prepared prepared("who am I");
  ASSERT_TRUE((*instance)->send(std::array{prepared.item()}));
  ASSERT_EQ(run_all(**instance, 1).size(), 1u);
  std::optional<pid_t> pid;
  while (!pid) {
    wait_readable((*zygote)->control_fd());
    for (auto& event : (*zygote)->take_events()) {
      if (const auto* forked = std::get_if<Forked>(&event)) pid = forked->pid;
    }
  }
  EXPECT_EQ(proc_line(*pid, "status", "Uid:\t"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(proc_line(*pid, "status", "Groups:\t"), " ");
  EXPECT_EQ(proc_line((*zygote)->pid(), "status", "Uid:\t"), "65534\t65534\t65534\t65534")
      << "its zygote has no way back either";
}

nlohmann::json introspect(FunctionRunner& runner, const protocol::Event& event,
                          std::uint32_t attempt = 1) {
  const ItemResult result = runner.run(event, attempt);
  EXPECT_EQ(result.outcome, Outcome::kOk) << result.failure.message;
  return nlohmann::json::parse(result.output, nullptr, false);
}

// What the function's own init could do: it is asked for its user, and what becoming root gives.
TEST(Instance, ItsInitRunsAsTheUnprivilegedUserToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  for (const bool enters_cgroups : {false, true}) {
    auto runner =
        FunctionRunner::start({.program = std::string(FANFARE_BIN_DIR) + "/fanfare-instance",
                               .function = "whoami",
                               .handler = fixture("whoami"),
                               .uid = 65534,
                               .gid = 65534,
                               .enters_cgroups = enters_cgroups});
    ASSERT_TRUE(runner);
    protocol::Event event;
    event.source = "/tests";
    event.type = "who.am.i";
    const auto seen = introspect(**runner, event);
    EXPECT_EQ(seen["loaded_uid"], 65534);
    EXPECT_EQ(seen["init_uid"], 65534);
    EXPECT_EQ(seen["init_groups"], 0);
    EXPECT_EQ(seen["init_capabilities"], 0);
    EXPECT_EQ(seen["init_capabilities_as_root"], 0) << "whatever way it kept";
    EXPECT_EQ(seen["handler_uid"], 65534);
    EXPECT_EQ(seen["handler_saved_uid"], 65534);
  }
}

TEST(Instance, ShowsAFunctionItsEventAndItsContext) {
  ::setenv("FANFARE_TEST_SECRET", "do not pass on", 1);
  auto runner = FunctionRunner::start(fixture("introspect"), {{"SETTING", "from the manifest"}});
  ASSERT_TRUE(runner);
  protocol::Event event;
  event.source = "/a/source";
  event.type = "a.type";
  event.subject = "a subject";
  event.id = "its own id";
  event.time = "2026-11-23T14:37:00Z";
  event.content_type = "text/plain";
  event.data_schema = "urn:schema";
  event.extensions = {{"traceparent", "00-4bf9-01"}, {"another", "one"}};
  event.data = "some data";
  const auto seen = introspect(**runner, event, 3);
  EXPECT_EQ(seen["id"], "1-1.0");
  EXPECT_EQ(seen["event_id"], "1-1.0");
  EXPECT_EQ(seen["ce_id"], "its own id");
  EXPECT_EQ(seen["source"], "/a/source");
  EXPECT_EQ(seen["type"], "a.type");
  EXPECT_EQ(seen["subject"], "a subject");
  EXPECT_EQ(seen["time"], "2026-11-23T14:37:00Z");
  EXPECT_EQ(seen["content_type"], "text/plain");
  EXPECT_EQ(seen["data_schema"], "urn:schema");
  EXPECT_EQ(seen["data"], "some data");
  EXPECT_EQ(seen["extensions"], 2);
  EXPECT_EQ(seen["traceparent"], "00-4bf9-01");
  EXPECT_EQ(seen["function"], "under-test");
  EXPECT_EQ(seen["attempt"], 3);
  EXPECT_EQ(seen["has_time"], true);
  EXPECT_EQ(seen["setting"], "from the manifest");
  EXPECT_EQ(seen["secret"], "none");
}

TEST(Instance, RunsInitOnceForAllAndStartOnceForEach) {
  const auto runner = start(fixture("introspect"));
  ASSERT_TRUE(runner);
  protocol::Event event;
  event.source = "/tests";
  event.type = "test";
  const auto first = introspect(*runner, event);
  const auto again = introspect(*runner, event);
  EXPECT_EQ(first["pid"], again["pid"]);
  EXPECT_EQ(again["inits"], 1);
  EXPECT_EQ(again["starts"], 1);
  runner->fork();
  const auto sibling = introspect(*runner, event);
  EXPECT_NE(sibling["pid"], first["pid"]);
  EXPECT_EQ(sibling["inits"], 1);
  EXPECT_EQ(sibling["starts"], 1);
  // Copies of one process, but not of its random state.
  EXPECT_NE(sibling["rand"], first["rand"]);
  EXPECT_NE(sibling["random"], first["random"]);
  EXPECT_NE(sibling["drand48"], first["drand48"]);
}

TEST(Instance, FailsAnItemWhoseInstanceCannotStart) {
  auto runner = FunctionRunner::start(fixture("introspect"), {{"FAIL_START", "1"}});
  ASSERT_TRUE(runner);
  const ItemResult result = (*runner)->run("test", "");
  EXPECT_EQ(result.outcome, Outcome::kInitFailed);
  EXPECT_EQ(result.failure.type, "std::runtime_error");
  EXPECT_EQ(result.failure.message, "no database there");
}

TEST(Instance, FailsAnEventThatCannotBeRead) {
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  runner->fork();
  const Prepared good("good");
  const Item bad{.id = {}, .attempt = 1, .timeout = 30s, .packed_event = "\xc1 no msgpack"};
  ASSERT_TRUE(runner->instance()->send(std::array{bad, good.item()}));
  const auto results = run_all(*runner->instance(), 2);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].failure.type, "MalformedEvent");
  EXPECT_FALSE(results[0].failure.retryable);
  EXPECT_EQ(results[1].outcome, Outcome::kOk);
}

TEST(Zygote, ForksFromHugePagesWhenItHoldsMuch) {
  std::string mode;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), mode);
  if (mode.empty() || mode.find("[never]") != std::string::npos) {
    GTEST_SKIP() << "this kernel has no transparent huge pages";
  }
  const auto runner = start(fixture("heavy"));
  ASSERT_TRUE(runner);
  EXPECT_EQ(runner->run("test", "").output, "1000000");
  const std::string huge = proc_line(runner->zygote().pid(), "smaps_rollup", "AnonHugePages:");
  EXPECT_GT(std::stoul(huge), 80'000u) << "kB";
}

TEST(Zygote, GivesInstancesThePagesThatOthersHaveWrittenTo) {
  auto runner = FunctionRunner::start(fixture("heavy"), {{"HEAVY_MIB", "16"}});
  ASSERT_TRUE(runner) << runner.error().message;
  const auto faults = [&] { return std::stol((*runner)->run("test", "256").output); };
  EXPECT_GE(faults(), 200) << "the control: nothing is known yet";
  // While that one lives, and nobody asks for another one, the zygote looks at its pages.
  long now = 0;
  for (int i = 0; i < 50 && (i == 0 || now >= 50); ++i) {
    std::this_thread::sleep_for(200ms);
    (*runner)->instance()->kill_group(SIGKILL);
    (*runner)->fork();
    now = faults();
  }
  EXPECT_LT(now, 50);
}

TEST(Zygote, SaysWhatIsWrongWithAFunction) {
  EXPECT_NE(start_error("/nowhere/at-all.so").find("LoadError: cannot read /nowhere/at-all.so"),
            std::string::npos);
  EXPECT_NE(start_error(fixture("bad-abi")).find("AbiMismatch"), std::string::npos);
  EXPECT_NE(start_error(fixture("bad-abi")).find("ABI 99.7"), std::string::npos);
  EXPECT_EQ(start_error(fixture("old-abi")), "started") << "what is new is behind what it knows";
  EXPECT_NE(start_error(fixture("no-symbol")).find("has no fanfare_abi_version"),
            std::string::npos);
  EXPECT_NE(start_error(fixture("starts-thread")).find("StartsThreads"), std::string::npos);
  EXPECT_EQ(start_error(fixture("throws-in-init")), "std::runtime_error: the model is not there");
}

TEST(Zygote, CanCheckAFunctionWithoutRunningIt) {
  const auto check = [](const std::string& path) {
    const std::string program = std::string(FANFARE_BIN_DIR) + "/fanfare-instance";
    return std::system(("'" + program + "' --check '" + path + "' 2>/dev/null").c_str());
  };
  EXPECT_EQ(check(builtin("noop")), 0);
  EXPECT_EQ(check(fixture("throws-in-init")), 0);
  EXPECT_NE(check(fixture("bad-abi")), 0);
  EXPECT_NE(check("/nowhere/at-all.so"), 0);
}

TEST(Zygote, KeepsWhatAFailedInitPrinted) {
  auto zygote = ZygoteClient::start({.program = std::string(FANFARE_BIN_DIR) + "/fanfare-instance",
                                     .function = "throws",
                                     .handler = fixture("throws-in-init")});
  ASSERT_TRUE(zygote);
  wait_readable((*zygote)->control_fd());
  const auto events = (*zygote)->take_events();
  ASSERT_EQ(events.size(), 1u);
  const auto* failed = std::get_if<ZygoteInitFailed>(&events[0]);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->log_tail, "looking for the model\n");
}

TEST(Zygote, SaysWhenItsProgramIsMissing) {
  const auto zygote = ZygoteClient::start({.program = "/nowhere/fanfare-instance"});
  ASSERT_FALSE(zygote);
  EXPECT_EQ(zygote.error().kind, ErrorKind::kFatal);
  EXPECT_NE(zygote.error().message.find("/nowhere/fanfare-instance"), std::string::npos);
}

TEST(Zygote, IsReportedWhenItIsKilled) {
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  ::kill(runner->zygote().pid(), SIGKILL);
  const auto event = runner->next_event();
  ASSERT_TRUE(event);
  const auto* gone = std::get_if<ZygoteGone>(&*event);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->failure.type, "SIGKILL");
  const auto refused = runner->zygote().fork();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kReconnect);
}

TEST(Zygote, HoldsNothingButItsFunction) {
  const Fd secret(::open("/etc/passwd", O_RDONLY));  // inheritable: no O_CLOEXEC
  ::setenv("FANFARE_TEST_SECRET", "do not pass on", 1);
  const auto runner = start(builtin("noop"));
  ASSERT_TRUE(runner);
  const pid_t pid = runner->zygote().pid();
  std::size_t descriptors = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    ++descriptors;
  }
  EXPECT_EQ(descriptors, 5u) << "the standard three, the control socket and its own page map";
  EXPECT_EQ(proc_line(pid, "environ", "").find("SECRET"), std::string::npos);
#if !defined(FANFARE_SANITIZED)  // built without optimising, which leaves unused functions in
  for (const char* library : {"libzmq", "libhiredis", "libspdlog"}) {
    std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
    const std::string all(std::istreambuf_iterator<char>(maps), {});
    EXPECT_EQ(all.find(library), std::string::npos) << library;
  }
#endif
}

}  // namespace
}  // namespace fanfare::worker
