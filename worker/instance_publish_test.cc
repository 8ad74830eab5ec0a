// What a handler publishes, as its worker gets it from a real instance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "functions/testing/function_runner.h"
#include "protocol/event.h"

namespace fanfare::worker {
namespace {

class InstancePublish : public ::testing::Test {
 protected:
  InstancePublish() {
    auto started = testing::FunctionRunner::start(std::string(FANFARE_BIN_DIR) +
                                                  "/../functions-testing/publishes/publishes.so");
    if (!started) throw std::runtime_error(started.error().message);
    runner = std::move(*started);
  }

  std::unique_ptr<testing::FunctionRunner> runner;
};

TEST_F(InstancePublish, ComesWithTheResultAndIsAnEventWithTheFunctionsSource) {
  const ItemResult result = runner->run("t", "2");
  EXPECT_EQ(result.outcome, protocol::Outcome::kOk);
  EXPECT_EQ(result.output, "published");
  ASSERT_EQ(result.asked.size(), 2u);
  const auto first = protocol::unpack_event(result.asked[0].bytes);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->source.starts_with("/functions/")) << first->source;
  EXPECT_EQ(first->type, "made");
  EXPECT_EQ(first->data, "{\"n\":0}");
  EXPECT_EQ(first->content_type, "application/json");
  EXPECT_FALSE(first->subject.empty());
  ASSERT_EQ(first->extensions.size(), 1u);
  EXPECT_EQ(first->extensions[0].second, "00-1");
  EXPECT_FALSE(first->options.delay);
  EXPECT_EQ(protocol::unpack_event(result.asked[1].bytes)->options.delay, 5);
}

TEST_F(InstancePublish, IsForgottenWithAnAttemptThatFailsAndBeforeTheNextEvent) {
  const ItemResult failed = runner->run("t", "fail");
  EXPECT_EQ(failed.failure.type, "Asked");
  EXPECT_TRUE(failed.asked.empty());
  EXPECT_TRUE(runner->run("t", "0").asked.empty());
}

TEST_F(InstancePublish, OfMoreThan64EventsIsAnError) {
  EXPECT_EQ(runner->run("t", "64").asked.size(), 64u);
  const ItemResult result = runner->run("t", "65");
  EXPECT_EQ(result.outcome, protocol::Outcome::kFunctionError);
  EXPECT_EQ(result.failure.type, "fanfare::PublishError");
  EXPECT_THAT(result.failure.message, ::testing::HasSubstr("64 events"));
  EXPECT_TRUE(result.asked.empty());
}

TEST_F(InstancePublish, OfMoreThan256KiBIsAnErrorAndLessTravelsBesideTheBoard) {
  const ItemResult large = runner->run("t", "large 200000");
  ASSERT_EQ(large.asked.size(), 1u) << large.failure.message;
  EXPECT_EQ(protocol::unpack_event(large.asked[0].bytes)->data, std::string(200000, 'x'));
  const ItemResult result = runner->run("t", "large 262144");
  EXPECT_EQ(result.failure.type, "fanfare::PublishError");
  EXPECT_THAT(result.failure.message, ::testing::HasSubstr("262144 bytes"));
}

TEST_F(InstancePublish, OfWhatIsNoEventIsAnErrorThatSaysWhy) {
  const ItemResult result = runner->run("t", "odd");
  EXPECT_EQ(result.failure.type, "fanfare::PublishError");
  EXPECT_THAT(result.failure.message, ::testing::HasSubstr("type is missing"));
}

}  // namespace
}  // namespace fanfare::worker
