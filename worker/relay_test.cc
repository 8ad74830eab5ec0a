#include "worker/relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/broker_store.h"
#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint kStart = TimePoint{} + 1h;
constexpr std::uint64_t kFirst = Relay::kFirstRequest;

store::Call commit(std::string record = "r") {
  store::Commit call{.function = "f", .result_ttl_ms = 1000, .groups = {}};
  call.groups.push_back({{1, 0}, {}, protocol::Origin::kJournal, 1, {}});
  call.groups[0].items.push_back({0, 0, {0x1001}, std::move(record), {}});
  return call;
}

struct Asking {
  explicit Asking(bool repeat = true)
      : relay([this](std::string frame) { frames.push_back(std::move(frame)); }, repeat) {}
  void ask(store::Call call = commit()) {
    store.call(std::move(call),
               [this](Result<store::Answer> answer) { answers.push_back(std::move(answer)); });
  }
  void join(std::uint64_t session, RelayTerms terms = {64, 16u << 20}) {
    relay.on_session(session, terms);
    relay.flush(now);
  }
  void pass(Duration time) {
    now += time;
    relay.tick(now);
    relay.flush(now);
  }
  bool receive(const protocol::Message& message) {
    const bool taken = relay.on_frame(protocol::encode(message), now);
    relay.flush(now);
    return taken;
  }
  std::vector<std::string> sent() { return std::exchange(frames, {}); }

  TimePoint now = kStart;
  std::vector<std::string> frames;
  std::vector<Result<store::Answer>> answers;
  Relay relay;
  BrokerStore store{relay};
};

TEST(Relay, AsksTheBrokerAndHandsOutItsAnswer) {
  Asking worker;
  worker.join(1);
  worker.ask();
  worker.pass(0s);
  const auto sent = worker.sent();
  ASSERT_EQ(sent.size(), 1u);
  const auto message = protocol::decode(sent[0]);
  EXPECT_EQ(std::get<protocol::Commit>(*message).request, kFirst);
  EXPECT_TRUE(worker.receive(protocol::Committed{kFirst, std::string(1, '\0')}));
  ASSERT_EQ(worker.answers.size(), 1u);
  EXPECT_THAT(std::get<store::Committed>(*worker.answers[0]).verdicts,
              ElementsAre(store::Verdict::kOk));
  EXPECT_EQ(worker.relay.outstanding(), 0u);
  EXPECT_TRUE(worker.receive(protocol::Committed{kFirst, std::string(1, '\0')})) << "a repeat's";
  EXPECT_EQ(worker.answers.size(), 1u);
}

TEST(Relay, KeepsWhatIsAskedUntilThereIsABroker) {
  Asking worker;
  worker.ask();
  worker.pass(1min);
  EXPECT_THAT(worker.sent(), IsEmpty());
  EXPECT_EQ(worker.relay.next_tick(), TimePoint::max());
  worker.join(1);
  EXPECT_EQ(worker.sent().size(), 1u);
}

TEST(Relay, SendsTheSameBytesAgainInTheNextSession) {
  Asking worker;
  worker.join(1);
  worker.ask();
  worker.pass(0s);
  const auto first = worker.sent();
  worker.join(0);
  EXPECT_FALSE(worker.receive(protocol::Deliver{})) << "that is the core's";
  worker.join(2);
  EXPECT_EQ(worker.sent(), first);
  worker.join(2);
  EXPECT_THAT(worker.sent(), IsEmpty()) << "nothing new";
}

TEST(Relay, SendsTheSameBytesAgainWhenNoAnswerComes) {
  Asking worker;
  worker.join(1);
  worker.ask();
  worker.pass(0s);
  const auto first = worker.sent();
  EXPECT_EQ(worker.relay.next_tick(), kStart + Relay::kAgainAfter);
  worker.pass(Relay::kAgainAfter - 1ms);
  EXPECT_THAT(worker.sent(), IsEmpty());
  worker.pass(1ms);
  EXPECT_EQ(worker.sent(), first);
  EXPECT_THAT(worker.answers, IsEmpty());
}

TEST(Relay, RepeatsOneAtATimeAndEachTimeLater) {
  Asking worker;
  worker.join(1);
  worker.ask();
  worker.ask();
  worker.pass(0s);
  const auto first = worker.sent();
  ASSERT_EQ(first.size(), 2u);
  worker.pass(10s);
  EXPECT_THAT(worker.sent(), ElementsAre(first[0]));
  worker.pass(19s);
  EXPECT_THAT(worker.sent(), IsEmpty()) << "the link may be slow";
  EXPECT_EQ(worker.relay.next_tick(), kStart + 30s);
  worker.pass(1s);
  EXPECT_THAT(worker.sent(), ElementsAre(first[1])) << "its turn has come";
  worker.receive(protocol::Committed{kFirst + 1, std::string(1, '\0')});
  worker.pass(0s);
  EXPECT_THAT(worker.sent(), ElementsAre(first[0])) << "it need not wait for that any more";
  worker.pass(39s);
  EXPECT_THAT(worker.sent(), IsEmpty());
  worker.join(2);
  EXPECT_EQ(worker.sent().size(), 1u);
  EXPECT_EQ(worker.relay.next_tick(), worker.now + Relay::kAgainAfter) << "it begins anew";
}

TEST(Relay, HasNoMoreUnderWayThanTheBrokerAllowsAndTheRestFollowsInOrder) {
  Asking worker;
  worker.join(1, {2, 1u << 20});
  for (int i = 0; i < 4; ++i) worker.ask();
  worker.pass(0s);
  EXPECT_EQ(worker.sent().size(), 2u);
  worker.receive(protocol::Committed{kFirst + 1, std::string(1, '\0')});
  const auto next = worker.sent();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(std::get<protocol::Commit>(*protocol::decode(next[0])).request, kFirst + 2);
  worker.join(2, {0, 0});
  EXPECT_THAT(worker.sent(), IsEmpty()) << "an older broker";
  worker.join(3, {64, 1u << 20});
  EXPECT_EQ(worker.sent().size(), 3u);
}

TEST(Relay, AllowsASingleLargeOneWhateverTheBoundOfBytes) {
  Asking worker;
  worker.join(1, {64, 1000});
  worker.ask(commit(std::string(5000, 'r')));
  worker.ask();
  worker.pass(0s);
  EXPECT_EQ(worker.sent().size(), 1u);
  worker.receive(protocol::Committed{kFirst, std::string(1, '\0')});
  EXPECT_EQ(worker.sent().size(), 1u);
}

TEST(Relay, TellsWhoAskedThatItIsToAskLaterOrNever) {
  using protocol::Refusal;
  Asking worker;
  worker.join(1);
  const std::pair<Refusal, ErrorKind> told[] = {{Refusal::kUnavailable, ErrorKind::kRetryLater},
                                                {Refusal::kNotAllowed, ErrorKind::kRetryLater},
                                                {Refusal::kInvalid, ErrorKind::kReject},
                                                {Refusal::kMalformed, ErrorKind::kReject}};
  std::uint64_t request = kFirst;
  for (const auto& [code, kind] : told) {
    worker.ask();
    worker.pass(0s);
    EXPECT_TRUE(worker.receive(protocol::Refused{request++, code, "so it is"}));
    EXPECT_EQ(worker.answers.back().error().kind, kind);
    EXPECT_EQ(worker.answers.back().error().message, "so it is");
  }
  EXPECT_FALSE(worker.receive(protocol::Refused{0, Refusal::kUnavailable, "starting"}));
  EXPECT_FALSE(worker.receive(protocol::Refused{1ull << 63, Refusal::kTimeout, "an invocation"}));
}

std::uint64_t request_in(const std::string& frame) {
  return std::get<protocol::Commit>(*protocol::decode(frame)).request;
}

// Nobody has to ask again, and what was asked first goes first.
TEST(Relay, AsksAFullBrokerForNoMoreCommitsThanItHasRoomFor) {
  Asking worker;
  worker.join(1, {4, 1u << 20});
  for (int i = 0; i < 6; ++i) worker.ask();
  worker.pass(0s);
  EXPECT_EQ(worker.sent().size(), 4u);
  for (const std::uint64_t full : {1u, 2u, 3u}) {
    worker.receive(protocol::Refused{kFirst + full, protocol::Refusal::kQueueFull, "full"});
  }
  EXPECT_THAT(worker.sent(), IsEmpty());
  EXPECT_THAT(worker.answers, IsEmpty());

  worker.receive(protocol::Committed{kFirst, std::string(1, '\0')});
  auto sent = worker.sent();
  ASSERT_EQ(sent.size(), 2u) << "there was room for one, so two are tried";
  EXPECT_EQ(request_in(sent[0]), kFirst + 1);
  EXPECT_EQ(request_in(sent[1]), kFirst + 2);
  worker.receive(protocol::Committed{kFirst + 1, std::string(1, '\0')});
  EXPECT_EQ(worker.sent().size(), 1u);
  worker.receive(protocol::Committed{kFirst + 2, std::string(1, '\0')});
  EXPECT_EQ(worker.sent().size(), 2u) << "three at once: two have been answered";
  EXPECT_EQ(worker.relay.outstanding(), 3u);
}

TEST(Relay, TellsWhoReadsThatTheBrokerIsFullAndLetsNobodyReadBehindCommitsThatWait) {
  Asking worker;
  worker.join(1, {4, 1u << 20});
  for (int i = 0; i < 3; ++i) worker.ask();
  worker.pass(0s);
  worker.sent();
  worker.receive(protocol::Refused{kFirst + 1, protocol::Refusal::kQueueFull, "full"});
  worker.receive(protocol::Refused{kFirst + 2, protocol::Refusal::kQueueFull, "full"});
  worker.ask(store::GetRows{.function = "f", .now_ms = 0, .keys = {"a"}});
  worker.pass(0s);
  EXPECT_EQ(worker.sent().size(), 1u) << "what is read does not wait for two commits";
  worker.receive(protocol::Refused{kFirst + 3, protocol::Refusal::kQueueFull, "full"});
  ASSERT_EQ(worker.answers.size(), 1u);
  EXPECT_EQ(worker.answers[0].error().kind, ErrorKind::kRetryLater);
}

// Who waits for an answer has nothing to do before it comes, or is asked for again.
TEST(Relay, WakesNobodyForWhatWaitsBehindThoseThatRead) {
  Asking worker;
  worker.join(1, {2, 1u << 20});
  for (int i = 0; i < 3; ++i) {
    worker.ask(store::GetRows{.function = "f", .now_ms = 0, .keys = {"a"}});
  }
  worker.ask();
  worker.pass(0s);
  EXPECT_EQ(worker.sent().size(), 2u);
  EXPECT_EQ(worker.relay.next_tick(), worker.now + Relay::kAgainAfter);
}

TEST(Relay, SendsALargeCommitThatAFullBrokerPutOffAfterAPauseOnly) {
  Asking worker;
  worker.join(1, {4, 1u << 20});
  worker.ask(commit(std::string(Relay::kLargeBytes, 'r')));
  worker.ask();
  worker.ask();
  worker.pass(0s);
  EXPECT_EQ(worker.sent().size(), 3u);
  worker.receive(protocol::Refused{kFirst, protocol::Refusal::kQueueFull, "full"});
  worker.receive(protocol::Committed{kFirst + 1, std::string(1, '\0')});
  EXPECT_THAT(worker.sent(), IsEmpty());
  worker.receive(protocol::Committed{kFirst + 2, std::string(1, '\0')});
  worker.pass(Relay::kPause - 1ms);
  EXPECT_THAT(worker.sent(), IsEmpty());
  worker.pass(1ms);
  EXPECT_EQ(worker.sent().size(), 1u);
}

TEST(Relay, TriesAFullBrokerThatHasNothingOfItAgainAfterAPause) {
  Asking worker;
  worker.join(1, {4, 1u << 20});
  worker.ask();
  worker.ask();
  worker.pass(0s);
  EXPECT_EQ(worker.sent().size(), 2u);
  worker.receive(protocol::Refused{kFirst, protocol::Refusal::kQueueFull, "full"});
  worker.receive(protocol::Refused{kFirst + 1, protocol::Refusal::kQueueFull, "full"});
  EXPECT_THAT(worker.sent(), IsEmpty());
  EXPECT_EQ(worker.relay.next_tick(), worker.now + Relay::kPause);
  worker.pass(Relay::kPause - 1ms);
  EXPECT_THAT(worker.sent(), IsEmpty());
  worker.pass(1ms);
  const auto sent = worker.sent();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(request_in(sent[0]), kFirst);
  worker.join(2, {4, 1u << 20});
  EXPECT_EQ(worker.sent().size(), 2u) << "another broker may have room for all";
}

TEST(Relay, IsBoundedAndSaysSoLater) {
  Asking worker;
  for (std::size_t i = 0; i <= Relay::kWaitingMax; ++i) worker.ask();
  EXPECT_THAT(worker.answers, IsEmpty()) << "never within the call";
  EXPECT_LT(worker.relay.next_tick(), worker.now);
  worker.pass(0s);
  ASSERT_EQ(worker.answers.size(), 1u);
  EXPECT_EQ(worker.answers[0].error().kind, ErrorKind::kRetryLater);
  EXPECT_EQ(worker.relay.outstanding(), Relay::kWaitingMax);
}

TEST(Relay, RefusesACallThatBrokersDoNotRelay) {
  Asking worker;
  worker.ask(store::Begin{});
  worker.pass(0s);
  ASSERT_EQ(worker.answers.size(), 1u);
  EXPECT_EQ(worker.answers[0].error().kind, ErrorKind::kReject);
}

// The control of the second above: what the repeat is there for.
TEST(Relay, WithoutItsRepeatForgetsWhatADyingBrokerHad) {
  Asking worker(/*repeat=*/false);
  worker.join(1);
  worker.ask();
  worker.pass(0s);
  worker.sent();
  worker.join(2);
  EXPECT_THAT(worker.sent(), IsEmpty());
}

// ---- a worker's core that is served by one ----

CoreOptions relayed_options() {
  CoreOptions options{.name = "w1", .host = "boot", .pid = 7, .slots = 4};
  options.relayed = true;
  return options;
}

TEST(RelayedWorker, SaysSoAndGivesCreditToABrokerThatRelays) {
  Worker w(relayed_options());
  w.core->on_connected(w.now);
  EXPECT_TRUE(w.sent<protocol::Hello>().at(0).relayed);
  w.receive(protocol::Welcome{.session = 1,
                              .epoch = 1,
                              .functions = {Worker::function("f")},
                              .relay_calls = 64,
                              .relay_bytes = 1u << 20});
  EXPECT_FALSE(w.core->lacks_relay());
  EXPECT_EQ(w.core->relay_terms(), (RelayTerms{64, 1u << 20}));
  EXPECT_GT(w.credit(), 0u);
}

TEST(RelayedWorker, TakesNoWorkFromABrokerOfAnOlderBuild) {
  Worker w(relayed_options());
  w.join();
  EXPECT_TRUE(w.core->joined());
  EXPECT_TRUE(w.core->lacks_relay());
  w.pass(1s);
  EXPECT_EQ(w.credit(), 0u);
  w.core->on_disconnected(w.now);
  w.core->on_connected(w.now);
  w.receive(protocol::Welcome{.session = 2,
                              .epoch = 2,
                              .functions = {Worker::function("f")},
                              .relay_calls = 64,
                              .relay_bytes = 1u << 20});
  EXPECT_GT(w.credit(), 0u) << "the next broker is newer";
}

}  // namespace
}  // namespace fanfare::worker
