// What a handler does with other functions, in a real instance; the test is its worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "functions/testing/function_runner.h"
#include "protocol/event.h"
#include "worker/invoke_channel.h"

namespace fanfare::worker {
namespace {

using ::testing::HasSubstr;

std::string object_of(const std::string& name) {
  return std::string(FANFARE_BIN_DIR) + "/../functions-testing/" + name + "/" + name + ".so";
}

class InstanceInvokes : public ::testing::Test {
 protected:
  InstanceInvokes() {
    auto started = testing::FunctionRunner::start(object_of("calls"));
    if (!started) throw std::runtime_error(started.error().message);
    runner = std::move(*started);
    runner->invoked = [this](const InvokeRequest& request) {
      requests.push_back(request);
      return answer;
    };
    answer.kind = InvokeAnswer::Kind::kOk;
  }
  std::string said(const std::string& commands) {
    const ItemResult result = runner->run("calls", commands);
    return result.outcome == protocol::Outcome::kOk
               ? result.output
               : result.failure.type + ": " + result.failure.message;
  }

  std::unique_ptr<testing::FunctionRunner> runner;
  std::vector<InvokeRequest> requests;
  InvokeAnswer answer;
};

TEST_F(InstanceInvokes, PassOnWhatTheHandlerSaysAndGiveItTheOutput) {
  answer.output = "out";
  EXPECT_EQ(said("call other some data\nwithin 1500 other more"), "out\nout");
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].function, "other");
  EXPECT_EQ(requests[0].data, "some data");
  EXPECT_EQ(requests[0].timeout_ms, 0);
  EXPECT_EQ(requests[1].timeout_ms, 1500);
  EXPECT_NE(requests[0].number, requests[1].number);
}

TEST_F(InstanceInvokes, CarryAnySizeBothWays) {
  for (const std::size_t size : {4000u, 5000u, 100'000u, 3'000'000u}) {
    answer.output.assign(size, 'o');
    EXPECT_EQ(said("large other " + std::to_string(size)), std::to_string(size));
    EXPECT_EQ(requests.back().data, "echo " + std::string(size, 'x'));
  }
  const std::size_t before = requests.size();
  const std::string refusal =
      "refused too_large: too_large: the data have 9000005 bytes, the limit is 8388608";
  EXPECT_EQ(said("large other 9000000"), std::to_string(refusal.size()));
  EXPECT_EQ(requests.size(), before);
}

TEST_F(InstanceInvokes, ThatFailTellWhoseFaultItWas) {
  answer = {InvokeAnswer::Kind::kFailed, "ValueError", "no such article", {}, {}};
  EXPECT_EQ(said("call other x"), "failed ValueError: other failed: ValueError: no such article");
  EXPECT_EQ(said("must other x"),
            "fanfare::InvokeError: other failed: ValueError: no such article");
  answer = InvokeAnswer::refused("timeout", "no worker was free in time");
  EXPECT_EQ(said("call other x"), "refused timeout: timeout: no worker was free in time");
  EXPECT_EQ(said("must other x"), "fanfare::InvokeError: timeout: no worker was free in time");
}

TEST_F(InstanceInvokes, ThatCannotBeMeantAreToldAtOnce) {
  EXPECT_THAT(said("call not/a/name x"), HasSubstr("refused invalid: invalid: a function's name"));
  EXPECT_THAT(said("within 0 other x"), HasSubstr("the timeout must be at least 1 ms"));
  EXPECT_THAT(said("threaded other"), HasSubstr("on the thread that runs the handler"));
  EXPECT_TRUE(requests.empty());
}

// How often the process has gone to sleep so far.
long sleeps_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  constexpr std::string_view kName = "voluntary_ctxt_switches:";
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kName)) return std::stol(line.substr(kName.size()));
  }
  return 0;
}

TEST_F(InstanceInvokes, ThatAreAnsweredAtOnceAreMostlyNotSleptFor) {
#ifdef FANFARE_SANITIZED
  GTEST_SKIP() << "nothing is answered at once here";
#endif
  constexpr int kTimes = 300;
  std::string commands;
  for (int i = 0; i < kTimes; ++i) commands += "call other x\n";
  runner->fork();
  // Whoever has to share the core sleeps, as it should: so a quiet moment is waited for.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  long slept = kTimes;
  while (slept > kTimes / 2 && std::chrono::steady_clock::now() < until) {
    const long before = sleeps_of(runner->instance()->pid());
    said(commands);
    slept = sleeps_of(runner->instance()->pid()) - before;
  }
  EXPECT_LE(slept, kTimes / 2);
}

TEST(InstanceInvokesInBatches, WorkLikeAnyOther) {
  auto runner = testing::FunctionRunner::start(object_of("gather"));
  ASSERT_TRUE(runner) << runner.error().message;
  (*runner)->invoked = [](const InvokeRequest& request) {
    return InvokeAnswer{InvokeAnswer::Kind::kOk, {}, {}, {}, "of " + request.function};
  };
  protocol::Event event;
  event.source = "/tests";
  event.type = "gather";
  event.data = "call";
  EXPECT_EQ((*runner)->run(event, 1, /*together=*/true).output, "of calls");
}

TEST(InvokeChannel, CarriesRequestsAndAnswers) {
  const InvokeRequest asked{7, 1500, "other", std::string("da\0ta", 5)};
  const auto got = decode_invoke_request(encode(asked, false), {});
  ASSERT_TRUE(got);
  EXPECT_EQ(got->number, 7u);
  EXPECT_EQ(got->timeout_ms, 1500);
  EXPECT_EQ(got->function, "other");
  EXPECT_EQ(got->data, asked.data);
  EXPECT_LE(encode({1, 1, std::string(64, 'f'), std::string(kInlineInvokeMax, 'd')}, false).size(),
            kInstanceMessageMax);
  for (const auto kind : {InvokeAnswer::Kind::kFailed, InvokeAnswer::Kind::kRefused}) {
    const auto failed = decode_invoked(encode_invoked({kind, "type", "why", {}, {}}));
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->kind, kind);
    EXPECT_EQ(failed->type, "type");
    EXPECT_EQ(failed->message, "why");
  }
  const auto ok =
      decode_invoked(encode_invoked({InvokeAnswer::Kind::kOk, {}, {}, "text/plain", "out"}));
  ASSERT_TRUE(ok);
  EXPECT_EQ(ok->output, "out");
  EXPECT_EQ(ok->content_type, "text/plain");
}

TEST(InvokeChannel, RefusesWhatIsCutOffOrStrange) {
  const std::string good = encode({7, 1500, "other", "data"}, false);
  ASSERT_TRUE(decode_invoke_request(good, {}));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_invoke_request(good.substr(0, size), {})) << size;
  }
  EXPECT_FALSE(decode_invoke_request(good + "x", {}));
  EXPECT_FALSE(decode_invoke_request(encode({7, -1, "other", "data"}, false), {}));
  EXPECT_FALSE(decode_invoke_request(encode({7, 1, "not/a/name", "data"}, false), {}));
  EXPECT_FALSE(decode_invoke_request(encode({7, 1, "other", "data"}, true), {}))
      << "without its memfd";
  std::vector<Fd> fds;
  fds.push_back(*make_sealed_memfd("data", std::array<std::string_view, 1>{"dat"}));
  EXPECT_FALSE(decode_invoke_request(encode({7, 1, "other", "data"}, true), fds))
      << "of another size";
  const std::string answer = encode_invoked(InvokeAnswer::refused("type", "why"));
  for (std::size_t size = 0; size < answer.size(); ++size) {
    EXPECT_FALSE(decode_invoked(answer.substr(0, size))) << size;
  }
}

TEST(InvokeChannel, AnInstanceThatAsksTwiceIsBroken) {
  InstanceHandle handle(1, 1 << 20, Equipment::make().value());
  const Fd end = handle.take_instance_end();
  const std::string request = encode({1, 0, "other", "data"}, false);
  ASSERT_TRUE(send_message(end.get(), request, {}, {}));
  ASSERT_TRUE(send_message(end.get(), request, {}, {}));
  ItemResults results;
  ASSERT_TRUE(handle.take_results(results)) << "the first is a request like any other";
  const auto taken = handle.take_results(results);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::kReject);
}

}  // namespace
}  // namespace fanfare::worker
