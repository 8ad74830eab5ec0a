// Deployments: tried on every worker before they count, and taken back.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/core_world.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using protocol::Prepare;
using protocol::Prepared;

const std::string kFirst(64, 'd');  // what CoreWorld deploys
const std::string kSecond(64, 'e'), kThird(64, 'f');

struct Deploying : CoreWorld {
  explicit Deploying(CoreOptions options = {}) : CoreWorld({{"f", ""}}, std::move(options)) {
    redis.packages = {kFirst, kSecond, kThird};
  }

  void join_preparing(const std::string& worker,
                      protocol::WorkerState state = protocol::WorkerState::kRunning) {
    feed(worker, protocol::Hello{.name = worker,
                                 .host = "",
                                 .pid = 1,
                                 .pid_started = 0,
                                 .slots = 4,
                                 .held = {},
                                 .state = state,
                                 .prepares = {"native"}});
    sessions_[worker] = take<protocol::Welcome>(worker).back().session;
  }
  void ask(const std::string& verb, json body) {
    if (verb == "deploy" || verb == "rollback") ++begun_;
    feed("operator", protocol::Admin{++requests_, verb, body.dump()});
  }
  void deploy(const std::string& digest, const std::string& name = "f", json more = json::object(),
              const std::string& manifest = "") {
    json body{{"name", name}, {"manifest", manifest}, {"digest", digest}};
    body.update(more);
    ask("deploy", body);
  }
  // The latest answer: {"refused": code, "message"} if it was one; null if there is none yet.
  json answer() {
    if (auto refused = take<protocol::Refused>("operator"); !refused.empty()) {
      return {{"refused", static_cast<int>(refused.back().code)},
              {"message", refused.back().message}};
    }
    auto replies = take<protocol::AdminReply>("operator");
    return replies.empty() ? json(nullptr) : json::parse(replies.back().data);
  }
  json status_of(std::uint64_t deployment, const std::string& name = "f") {
    ask("deployment", {{"name", name}, {"deployment", deployment}});
    return answer();
  }
  std::uint64_t number_of(std::uint64_t deployment) const {
    return std::uint64_t{core->epoch()} << 32 | deployment;
  }
  // Of the latest deployment, unless another one of this broker is named.
  void say(const std::string& worker, const std::string& digest,
           std::optional<protocol::Failure> failure = std::nullopt, const std::string& name = "f",
           std::uint64_t deployment = 0) {
    feed(worker, Prepared{.session = sessions_[worker],
                          .function = name,
                          .digest = digest,
                          .number = number_of(deployment == 0 ? begun_ : deployment),
                          .failure = std::move(failure),
                          .log_tail = "init says\n"});
  }
  static protocol::Failure no_library() {
    return {.type = "LoadError", .message = "libx.so.2: cannot open"};
  }
  std::uint64_t generation() const { return function().registered.generation; }
  const std::string& digest() const { return function().registered.digest; }

  std::map<std::string, std::uint64_t> sessions_;
  std::uint64_t requests_ = 0, begun_ = 0;
};

TEST(Deploy, CountsOnceEveryWorkerCouldStartIt) {
  Deploying d;
  d.join_preparing("w1");
  d.join_preparing("w2");
  d.deploy(kSecond);
  for (const char* worker : {"w1", "w2"}) {
    const auto asked = d.take<Prepare>(worker);
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked[0].function.digest, kSecond);
    EXPECT_EQ(asked[0].function.generation, 0u);
    EXPECT_FALSE(asked[0].drop);
  }
  d.say("w1", kSecond);
  EXPECT_TRUE(d.answer().is_null()) << "w2 has yet to speak";
  EXPECT_EQ(d.digest(), kFirst);
  EXPECT_TRUE(d.take<protocol::Functions>("w1").empty());

  d.say("w2", kSecond);
  const json answer = d.answer();
  EXPECT_EQ(answer["generation"], 2);
  EXPECT_EQ(answer["changed"], true);
  EXPECT_EQ(answer["workers"].size(), 2u);
  EXPECT_EQ(answer["workers"][1]["state"], "ready");
  EXPECT_EQ(d.digest(), kSecond);
  const auto told = d.take<protocol::Functions>("w1");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].functions.at(0).generation, 2u);
}

TEST(Deploy, ThatOneWorkerCannotStartChangesNothingForAnybody) {
  Deploying d;
  d.join_preparing("w1");
  d.join_preparing("w2");
  d.deploy(kSecond);
  d.say("w1", kSecond);
  d.say("w2", kSecond, Deploying::no_library());
  const json answer = d.answer();
  EXPECT_EQ(answer["refused"], static_cast<int>(protocol::Refusal::kInvalid));
  const std::string message = answer["message"];
  EXPECT_NE(message.find("worker w2: LoadError: libx.so.2: cannot open"), std::string::npos);
  EXPECT_NE(message.find("generation 1 goes on"), std::string::npos);
  EXPECT_EQ(d.generation(), 1u);
  EXPECT_TRUE(d.take<protocol::Functions>("w1").empty());
  const auto sent = d.take<Prepare>("w1");
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_TRUE(sent[1].drop) << "whoever has it ready is told to forget it";
  EXPECT_EQ(d.core->counters().deployments_refused, 1u);

  d.start_broker();
  EXPECT_EQ(d.digest(), kFirst) << "nor in Redis";
}

TEST(Deploy, ThatCannotStartIsNoFunctionIfItWasNoneBefore) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond, "g");
  d.say("w1", kSecond, Deploying::no_library(), "g");
  const std::string message = d.answer()["message"];
  EXPECT_NE(message.find("it is not deployed"), std::string::npos);
  EXPECT_FALSE(d.core->functions().contains("g"));
}

TEST(Deploy, DoesNotWaitForWorkersThatAreLostOrLeave) {
  Deploying d;
  d.join_preparing("w1");
  d.join_preparing("w2");
  d.join_preparing("leaving", protocol::WorkerState::kTerminating);
  d.deploy(kSecond);
  EXPECT_TRUE(d.take<Prepare>("leaving").empty());
  d.say("w1", kSecond);
  d.die("w2");
  const json answer = d.answer();
  EXPECT_EQ(answer["generation"], 2);
  EXPECT_EQ(answer["workers"][1]["state"], "lost");
}

TEST(Deploy, AsksAWorkerThatComesMeanwhileAndOneThatComesBack) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond);
  d.join_preparing("w2");
  EXPECT_EQ(d.take<Prepare>("w2").size(), 1u);
  d.say("w1", kSecond);
  EXPECT_TRUE(d.answer().is_null());
  d.join_preparing("w1");  // it has forgotten what it had ready
  EXPECT_EQ(d.take<Prepare>("w1").size(), 2u);
  d.say("w2", kSecond);
  EXPECT_TRUE(d.answer().is_null());
  d.say("w1", kSecond);
  EXPECT_EQ(d.answer()["generation"], 2);
}

TEST(Deploy, EndsWhenAWorkerSaysNothingInTime) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond, "f", {{"timeout_ms", 5000}});
  d.pass(4s);
  EXPECT_TRUE(d.answer().is_null());
  d.pass(1s);
  const std::string message = d.answer()["message"];
  EXPECT_NE(message.find("worker w1: NoAnswer"), std::string::npos);
  d.say("w1", kSecond);  // too late
  EXPECT_EQ(d.generation(), 1u);
}

TEST(Deploy, AsksNobodyWhoCannotBeAsked) {
  Deploying d;
  d.join("old build");
  d.deploy(kSecond);
  EXPECT_EQ(d.answer()["generation"], 2);
  d.join_preparing("w1");
  d.deploy(kThird, "f", json::object(), "runtime = \"provided\"\n");
  EXPECT_TRUE(d.take<Prepare>("w1").empty()) << "not of its runtime";
  EXPECT_EQ(d.answer()["generation"], 3);
}

// All of them go to a worker that joins, in one message.
TEST(Deploy, IsRefusedWhereAllManifestsTogetherWouldNotFitIntoAMessage) {
  Deploying d;
  const std::string manifest = "# " + std::string(1'000'000, 'x') + "\n";
  int deployed = 0;
  json answer;
  for (; deployed < 20; ++deployed) {
    d.deploy(kSecond, "f" + std::to_string(deployed), json::object(), manifest);
    answer = d.answer();
    if (answer.contains("refused")) break;
  }
  EXPECT_EQ(deployed, 15);
  EXPECT_NE(answer["message"].get<std::string>().find("15 MiB"), std::string::npos) << answer;
  d.deploy(kThird, "f3", json::object(), manifest);
  EXPECT_TRUE(d.answer().contains("generation")) << "in its own place it fits";
  d.join_preparing("w1");
  EXPECT_NE(d.sessions_["w1"], 0u);
}

TEST(Deploy, IsFollowedByAsking) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond, "f", {{"follow", true}});
  json answer = d.answer();
  EXPECT_EQ(answer["state"], "preparing");
  const std::uint64_t number = answer["deployment"];
  answer = d.status_of(number);
  EXPECT_EQ(answer["state"], "preparing");
  EXPECT_EQ(answer["workers"][0]["state"], "asked");
  d.say("w1", kSecond, Deploying::no_library());
  answer = d.status_of(number);
  EXPECT_EQ(answer["state"], "refused");
  EXPECT_EQ(answer["workers"][0]["error"]["type"], "LoadError");
  EXPECT_EQ(answer["workers"][0]["log"], "init says\n");

  d.deploy(kSecond, "f", {{"follow", true}});
  EXPECT_EQ(d.status_of(number)["refused"], static_cast<int>(protocol::Refusal::kInvalid))
      << "another one took its place";
  d.say("w1", kSecond);
  answer = d.status_of(number + 1);
  EXPECT_EQ(answer["state"], "done");
  EXPECT_EQ(answer["generation"], 2);
  d.start_broker();
  EXPECT_EQ(d.status_of(number + 1)["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
}

TEST(Deploy, ALaterOneTakesThePlaceOfOneThatIsUnderWay) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond);
  d.deploy(kThird);
  const std::string message = d.answer()["message"];
  EXPECT_NE(message.find("a later deployment"), std::string::npos);
  d.say("w1", kSecond, std::nullopt, "f", 1);  // crossed
  EXPECT_EQ(d.generation(), 1u);
  d.say("w1", kThird);
  EXPECT_EQ(d.answer()["generation"], 2);
  EXPECT_EQ(d.digest(), kThird);
}

TEST(Deploy, WhatIsSaidOfAnEarlierOneIsNotTakenForALaterOneOfTheSamePackage) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond, "f", json::object(), "timeout = \"5s\"\n");
  d.deploy(kSecond, "f", json::object(), "timeout = \"6s\"\n");
  d.say("w1", kSecond, Deploying::no_library(), "f", 1);
  EXPECT_EQ(d.generation(), 1u);
  d.say("w1", kSecond);
  EXPECT_EQ(d.generation(), 2u);
  EXPECT_EQ(d.function().registered.manifest_toml, "timeout = \"6s\"\n");
}

// The trial itself may have ended it.
TEST(Deploy, DoesNotCountWhenEveryWorkerThatTriedItIsLost) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond, "f", {{"timeout_ms", 5000}});
  d.die("w1");
  EXPECT_TRUE(d.answer().is_null()) << "it may come back";
  d.pass(5s);
  const std::string message = d.answer()["message"];
  EXPECT_NE(message.find("worker w1: WorkerLost"), std::string::npos) << message;
  EXPECT_EQ(d.generation(), 1u);

  d.join_preparing("w1");
  d.deploy(kSecond);
  d.die("w1");
  d.join_preparing("w1");
  d.say("w1", kSecond);
  EXPECT_EQ(d.answer()["generation"], 2);
}

TEST(Deploy, DoesNotWaitForAWorkerThatBeginsToDrain) {
  Deploying d;
  d.join_preparing("w1");
  d.join_preparing("w2");
  d.deploy(kSecond);
  d.say("w1", kSecond);
  d.feed("w2", protocol::Heartbeat{.session = d.sessions_["w2"],
                                   .state = protocol::WorkerState::kTerminating});
  EXPECT_EQ(d.answer()["generation"], 2);

  // Nor for one that comes back under its name and is not to be asked.
  d.deploy(kThird);
  d.say("w1", kThird);
  d.join_preparing("w2", protocol::WorkerState::kTerminating);
  d.pass(1s);
  EXPECT_EQ(d.answer()["generation"], 3);
}

TEST(Deploy, WaitsForWorkersThatTheBrokerBeforeKnew) {
  Deploying d;
  d.join_preparing("w1");
  d.start_broker();
  d.begun_ = 0;
  d.deploy(kSecond);
  EXPECT_TRUE(d.answer().is_null());
  d.join_preparing("w1");
  EXPECT_EQ(d.take<Prepare>("w1").size(), 1u);
  d.say("w1", kSecond, Deploying::no_library());
  EXPECT_EQ(d.answer()["refused"], static_cast<int>(protocol::Refusal::kInvalid));
  EXPECT_EQ(d.generation(), 1u);
}

TEST(Deploy, DoesNotWaitLongForWorkersThatDoNotComeBackNorWhereNothingChanges) {
  Deploying d;
  d.join_preparing("w1");
  d.start_broker();
  d.deploy(kFirst);
  EXPECT_EQ(d.answer()["changed"], false);
  d.deploy(kSecond);
  EXPECT_TRUE(d.answer().is_null());
  d.pass(6s);
  EXPECT_EQ(d.answer()["generation"], 2);
}

TEST(Deploy, OfAFunctionThatIsRemovedMeanwhileEnds) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond);
  d.ask("remove", {{"name", "f"}});
  d.say("w1", kSecond);
  const auto refused = d.take<protocol::Refused>("operator");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_NE(refused[0].message.find("f was removed meanwhile"), std::string::npos);
  EXPECT_FALSE(d.function().deployed);
  EXPECT_TRUE(d.take<Prepare>("w1").back().drop);
}

TEST(Deploy, APackageThatIsRefusedGoesFromRedisAndOneThatRunsStays) {
  Deploying d;
  d.join_preparing("w1");
  d.deploy(kSecond);
  d.say("w1", kSecond, Deploying::no_library());
  EXPECT_FALSE(d.redis.packages.contains(kSecond));
  d.deploy(kFirst, "f", json::object(), "timeout = \"5s\"\n");
  d.say("w1", kFirst, Deploying::no_library());
  EXPECT_TRUE(d.redis.packages.contains(kFirst));

  // A later one of the same package still needs it.
  d.deploy(kThird);
  d.deploy(kThird, "f", json::object(), "timeout = \"5s\"\n");
  EXPECT_TRUE(d.redis.packages.contains(kThird));
  d.answer();
  // So does one under another name, when the last function that has it goes.
  d.say("w1", kThird);
  EXPECT_EQ(d.answer()["generation"], 2);
  d.deploy(kThird, "g");
  d.ask("remove", {{"name", "f"}});
  EXPECT_EQ(d.answer()["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
}

TEST(Deploy, IsRefusedUnderAnotherNameThanItsManifestHas) {
  Deploying d;
  d.deploy(kSecond, "f", json::object(), "name = \"g\"\n");
  const std::string message = d.answer()["message"];
  EXPECT_NE(message.find("the manifest is of g, and f is to be deployed"), std::string::npos);
}

TEST(Deploy, ThatChangesNothingSaysSo) {
  Deploying d;
  d.deploy(kFirst);
  const json answer = d.answer();
  EXPECT_EQ(answer["generation"], 1);
  EXPECT_EQ(answer["changed"], false);
}

TEST(Describe, NamesWorkersWhereThePresentGenerationDoesNotStart) {
  Deploying d;
  d.join_preparing("w1");
  d.feed("w1", protocol::Heartbeat{.session = d.sessions_["w1"],
                                   .broken = {{"f", 1, Deploying::no_library()}}});
  d.ask("describe", {{"name", "f"}});
  EXPECT_EQ(d.answer()["workers"][0]["error"]["type"], "LoadError");
  d.feed("w1", protocol::Heartbeat{.session = d.sessions_["w1"],
                                   .broken = {{"f", 0, Deploying::no_library()}}});
  d.ask("describe", {{"name", "f"}});
  EXPECT_TRUE(d.answer()["workers"][0]["error"].is_null()) << "that was an earlier one";
}

TEST(Rollback, GoesBackToWhatRanBeforeAndBackAgain) {
  Deploying d;
  d.deploy(kSecond, "f", json::object(), "timeout = \"5s\"\n");
  d.answer();
  d.ask("rollback", {{"name", "f"}});
  EXPECT_EQ(d.answer()["generation"], 3);
  EXPECT_EQ(d.digest(), kFirst);
  EXPECT_EQ(d.function().registered.manifest_toml, "") << "its manifest, too";
  d.ask("rollback", {{"name", "f"}});
  EXPECT_EQ(d.answer()["generation"], 4);
  EXPECT_EQ(d.digest(), kSecond);

  d.ask("generations", {{"name", "f"}});
  const json list = d.answer()["generations"];
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(list[0]["generation"], 4);
  EXPECT_EQ(list[0]["rolled_back_to"], 2);
  EXPECT_EQ(list[0]["present"], true);
  EXPECT_EQ(list[1]["rolled_back_to"], 1);
  EXPECT_TRUE(list[3]["rolled_back_to"].is_null());
  EXPECT_EQ(list[3]["present"], false);
}

TEST(Rollback, TakesAGenerationOrTheBeginningOfADigest) {
  Deploying d;
  d.deploy(kSecond);
  d.deploy(kThird);
  d.answer();
  d.ask("rollback", {{"name", "f"}, {"to", "1"}});
  d.answer();
  EXPECT_EQ(d.digest(), kFirst);
  d.ask("rollback", {{"name", "f"}, {"to", "eeeeeeee"}});
  d.answer();
  EXPECT_EQ(d.digest(), kSecond);
  d.ask("rollback", {{"name", "f"}, {"to", "99"}});
  const std::string message = d.answer()["message"];
  EXPECT_NE(message.find("no generation of f that is kept is 99"), std::string::npos);
}

TEST(Rollback, IsTriedOnWorkersLikeAnyDeployment) {
  Deploying d;
  d.deploy(kSecond);
  d.answer();
  d.join_preparing("w1");
  d.ask("rollback", {{"name", "f"}});
  ASSERT_EQ(d.take<Prepare>("w1").size(), 1u);
  d.say("w1", kFirst, Deploying::no_library());
  EXPECT_EQ(d.answer()["refused"], static_cast<int>(protocol::Refusal::kInvalid));
  EXPECT_EQ(d.digest(), kSecond);
}

TEST(Rollback, SaysWhenThereIsNothingToGoBackTo) {
  Deploying d;
  d.ask("rollback", {{"name", "f"}});
  EXPECT_NE(d.answer()["message"].get<std::string>().find("no earlier generation"),
            std::string::npos);
  d.deploy(kSecond);
  d.answer();
  d.redis.packages.erase(kFirst);
  d.ask("rollback", {{"name", "f"}});
  EXPECT_NE(d.answer()["message"].get<std::string>().find("not in Redis any more"),
            std::string::npos);
  EXPECT_EQ(d.digest(), kSecond);
}

TEST(Generations, AreKeptUpToTheirNumber) {
  CoreOptions options;
  options.generations_kept = 2;
  Deploying d(options);
  d.deploy(kSecond);
  d.deploy(kThird);
  d.answer();
  d.ask("generations", {{"name", "f"}});
  EXPECT_EQ(d.answer()["generations"].size(), 2u);
  d.ask("rollback", {{"name", "f"}, {"to", "1"}});
  EXPECT_FALSE(d.answer()["refused"].is_null());
}

}  // namespace
}  // namespace fanfare::broker
