// What workers without a way to Redis ask of it, in the broker's core.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Refusal;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kBytes = std::string(protocol::kPackagePartMax, 'p') + "end";
const std::string kPackage = sha256_hex(kBytes);  // of the harness' functions

protocol::Commit commit(std::uint64_t request, const std::string& function = "f",
                        std::string record = "record") {
  return {
      request,
      function,
      1000,
      {{{1, 0}, {}, protocol::Origin::kJournal, 1, {{0, 0, {0x1001}, std::move(record), {}, {}}}}}};
}

struct Relaying : CoreHarness {
  explicit Relaying(CoreOptions options = {})
      : CoreHarness(one(), std::move(options), {}, kPackage) {
    greet();
  }
  void greet(const std::string& name = "w", std::vector<protocol::HeldDelivery> held = {}) {
    feed(name, protocol::Hello{.name = name,
                               .host = "",
                               .pid = 1,
                               .pid_started = 0,
                               .slots = 4,
                               .held = std::move(held),
                               .state = protocol::WorkerState::kRunning,
                               .relayed = true});
  }
  // What the shell would have made of it.
  std::vector<OutgoingCall> relayed() { return core.take_relayed(); }
  void answer_relayed(Ticket ticket, Result<store::Answer> answer) {
    core.on_relay_answer(ticket, std::move(answer));
    collect();
  }
  std::vector<protocol::Refused> refusals(const std::string& worker = "w") {
    return take<protocol::Refused>(worker);
  }
};

store::Answer ok() {
  return store::Committed{{store::Verdict::kOk}};
}

TEST(Relaying, WelcomeSaysHowMuchAWorkerMayHaveUnderWay) {
  Relaying broker;
  const auto welcome = broker.take<protocol::Welcome>("w").at(0);
  EXPECT_EQ(welcome.relay_calls, broker.core.options().relay.calls_per_worker);
  EXPECT_EQ(welcome.relay_bytes, broker.core.options().relay.bytes_per_worker);
  EXPECT_EQ(welcome.layout, store::kLayoutNewest);
}

TEST(Relaying, ACommitGoesToRedisApartFromTheBrokersOwnCallsAndItsAnswerBack) {
  Relaying broker;
  broker.feed("w", commit(7));
  EXPECT_EQ(broker.waiting_calls<store::Commit>(), 0u);
  const auto calls = broker.relayed();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(std::get<store::Commit>(calls[0].call).groups.at(0).items.at(0).record, "record");
  EXPECT_TRUE(std::get<store::Commit>(calls[0].call).packed) << "its data have layout 2";
  EXPECT_THAT(broker.take<protocol::Committed>("w"), IsEmpty()) << "Redis has not answered";
  broker.answer_relayed(calls[0].ticket, ok());
  EXPECT_THAT(broker.take<protocol::Committed>("w"),
              ElementsAre(protocol::Committed{7, std::string(1, '\0')}));
  EXPECT_EQ(broker.core.counters().relays_taken, 1u);
}

TEST(Relaying, RowsAreReadAndUsageIsToldLikewise) {
  Relaying broker;
  broker.feed("w", protocol::ReadRows{8, "f", 5, {"k"}, "", "", 0});
  broker.feed("w", protocol::TellUsage{9, "w:1:2", 1, 1000, 10, {{1, "f", "", 1, 0, 1, 1, 1}}});
  const auto calls = broker.relayed();
  ASSERT_EQ(calls.size(), 2u);
  broker.answer_relayed(calls[0].ticket, store::Answer{store::Rows{{{"k", "v", 0}}, ""}});
  broker.answer_relayed(calls[1].ticket, store::Answer{store::Metered{false}});
  EXPECT_EQ(broker.take<protocol::RowsRead>("w").at(0).rows.at(0).value, "v");
  EXPECT_EQ(broker.take<protocol::UsageTold>("w").at(0).request, 9u);
}

TEST(Relaying, WhoHasNotSaidHelloIsToldToAndNothingReachesRedis) {
  Relaying broker;
  broker.feed("stranger", commit(7));
  EXPECT_EQ(broker.take<protocol::Reset>("stranger").size(), 1u);
  EXPECT_THAT(broker.relayed(), IsEmpty());
}

TEST(Relaying, WhatAWorkerHasNoBusinessWithIsRefusedAndCounted) {
  Relaying broker;
  broker.feed("w", commit(1, "other"));
  broker.feed("w", protocol::ReadRows{2, "other", 5, {"k"}, "", "", 0});
  broker.feed("w", protocol::TellUsage{3, "x:1:2", 1, 1000, 10, {{1, "f", "", 1, 0, 1, 1, 1}}});
  broker.feed("w", protocol::FetchPackage{4, std::string(64, 'e'), 0});
  auto strange = commit(5);
  strange.groups[0].entry_size = 0;
  broker.feed("w", strange);
  const auto refusals = broker.refusals();
  ASSERT_EQ(refusals.size(), 5u);
  for (std::uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(refusals[i].request, i + 1);
    EXPECT_EQ(refusals[i].code, Refusal::kInvalid) << refusals[i].message;
  }
  EXPECT_THAT(refusals[0].message, HasSubstr("'other' is not deployed"));
  EXPECT_THAT(broker.relayed(), IsEmpty());
  EXPECT_THAT(broker.core.take_packages_wanted(), IsEmpty());
  EXPECT_EQ(broker.core.counters().relays_refused, 5u);
}

TEST(Relaying, JunkIsRefusedUnderItsNumber) {
  Relaying broker;
  std::string frame = protocol::encode(commit(77));
  frame.resize(frame.size() - 3);
  broker.feed_frame("w", frame);
  const auto refusals = broker.refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].code, Refusal::kMalformed);
  EXPECT_EQ(refusals[0].request, 77u);
  EXPECT_EQ(broker.core.counters().frames_malformed, 1u);
}

// A function may be removed, and the broker be restarted, while a worker runs its last deliveries.
TEST(Relaying, WhatAWorkerStillHoldsOfARemovedFunctionMayBeCommitted) {
  Relaying broker;
  broker.greet("v", {{"gone", {{1, 0}, 0}, {0x1001}}});
  broker.feed("v", commit(1, "gone"));
  EXPECT_EQ(broker.relayed().size(), 1u);
  broker.feed("w", commit(1, "gone"));
  EXPECT_EQ(broker.refusals("w").size(), 1u) << "not by others";
}

TEST(Relaying, WhatIsBeyondTheBoundsIsToldToComeLaterAndIsTakenThen) {
  CoreOptions options;
  options.relay.calls_per_worker = 2;
  Relaying broker(options);
  for (std::uint64_t request = 1; request <= 3; ++request) broker.feed("w", commit(request));
  const auto calls = broker.relayed();
  EXPECT_EQ(calls.size(), 2u);
  const auto refusals = broker.refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].request, 3u);
  EXPECT_EQ(refusals[0].code, Refusal::kQueueFull);
  broker.answer_relayed(calls[0].ticket, ok());
  broker.feed("w", commit(3));
  EXPECT_EQ(broker.relayed().size(), 1u);
  EXPECT_EQ(broker.core.counters().relays_deferred, 1u);
}

TEST(Relaying, ARepeatOfWhatIsUnderWayGoesToRedisOnce) {
  Relaying broker;
  broker.feed("w", commit(7));
  broker.feed("w", commit(7));
  const auto calls = broker.relayed();
  ASSERT_EQ(calls.size(), 1u);
  broker.answer_relayed(calls[0].ticket, ok());
  EXPECT_EQ(broker.take<protocol::Committed>("w").size(), 1u);
  EXPECT_EQ(broker.core.counters().relays_repeated, 1u);
}

TEST(Relaying, AnAnswerOfAFormerSessionIsNobodysAndTheRepeatHasItsOwn) {
  Relaying broker;
  broker.feed("w", commit(7));
  const auto first = broker.relayed();
  broker.greet();
  broker.feed("w", commit(7));
  const auto second = broker.relayed();
  ASSERT_EQ(second.size(), 1u);
  broker.answer_relayed(first[0].ticket, ok());
  EXPECT_THAT(broker.take<protocol::Committed>("w"), IsEmpty());
  EXPECT_EQ(broker.core.counters().relays_unclaimed, 1u);
  broker.answer_relayed(second[0].ticket,
                        store::Answer{store::Committed{{store::Verdict::kDuplicate}}});
  EXPECT_THAT(broker.take<protocol::Committed>("w"), ElementsAre(protocol::Committed{7, "\1"}));
}

TEST(Relaying, WhatRedisRefusesForEverAndWhatForNowAreToldApart) {
  Relaying broker;
  const std::vector<std::pair<Error, Refusal>> told = {
      {reject("WRONGTYPE"), Refusal::kInvalid},
      {retry_later("OOM"), Refusal::kUnavailable},
      {reconnect("who knows"), Refusal::kUnavailable},
      {fatal("no password"), Refusal::kUnavailable}};
  std::uint64_t request = 0;
  for (const auto& [error, code] : told) {
    broker.feed("w", commit(++request));
    broker.answer_relayed(broker.relayed().at(0).ticket, error);
    const auto refusals = broker.refusals();
    ASSERT_EQ(refusals.size(), 1u);
    EXPECT_EQ(refusals[0].code, code) << error.message;
    EXPECT_FALSE(broker.core.ended()) << "a worker's call ends no broker";
  }
}

TEST(Relaying, AStoppingBrokerWaitsForWhatIsUnderWayAndTakesNoMore) {
  Relaying broker;
  broker.answer_all();
  broker.feed("w", commit(1));
  const auto calls = broker.relayed();
  broker.core.begin_drain();
  broker.feed("w", commit(2));
  EXPECT_EQ(broker.refusals().at(0).code, Refusal::kUnavailable);
  EXPECT_THAT(broker.relayed(), IsEmpty());
  EXPECT_FALSE(broker.core.settled());
  broker.answer_relayed(calls.at(0).ticket, ok());
  EXPECT_EQ(broker.take<protocol::Committed>("w").size(), 1u);
  EXPECT_TRUE(broker.core.settled());
}

TEST(Relaying, APackageIsReadOnceAndHandedOutInParts) {
  Relaying broker;
  broker.greet("v");
  broker.feed("w", protocol::FetchPackage{1, kPackage, 0});
  broker.feed("v", protocol::FetchPackage{1, kPackage, 0});
  EXPECT_THAT(broker.core.take_packages_wanted(), ElementsAre(kPackage));
  broker.core.on_package(kPackage, kBytes, broker.now);
  broker.feed("w", protocol::FetchPackage{2, kPackage, protocol::kPackagePartMax});
  const auto parts = broker.take<protocol::PackagePart>("w");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].size, kBytes.size());
  EXPECT_EQ(parts[0].bytes + parts[1].bytes, kBytes);
  EXPECT_EQ(broker.take<protocol::PackagePart>("v").size(), 1u);
  EXPECT_THAT(broker.core.take_packages_wanted(), IsEmpty());
  EXPECT_EQ(broker.core.counters().packages_read, 1u);
}

TEST(Relaying, APackageThatIsOnlyBeingPreparedCanBeFetchedAsLongAsItIs) {
  Relaying broker;
  broker.feed("w", protocol::Hello{.name = "w",
                                   .host = "",
                                   .pid = 1,
                                   .pid_started = 0,
                                   .slots = 4,
                                   .held = {},
                                   .state = protocol::WorkerState::kRunning,
                                   .relayed = true,
                                   .prepares = {"native"}});
  const std::uint64_t session = broker.take<protocol::Welcome>("w").back().session;
  const std::string bytes = "the next generation", digest = sha256_hex(bytes);
  broker.feed("w", protocol::FetchPackage{1, digest, 0});
  EXPECT_EQ(broker.refusals().at(0).code, Refusal::kInvalid) << "nobody deploys it";
  broker.admin("deploy",
               nlohmann::json{{"name", "f"}, {"manifest", ""}, {"digest", digest}}.dump());
  const auto prepare = broker.take<protocol::Prepare>("w").at(0);
  ASSERT_EQ(prepare.function.digest, digest);
  broker.feed("w", protocol::FetchPackage{2, digest, 0});
  ASSERT_THAT(broker.core.take_packages_wanted(), ElementsAre(digest));
  broker.core.on_package(digest, bytes, broker.now);
  broker.turn();
  EXPECT_EQ(broker.take<protocol::PackagePart>("w").at(0).bytes, bytes);
  EXPECT_THAT(broker.refusals(), IsEmpty());
  protocol::Prepared failed{
      .session = session, .function = "f", .digest = digest, .number = prepare.number};
  failed.failure = protocol::Failure{.type = "LoadError", .message = "no"};
  broker.feed("w", failed);
  broker.feed("w", protocol::FetchPackage{3, digest, 0});
  EXPECT_EQ(broker.refusals().at(0).code, Refusal::kInvalid) << "it was not deployed after all";
}

TEST(Relaying, QuestionsForPackagesDoNotFillTheBrokerWithAnswers) {
  Relaying broker;
  broker.feed("w", protocol::FetchPackage{1, kPackage, 0});
  ASSERT_EQ(broker.core.take_packages_wanted().size(), 1u);
  broker.feed("w", protocol::FetchPackage{1, kPackage, 0});
  EXPECT_THAT(broker.refusals(), IsEmpty()) << "a repeat, which the first one's answer is for";
  broker.core.on_package(kPackage, kBytes, broker.now);
  broker.turn();
  EXPECT_EQ(broker.take<protocol::PackagePart>("w").size(), 1u);
  for (std::uint64_t i = 2; i <= 1000; ++i)
    broker.feed("w", protocol::FetchPackage{i, kPackage, 0});
  EXPECT_EQ(broker.take<protocol::PackagePart>("w").size(), PartPace::kAtOnce - 1u);
  const auto refusals = broker.refusals();
  EXPECT_EQ(refusals.size(), 1000u - PartPace::kAtOnce);
  EXPECT_EQ(refusals.at(0).code, Refusal::kQueueFull);
  broker.pass(1s);
  broker.feed("w", protocol::FetchPackage{refusals[0].request, kPackage, 0});
  EXPECT_EQ(broker.take<protocol::PackagePart>("w").size(), 1u);
}

TEST(Relaying, StatusSaysWhichWorkersReachRedisThroughTheBroker) {
  Relaying broker;
  broker.hello("direct");
  const auto status = broker.ask("status", "{}");
  ASSERT_EQ(status["workers"].size(), 2u);
  for (const auto& worker : status["workers"]) {
    EXPECT_EQ(worker["relayed"], worker["id"] == "w") << status.dump();
  }
}

}  // namespace
}  // namespace fanfare::broker
