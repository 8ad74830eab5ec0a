// A function that takes many events in one call, among real processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;
using protocol::Status;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Gather : public ::testing::Test {
 protected:
  explicit Gather(const std::string& batch = "size = 10\nwindow = \"2s\"") {
    installation_.deploy("functions-testing/gather",
                         "[batch]\n" + batch + "\n[retry]\nbase = \"10ms\"\nmax_attempts = 3\n");
  }
  std::vector<protocol::EventId> publish(const std::vector<std::string>& all) {
    return installation_.publish_all("gather", all);
  }
  protocol::ResultRecord result(const protocol::EventId& id) {
    return installation_.result("gather", id);
  }
  std::vector<protocol::AttemptRow> attempts(const protocol::EventId& id) {
    return *protocol::unpack_ledger(result(id).ledger);
  }

  Installation installation_;
};

TEST_F(Gather, OneCallGetsWhatCameWithinTheWindow) {
  const auto ids = publish(std::vector<std::string>(10, "x"));
  for (const auto& id : ids) {
    EXPECT_EQ(result(id).output, "x of 10");
    EXPECT_EQ(attempts(id).size(), 1u);
  }
  const auto lone = publish({"y"});
  EXPECT_EQ(result(lone[0]).output, "y of 1") << "after the window";
}

TEST_F(Gather, OneCallGetsThreeMegabytes) {
  std::vector<std::string> large;
  for (char letter = 'a'; letter < 'k'; ++letter) large.emplace_back(300'000, letter);
  const auto ids = publish(large);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(result(ids[i]).output == large[i] + " of 10") << i;
  }
}

TEST_F(Gather, OneFailsAndTheOthersDoNot) {
  const auto ids = publish({"a", "fail", "c", "silent", "e", "f", "g", "h", "i", "j"});
  EXPECT_EQ(result(ids[0]).output, "a of 10");
  EXPECT_EQ(result(ids[1]).status, Status::kFailed);
  EXPECT_EQ(result(ids[1]).error_type, "Alone");
  EXPECT_EQ(result(ids[3]).status, Status::kSucceeded) << "what is not mentioned succeeded";
  EXPECT_EQ(result(ids[3]).output, "");
  EXPECT_EQ(attempts(ids[9]).size(), 1u);
}

TEST_F(Gather, WhatIsThrownFailsAllOfThem) {
  const auto ids = publish({"throw", "b", "c", "d", "e", "f", "g", "h", "i", "j"});
  EXPECT_EQ(result(ids[0]).status, Status::kFailed);
  EXPECT_THAT(result(ids[0]).error_message, HasSubstr("the whole batch"));
  EXPECT_THAT(result(ids[0]).log_tail, HasSubstr("events"));
}

TEST_F(Gather, APoisonEventTakesTheOthersAlongOnlyOnce) {
  const auto ids = publish({"a", "b", "c", "d", "abort", "f", "g", "h", "i", "j"});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto rows = attempts(ids[i]);
    ASSERT_GE(rows.size(), 2u);
    EXPECT_EQ(rows[0].outcome, Outcome::kCrashed);
    if (i == 4) {
      EXPECT_EQ(result(ids[i]).status, Status::kFailed);
      EXPECT_EQ(rows.size(), 3u);
    } else {
      EXPECT_EQ(rows[1].outcome, Outcome::kOk);
      EXPECT_THAT(result(ids[i]).output, HasSubstr(" of 1")) << "tried alone";
    }
  }
  const auto counted = audit(installation_.redis().options(), "gather", ids);
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.letters, 1u);
}

TEST_F(Gather, AnInvocationIsABatchOfOne) {
  protocol::Event event;
  event.type = "call";
  event.source = "/tests";
  event.data = "now";
  const auto record = installation_.client().invoke("gather", event, 10s);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->output, "now of 1");
}

TEST(GatherMany, TwoThousandEventsEndOnceEach) {
  Installation installation;
  installation.deploy("functions-testing/gather", "[batch]\nsize = 100\nwindow = \"20ms\"\n");
  const auto ids = installation.publish_all("gather", std::vector<std::string>(2000, "x"));
  const auto redis = installation.redis().options();
  ASSERT_TRUE(eventually([&] { return all_ended(redis, "gather"); }, 60s)) << installation.logs();
  const auto counted = audit(redis, "gather", ids);
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.results, 2000u);
  EXPECT_EQ(counted.repeats, 0u);
}

}  // namespace
}  // namespace fanfare::test
