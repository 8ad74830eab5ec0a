// Calls as messages and back: what reaches Redis through a broker is what would have reached it.
#include "store/relayed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/row_writes.h"
#include "protocol/samples.h"
#include "store/encode.h"

namespace fanfare::store {
namespace {

using ::testing::HasSubstr;

std::string one_write(const std::string& key = "total") {
  std::string packed;
  protocol::append_write(packed, {protocol::RowWrite::Kind::kIncrement, key, "1", 0});
  return packed;
}

Commit commit_of(std::size_t deliveries, const std::string& record = "record") {
  Commit call{.function = "f", .result_ttl_ms = 1000, .groups = {}};
  Commit::Group group{{1, 2}, {}, Origin::kJournal, 256, {}};
  for (std::size_t i = 0; i < deliveries; ++i) {
    group.items.push_back(
        {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i), {0x1001}, record, {}});
  }
  call.groups.push_back(std::move(group));
  return call;
}

// The bytes that Redis would get.
std::vector<std::string> command(const Call& call) {
  Arguments arguments;
  encode(call, std::nullopt, arguments);
  return {arguments.all().begin(), arguments.all().end()};
}

Result<Call> over_the_wire(Call call) {
  auto message = to_message(std::move(call));
  if (!message) return message.error();
  return std::visit(
      [](auto& one) -> Result<Call> {
        using M = std::decay_t<decltype(one)>;
        auto arrived = protocol::decode(protocol::encode(one));
        if (!arrived) return arrived.error();
        return to_call(std::get<M>(*std::move(arrived)));
      },
      *message);
}

TEST(Relayed, CallsReachRedisAsTheSameBytes) {
  Commit commit = commit_of(2);
  commit.groups[0].items[0].effects = {
      Publish{"g", "event one"}, Publish{"", "event two"},
      RowWrites{.now_ms = 5, .limits = {7, 8}, .packed = one_write()}};
  commit.groups.push_back({{3, 4}, {9}, Origin::kLater, 1, {{0, 0, {0x2001}, "", {}}}});
  Meter meter{.worker = "w:1:2", .sequence = 3, .ttl_ms = 4, .hour_rows_max = 5, .rows = {}};
  meter.rows = {{498734,
                 "f",
                 "ten\xFF"
                 "ant",
                 {1, 2, 3, 4, 5}},
                {498734, "g", "", {6, 7, 8, 9, 10}}};
  for (const Call& call :
       {Call{commit}, Call{GetRows{"f", 12, {"a", "b"}}},
        Call{ListRows{.function = "f", .now_ms = 12, .prefix = "a", .after = "ab", .rows_max = 9}},
        Call{meter}}) {
    const auto arrived = over_the_wire(call);
    ASSERT_TRUE(arrived) << arrived.error().message;
    EXPECT_EQ(command(*arrived), command(call));
  }
}

TEST(Relayed, AnswersComeBackAsTheyWere) {
  const auto back = [](Answer answer) {
    const auto message = to_message(std::move(answer), 7);
    EXPECT_TRUE(message);
    return to_answer(protocol::decode(protocol::encode(*message)).value());
  };
  const std::vector<Verdict> verdicts{Verdict::kOk,   Verdict::kDuplicate, Verdict::kFenced,
                                      Verdict::kGone, Verdict::kStoreFull, Verdict::kNotANumber};
  EXPECT_EQ(std::get<Committed>(*back(Committed{verdicts})).verdicts, verdicts);
  const Rows rows{{{"k", std::string("\0v", 2), 5}}, "k"};
  const auto read = back(rows);
  EXPECT_EQ(std::get<Rows>(*read).rows, rows.rows);
  EXPECT_EQ(std::get<Rows>(*read).next, "k");
  EXPECT_TRUE(std::get<Metered>(*back(Metered{true})).repeated);
}

TEST(Relayed, NoOtherCallBecomesAMessage) {
  EXPECT_FALSE(to_message(Call{Begin{}}));
  EXPECT_FALSE(to_message(Call{Bury{}}));
  EXPECT_FALSE(to_message(Call{WriteRows{}}));
  EXPECT_FALSE(to_message(Answer{Begun{}}, 1));
  EXPECT_FALSE(to_answer(protocol::Message{protocol::Reset{}}));
  EXPECT_FALSE(to_answer(protocol::Message{protocol::Committed{1, "\x06"}}));
}

TEST(Relayed, ALargeDeliveryGoesAloneAndFitsAFrame) {
  Commit commit = commit_of(1, std::string(8u << 20, 'r'));
  commit.groups[0].items[0].effects = {Publish{"", std::string(512u << 10, 'e')}};
  std::string writes;
  for (int i = 0; i < 4; ++i) {
    protocol::append_write(writes, {protocol::RowWrite::Kind::kPut, "k" + std::to_string(i),
                                    std::string(255u << 10, 'v'), 0});
  }
  commit.groups[0].items[0].effects.push_back(RowWrites{1, {}, writes});
  const auto arrived = over_the_wire(commit);
  ASSERT_TRUE(arrived) << arrived.error().message;
  EXPECT_EQ(command(*arrived), command(commit));
}

std::string refusal(const Call& call) {
  const auto arrived = over_the_wire(call);
  return arrived ? "taken" : arrived.error().message;
}

TEST(Relayed, WhatIsOverTheBoundsIsRefusedAndSaysWhy) {
  EXPECT_EQ(refusal(commit_of(256)), "taken");
  EXPECT_THAT(refusal(commit_of(0)), HasSubstr("without deliveries"));
  EXPECT_THAT(refusal(commit_of(2, std::string(200'000, 'r'))), HasSubstr("over 256 KiB"));
  Commit writing = commit_of(200);
  for (auto& item : writing.groups[0].items) {
    item.effects.emplace_back(RowWrites{1, {}, one_write()});
  }
  EXPECT_THAT(refusal(writing), HasSubstr("more than 256"));
  Commit strange = commit_of(1);
  strange.groups[0].lane.number = 170;
  EXPECT_THAT(refusal(strange), HasSubstr("lane"));
  strange = commit_of(1);
  strange.groups[0].origin = Origin::kInvoke;
  EXPECT_THAT(refusal(strange), HasSubstr("was invoked"));
  strange = commit_of(1);
  strange.result_ttl_ms = -1;
  EXPECT_THAT(refusal(strange), HasSubstr("kept for so long"));
  strange = commit_of(1);
  strange.function = "f} evil";
  EXPECT_THAT(refusal(strange), HasSubstr("not a function's name"));
  strange = commit_of(1);
  strange.groups[0].items[0].effects.emplace_back(RowWrites{1, {}, "junk"});
  EXPECT_NE(refusal(strange), "taken");

  EXPECT_THAT(refusal(GetRows{"f", 1, std::vector<std::string>(33, "k")}), HasSubstr("32 keys"));
  EXPECT_THAT(refusal(GetRows{"f", 1, {std::string(513, 'k')}}), HasSubstr("key"));
  EXPECT_THAT(refusal(ListRows{"f", 1, "p", "", 1001}), HasSubstr("1 to 1000 rows"));
  EXPECT_THAT(refusal(ListRows{"f", 1, "p", "q", 1}), HasSubstr("another prefix"));

  Meter meter{.worker = "w:1:2", .sequence = 1, .rows = {{1, "f", "", {}}}};
  EXPECT_EQ(refusal(meter), "taken");
  meter.rows[0].hour = 1'000'000'000'000;
  EXPECT_THAT(refusal(meter), HasSubstr("no such hour"));
  meter.rows[0] = {1, "f", std::string(129, 't'), {}};
  EXPECT_THAT(refusal(meter), HasSubstr("tenant"));
  meter.rows.assign(257, {1, "f", "", {}});
  EXPECT_THAT(refusal(meter), HasSubstr("256"));
  meter = {.worker = "w:1:2", .sequence = 1, .ttl_ms = 0, .rows = {{1, "f", "", {}}}};
  EXPECT_THAT(refusal(meter), HasSubstr("kept for so long"));
}

}  // namespace
}  // namespace fanfare::store
