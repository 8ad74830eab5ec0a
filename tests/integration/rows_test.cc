// Functions' own rows through real processes: what is counted in a store is what was committed,
// whatever is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "store/keys.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Keeping {
 public:
  explicit Keeping(const std::string& more_manifest = {}) {
    installation.deploy("functions-testing/keeps", more_manifest);
  }
  protocol::Event event(const std::string& commands) {
    protocol::Event made;
    made.source = "/tests";
    made.type = "keeps";
    made.data = commands;
    return made;
  }
  void publish(std::size_t count, const std::string& commands) {
    std::vector<std::future<Result<client::Receipt>>> futures;
    for (std::size_t i = 0; i < count; ++i) {
      futures.push_back(installation.client().publish(event(commands)));
    }
    for (auto& future : futures) EXPECT_TRUE(future.get());
  }
  std::int64_t succeeded() {
    return audit(installation.redis().options(), "keeps", {}).counts["succeeded"];
  }
  void wait_for(std::int64_t count) {
    EXPECT_TRUE(eventually([&] { return succeeded() >= count; }, 40s)) << installation.logs();
  }
  // The value of a row, as it lies in Redis.
  std::string row(const std::string& key) {
    const std::string held = installation.redis().command({"HGET", store::store_key("keeps"), key});
    return held.size() < 8 ? "none" : held.substr(8);
  }

  Installation installation;
};

// The control stands beside it: a file that each attempt marks, too, counts the attempts that were
// killed, as a store written outside the commit would.
TEST(Rows, CountWhatWasCommittedWhateverIsKilled) {
  constexpr std::int64_t kEvents = 2000;
  Keeping keeping("[retry]\nbase = \"10ms\"\ncap = \"20ms\"\nmax_attempts = 100\n");
  Installation& installation = keeping.installation;
  const std::string marks = installation.file("marks");
  std::ofstream(marks).close();
  ::chmod(marks.c_str(), 0666);
  ::chmod(std::filesystem::path(marks).parent_path().c_str(), 0777);
  keeping.publish(kEvents, "add n 1\nmark " + marks + "\nget n\nnap 2");
  const auto kill_instances = [&] {
    for (const pid_t pid : installation.children_of_worker()) ::kill(pid, SIGKILL);
  };
  keeping.wait_for(200);
  kill_instances();
  keeping.wait_for(500);
  installation.worker().kill_hard();
  installation.start_worker();
  keeping.wait_for(800);
  kill_instances();
  keeping.wait_for(1000);
  installation.redis().kill_hard();
  installation.redis().start();
  keeping.wait_for(1400);
  installation.broker().kill_hard();
  installation.worker().kill_hard();
  installation.start_broker();
  installation.start_worker();
  EXPECT_TRUE(eventually([&] { return all_ended(installation.redis().options(), "keeps"); }, 40s))
      << installation.logs();
  EXPECT_EQ(keeping.succeeded(), kEvents);
  EXPECT_EQ(keeping.row("n"), std::to_string(keeping.succeeded()));
  EXPECT_GT(std::filesystem::file_size(marks), static_cast<std::uintmax_t>(kEvents))
      << "nothing was killed in the midst of its work: the test shows nothing";
}

TEST(Rows, OfAFunctionThatReadsWaitForARedisThatIsAwayUpToTheDeadline) {
  Keeping keeping("timeout = \"1s\"\n[retry]\nbase = \"10ms\"\ncap = \"20ms\"\n");
  Installation& installation = keeping.installation;
  keeping.publish(1, "put a 1");
  keeping.wait_for(1);
  const auto id = installation.publish("keeps", "nap 300\nget a");
  installation.redis().kill_hard();
  std::this_thread::sleep_for(1500ms);  // real processes: the deadline passes
  installation.redis().start();
  const auto record = installation.result("keeps", id, 30s);
  EXPECT_EQ(record.output, "ok\n1\n");
  const auto ledger = protocol::unpack_ledger(record.ledger);
  ASSERT_TRUE(ledger);
  EXPECT_EQ(ledger->front().outcome, protocol::Outcome::kTimeout);
}

TEST(Rows, OfAnInvocationAreThereWhenItIsAnswered) {
  Keeping keeping;
  for (int n = 1; n <= 20; ++n) {
    const auto record =
        keeping.installation.client().invoke("keeps", keeping.event("add n 1"), 20s);
    ASSERT_TRUE(record) << record.error().message;
    EXPECT_EQ(record->status, protocol::Status::kSucceeded);
    EXPECT_EQ(keeping.row("n"), std::to_string(n));
  }
}

TEST(Rows, BeyondTheLimitsFailTheAttemptAndSayWhy) {
  Keeping keeping("[retry]\nprofile = \"none\"\n[store]\nmax_rows = 2\n");
  keeping.publish(1, "put a 1\nput b 1");
  keeping.wait_for(1);
  const auto full = keeping.installation.publish("keeps", "put a 2\nput c 1");
  const auto record = keeping.installation.result("keeps", full);
  EXPECT_EQ(record.status, protocol::Status::kFailed);
  EXPECT_EQ(record.error_type, "StoreFull");
  EXPECT_THAT(record.error_message, HasSubstr("store.max_rows"));
  EXPECT_EQ(keeping.row("a"), "1");
  const auto text = keeping.installation.publish("keeps", "put a x");
  EXPECT_EQ(keeping.installation.result("keeps", text).status, protocol::Status::kSucceeded);
  const auto number = keeping.installation.publish("keeps", "add a 1");
  EXPECT_EQ(keeping.installation.result("keeps", number).error_type, "NotANumber");
}

}  // namespace
}  // namespace fanfare::test
