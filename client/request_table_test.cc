#include "client/request_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace fanfare::client {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr TimePoint kAsked{};

struct Caller {
  void ask(protocol::Message request, Duration timeout = 10s) {
    table.add(std::move(request), kAsked + 3s, kAsked + timeout,
              [this](Result<protocol::Message> reply) { answer = std::move(reply); });
  }
  std::uint64_t send() {
    const auto frames = table.take_frames();
    return frames.empty() ? 0 : frames.front().request;
  }
  RequestTable table;
  std::optional<Result<protocol::Message>> answer;
};

protocol::Invoke invoke() {
  return {.request = 0, .function = "f", .timeout_ms = 1000, .packed_event = "e"};
}

TEST(RequestTable, GivesAnAnswerToTheOneWhoAsked) {
  Caller caller;
  caller.ask(protocol::Admin{0, "status", "{}"});
  const auto request = caller.send();
  EXPECT_GE(request, kFirstRequest) << "must not be taken for the sequence of a batch";
  EXPECT_TRUE(caller.table.on_answer(protocol::AdminReply{request, "{\"ok\":1}"}));
  ASSERT_TRUE(caller.answer && *caller.answer);
  EXPECT_EQ(std::get<protocol::AdminReply>(**caller.answer).data, "{\"ok\":1}");
  EXPECT_TRUE(caller.table.empty());
}

TEST(RequestTable, TurnsARefusalIntoAnErrorThatNamesIt) {
  Caller caller;
  caller.ask(invoke());
  caller.table.on_answer(
      protocol::Refused{caller.send(), protocol::Refusal::kNoSuchFunction, "no function 'f'"});
  ASSERT_TRUE(caller.answer && !*caller.answer);
  EXPECT_EQ(caller.answer->error().kind, ErrorKind::kReject);
  EXPECT_EQ(caller.answer->error().message, "no_such_function: no function 'f'");
}

TEST(RequestTable, AsksAgainOnAFreshConnectionWhatIsSafeToAskTwice) {
  Caller caller;
  caller.ask(protocol::Await{0, {{1, 2}, 3}, "f", 1000});
  const auto request = caller.send();
  EXPECT_EQ(caller.send(), 0u);
  caller.table.on_disconnected("ipc:///b");
  EXPECT_FALSE(caller.answer);
  caller.table.on_connected();
  EXPECT_EQ(caller.send(), request);
}

TEST(RequestTable, NeverRunsAFunctionTwiceBecauseAConnectionBroke) {
  Caller caller;
  caller.ask(invoke());
  caller.send();
  caller.table.on_disconnected("ipc:///b");
  ASSERT_TRUE(caller.answer && !*caller.answer);
  EXPECT_EQ(caller.answer->error().kind, ErrorKind::kReconnect);
  caller.table.on_connected();
  EXPECT_EQ(caller.send(), 0u);
}

TEST(RequestTable, SendsAnInvocationThatHasNotLeftYetOnTheNextConnection) {
  Caller caller;
  caller.ask(invoke());
  caller.table.unsend(caller.send());
  caller.table.on_disconnected("ipc:///b");
  EXPECT_FALSE(caller.answer);
  caller.table.on_connected();
  EXPECT_NE(caller.send(), 0u);
}

TEST(RequestTable, GivesUpSoonWithoutABrokerAndLateWithASilentOne) {
  Caller alone;
  alone.ask(invoke());
  EXPECT_EQ(alone.table.next_deadline(), kAsked + 3s);
  alone.table.tick(kAsked + 3s, "ipc:///b");
  ASSERT_TRUE(alone.answer && !*alone.answer);
  EXPECT_THAT(alone.answer->error().message, HasSubstr("no broker at ipc:///b"));

  Caller ignored;
  ignored.ask(invoke());
  ignored.send();
  ignored.table.tick(kAsked + 3s, "ipc:///b");
  EXPECT_FALSE(ignored.answer);
  ignored.table.tick(kAsked + 10s, "ipc:///b");
  ASSERT_TRUE(ignored.answer && !*ignored.answer);
  EXPECT_THAT(ignored.answer->error().message, HasSubstr("did not answer"));
}

TEST(RequestTable, LeavesAnswersToBatchesAlone) {
  Caller caller;
  EXPECT_FALSE(caller.table.on_answer(protocol::Refused{1, protocol::Refusal::kQueueFull, ""}));
  EXPECT_FALSE(caller.table.on_answer(protocol::Published{}));
}

}  // namespace
}  // namespace fanfare::client
