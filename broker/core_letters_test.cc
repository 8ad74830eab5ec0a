// What operators do with dead letters.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/core.h"
#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using protocol::Outcome;
using store::Verdict;

class Redriving : public ::testing::Test {
 protected:
  // Publishes one event whose first failure is final; answers the burial.
  protocol::Delivery bury_one(const std::string& event) {
    h.publish(++sequence_, {event});
    h.answer_all();
    const auto delivery = h.delivered().at(0);
    h.done(h.failed_row(delivery, Outcome::kFunctionError, /*retryable=*/false));
    auto [ticket, bury] = h.take_call<store::Bury>();
    h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
    letter_ = {.letter = {5, 0},
               .id = delivery.id,
               .status = bury.items[0].status,
               .reason = bury.items[0].reason,
               .token = bury.items[0].token,
               .record = bury.items[0].record,
               .packed_event = bury.items[0].packed_event};
    return delivery;
  }
  void ask(const std::string& verb, const json& body) {
    h.feed("operator", protocol::Admin{++request_, verb, body.dump()});
  }
  void redrive() { ask("redrive", {{"name", "f"}, {"letters", {"5-0"}}}); }
  void answer_letters() {
    h.answer(h.take_call<store::ReadLetters>().first,
             store::Answer{store::LetterList{{letter_}, 1}});
  }
  json reply() {
    const auto replies = h.take<protocol::AdminReply>("operator");
    return replies.empty() ? json() : json::parse(replies.back().data);
  }
  protocol::Refusal refusal() {
    const auto refused = h.take<protocol::Refused>("operator");
    return refused.empty() ? protocol::Refusal{} : refused.back().code;
  }
  // Redrives the letter; the row that then lies in `later`.
  store::DueRows::Row redriven_row() {
    redrive();
    answer_letters();
    auto [ticket, call] = h.take_call<store::Redrive>();
    h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
    const auto& item = call.items.at(0);
    return {item.id,           item.due_ms, 0, item.accepted_ms, item.packed_ledger,
            item.packed_event, item.token};
  }
  std::vector<protocol::Delivery> lent_from(const store::DueRows::Row& row) {
    h.answer(h.take_call<store::Due>().first, store::Answer{store::DueRows{{row}, std::nullopt}});
    return h.delivered();
  }
  const FunctionState& function() { return *h.core.functions().at("f"); }

  CoreHarness h;
  store::LetterList::Letter letter_;
  std::uint64_t sequence_ = 0, request_ = 0;
  void SetUp() override { h.join(); }
};

TEST_F(Redriving, RunsTheDeliveryAgainWithAFreshBudget) {
  const auto first = bury_one(h.event());
  ASSERT_EQ(function().counts.dead, 1);
  h.pass(1h);
  h.hello();
  h.credit(1000);
  const auto row = redriven_row();
  EXPECT_EQ(reply(), (json{{"name", "f"},
                           {"taken", 1},
                           {"redriven", 1},
                           {"gone", 0},
                           {"waiting", 0},
                           {"unreadable", 0}}));
  EXPECT_EQ(function().counts.dead, 0);
  EXPECT_EQ(function().counts.later, 1);
  EXPECT_EQ(h.core.counters().letters_redriven, 1u);

  const auto again = lent_from(row);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 1u);
  EXPECT_EQ(again[0].packed_event, first.packed_event);
  EXPECT_GT(again[0].token, first.token) << "no attempt repeats a token";
  const auto ledger = protocol::unpack_ledger(again[0].packed_ledger);
  ASSERT_EQ(ledger->size(), 2u);
  EXPECT_EQ(ledger->at(0).outcome, Outcome::kFunctionError);
  EXPECT_EQ(ledger->at(1).outcome, Outcome::kRedriven);
  EXPECT_EQ(ledger->at(1).started_ms, to_ms(h.now.wall));
}

TEST_F(Redriving, AgeCountsFromTheRedrive) {
  protocol::PublishOptions options;
  options.expires_at = to_ms(h.now.wall) + 5000;
  bury_one(h.event(options));
  h.pass(72h);  // beyond its expiry and retry.max_age
  h.hello();
  h.credit(1000);
  const auto again = lent_from(redriven_row());
  ASSERT_EQ(again.size(), 1u) << "an operator said that it shall run";
  h.done(h.failed_row(again[0]));
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 1u) << "and it is retried";
  EXPECT_EQ(h.waiting_calls<store::Bury>(), 0u);
}

TEST_F(Redriving, ADelayIsNotWaitedForAgain) {
  protocol::PublishOptions options;
  options.delay = 1000;
  h.publish(1, {h.event(options)});
  const auto [ticket, append] = h.take_call<store::Append>();
  h.answer(ticket, store::Answer{store::Appended{}});
  h.pass(2s);
  const auto& item = append.delayed.at(0).items.at(0);
  const auto delivered = lent_from({{append.entry, item.index},
                                    item.due_ms,
                                    0,
                                    item.accepted_ms,
                                    {},
                                    item.packed_event.str(),
                                    protocol::make_token(1, 0)});
  ASSERT_EQ(delivered.size(), 1u);
  h.done(h.failed_row(delivered[0], Outcome::kFunctionError, false));
  const auto bury = h.take_call<store::Bury>();
  h.answer(bury.first, store::Answer{store::Moved{{Verdict::kOk}}});
  const auto& dead = bury.second.items[0];
  letter_ = {{5, 0}, dead.id, dead.status, dead.reason, dead.token, dead.record, dead.packed_event};
  EXPECT_EQ(lent_from(redriven_row()).size(), 1u);
}

TEST_F(Redriving, WorkerLossesCountAnew) {
  const auto first = bury_one(h.event());
  auto record = *protocol::unpack_result(letter_.record);
  for (int i = 0; i < 5; ++i) {
    protocol::append_row(record.ledger, {.number = 1, .outcome = Outcome::kWorkerLost});
  }
  letter_.record = protocol::pack(record);
  ASSERT_EQ(lent_from(redriven_row()).size(), 1u);
  h.pass(31s);  // its worker is silent for a lease
  EXPECT_EQ(h.core.counters().attempts_worker_lost, 1u);
  EXPECT_EQ(h.waiting_calls<store::Bury>(), 0u) << "one loss since the redrive";
}

TEST_F(Redriving, WhoWaitsForItIsNotToldOfItsFormerEnd) {
  const auto first = bury_one(h.event());
  redriven_row();
  h.feed("caller", protocol::Await{7, first.id, "f", 60'000});
  EXPECT_TRUE(h.take<protocol::Awaited>("caller").empty());
}

TEST_F(Redriving, LettersThatAreGoneChangeNothing) {
  bury_one(h.event());
  redrive();
  h.answer(h.take_call<store::ReadLetters>().first, store::Answer{store::LetterList{{}, 1}});
  EXPECT_EQ(h.waiting_calls<store::Redrive>(), 0u);
  EXPECT_EQ(reply()["gone"], 1);
  redrive();
  answer_letters();
  h.answer(h.take_call<store::Redrive>().first, store::Answer{store::Moved{{Verdict::kGone}}});
  EXPECT_EQ(reply()["gone"], 1);
  EXPECT_EQ(function().counts.dead, 1);
  EXPECT_EQ(function().counts.later, 0);
}

TEST_F(Redriving, ALetterThatCannotBeReadStays) {
  bury_one(h.event());
  letter_.record = "not a record";
  redrive();
  answer_letters();
  EXPECT_EQ(h.waiting_calls<store::Redrive>(), 0u);
  EXPECT_EQ(reply()["unreadable"], 1);
}

TEST_F(Redriving, OneAtATimeSoThatNothingIsCountedTwice) {
  bury_one(h.event());
  redrive();
  redrive();
  EXPECT_EQ(refusal(), protocol::Refusal::kUnavailable);
  answer_letters();
  h.answer(h.take_call<store::Redrive>().first, retry_later("Redis is full"));
  EXPECT_EQ(refusal(), protocol::Refusal::kUnavailable);
  EXPECT_EQ(function().counts.dead, 1);
  redrive();
  EXPECT_EQ(h.waiting_calls<store::ReadLetters>(), 1u) << "the next may try";
}

TEST_F(Redriving, IsRefusedWhereItMakesNoSense) {
  for (const json& body :
       {json{{"name", "f"}}, json{{"name", "f"}, {"letters", json::array()}},
        json{{"name", "f"}, {"letters", {"x"}}}, json{{"name", "f"}, {"letters", {1}}},
        json{{"name", "f"}, {"letters", std::vector<std::string>(129, "5-0")}}}) {
    ask("redrive", body);
    EXPECT_EQ(refusal(), protocol::Refusal::kInvalid) << body;
    ask("purge_letters", body);
    EXPECT_EQ(refusal(), protocol::Refusal::kInvalid) << body;
  }
  ask("redrive", {{"name", "g"}, {"letters", {"5-0"}}});
  EXPECT_EQ(refusal(), protocol::Refusal::kNoSuchFunction);
}

TEST_F(Redriving, WaitsForAQueueWithRoom) {
  CoreOptions options;
  options.queue_max = 1;
  CoreHarness full(CoreHarness::one(), options);
  full.publish(1, {full.event()});
  full.answer_all();
  full.feed("operator", protocol::Admin{1, "redrive", R"({"name":"f","letters":["5-0"]})"});
  EXPECT_EQ(full.take<protocol::Refused>("operator").at(0).code, protocol::Refusal::kQueueFull);
}

TEST_F(Redriving, PurgedLettersAreCountedAsSuch) {
  ask("purge_letters", {{"name", "f"}, {"letters", {"5-0", "6-0", "5-0"}}});
  const auto [ticket, purge] = h.take_call<store::PurgeLetters>();
  EXPECT_EQ(purge.letters.size(), 2u);
  h.answer(ticket, store::Answer{store::Purged{1}});
  EXPECT_EQ(reply()["purged"], 1);
  EXPECT_EQ(h.core.counters().letters_purged, 1u);
}

TEST_F(Redriving, TrimmedLettersAreCounted) {
  CoreOptions options;
  options.dead_max_age = 48h;
  options.dead_max_count = 123;
  CoreHarness few(CoreHarness::one(), options);
  few.join();
  few.publish(1, {few.event()});
  few.answer_all();
  few.done(few.failed_row(few.delivered().at(0), Outcome::kFunctionError, false));
  const auto [ticket, bury] = few.take_call<store::Bury>();
  EXPECT_EQ(bury.dead_max_count, 123u);
  EXPECT_EQ(bury.dead_max_age_ms, 48 * 3600 * 1000);
  few.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}, 7}});
  EXPECT_EQ(few.core.counters().letters_trimmed, 7u);
}

}  // namespace
}  // namespace fanfare::broker
