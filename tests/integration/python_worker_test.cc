// Runs docs/examples/worker.py, as it stands there, beside a worker of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "cli/deploy.h"
#include "protocol/record.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using json = nlohmann::json;
namespace fs = std::filesystem;

// `kind` says what becomes of an event. A file per step tells the test how far it is.
constexpr const char* kHandler = R"(
import json, os, time
class Invalid(Exception):
    retryable = False
def note(name, line=""):
    with open("FOLDER/" + name, "a") as file: file.write(str(line) + "\n")
def handle(event):
    data = json.loads(event["data"])
    kind, n = data["kind"], str(data["n"])
    note("runs-" + n, os.getpid())
    if kind in ("held", "held and bad"):
        while not os.path.exists("FOLDER/go"): time.sleep(0.01)
    if kind == "in order": note("order", n)
    if kind in ("bad", "held and bad"): raise Invalid("never this one")
    if kind == "hopeless": raise RuntimeError("not today")
    if kind == "flaky" and not os.path.exists("FOLDER/tried-" + n):
        note("tried-" + n)
        raise RuntimeError("not at first")
    print("saw", n)
    return {"n": data["n"], "subject": event["subject"]}
)";

std::string read(const std::string& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::vector<std::string> lines_of(const std::string& file) {
  std::istringstream in{read(file)};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class PythonWorker : public ::testing::Test {
 protected:
  // What the manual's worker does not do any more in a test's control: `what` stands in it once.
  struct Sabotage {
    std::string what, instead;
  };

  PythonWorker() {
    fs::create_directory(dir());
    std::string handler = kHandler;
    for (std::size_t at = 0; (at = handler.find("FOLDER", at)) != handler.npos;) {
      handler.replace(at, 6, dir());
    }
    std::ofstream{dir() + "/words.py"} << handler;
    std::ofstream{dir() + "/function.toml"}
        << "runtime = \"provided\"\nhandler = \"words.py\"\n"
           "retry = { max_attempts = 3, base = \"10ms\", cap = \"50ms\" }\n"
           "[[on]]\npattern = '{\"type\": [\"words\"]}'\n";
    const auto checked = cli::check_function(dir());
    if (!checked) throw std::runtime_error(checked.error().message);
    EXPECT_THAT(cli::remarks(*checked), ElementsAre(HasSubstr("wait for a worker of yours")));
    auto redis = RedisSync::connect(installation_.redis().options());
    const auto deployed = cli::deploy_function(*checked, redis.value(), installation_.client());
    if (!deployed) throw std::runtime_error(deployed.error().message);
  }

  std::string dir() const { return installation_.file("words"); }
  std::string file(const std::string& name) const { return dir() + "/" + name; }

  void start_worker(const std::string& name, const Sabotage& sabotage = {}) {
    std::string text = read(FANFARE_SOURCE_DIR "/docs/examples/worker.py");
    if (!sabotage.what.empty()) {
      const std::size_t at = text.find(sabotage.what);
      ASSERT_NE(at, text.npos) << "the worker has changed: " << sabotage.what;
      ASSERT_EQ(text.find(sabotage.what, at + 1), text.npos);
      text.replace(at, sabotage.what.size(), sabotage.instead);
    }
    std::ofstream{installation_.file("worker.py")} << text;
    worker_ = std::make_unique<Process>(
        std::vector<std::string>{"/usr/bin/python3", installation_.file("worker.py"),
                                 installation_.endpoint(), installation_.redis().socket_path(),
                                 name},
        Process::Environment{{"PYTHONUNBUFFERED", "1"}}, installation_.file("python.log"));
    ASSERT_TRUE(eventually([&] { return has_joined(name); })) << logs();
  }

  bool has_joined(const std::string& name) {
    const auto answer = installation_.client().admin("workers", "{}");
    if (!answer) return false;
    const auto workers = json::parse(*answer)["workers"];
    return std::any_of(workers.begin(), workers.end(), [&](const json& worker) {
      return worker["id"] == name && worker["state"] == "running";
    });
  }

  protocol::EventId publish(const std::string& kind, int n, protocol::PublishOptions options = {}) {
    protocol::Event event;
    event.source = "/tests";
    event.type = "words";
    event.subject = kind;
    event.data = json{{"kind", kind}, {"n", n}}.dump();
    event.options = std::move(options);
    const auto receipt = installation_.client().publish(event).get();
    if (!receipt) throw std::runtime_error(receipt.error().message);
    ids_.push_back(receipt->id);
    return receipt->id;
  }

  // Outcomes of the attempts that count, in their order, and the record.
  std::pair<std::vector<protocol::Outcome>, protocol::ResultRecord> result(
      const protocol::EventId& id) {
    auto record = installation_.result("words", id);
    std::vector<protocol::Outcome> outcomes;
    const auto rows = protocol::unpack_ledger(record.ledger);
    if (!rows) throw std::runtime_error(rows.error().message);
    for (const auto& row : *rows) {
      EXPECT_EQ(row.instance > 0, protocol::counts_against_budget(row.outcome) ||
                                      row.outcome == protocol::Outcome::kOk);
      outcomes.push_back(row.outcome);
    }
    return {outcomes, std::move(record)};
  }

  bool all_have_ended(Duration at_most = 60s) {
    const auto redis = installation_.redis().options();
    return eventually([&] { return all_ended(redis, "words"); }, at_most);
  }
  Audit count() { return audit(installation_.redis().options(), "words", ids_); }
  std::size_t runs_of(int n) const { return lines_of(file("runs-" + std::to_string(n))).size(); }
  std::string logs() const { return installation_.logs() + read(installation_.file("python.log")); }

  // The broker is gone, with all that it was sent while it stood still, and is there again.
  void replace_stopped_broker() {
    installation_.broker().kill_hard();
    installation_.start_broker();
  }

  Installation installation_;
  std::unique_ptr<Process> worker_;
  std::vector<protocol::EventId> ids_;
};

TEST_F(PythonWorker, EndsEachDeliveryAsItsHandlerSays) {
  start_worker("python");
  using enum protocol::Outcome;
  const auto good = publish("good", 1);
  const auto flaky = publish("flaky", 2);
  const auto bad = publish("bad", 3);
  const auto hopeless = publish("hopeless", 4);
  protocol::PublishOptions later;
  later.delay = 300;
  const auto delayed = publish("good", 5, later);
  protocol::PublishOptions ordered;
  ordered.ordering_key = "one";
  std::vector<std::string> in_order;
  for (int n = 10; n < 30; ++n) {
    publish("in order", n, ordered);
    in_order.push_back(std::to_string(n));
  }

  const auto [good_outcomes, good_record] = result(good);
  EXPECT_THAT(good_outcomes, ElementsAre(kOk));
  EXPECT_EQ(good_record.output, "{\"n\": 1, \"subject\": \"good\"}");
  EXPECT_EQ(good_record.content_type, "application/json");
  EXPECT_EQ(good_record.log_tail, "saw 1\n");
  EXPECT_THAT(result(flaky).first, ElementsAre(kFunctionError, kOk));
  const auto [bad_outcomes, bad_record] = result(bad);
  EXPECT_THAT(bad_outcomes, ElementsAre(kFunctionError));
  EXPECT_EQ(bad_record.reason, protocol::DeadReason::kNotRetryable);
  EXPECT_EQ(bad_record.error_type, "Invalid");
  EXPECT_EQ(bad_record.error_message, "never this one");
  const auto [hopeless_outcomes, hopeless_record] = result(hopeless);
  EXPECT_THAT(hopeless_outcomes, ElementsAre(kFunctionError, kFunctionError, kFunctionError));
  EXPECT_EQ(hopeless_record.reason, protocol::DeadReason::kRetriesExhausted);
  const auto delayed_record = result(delayed).second;
  EXPECT_GE(delayed_record.ended_ms - delayed_record.accepted_ms, 300);

  ASSERT_TRUE(all_have_ended()) << logs();
  EXPECT_EQ(lines_of(file("order")), in_order);
  const auto counted = count();
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.results, ids_.size());
  EXPECT_EQ(counted.letters, 2u);

  protocol::Event event;
  event.source = "/tests";
  event.type = "function.invoked";
  event.data = json{{"kind", "good"}, {"n", 40}}.dump();
  const auto invoked = installation_.client().invoke("words", event, 10s);
  ASSERT_TRUE(invoked) << invoked.error().message;
  EXPECT_EQ(invoked->output, "{\"n\": 40, \"subject\": null}");
  EXPECT_EQ(count().counts["accepted"], static_cast<std::int64_t>(ids_.size()));
}

TEST_F(PythonWorker, LosesNothingWhenBrokerAndWorkerAreKilled) {
  start_worker("python");
  std::map<std::string, int> kinds;
  for (int n = 0; n < 200; ++n) {
    const char* kind = n >= 180      ? "held"
                       : n % 10 == 0 ? "flaky"
                       : n % 50 == 1 ? "bad"
                       : n % 50 == 2 ? "hopeless"
                                     : "good";
    publish(kind, n);
    ++kinds[kind];
  }
  const auto succeeded = [&] { return count().counts["succeeded"]; };
  ASSERT_TRUE(eventually([&] { return succeeded() >= 25; }, 60s)) << logs();
  installation_.broker().kill_hard();
  installation_.start_broker();
  ASSERT_TRUE(eventually([&] { return succeeded() >= 75; }, 60s)) << logs();
  worker_->kill_hard();
  start_worker("python");
  std::ofstream{file("go")} << "";  // until now all could not be over

  ASSERT_TRUE(all_have_ended(120s)) << logs();
  const auto counted = count();
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.results, 200u);
  EXPECT_EQ(counted.counts.at("succeeded"), kinds["good"] + kinds["flaky"] + kinds["held"]);
  EXPECT_EQ(counted.letters, static_cast<std::size_t>(kinds["bad"] + kinds["hopeless"]));
  for (int n = 0; n < 200; ++n) {
    const auto record = installation_.result("words", ids_[static_cast<std::size_t>(n)]);
    if (n % 50 == 1 || n % 50 == 2) continue;
    EXPECT_EQ(json::parse(record.output)["n"], n);
  }
}

TEST_F(PythonWorker, ReportsWithoutACommitWouldBeNoticed) {
  start_worker("python", {"verdicts = redis(*call)", "verdicts = bytes(len(attempts))"});
  for (int n = 0; n < 3; ++n) publish("good", n);
  ASSERT_TRUE(eventually([&] { return runs_of(0) + runs_of(1) + runs_of(2) >= 3; })) << logs();
  EXPECT_FALSE(all_have_ended(1s));
  EXPECT_THAT(count().violations, ::testing::Contains(HasSubstr("has no result")));
}

class PythonWorkerAndBroker : public PythonWorker, public ::testing::WithParamInterface<bool> {
 protected:
  bool protection() const { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(, PythonWorkerAndBroker, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "AsInTheManual" : "Control"; });

TEST_P(PythonWorkerAndBroker, WhatItRunsGoesOnOverTheBrokersRestart) {
  start_worker("python", protection()
                             ? Sabotage{}
                             : Sabotage{"SLOTS, held, self.state", "SLOTS, [], self.state"});
  if (!protection() && std::thread::hardware_concurrency() == 1) {
    GTEST_SKIP() << "it has a slot for each processor";
  }
  const auto id = publish("held", 1);
  ASSERT_TRUE(eventually([&] { return runs_of(1) == 1; })) << logs();
  installation_.broker().kill_hard();
  installation_.start_broker();
  ASSERT_TRUE(eventually([&] { return has_joined("python"); })) << logs();
  // Time in which what nobody has named is lent anew, if there is a slot for it.
  const bool again = eventually([&] { return runs_of(1) > 1; }, protection() ? 1s : 10s);
  std::ofstream{file("go")} << "";
  EXPECT_EQ(again, !protection());
  const auto outcomes = result(id).first;
  EXPECT_EQ(outcomes.back(), protocol::Outcome::kOk);
}

TEST_P(PythonWorkerAndBroker, WhatItReportedIsReportedAgainUntilItIsAcknowledged) {
  start_worker("python",
               protection()
                   ? Sabotage{}
                   : Sabotage{"for _, message, _ in self.dones: self.send(*message)", "pass"});
  publish("held and bad", 1);
  ASSERT_TRUE(eventually([&] { return runs_of(1) == 1; })) << logs();
  // What is sent to the broker from now on it never sees.
  ::kill(installation_.broker().pid(), SIGSTOP);
  const pid_t attempt = std::stoi(lines_of(file("runs-1")).at(0));
  std::ofstream{file("go")} << "";
  ASSERT_TRUE(eventually([&] { return ::kill(attempt, 0) != 0; })) << logs();
  std::this_thread::sleep_for(300ms);
  replace_stopped_broker();
  ASSERT_TRUE(eventually([&] { return has_joined("python"); })) << logs();
  EXPECT_EQ(all_have_ended(protection() ? 20s : 3s), protection()) << logs();
  if (!protection()) return;
  EXPECT_EQ(runs_of(1), 1u);
  EXPECT_EQ(count().letters, 1u);
}

TEST_F(PythonWorker, ObeysOperatorsAndDrainsAtItsEnd) {
  start_worker("python");
  const auto cancelled = publish("held", 1);
  ASSERT_TRUE(eventually([&] { return runs_of(1) == 1; })) << logs();
  const auto answer =
      installation_.client().admin("cancel", json{{"id", protocol::to_string(cancelled)}}.dump());
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_THAT(*answer, HasSubstr("running_killed"));
  const pid_t attempt = std::stoi(lines_of(file("runs-1")).at(0));
  EXPECT_TRUE(eventually([&] { return ::kill(attempt, 0) != 0; })) << "its process lives";
  EXPECT_EQ(result(cancelled).second.status, protocol::Status::kCancelled);

  // Quiet: what waits goes back, nothing new comes.
  ASSERT_TRUE(installation_.client().admin("drain_worker", R"({"worker": "python"})"));
  ASSERT_TRUE(eventually([&] { return !has_joined("python"); })) << logs();
  publish("good", 2);
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(runs_of(2), 0u);
  ASSERT_TRUE(installation_.client().admin("resume_worker", R"({"worker": "python"})"));
  EXPECT_TRUE(eventually([&] { return runs_of(2) == 1; })) << logs();

  // Terminating: what runs is finished, what waits is handed back, and it costs nothing.
  const int last = 10 + 2 * static_cast<int>(std::thread::hardware_concurrency()) + 2;
  for (int n = 10; n < last; ++n) publish("held", n);
  ASSERT_TRUE(eventually([&] { return runs_of(10) == 1; })) << logs();
  ::kill(worker_->pid(), SIGTERM);
  ASSERT_TRUE(eventually([&] { return !has_joined("python"); })) << logs();
  std::ofstream{file("go")} << "";
  EXPECT_EQ(worker_->wait_end(20s), 0) << logs();
  const auto ended_by_then = count().counts["succeeded"];
  EXPECT_GE(ended_by_then, 2);
  EXPECT_LT(ended_by_then, last - 10 + 1);
  start_worker("its successor");
  ASSERT_TRUE(all_have_ended()) << logs();
  EXPECT_THAT(count().violations, IsEmpty());
  for (int n = 10; n < last; ++n) EXPECT_EQ(runs_of(n), 1u) << n;
}

}  // namespace
}  // namespace fanfare::test
