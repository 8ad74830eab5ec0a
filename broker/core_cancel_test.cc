// An operator ends deliveries: wherever they are, at whatever moment.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using protocol::Outcome;
using store::Verdict;

std::string cancel_body(const protocol::EventId& id, const std::string& function = {}) {
  json body{{"id", protocol::to_string(id)}};
  if (!function.empty()) body["function"] = function;
  return body.dump();
}

// What a cancellation says of function f.
std::string result_of(const json& answer) {
  if (!answer.is_object() || !answer.contains("deliveries")) return answer.dump();
  for (const auto& one : answer["deliveries"]) {
    if (one["function"] == "f") return one["result"];
  }
  return "";
}

protocol::ResultRecord record_of(const store::Bury::Item& item) {
  return protocol::unpack_result(item.record).value();
}

struct Cancelling : ::testing::Test {
  CoreHarness h;

  protocol::EventId publish_one() {
    h.publish(++sequence, {h.event()});
    h.answer_all();
    return h.answers().at(0).runs.at(0).first;
  }
  protocol::Delivery run_one() {
    const auto id = publish_one();
    for (auto& delivery : h.delivered()) {
      if (delivery.id == id) return delivery;
    }
    ADD_FAILURE() << "it was not lent";
    return {};
  }
  std::uint64_t sequence = 0;
};

TEST_F(Cancelling, EndsWhatWaitsAndLeavesNoLetter) {
  const auto id = publish_one();
  h.admin("cancel", cancel_body(id));
  const auto [ticket, bury] = h.take_call<store::Bury>();
  ASSERT_EQ(bury.items.size(), 1u);
  EXPECT_EQ(bury.items[0].status, protocol::Status::kCancelled);
  EXPECT_TRUE(bury.items[0].packed_event.empty());
  EXPECT_EQ(record_of(bury.items[0]).reason, protocol::DeadReason::kCancelled);
  EXPECT_EQ(h.admin_answer(), nullptr) << "not before Redis has said so";
  h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
  const json answer = h.admin_answer();
  EXPECT_EQ(result_of(answer), "cancelled");
  EXPECT_EQ(answer["id"], protocol::to_string(id));
  EXPECT_EQ(h.core.counters().deliveries_cancelled, 1u);
  const auto& counts = h.core.functions().at("f")->counts;
  EXPECT_EQ(counts.cancelled, 1);
  EXPECT_EQ(counts.open, 0);
  h.join();
  EXPECT_TRUE(h.delivered().empty());
}

TEST_F(Cancelling, TellsWhoWaitsForTheResult) {
  const auto id = publish_one();
  h.feed("waiter", protocol::Await{5, id, "f", 60'000});
  h.ask("cancel", cancel_body(id));
  const auto awaited = h.take<protocol::Awaited>("waiter");
  ASSERT_EQ(awaited.size(), 1u);
  EXPECT_EQ(awaited[0].ended, std::vector<std::string>{"f"});
}

TEST_F(Cancelling, CutsWhatRunsAndTellsItsWorkerWithoutWaitingForIt) {
  h.join();
  const auto running = run_one();
  h.pass(50ms);
  h.admin("cancel", cancel_body(running.id, "f"));
  const auto told = h.take<protocol::Cancel>("w");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].deliveries.at(0), (protocol::HeldDelivery{"f", running.id, running.token}));
  const auto [ticket, bury] = h.take_call<store::Bury>();
  EXPECT_EQ(bury.items.at(0).token, running.token) << "a late commit of it is fenced";
  const auto record = record_of(bury.items[0]);
  const auto ledger = protocol::unpack_ledger(record.ledger).value();
  ASSERT_EQ(ledger.size(), 1u);
  EXPECT_EQ(ledger[0].outcome, Outcome::kCancelled);
  EXPECT_EQ(ledger[0].number, 1u);
  EXPECT_EQ(ledger[0].worker, "w");
  EXPECT_EQ(ledger[0].duration_us, 50'000u);
  h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
  EXPECT_EQ(result_of(h.admin_answer()), "running_killed");
  EXPECT_EQ(h.core.counters().attempts_cancelled, 1u);

  // What the worker says of it changes nothing any more.
  h.done(h.failed_row(running, Outcome::kCancelled));
  EXPECT_EQ(h.core.counters().attempts_failed, 0u);
  EXPECT_EQ(h.core.counters().deliveries_retried, 0u);
  EXPECT_EQ(h.core.counters().reports_stale, 0u);
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 0u);
}

TEST_F(Cancelling, OfOneThatHasJustCommittedSaysThatItSucceeded) {
  h.join();
  const auto running = run_one();
  h.admin("cancel", cancel_body(running.id));
  h.answer(h.take_call<store::Bury>().first, store::Answer{store::Moved{{Verdict::kFenced}}});
  EXPECT_EQ(result_of(h.admin_answer()), "already_succeeded");
  EXPECT_EQ(h.core.functions().at("f")->counts.succeeded, 1);
  EXPECT_EQ(h.core.counters().deliveries_cancelled, 0u);
}

TEST_F(Cancelling, ACutAttemptCountsAsRunningUntilItsWorkerHasLetGo) {
  CoreHarness one(CoreHarness::Functions{
      {"f", "max_concurrency = 1\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}});
  one.join();
  one.publish(1, {one.event(), one.event()});
  one.answer_all();
  const auto running = one.delivered();
  ASSERT_EQ(running.size(), 1u);
  EXPECT_EQ(result_of(one.ask("cancel", cancel_body(running[0].id))), "running_killed");
  EXPECT_TRUE(one.delivered().empty());
  one.done(one.failed_row(running[0], Outcome::kCancelled));
  EXPECT_EQ(one.delivered().size(), 1u);
}

TEST_F(Cancelling, ALostWorkerLetsGoAsWell) {
  CoreHarness one(CoreHarness::Functions{
      {"f", "max_concurrency = 1\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}});
  one.join();
  one.publish(1, {one.event(), one.event()});
  one.answer_all();
  const auto running = one.delivered();
  one.ask("cancel", cancel_body(running.at(0).id));
  one.feed("w", protocol::Bye{1});
  one.join(1000, "w2");
  const auto next = one.delivered("w2");
  ASSERT_EQ(next.size(), 1u);
  EXPECT_NE(next[0].id, running[0].id);
}

TEST_F(Cancelling, AWorkerThatNamesACutAttemptInAHelloIsToldAgain) {
  h.join();
  const auto running = run_one();
  h.ask("cancel", cancel_body(running.id));
  ASSERT_EQ(h.take<protocol::Cancel>("w").size(), 1u);
  h.hello("w", {{"f", running.id, running.token}});
  EXPECT_EQ(h.take<protocol::Cancel>("w").size(), 1u);
  EXPECT_EQ(h.core.functions().at("f")->running(), 1u);
  h.done(h.failed_row(running, Outcome::kCancelled));
  EXPECT_EQ(h.core.functions().at("f")->running(), 0u);
}

TEST_F(Cancelling, AWorkerOfAnOlderBuildIsNotToldAndItsResultIsRefusedAllTheSame) {
  h.hello("w", {}, std::nullopt);
  h.credit(10);
  const auto running = run_one();
  EXPECT_EQ(result_of(h.ask("cancel", cancel_body(running.id))), "running_killed");
  EXPECT_TRUE(h.take<protocol::Cancel>("w").empty());
}

TEST_F(Cancelling, WaitsForTheMoveOfARetryAndEndsItThen) {
  h.join();
  const auto running = run_one();
  h.done(h.failed_row(running));
  const auto [ticket, postpone] = h.take_call<store::Postpone>();
  h.admin("cancel", cancel_body(running.id));
  EXPECT_EQ(h.waiting_calls<store::Bury>(), 0u);
  h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
  const auto [second, bury] = h.take_call<store::Bury>();
  EXPECT_EQ(bury.items.at(0).origin, protocol::Origin::kLater);
  EXPECT_EQ(bury.items[0].status, protocol::Status::kCancelled);
  EXPECT_EQ(protocol::unpack_ledger(record_of(bury.items[0]).ledger).value().size(), 1u);
  h.answer(second, store::Answer{store::Moved{{Verdict::kOk}}});
  EXPECT_EQ(result_of(h.admin_answer()), "cancelled");
  const auto& counts = h.core.functions().at("f")->counts;
  EXPECT_EQ(counts.later, 0);
  EXPECT_EQ(counts.open, 0);
  EXPECT_EQ(counts.cancelled, 1);
}

TEST_F(Cancelling, OfOneThatIsBeingBuriedSaysWhatItDiedOf) {
  h.join();
  const auto running = run_one();
  h.done(h.failed_row(running, Outcome::kFunctionError, /*retryable=*/false));
  const auto [ticket, bury] = h.take_call<store::Bury>();
  h.admin("cancel", cancel_body(running.id));
  h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
  EXPECT_EQ(result_of(h.admin_answer()), "already_failed");
  EXPECT_TRUE(h.core.functions().at("f")->unwanted.empty());
}

TEST_F(Cancelling, AsksRedisForWhatIsFarBackInItsQueue) {
  const protocol::EventId id{{1000, 0}, 3};
  h.admin("cancel", cancel_body(id, "f"));
  const auto [ticket, find] = h.take_call<store::Find>();
  EXPECT_EQ(find.function, "f");
  EXPECT_EQ(find.id, id);
  store::Found found;
  found.place = store::Found::Place::kJournal;
  found.lane = protocol::Lane{7};
  found.slot = 2;
  found.entry_size = 5;
  found.packed_event = h.event();
  h.answer(ticket, store::Answer{found});
  const auto [second, bury] = h.take_call<store::Bury>();
  const auto& item = bury.items.at(0);
  EXPECT_EQ(item.id, id);
  EXPECT_EQ(item.lane, protocol::Lane{7});
  EXPECT_EQ(item.slot, 2);
  EXPECT_EQ(item.entry_size, 5);
  EXPECT_EQ(item.origin, protocol::Origin::kJournal);
  h.answer(second, store::Answer{store::Moved{{Verdict::kOk}}});
  EXPECT_EQ(result_of(h.admin_answer()), "cancelled");
}

TEST_F(Cancelling, EndsARetryThatIsNotDueYet) {
  const protocol::EventId id{{1000, 0}, 3};
  h.admin("cancel", cancel_body(id));
  store::Found found;
  found.place = store::Found::Place::kLater;
  found.row = {id, 9'999'999'999'999, 2, 1000, {}, h.event(), protocol::make_token(1, 3)};
  h.answer(h.take_call<store::Find>().first, store::Answer{found});
  const auto bury = h.take_call<store::Bury>().second;
  EXPECT_EQ(bury.items.at(0).origin, protocol::Origin::kLater);
}

TEST_F(Cancelling, MeetsWhatHasComeHereWhileRedisWasAsked) {
  // The page that brings it is under way when it is cancelled.
  CoreHarness unread(CoreHarness::one(), {}, {protocol::kDefaultLane});
  const protocol::EventId id{{1000, 0}, 0};
  unread.pass(10ms);
  unread.admin("cancel", cancel_body(id));
  const auto [find_ticket, find] = unread.take_call<store::Find>();
  const auto [page_ticket, page] = unread.take_call<store::Page>();
  store::Paged paged;
  paged.entries.push_back({id.entry, 1, {{0, 0, unread.event()}}});
  unread.answer(page_ticket, store::Answer{paged});
  store::Found found;
  found.place = store::Found::Place::kJournal;
  found.packed_event = unread.event();
  unread.answer(find_ticket, store::Answer{found});
  const auto [ticket, bury] = unread.take_call<store::Bury>();
  EXPECT_EQ(bury.items.size(), 1u);
  EXPECT_EQ(unread.waiting_calls<store::Bury>(), 0u);
  unread.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
  EXPECT_EQ(result_of(unread.admin_answer()), "cancelled");
  unread.join();
  EXPECT_TRUE(unread.delivered().empty());
}

TEST_F(Cancelling, CutsWhatAWorkerHadNamedBeforeItWasRead) {
  const protocol::EventId id{{1000, 0}, 0};
  const auto token = protocol::make_token(1, 9);
  h.hello("w", {{"f", id, token}});
  h.admin("cancel", cancel_body(id));
  store::Found found;
  found.place = store::Found::Place::kJournal;
  found.packed_event = h.event();
  h.answer(h.take_call<store::Find>().first, store::Answer{found});
  EXPECT_EQ(h.take<protocol::Cancel>("w").size(), 1u);
  const auto [ticket, bury] = h.take_call<store::Bury>();
  EXPECT_EQ(bury.items.at(0).token, token);
  h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
  EXPECT_EQ(result_of(h.admin_answer()), "running_killed");
}

TEST_F(Cancelling, SaysWhatHadEndedBeforeAndWhatNobodyKnows) {
  const protocol::EventId id{{1000, 0}, 3};
  h.admin("cancel", cancel_body(id, "f"));
  store::Found found;
  found.place = store::Found::Place::kEnded;
  found.status = protocol::Status::kExpired;
  h.answer(h.take_call<store::Find>().first, store::Answer{found});
  EXPECT_EQ(result_of(h.admin_answer()), "already_expired");
  h.admin("cancel", cancel_body(id, "f"));
  found.status.reset();
  h.answer(h.take_call<store::Find>().first, store::Answer{found});
  EXPECT_EQ(result_of(h.admin_answer()), "already_ended");
  EXPECT_EQ(result_of(h.ask("cancel", cancel_body(id, "f"))), "not_found");
  EXPECT_TRUE(h.ask("cancel", cancel_body(id))["deliveries"].empty())
      << "without a name, functions that never got it are left out";
}

TEST_F(Cancelling, OfAllFunctionsNamesEach) {
  CoreHarness two(CoreHarness::Functions{{"f", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n"},
                                         {"g", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}});
  two.publish(1, {two.event()});
  two.answer_all();
  two.hello("w");
  two.credit(10, "w", "g");
  const auto id = two.answers().at(0).runs.at(0).first;
  const json answer = two.ask("cancel", cancel_body(id));
  ASSERT_EQ(answer["deliveries"].size(), 2u);
  EXPECT_EQ(answer["deliveries"][0], (json{{"function", "f"}, {"result", "cancelled"}}));
  EXPECT_EQ(answer["deliveries"][1], (json{{"function", "g"}, {"result", "running_killed"}}));
}

TEST_F(Cancelling, IsRefusedWithReasonsAndLeavesInvocationsAlone) {
  EXPECT_EQ(h.ask("cancel", R"({"id":"x"})")["refused"],
            static_cast<int>(protocol::Refusal::kInvalid));
  EXPECT_EQ(h.ask("cancel", R"({"id":"1-0.0","function":"g"})")["refused"],
            static_cast<int>(protocol::Refusal::kNoSuchFunction));
  h.admin("cancel", R"({"id":"1-0.0"})");
  h.answer(h.take_call<store::Find>().first, retry_later("Redis is loading"));
  EXPECT_EQ(h.admin_answer()["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
  h.join();
  h.feed("caller", protocol::Invoke{7, "f", 10'000, h.event()});
  const auto invoked = h.delivered();
  ASSERT_EQ(invoked.size(), 1u);
  h.ask("cancel", cancel_body(invoked[0].id));
  EXPECT_TRUE(h.take<protocol::Cancel>("w").empty());
}

TEST_F(Cancelling, TooManyAtOnceAreRefused) {
  CoreOptions options;
  options.cancellations_max = 1;
  CoreHarness few(CoreHarness::one(), options);
  few.admin("cancel", R"({"id":"1-0.0"})");
  few.admin("cancel", R"({"id":"1-0.1"})");
  EXPECT_EQ(few.admin_answer()["refused"], static_cast<int>(protocol::Refusal::kQueueFull));
}

}  // namespace
}  // namespace fanfare::broker
