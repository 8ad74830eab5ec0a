#include "client/publish_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fanfare::client {
namespace {

using namespace std::chrono_literals;
using protocol::PublishRun;
using protocol::Refusal;
using ::testing::HasSubstr;

constexpr TimePoint kStart{};

// A queue whose receipts are written down, one word per event.
struct Publisher {
  explicit Publisher(PublishLimits limits = {}, PublishResume resume = {})
      : queue("c0ffee", limits, resume) {}

  Result<void> add(std::string event, TimePoint now = kStart) {
    return queue.add(std::move(event), now, [this](const Result<Receipt>& receipt) {
      if (!receipt) in_doubt.push_back(may_be_published(receipt.error()));
      if (!receipt) return told.push_back(receipt.error().message);
      told.push_back(to_string(receipt->id) + (receipt->duplicate ? " again" : ""));
      functions.push_back(*receipt->functions);
    });
  }
  // What the broker would read of the next frame; an empty client if there is none.
  protocol::Publish sent(TimePoint now = kStart) {
    const auto frame = queue.take_frame(now);
    if (!frame) return {};
    return std::get<protocol::Publish>(*protocol::decode(*frame));
  }

  PublishQueue queue;
  std::vector<std::string> told;
  std::vector<bool> in_doubt;  // of what has failed
  std::vector<std::vector<std::string>> functions;
};

protocol::Published accepted(std::uint64_t sequence, std::uint32_t count) {
  return {.sequence = sequence,
          .runs = {{PublishRun::Fate::kAccepted, {{100, sequence}, 0}, count, 0}},
          .routes = {{"wordcount"}},
          .errors = {}};
}

TEST(PublishQueue, GoesOnFromAFormerLifeWithTheBatchInDoubtAsARepeat) {
  Publisher publisher({}, {.next_sequence = 7, .in_doubt = true});
  ASSERT_TRUE(publisher.add("a"));
  const auto in_doubt = publisher.sent();
  EXPECT_EQ(in_doubt.sequence, 7u);
  EXPECT_TRUE(in_doubt.repeat);
  publisher.queue.on_published(accepted(7, 1));
  ASSERT_TRUE(publisher.add("b"));
  const auto next = publisher.sent();
  EXPECT_EQ(next.sequence, 8u);
  EXPECT_FALSE(next.repeat);

  Publisher sure({}, {.next_sequence = 7});
  ASSERT_TRUE(sure.add("a"));
  EXPECT_FALSE(sure.sent().repeat);
}

TEST(PublishQueue, SendsALoneEventAtOnceAndGathersTheNextOnesWhileItIsInFlight) {
  Publisher publisher;
  ASSERT_TRUE(publisher.add("a"));
  const auto first = publisher.sent();
  EXPECT_EQ(first.packed_events, std::vector<std::string>{"a"});
  EXPECT_EQ(first.client, "c0ffee");
  EXPECT_EQ(first.sequence, 1u);

  ASSERT_TRUE(publisher.add("b"));
  ASSERT_TRUE(publisher.add("c"));
  EXPECT_EQ(publisher.sent().client, "") << "only one batch may be in flight";

  publisher.queue.on_published(accepted(1, 1));
  const auto second = publisher.sent();
  EXPECT_EQ(second.packed_events, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(second.sequence, 2u);
}

TEST(PublishQueue, GivesEachEventOfABatchItsOwnIdAndFate) {
  Publisher publisher;
  for (const char* event : {"a", "b", "c", "d"}) ASSERT_TRUE(publisher.add(event));
  publisher.sent();
  publisher.queue.on_published({.sequence = 1,
                                .runs = {{PublishRun::Fate::kAccepted, {{7, 0}, 4}, 2, 1},
                                         {PublishRun::Fate::kRefused, {}, 1, 0},
                                         {PublishRun::Fate::kDuplicate, {{3, 0}, 9}, 1, 0}},
                                .routes = {{}, {"store-form", "audit"}},
                                .errors = {{Refusal::kTooLarge, "2 MiB; 1 MiB at most"}}});

  EXPECT_EQ(publisher.told,
            (std::vector<std::string>{"7-0.4", "7-0.5", "too_large: 2 MiB; 1 MiB at most",
                                      "3-0.9 again"}));
  EXPECT_EQ(publisher.functions[0], (std::vector<std::string>{"store-form", "audit"}));
  EXPECT_TRUE(publisher.functions[2].empty());
  EXPECT_TRUE(publisher.queue.empty());
  EXPECT_EQ(publisher.queue.queued(), 0u);
}

TEST(PublishQueue, RepeatsTheSameBatchUnderTheSameSequenceAfterAReconnect) {
  Publisher publisher;
  ASSERT_TRUE(publisher.add("a"));
  EXPECT_FALSE(publisher.sent().repeat);
  ASSERT_TRUE(publisher.add("b"));

  publisher.queue.on_connected();
  const auto again = publisher.sent();
  EXPECT_TRUE(again.repeat);
  EXPECT_EQ(again.sequence, 1u);
  EXPECT_EQ(again.packed_events, std::vector<std::string>{"a"}) << "a repeat must not grow";
}

TEST(PublishQueue, RepeatsABatchWhoseAnswerDoesNotCome) {
  Publisher publisher({.answer_timeout = 5s});
  ASSERT_TRUE(publisher.add("a"));
  publisher.sent();
  EXPECT_EQ(publisher.sent(kStart + 4s).client, "");
  EXPECT_EQ(publisher.queue.next_deadline(), kStart + 5s);
  EXPECT_TRUE(publisher.sent(kStart + 5s).repeat);
  EXPECT_EQ(publisher.sent(kStart + 5s).client, "") << "the next repeat is due 5 s later";
}

TEST(PublishQueue, DoesNotCallAFirstAttemptARepeatWhenTheSocketCouldNotTakeIt) {
  Publisher publisher;
  ASSERT_TRUE(publisher.add("a"));
  publisher.sent();
  publisher.queue.unsend();
  EXPECT_FALSE(publisher.sent().repeat);
}

TEST(PublishQueue, TriesAgainWhenTheBrokerCannotJustNowAndTellsNobody) {
  Publisher publisher({.refused_pause = 50ms});
  ASSERT_TRUE(publisher.add("a"));
  publisher.sent();
  publisher.queue.on_refused({1, Refusal::kUnavailable, "starting"}, kStart);
  EXPECT_EQ(publisher.sent(kStart + 49ms).client, "");
  EXPECT_EQ(publisher.sent(kStart + 50ms).sequence, 1u);
  EXPECT_TRUE(publisher.told.empty());
}

TEST(PublishQueue, TellsTheCallerAtOnceThatTheBrokerIsFull) {
  Publisher publisher;
  ASSERT_TRUE(publisher.add("a"));
  ASSERT_TRUE(publisher.add("b"));
  publisher.sent();
  publisher.queue.on_refused({1, Refusal::kQueueFull, "wordcount holds 10 events"}, kStart);
  EXPECT_EQ(publisher.told, (std::vector<std::string>{"queue_full: wordcount holds 10 events",
                                                      "queue_full: wordcount holds 10 events"}));
}

TEST(PublishQueue, ABatchThatCannotBeReadFailsAtOnceIfItIsTheOnlyOneThatWasSent) {
  Publisher publisher;
  ASSERT_TRUE(publisher.add("a"));
  publisher.sent();
  publisher.queue.on_refused({0, Refusal::kVersion, "version 2"}, kStart);
  EXPECT_EQ(publisher.told, std::vector<std::string>{"version: version 2"});
}

// It may have been the repeat that could not be read, and the first try may have been taken.
TEST(PublishQueue, ARefusalWithoutANumberDoesNotFailABatchThatWasRepeated) {
  Publisher publisher({.answer_timeout = 5s, .refused_pause = 50ms});
  ASSERT_TRUE(publisher.add("a"));
  publisher.sent();
  EXPECT_TRUE(publisher.sent(kStart + 5s).repeat);
  publisher.queue.on_refused({0, Refusal::kMalformed, "not a message"}, kStart + 5s);
  EXPECT_TRUE(publisher.told.empty());
  EXPECT_EQ(publisher.sent(kStart + 5s + 50ms).sequence, 1u);
  publisher.queue.on_published(accepted(1, 1));
  EXPECT_EQ(publisher.told.size(), 1u);

  // The answers to its repeats are still to come when the next batch is on its way.
  ASSERT_TRUE(publisher.add("b", kStart + 6s));
  publisher.sent(kStart + 6s);
  publisher.queue.on_refused({0, Refusal::kMalformed, "not a message"}, kStart + 6s);
  EXPECT_EQ(publisher.told.size(), 1u);
  publisher.queue.on_published(accepted(2, 1));
  EXPECT_EQ(publisher.told.size(), 2u);

  // And when this one is answered they have come.
  ASSERT_TRUE(publisher.add("c", kStart + 7s));
  publisher.sent(kStart + 7s);
  publisher.queue.on_refused({0, Refusal::kMalformed, "not a message"}, kStart + 7s);
  ASSERT_EQ(publisher.told.size(), 3u);
  EXPECT_EQ(publisher.told[2], "malformed: not a message");
}

TEST(PublishQueue, IgnoresAnswersToBatchesItHasGivenUp) {
  Publisher publisher({.timeout = 30s});
  ASSERT_TRUE(publisher.add("a"));
  publisher.sent();
  publisher.queue.tick(kStart + 30s, "ipc:///run/broker.ipc");
  ASSERT_EQ(publisher.told.size(), 1u);
  EXPECT_THAT(publisher.told[0], HasSubstr("ipc:///run/broker.ipc"));
  EXPECT_THAT(publisher.told[0], HasSubstr("unknown"));

  ASSERT_TRUE(publisher.add("b", kStart + 30s));
  EXPECT_EQ(publisher.sent(kStart + 30s).sequence, 2u);
  publisher.queue.on_published(accepted(1, 1));
  publisher.queue.on_refused({1, Refusal::kQueueFull, ""}, kStart + 30s);
  EXPECT_EQ(publisher.told.size(), 1u) << "the late answer is not that of the second event";
}

TEST(PublishQueue, SaysThatAnEventWhichNeverLeftWasNotPublished) {
  Publisher publisher({.timeout = 30s});
  ASSERT_TRUE(publisher.add("a"));
  publisher.queue.tick(kStart + 29s, "tcp://broker:7400");
  EXPECT_TRUE(publisher.told.empty());
  publisher.queue.tick(kStart + 30s, "tcp://broker:7400");
  ASSERT_EQ(publisher.told.size(), 1u);
  EXPECT_THAT(publisher.told[0], HasSubstr("nothing was sent"));
  EXPECT_TRUE(publisher.queue.empty());
}

TEST(PublishQueue, RepeatsTheBrokersReasonWhenItCouldNotTakeABatchInTime) {
  Publisher publisher({.refused_pause = 50ms, .timeout = 1s});
  ASSERT_TRUE(publisher.add("a"));
  publisher.sent();
  publisher.queue.on_refused({1, Refusal::kUnavailable, "the broker is starting"}, kStart);
  publisher.queue.tick(kStart + 1s, "ipc:///b");
  EXPECT_EQ(publisher.told, std::vector<std::string>{"unavailable: the broker is starting"});
}

TEST(PublishQueue, FailsEverythingAtOnceWhenThereIsNobodyToSendTo) {
  Publisher publisher({.batch_events_max = 1});
  ASSERT_TRUE(publisher.add("a"));
  ASSERT_TRUE(publisher.add("b"));
  publisher.sent();
  publisher.queue.give_up(reconnect("no broker"));
  EXPECT_EQ(publisher.told,
            (std::vector<std::string>{"no broker; whether the event was published is unknown",
                                      "no broker; nothing was sent"}));
  EXPECT_TRUE(publisher.queue.empty());
  EXPECT_TRUE(publisher.queue.has_room(1));
}

TEST(PublishQueue, SaysOfEveryFailureWhetherTheEventMayBePublished) {
  const auto fails = [](bool sent, const auto& how) {
    Publisher publisher({.timeout = 30s});
    EXPECT_TRUE(publisher.add("a"));
    if (sent) publisher.sent();
    how(publisher.queue);
    EXPECT_EQ(publisher.in_doubt.size(), 1u);
    return publisher.in_doubt == std::vector{true};
  };
  const auto late = [](PublishQueue& queue) { queue.tick(kStart + 30s, "ipc:///b"); };
  EXPECT_TRUE(fails(true, late));
  EXPECT_FALSE(fails(false, late));
  const auto nobody = [](PublishQueue& queue) { queue.give_up(reconnect("unreachable: nobody")); };
  EXPECT_TRUE(fails(true, nobody));
  EXPECT_FALSE(fails(false, nobody));
  const auto stranger = [](PublishQueue& queue) { queue.give_up(to_error(Refusal::kVersion, "")); };
  EXPECT_TRUE(fails(true, stranger));
  EXPECT_FALSE(fails(false, stranger));
  EXPECT_TRUE(fails(true, [](PublishQueue& queue) {
    queue.on_refused({1, Refusal::kUnavailable, "starting"}, kStart);
    queue.tick(kStart + 30s, "ipc:///b");
  }));
  EXPECT_TRUE(fails(true, [](PublishQueue& queue) {
    queue.on_published({.sequence = 1, .runs = {}, .routes = {}, .errors = {}});
  })) << "an answer that leaves it out";
  EXPECT_FALSE(fails(true, [](PublishQueue& queue) {
    queue.on_refused({1, Refusal::kTooLarge, "too large"}, kStart);
  }));
}

TEST(PublishQueue, CutsBatchesByCountAndByBytesButSendsOneLargeEventAlone) {
  Publisher publisher({.batch_events_max = 3, .batch_bytes_max = 10});
  for (const char* event : {"a", "b", "c", "d"}) ASSERT_TRUE(publisher.add(event));
  ASSERT_TRUE(publisher.add(std::string(12, 'x')));
  ASSERT_TRUE(publisher.add("e"));
  EXPECT_EQ(publisher.sent().packed_events.size(), 3u);
  publisher.queue.on_published(accepted(1, 3));
  EXPECT_EQ(publisher.sent().packed_events, std::vector<std::string>{"d"});
  publisher.queue.on_published(accepted(2, 1));
  EXPECT_EQ(publisher.sent().packed_events, std::vector<std::string>{std::string(12, 'x')});
}

TEST(PublishQueue, RefusesWhatIsTooLargeOrTooMuchAndKeepsTheRest) {
  Publisher publisher({.queued_events_max = 2, .event_data_bytes_max = 5});
  const std::string large(5 + kAttributeBytesMax + 1, 'x');
  EXPECT_THAT(publisher.add(large).error().message, HasSubstr("too_large"));
  ASSERT_TRUE(publisher.add("a"));
  ASSERT_TRUE(publisher.add("b"));
  const auto full = publisher.add("c");
  EXPECT_EQ(full.error().kind, ErrorKind::kRetryLater);
  EXPECT_THAT(full.error().message, HasSubstr("queue_full"));

  publisher.sent();
  publisher.queue.on_published(accepted(1, 2));
  EXPECT_TRUE(publisher.add("c"));
}

TEST(PublishQueue, LeavesNoEventUntoldWhenAnAnswerIsTooShort) {
  Publisher publisher;
  ASSERT_TRUE(publisher.add("a"));
  ASSERT_TRUE(publisher.add("b"));
  publisher.sent();
  publisher.queue.on_published(accepted(1, 1));
  ASSERT_EQ(publisher.told.size(), 2u);
  EXPECT_THAT(publisher.told[1], HasSubstr("left out"));
}

TEST(PublishQueue, TakesEventsThatAReceiptAdds) {
  PublishQueue queue("c0ffee", {});
  bool second = false;
  ASSERT_TRUE(queue.add("a", kStart, [&](const Result<Receipt>&) {
    ASSERT_TRUE(queue.add("b", kStart, [&](const Result<Receipt>&) { second = true; }));
  }));
  ASSERT_TRUE(queue.take_frame(kStart));
  queue.on_published(accepted(1, 1));
  ASSERT_TRUE(queue.take_frame(kStart));
  queue.on_published(accepted(2, 1));
  EXPECT_TRUE(second);
}

TEST(NewClientId, IsLongAndNeverTheSame) {
  EXPECT_EQ(new_client_id().size(), 32u);
  EXPECT_NE(new_client_id(), new_client_id());
}

}  // namespace
}  // namespace fanfare::client
