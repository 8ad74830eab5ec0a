// Functions that wait for functions, through real processes: on one worker with one slot, and on
// others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Calling {
 public:
  // `local`: whether what is invoked here may be run here without asking the broker.
  explicit Calling(const std::string& slots = "1", const std::string& more_manifest = {},
                   const char* local = "true")
      : installation({.worker = {{"FANFARE_WORKER_SLOTS", slots},
                                 {"FANFARE_WORKER_GRACE", "10s"},
                                 {"FANFARE_WORKER_LOCAL", local}}}) {
    installation.deploy("functions-testing/calls", more_manifest);
    installation.deploy("functions-testing/sleepy", "[retry]\nprofile = \"none\"\n");
    installation.deploy("functions-testing/crash", "[retry]\nprofile = \"none\"\n");
  }
  // What `calls` answers when it is invoked from outside.
  std::string said(const std::string& commands, Duration timeout = 20s) {
    protocol::Event event;
    event.source = "/tests";
    event.type = "function.invoked";
    event.data = commands;
    const auto record = installation.client().invoke("calls", event, timeout);
    if (!record) return record.error().message;
    return record->status == protocol::Status::kSucceeded
               ? record->output
               : record->error_type + ": " + record->error_message;
  }
  // A number of the broker's metrics, by what stands before it.
  double metric(const std::string& series) {
    const auto page = installation.client().admin("metrics", "{}");
    if (!page) return -1;
    const std::size_t at = page->find("\n" + series + " ");
    return at == page->npos ? -1 : std::stod(page->substr(at + series.size() + 2));
  }
  nlohmann::json worker() {
    const auto answer = installation.client().admin("workers", "{}");
    return answer ? nlohmann::json::parse(*answer)["workers"][0] : nlohmann::json{};
  }
  bool waits() {
    return eventually([this] {
      const auto w = worker();
      return w.is_object() && w["waiting"] == 1;
    });
  }
  // Nothing runs or waits, and no more instances are there than slots.
  bool all_is_quiet() {
    return eventually([this] {
      const auto w = worker();
      return w.is_object() && w["busy"] == 0 && w["waiting"] == 0 && w["held"] == 0 &&
             w["instances"] <= w["slots"];
    });
  }
  std::size_t marks(const std::string& file) {
    std::error_code none;
    const auto size = std::filesystem::file_size(file, none);
    return none ? 0 : size;
  }
  // A file that functions may write.
  std::string open_file(const std::string& name) {
    const std::string path = installation.file(name);
    std::ofstream(path).close();
    ::chmod(path.c_str(), 0666);
    ::chmod(std::filesystem::path(path).parent_path().c_str(), 0777);
    return path;
  }

  Installation installation;
};

TEST(Invoking, OfAnotherFunctionWorksOnTheOnlySlotOfTheOnlyWorker) {
  Calling calling;
  for (int n = 0; n < 20; ++n) {
    ASSERT_EQ(calling.said("call sleepy 1\ncall sleepy 2"), "slept 1 ms\nslept 2 ms")
        << calling.installation.logs();
  }
  const auto id = calling.installation.publish("calls", "call sleepy 3");
  EXPECT_EQ(calling.installation.result("calls", id).output, "slept 3 ms");
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
}

TEST(Invoking, TellsWhoInvokes) {
  Calling calling;
  const auto id = calling.installation.publish("calls", "call calls event");
  EXPECT_EQ(calling.installation.result("calls", id).output,
            "function.invoked /functions/calls " + protocol::to_string(id));
}

TEST(Invoking, WhileEventsFillTheQueueOfBothWaitsForNoneOfThem) {
  Calling calling;
  std::vector<protocol::EventId> ids;
  for (int n = 0; n < 60; ++n) {
    ids.push_back(calling.installation.publish("calls", "call calls echo x\ncall sleepy 1"));
    calling.installation.publish("sleepy", "5");
  }
  for (const auto& id : ids) {
    EXPECT_EQ(calling.installation.result("calls", id, 30s).output, "x\nslept 1 ms");
  }
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
}

TEST(Invoking, WorksFromOneWorkerToAnother) {
  Calling calling;
  const auto other = calling.installation.start_another_worker("other");
  // Whoever runs `calls` is made quiet meanwhile: it takes no new work, not even what it waits for.
  auto answer =
      std::async(std::launch::async, [&] { return calling.said("nap 2500\ncall sleepy 1"); });
  std::string lender;
  ASSERT_TRUE(eventually([&] {
    const auto workers = calling.installation.client().admin("workers", "{}");
    if (!workers) return false;
    const auto all = nlohmann::json::parse(*workers);
    for (const auto& one : all["workers"]) {
      if (one["held"] == 1) lender = one["id"];
    }
    return !lender.empty();
  })) << answer.get()
      << calling.installation.client().admin("workers", "{}").value();
  ASSERT_TRUE(calling.installation.client().admin("drain_worker",
                                                  nlohmann::json{{"worker", lender}}.dump()));
  EXPECT_EQ(answer.get(), "napped\nslept 1 ms");
}

TEST(Invoking, OfAFunctionThatFailsThrowsWhatWentWrong) {
  Calling calling;
  EXPECT_EQ(calling.said("call calls fail"),
            "failed Asked: calls failed: Asked: as the event said");
  EXPECT_THAT(calling.said("call crash abort"), StartsWith("failed SIGABRT: crash failed: "));
  EXPECT_THAT(calling.said("must calls fail"),
              StartsWith("fanfare::InvokeError: calls failed: Asked"));
  EXPECT_THAT(calling.said("call nobody x"),
              StartsWith("refused no_such_function: no_such_function: no function is named"));
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
}

// The function runs on: its mark comes.
TEST(Invoking, EndsWhenTheCallersTimeIsUpAndTheFunctionRunsOn) {
  Calling calling;
  const std::string file = calling.open_file("marks");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(calling.said("within 200 calls later 1500 " + file),
            "refused timeout: timeout: the function did not finish in time");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 1300ms);
  EXPECT_EQ(calling.marks(file), 0u);
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
  EXPECT_EQ(calling.marks(file), 1u);
  EXPECT_EQ(calling.said("call sleepy 1"), "slept 1 ms");
}

TEST(Invoking, InAChainEndsAfterSixteenLinks) {
  Calling calling;
  EXPECT_EQ(calling.said("chain 16"), "16 done");
  EXPECT_EQ(calling.said("chain 30"), "16 recursion") << calling.installation.logs();
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
}

TEST(Invoking, OfItselfBeyondItsMaxConcurrencyEndsWithAClearError) {
  Calling one("4", "max_concurrency = 1\n");
  EXPECT_THAT(one.said("call calls echo x"), HasSubstr("its max_concurrency is 1"));
  one.installation.deploy("functions-testing/calls", "max_concurrency = 3\n");
  EXPECT_EQ(one.said("chain 2"), "2 done");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(one.said("within 300 calls must calls call calls call calls echo x"),
            "refused timeout: timeout: the function did not finish in time");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
}

TEST(Invoking, LeavesNothingBehindWhenTheCallersTimeIsUp) {
  Calling calling("1", "timeout = \"500ms\"\n[retry]\nprofile = \"none\"\n");
  const std::string began = calling.open_file("began"), ended = calling.open_file("ended");
  const auto id =
      calling.installation.publish("calls", "mark " + began + "\ncall sleepy 1500\nmark " + ended);
  EXPECT_EQ(calling.installation.result("calls", id).error_type, "Timeout");
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
  EXPECT_EQ(calling.marks(began), 1u);
  EXPECT_EQ(calling.marks(ended), 0u);
  EXPECT_EQ(calling.said("call sleepy 1"), "slept 1 ms") << "its slot is there again";
}

// It cannot begin: its package is in Redis, and Redis stands still.
TEST(Invoking, OfWhatDoesNotEvenBeginEndsWithTheCallersTimeAsWell) {
  Calling calling("1", "timeout = \"500ms\"\n[retry]\nprofile = \"none\"\n");
  const std::string began = calling.open_file("began"), ended = calling.open_file("ended");
  const auto id =
      calling.installation.publish("calls", "mark " + began + "\ncall sleepy 1500\nmark " + ended);
  ASSERT_TRUE(eventually([&] { return calling.marks(began) == 1; }));
  ::kill(calling.installation.redis().pid(), SIGSTOP);
  std::this_thread::sleep_for(1s);
  EXPECT_EQ(calling.marks(ended), 0u) << "it went on with an answer in its last millisecond";
  ::kill(calling.installation.redis().pid(), SIGCONT);
  EXPECT_EQ(calling.installation.result("calls", id).error_type, "Timeout");
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
  EXPECT_EQ(calling.marks(ended), 0u);
}

TEST(Invoking, LeavesNothingBehindWhenTheCallerIsCancelledOrKilled) {
  Calling calling("1", "[retry]\nprofile = \"none\"\n");
  const std::string ended = calling.open_file("ended");
  for (const bool cancelled : {true, false}) {
    const auto id = calling.installation.publish("calls", "call sleepy 3000\nmark " + ended);
    ASSERT_TRUE(calling.waits()) << calling.installation.logs();
    if (cancelled) {
      const auto answer = calling.installation.client().admin(
          "cancel", nlohmann::json{{"id", protocol::to_string(id)}}.dump());
      ASSERT_TRUE(answer) << answer.error().message;
    } else {
      // All that has a parent in common with it; the worker itself lives.
      for (const pid_t pid : calling.installation.children_of_worker()) ::kill(pid, SIGKILL);
    }
    EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
    EXPECT_EQ(calling.said("call sleepy 1"), "slept 1 ms");
  }
  EXPECT_EQ(calling.marks(ended), 0u);
}

TEST(Invoking, ThatWaitsWhenTheBrokerIsKilledIsUnreachable) {
  Calling calling("1", "", "false");
  const auto id = calling.installation.publish("calls", "call sleepy 3000");
  ASSERT_TRUE(calling.waits());
  calling.installation.broker().kill_hard();
  calling.installation.start_broker();
  EXPECT_THAT(calling.installation.result("calls", id).output,
              StartsWith("refused unreachable: unreachable: the connection to the broker broke"));
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
}

// The broker stands still from before the call until it has ended.
bool ends_without_the_broker(const char* local) {
  Calling calling("2", "", local);
  const std::string began = calling.open_file("began"), ended = calling.open_file("ended");
  EXPECT_EQ(calling.said("call sleepy 1"), "slept 1 ms");  // it is known here, and warm
  const auto id = calling.installation.publish(
      "calls", "mark " + began + "\nnap 300\ncall sleepy 1\nmark " + ended);
  EXPECT_TRUE(eventually([&] { return calling.marks(began) == 1; }));
  ::kill(calling.installation.broker().pid(), SIGSTOP);
  const bool done = eventually([&] { return calling.marks(ended) == 1; }, 2s);
  ::kill(calling.installation.broker().pid(), SIGCONT);
  EXPECT_EQ(calling.installation.result("calls", id).output, "marked\nnapped\nslept 1 ms\nmarked");
  EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
  return done;
}

TEST(Invoking, OfWhatIsHereDoesNotPassTheBroker) {
  EXPECT_TRUE(ends_without_the_broker("true"));
}
// The control.
TEST(Invoking, PassesTheBrokerWhereTheWorkerIsToldToAskIt) {
  EXPECT_FALSE(ends_without_the_broker("false"));
}

std::string said_while_the_broker_stands_still(const char* local) {
  Calling calling("2", "", local);
  EXPECT_EQ(calling.said("echo x"), "x");
  EXPECT_TRUE(eventually([&] {  // the worker's socket is looked for once a second
    return calling.said("echo x") == "x" &&
           (local == std::string{"false"} ||
            calling.metric("fanfare_sync_invocations_local_total") > 0);
  }));
  ::kill(calling.installation.broker().pid(), SIGSTOP);
  const std::string said = calling.said("echo still\ncall calls echo there", 500ms);
  ::kill(calling.installation.broker().pid(), SIGCONT);
  return said;
}

TEST(Invoking, ByAClientOfThisHostDoesNotPassTheBroker) {
  EXPECT_EQ(said_while_the_broker_stands_still("true"), "still\nthere");
}
// The control.
TEST(Invoking, ByAClientOfThisHostPassesTheBrokerWhereTheWorkerOpensNoDoor) {
  EXPECT_THAT(said_while_the_broker_stands_still("false"), HasSubstr("did not answer in time"));
}

TEST(Invoking, ByAClientIsLostWithItsWorkerInTheSameWordsEitherWay) {
  for (const char* local : {"true", "false"}) {
    Calling calling("2", "", local);
    const std::string began = calling.open_file("began");
    EXPECT_EQ(calling.said("echo x"), "x");
    std::this_thread::sleep_for(1100ms);  // the worker's socket is looked for once a second
    EXPECT_EQ(calling.said("echo x"), "x");
    auto answer = std::async(std::launch::async,
                             [&] { return calling.said("mark " + began + "\nnap 9000"); });
    ASSERT_TRUE(eventually([&] { return calling.marks(began) == 1; }));
    calling.installation.worker().kill_hard();
    EXPECT_EQ(answer.get(),
              "unavailable: the worker that ran the function vanished; it may or may not have "
              "finished")
        << local;
  }
}

// How much of it is local differs; the sums do not.
TEST(Invoking, CountsTheSameWhetherItPassesTheBrokerOrNot) {
  for (const char* local : {"true", "false"}) {
    Calling calling("2", "", local);
    for (int n = 0; n < 3; ++n) {
      EXPECT_EQ(calling.said("call sleepy 1\ncall calls fail\nwithin 50 sleepy 400"),
                "slept 1 ms\nfailed Asked: calls failed: Asked: as the event said\n"
                "refused timeout: timeout: the function did not finish in time")
          << calling.installation.logs();
    }
    EXPECT_TRUE(eventually([&] {
      return calling.metric("fanfare_sync_invocations_total{result=\"taken\"}") == 12;
    })) << local;
    EXPECT_EQ(calling.metric("fanfare_sync_invocations_total{result=\"timed_out\"}"), 3);
    EXPECT_EQ(calling.metric("fanfare_deliveries_dispatched_total{function=\"sleepy\"}"), 6);
    EXPECT_EQ(calling.metric("fanfare_deliveries_dispatched_total{function=\"calls\"}"), 6);
    const double by_itself = calling.metric("fanfare_sync_invocations_local_total");
    if (local == std::string{"true"}) {
      EXPECT_GE(by_itself, 4) << "all but the first ones, which start what they call";
    } else {
      EXPECT_EQ(by_itself, 0);
    }
    EXPECT_TRUE(calling.all_is_quiet()) << calling.worker().dump();
  }
}

TEST(Invoking, OfAFunctionThatIsPausedWaitsForItAlsoWhereItIsHere) {
  Calling calling("2");
  EXPECT_EQ(calling.said("call sleepy 1"), "slept 1 ms");
  EXPECT_EQ(calling.said("call sleepy 1"), "slept 1 ms");
  ASSERT_TRUE(calling.installation.client().admin("pause", R"({"name":"sleepy"})"));
  std::string said;
  EXPECT_TRUE(eventually([&] {  // its worker hears of it a moment after the broker
    said = calling.said("within 300 sleepy 1");
    return said ==
           "refused timeout: timeout: the function is paused; `fanfare functions resume` it";
  })) << said;
  ASSERT_TRUE(calling.installation.client().admin("resume", R"({"name":"sleepy"})"));
  EXPECT_EQ(calling.said("call sleepy 1"), "slept 1 ms");
}

TEST(Invoking, IsWaitedForByAWorkerThatIsToldToStop) {
  Calling calling("2");
  const auto id = calling.installation.publish("calls", "call sleepy 3000");
  ASSERT_TRUE(calling.waits());
  ::kill(calling.installation.worker().pid(), SIGTERM);
  EXPECT_TRUE(calling.installation.worker().wait_end(15s));
  EXPECT_EQ(calling.installation.result("calls", id).output, "slept 3000 ms");
}

}  // namespace
}  // namespace fanfare::test
