// An operator empties a function's queue.
#include <gtest/gtest.h>

#include <limits>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using protocol::EventId;
using store::Verdict;

const std::string kPurge = R"({"name":"f"})";

// Lending has begun: before, a broker does not know what workers have.
void open_dispatch(CoreHarness& h) {
  h.pass(10ms);
}

json progress(CoreHarness& h, const json& begun) {
  h.answer_all();
  return h.ask("purge", json{{"name", "f"}, {"purge", begun["purge"]}}.dump());
}

std::vector<store::Bury::Item> take_buried(CoreHarness& h) {
  std::vector<store::Bury::Item> items;
  while (h.waiting_calls<store::Bury>() > 0) {
    auto [ticket, bury] = h.take_call<store::Bury>();
    std::vector<Verdict> verdicts(bury.items.size(), Verdict::kOk);
    for (auto& item : bury.items) items.push_back(std::move(item));
    h.answer(ticket, store::Answer{store::Moved{verdicts}});
  }
  return items;
}

TEST(Purging, EndsWhatWaitsAndSaysHowMany) {
  CoreHarness h;
  EXPECT_EQ(h.ask("purge", kPurge)["refused"], static_cast<int>(protocol::Refusal::kUnavailable))
      << "what workers have is not known yet";
  open_dispatch(h);
  h.publish(1, {h.event(), h.event(), h.event()});
  h.answer_all();
  h.admin("purge", kPurge);
  const json begun = h.admin_answer();
  EXPECT_EQ(begun["done"], false);
  const auto items = take_buried(h);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].status, protocol::Status::kCancelled);
  EXPECT_EQ(protocol::unpack_result(items[0].record).value().reason, protocol::DeadReason::kPurged);
  const json done = progress(h, begun);
  EXPECT_EQ(done["done"], true);
  EXPECT_EQ(done["cancelled"], 3);
  EXPECT_EQ(h.core.functions().at("f")->counts.cancelled, 3);
  EXPECT_EQ(h.core.functions().at("f")->counts.open, 0);
}

TEST(Purging, LeavesWhatRunsAndItsRetriesAndWhatComesLaterAlone) {
  CoreHarness h;
  h.join(1);
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  const auto running = h.delivered();
  ASSERT_EQ(running.size(), 1u);
  h.admin("purge", kPurge);
  h.publish(2, {h.event()});
  h.answer(h.take_call<store::Append>().first, store::Answer{store::Appended{}});
  h.done(h.failed_row(running[0]));
  const auto items = take_buried(h);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_NE(items[0].id, running[0].id);
  const auto [ticket, postpone] = h.take_call<store::Postpone>();
  EXPECT_EQ(postpone.items.at(0).id, running[0].id) << "its retry is not part of the queue";
  h.answer(ticket, store::Answer{store::Moved{{Verdict::kOk}}});
  // The row it left is met by the reading of `later`, and spared.
  auto [due_ticket, due] = h.take_call<store::Due>();
  EXPECT_EQ(due.until_ms, std::numeric_limits<std::int64_t>::max());
  store::DueRows rows;
  rows.rows.push_back(
      {running[0].id, postpone.items[0].due_ms, 1, 1, {}, h.event(), running[0].token});
  h.answer(due_ticket, store::Answer{rows});
  EXPECT_TRUE(take_buried(h).empty());
  EXPECT_FALSE(h.core.functions().at("f")->purge) << "it is over";
  h.credit(10);
  EXPECT_EQ(h.delivered().size(), 1u) << "the new one";
}

TEST(Purging, ReadsTheJournalAndWhatIsLaterThoughNobodyHasCredit) {
  CoreOptions options;
  options.window.deliveries_max = 2;
  CoreHarness h(CoreHarness::one(), options, {protocol::kDefaultLane});
  open_dispatch(h);
  h.ask("pause", kPurge);
  // A mark above everything: the broker must know of an entry that young.
  h.publish(1, {h.event()});
  h.answer(h.take_call<store::Append>().first, store::Answer{store::Appended{}});
  const EventId own = h.answers().at(0).runs.at(0).first;
  h.admin("purge", kPurge);
  const json begun = h.admin_answer();
  std::size_t ended = 0;
  for (std::uint64_t page_number = 1; page_number <= 3; ++page_number) {
    auto [ticket, page] = h.take_call<store::Page>();
    store::Paged paged;
    const bool last = page_number == 3;
    const protocol::EntryId entry = last ? own.entry : protocol::EntryId{page_number, 0};
    paged.entries.push_back({entry, 1, {{0, 0, h.event()}}});
    paged.more = !last;
    h.answer(ticket, store::Answer{paged});
    ended += take_buried(h).size();
  }
  EXPECT_EQ(ended, 3u);
  auto [ticket, due] = h.take_call<store::Due>();
  store::DueRows rows;
  const std::int64_t far = 9'999'999'999'999;
  rows.rows.push_back({{{5, 0}, 0}, far, 0, 5, {}, h.event(), {}});
  rows.next_due_ms = far;
  h.answer(ticket, store::Answer{rows});
  EXPECT_EQ(take_buried(h).size(), 1u);
  const std::string again = json{{"name", "f"}, {"purge", begun["purge"]}}.dump();
  EXPECT_EQ(h.ask("purge", again)["done"], false) << "there are more rows";
  EXPECT_EQ(progress(h, begun)["done"], true);
}

TEST(Purging, MeetsWhatIsOnItsWay) {
  CoreHarness h;
  h.join();
  protocol::PublishOptions later;
  later.delay = 60'000;
  h.publish(1, {h.event()});
  h.answer_all();
  const auto running = h.delivered();
  h.done(h.failed_row(running.at(0)));  // a postponement is under way
  h.publish(2, {h.event(), h.event(later)});
  const auto append = h.take_call<store::Append>();  // and an append
  h.admin("purge", kPurge);
  const json begun = h.admin_answer();
  h.answer(h.take_call<store::Due>().first, store::Answer{store::DueRows{}});
  EXPECT_TRUE(h.core.functions().at("f")->purge);
  h.answer(h.take_call<store::Postpone>().first, store::Answer{store::Moved{{Verdict::kOk}}});
  auto items = take_buried(h);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].id, running[0].id);
  EXPECT_EQ(items[0].origin, protocol::Origin::kLater);
  EXPECT_TRUE(h.core.functions().at("f")->purge) << "the append is not answered yet";
  h.answer(append.first, store::Answer{store::Appended{}});
  EXPECT_EQ(take_buried(h).size(), 1u);
  EXPECT_TRUE(h.core.functions().at("f")->purge) << "rows of `later` have come as well";
  const auto& delayed = append.second.delayed.at(0).items.at(0);
  store::DueRows::Row row;
  row.id = {append.second.entry, delayed.index};
  row.due_ms = delayed.due_ms;
  row.packed_event = delayed.packed_event.str();
  h.answer(h.take_call<store::Due>().first, store::Answer{store::DueRows{{row}, {}, {}}});
  items = take_buried(h);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].id, row.id);
  EXPECT_EQ(progress(h, begun)["done"], true);
  EXPECT_EQ(progress(h, begun)["cancelled"], 3);
}

TEST(Purging, HasOnlySoManyUnderWay) {
  CoreOptions options;
  options.purged_at_once = 2;
  CoreHarness h(CoreHarness::one(), options);
  open_dispatch(h);
  h.publish(1, std::vector<std::string>(5, h.event()));
  h.answer_all();
  h.admin("purge", kPurge);
  EXPECT_EQ(h.take_call<store::Bury>().second.items.size(), 2u);
  h.pass(100ms);
  EXPECT_EQ(h.waiting_calls<store::Bury>(), 0u);
}

TEST(Purging, LeavesInvocationsAlone) {
  CoreHarness h;
  open_dispatch(h);
  h.feed("caller", protocol::Invoke{7, "f", 10'000, h.event()});
  h.ask("purge", kPurge);
  EXPECT_EQ(h.core.counters().deliveries_cancelled, 0u);
  h.join();
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Purging, ThatABrokerDoesNotKnowWasStoppedByItsRestart) {
  CoreHarness h;
  const auto unknown = h.ask("purge", R"({"name":"f","purge":77})");
  EXPECT_EQ(unknown["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
  EXPECT_NE(unknown["message"].get<std::string>().find("still queued"), std::string::npos);
  EXPECT_EQ(h.ask("purge", R"({"name":"g"})")["refused"],
            static_cast<int>(protocol::Refusal::kNoSuchFunction));
}

TEST(Purging, OfOneThatCommittedMeanwhileIsNotCounted) {
  CoreHarness h;
  open_dispatch(h);
  h.publish(1, {h.event()});
  h.answer_all();
  h.admin("purge", kPurge);
  const json begun = h.admin_answer();
  h.answer(h.take_call<store::Bury>().first, store::Answer{store::Moved{{Verdict::kFenced}}});
  EXPECT_EQ(progress(h, begun)["cancelled"], 0);
  EXPECT_EQ(h.core.functions().at("f")->counts.succeeded, 1);
}

// Lanes that hold far more than the windows: what is ended at a time stays bounded, and other
// functions' events are appended and lent between.
TEST(Purging, OfWhatIsReadForItIsBoundedPerTurn) {
  std::vector<protocol::Lane> lanes;
  for (std::uint16_t lane = 69; lane < 85; ++lane) lanes.push_back(protocol::Lane{lane});
  CoreHarness h(CoreHarness::one(), {}, lanes);
  h.pass(10ms);
  h.publish(1, {h.event()});
  h.answer_all();  // the mark lies behind what the lanes have
  h.admin("purge", kPurge);
  std::uint64_t pages = 0, ended = 0;
  std::size_t most = 0;
  for (int turn = 0; turn < 2000; ++turn) {
    while (h.waiting_calls<store::Page>() > 0) {
      const auto [ticket, page] = h.take_call<store::Page>();
      store::Paged paged;
      for (std::uint32_t n = 0; n < page.entries_max; ++n) {
        store::Paged::Entry entry{
            .entry = {page.after.ms + n + 1, page.lane.number}, .entry_size = 256, .open = {}};
        for (int i = 0; i < 256; ++i) {
          const auto index = static_cast<std::uint8_t>(i);
          entry.open.push_back({index, index, h.event()});
        }
        paged.entries.push_back(std::move(entry));
      }
      paged.more = ++pages < 200;
      h.answer(ticket, store::Answer{paged});
    }
    most = std::max(most, h.core.functions().at("f")->moving.size());
    if (h.waiting_calls<store::Bury>() == 0) continue;
    auto [ticket, bury] = h.take_call<store::Bury>();
    ended += bury.items.size();
    h.answer(ticket,
             store::Answer{store::Moved{std::vector<Verdict>(bury.items.size(), Verdict::kOk)}});
  }
  EXPECT_GE(pages, 200u);
  EXPECT_GT(ended, 100'000u);
  EXPECT_LE(most, CoreOptions{}.purged_at_once + 4 * 256 + 16 * 4096)
      << "what was read before the purge, at most, and a page for it";
}

}  // namespace
}  // namespace fanfare::broker
