// What a handler does with its store, in a real instance; the test is its worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "functions/testing/function_runner.h"
#include "protocol/event.h"

namespace fanfare::worker {
namespace {

using ::testing::HasSubstr;

class InstanceRows : public ::testing::Test {
 protected:
  InstanceRows() {
    auto started = testing::FunctionRunner::start(std::string(FANFARE_BIN_DIR) +
                                                  "/../functions-testing/keeps/keeps.so");
    if (!started) throw std::runtime_error(started.error().message);
    runner = std::move(*started);
  }
  std::string said(const std::string& commands) {
    const ItemResult result = runner->run("keeps", commands);
    return result.outcome == protocol::Outcome::kOk
               ? result.output
               : result.failure.type + ": " + result.failure.message;
  }

  std::unique_ptr<testing::FunctionRunner> runner;
};

TEST_F(InstanceRows, AreReadWhileTheHandlerRunsAndWrittenWhenItSucceeds) {
  EXPECT_EQ(said("get a\nput a 1\nget a\nadd n 2\nadd n 3\nget n"), "none\nok\n1\nok\nok\n5\n");
  EXPECT_EQ(runner->store().rows().at("a").value, "1");
  EXPECT_EQ(said("get a\nadd n 1\nget n\nerase a\nget a"), "1\nok\n6\nok\nnone\n");
  EXPECT_FALSE(runner->store().rows().contains("a"));
  EXPECT_EQ(runner->store().rows().at("n").value, "6");
}

TEST_F(InstanceRows, OfAnAttemptThatFailsOrDiesAreWrittenNowhere) {
  EXPECT_EQ(said("put a 1\nfail"), "Asked: as the event said");
  EXPECT_THAT(said("put a 1\ncrash"), HasSubstr("exited with status 7"));
  EXPECT_TRUE(runner->store().rows().empty());
  EXPECT_EQ(said("get a"), "none\n");
  EXPECT_TRUE(runner->store().rows().empty()) << "nor with the next attempt";
}

TEST_F(InstanceRows, AreListedPageByPageWithOwnWritesAmongThem) {
  said("put f/1 a\nput f/2 b\nput f/3 c\nput g d");
  EXPECT_EQ(said("erase f/1\nput f/4 e\nlist f/ 2\nlist f/ 2 f/3"),
            "ok\nok\nf/2=b | f/2\nf/4=e | \n");
}

TEST_F(InstanceRows, OfAnySizeTravelBothWays) {
  EXPECT_EQ(said("large a 262144\nlarge b 262144\nlarge c 100"), "ok\nok\nok\n");
  EXPECT_EQ(runner->store().rows().at("b").value.size(), 262144u);
  EXPECT_EQ(said("get a").size(), 262145u);
  EXPECT_THAT(said("list * 10"), HasSubstr("| a"));
}

TEST_F(InstanceRows, HaveLimitsThatAreSaid) {
  EXPECT_EQ(said("large a 262145"),
            "fanfare::StoreError: the value of a row has 262145 bytes, the limit is 262144");
  EXPECT_THAT(said("put t text\nadd t 1"), HasSubstr("StoreError: the row holds no whole number"));
  EXPECT_THAT(said("threaded a"), HasSubstr("on the thread that runs the handler"));
  EXPECT_TRUE(runner->store().rows().empty());
}

TEST(InstanceRowsInBatches, AreReadAndNotWritten) {
  auto runner = testing::FunctionRunner::start(std::string(FANFARE_BIN_DIR) +
                                               "/../functions-testing/gather/gather.so");
  ASSERT_TRUE(runner) << runner.error().message;
  protocol::Event event;
  event.source = "/tests";
  event.type = "gather";
  event.data = "row";
  const ItemResult result = (*runner)->run(event, 1, /*together=*/true);
  EXPECT_EQ(result.failure.type, "fanfare::StoreError");
  EXPECT_THAT(result.failure.message, HasSubstr("in a function that takes one event"));
  EXPECT_TRUE((*runner)->store().rows().empty());
}

// Takes results and answers no request until it is told to.
TEST_F(InstanceRows, MayWaitWhileTheNextBatchIsHandedOver) {
  runner->store().write("", 0, {});
  runner->fork();
  InstanceHandle& instance = *runner->instance();
  const auto packed = [](const std::string& commands) {
    protocol::Event event;
    event.source = "/tests";
    event.type = "keeps";
    event.data = commands;
    return protocol::pack(event);
  };
  const std::string reads = packed("get a"), writes = packed("put b 1");
  const std::string read_again = packed("get b\n" + std::string(60'000, '\n'));
  using namespace std::chrono_literals;
  const auto item = [](const std::string& event) {
    return Item{.id = {}, .attempt = 1, .timeout = 30s, .packed_event = event};
  };
  ASSERT_TRUE(instance.send(std::array{item(writes), item(reads)}));
  ItemResults results;
  std::optional<RowRequest> request;
  const auto next_request = [&] {
    while (!request) {
      pollfd watched{instance.channel_fd(), POLLIN, 0};
      ASSERT_GT(::poll(&watched, 1, 30'000), 0);
      ASSERT_TRUE(instance.take_results(results));
      request = instance.take_row_request();
    }
  };
  next_request();
  ASSERT_EQ(results.size(), 1u) << "what is finished is told before it waits";
  EXPECT_EQ(results[0].asked.size(), 1u);
  EXPECT_EQ(request->key, "a");
  ASSERT_TRUE(instance.send(std::array{item(read_again), item(writes)}));
  ASSERT_TRUE(instance.send_rows(request->number, store::Rows{{{"a", "7", 0}}, ""}));
  request.reset();
  next_request();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[1].output, "7\n");
  EXPECT_EQ(request->key, "b");
  ASSERT_TRUE(instance.send_rows(request->number, reject("no such luck")));
  while (results.size() < 4) {
    pollfd watched{instance.channel_fd(), POLLIN, 0};
    ASSERT_GT(::poll(&watched, 1, 30'000), 0);
    ASSERT_TRUE(instance.take_results(results));
  }
  EXPECT_EQ(results[2].failure.message, "no such luck");
  EXPECT_EQ(results[3].outcome, protocol::Outcome::kOk);
}

TEST(InstanceRowsHandle, RefusesAnInstanceThatAsksTwiceOrStrangely) {
  for (const bool twice : {true, false}) {
    InstanceHandle handle(1, 1 << 20, Equipment::make().value());
    const Fd end = handle.take_instance_end();
    const std::string request = encode({1, RowRequest::Kind::kGet, 0, "k", ""});
    ASSERT_TRUE(send_message(end.get(), twice ? request : request + "x", {}, {}));
    if (twice) {
      ASSERT_TRUE(send_message(end.get(), request, {}, {}));
    }
    ItemResults results;
    if (twice) {
      ASSERT_TRUE(handle.take_results(results)) << "the first is a request like any other";
    }
    const auto taken = handle.take_results(results);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().kind, ErrorKind::kReject);
  }
}

}  // namespace
}  // namespace fanfare::worker
