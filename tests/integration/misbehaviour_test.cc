// Functions that crash, hang, exit or eat memory end their own attempt and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;
using protocol::Status;

struct Misbehaviour {
  const char* name;
  const char* function;
  const char* manifest;
  const char* bad_data;
  const char* good_data;
  Outcome outcome;
};

std::ostream& operator<<(std::ostream& out, const Misbehaviour& m) {
  return out << m.name;
}

class Misbehaving : public ::testing::TestWithParam<Misbehaviour> {};

TEST_P(Misbehaving, EndsItsOwnAttemptOnlyAndTheNextEventIsServed) {
  const Misbehaviour& m = GetParam();
  Installation installation;
  installation.deploy(std::string("functions-testing/") + m.function,
                      std::string(m.manifest) + "\n[retry]\nprofile = \"none\"\n");
  const auto bad = installation.publish(m.function, m.bad_data);
  const auto good = installation.publish(m.function, m.good_data);

  const auto served = installation.result(m.function, good);
  EXPECT_EQ(served.status, Status::kSucceeded) << served.error_type << served.error_message;
  const auto failed = installation.result(m.function, bad);
  EXPECT_EQ(failed.status, Status::kFailed);
  const auto ledger = protocol::unpack_ledger(failed.ledger);
  ASSERT_TRUE(ledger);
  ASSERT_EQ(ledger->size(), 1u);
  EXPECT_EQ(ledger->front().outcome, m.outcome)
      << protocol::to_string(ledger->front().outcome) << ": " << failed.error_type << ": "
      << failed.error_message;

  // And once more, now that the bad one has surely done its worst.
  const auto after = installation.publish(m.function, m.good_data);
  EXPECT_EQ(installation.result(m.function, after).status, Status::kSucceeded);
  EXPECT_TRUE(installation.worker().running());
  const auto counted = audit(installation.redis().options(), m.function, {bad, good, after});
  EXPECT_THAT(counted.violations, ::testing::IsEmpty());
  EXPECT_EQ(counted.letters, 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Functions, Misbehaving,
    ::testing::Values(
        Misbehaviour{"Segfault", "crash", "", "segfault", "nothing", Outcome::kCrashed},
        Misbehaviour{"Abort", "crash", "", "abort", "nothing", Outcome::kCrashed},
        Misbehaviour{"ExitZero", "crash", "", "exit 0", "nothing", Outcome::kCrashed},
        Misbehaviour{"ExitThree", "crash", "", "exit 3", "nothing", Outcome::kCrashed},
        Misbehaviour{"ThrowsAnInt", "crash", "", "throw int", "nothing", Outcome::kFunctionError},
        Misbehaviour{"Throws", "crash", "", "throw", "nothing", Outcome::kFunctionError},
        Misbehaviour{"Hangs", "sleepy", "timeout = \"500ms\"", "forever", "1", Outcome::kTimeout},
        Misbehaviour{"EatsMemory", "hog", "memory = \"64MiB\"", "300", "1", Outcome::kOutOfMemory}),
    [](const auto& tested) { return std::string(tested.param.name); });

// What it answered lies on the board already; its instance cannot go on and is replaced.
TEST(Misbehaviour, AFunctionThatClosesAllItsDescriptorsKeepsWhatItAnsweredAndTheNextEventIsServed) {
  Installation installation;
  installation.deploy("functions-testing/crash", "[retry]\nprofile = \"none\"\n");
  for (int round = 0; round < 3; ++round) {
    const auto bad = installation.publish("crash", "close everything");
    const auto good = installation.publish("crash", "nothing");
    EXPECT_EQ(installation.result("crash", bad).output, "survived close everything");
    EXPECT_EQ(installation.result("crash", good).output, "survived nothing");
  }
  EXPECT_TRUE(installation.worker().running());
}

// Those behind it were handed to its instance already.
TEST(Misbehaviour, OneThatTakesLongDoesNotHoldUpThoseBehindIt) {
  Installation installation;
  installation.deploy("functions-testing/sleepy", "timeout = \"60s\"\n");
  const auto redis = installation.redis().options();
  std::vector<std::string> data(300, "0");
  const auto quick =
      installation.publish_all("sleepy", data);  // the worker learns how quick they are
  ASSERT_TRUE(eventually([&] { return audit(redis, "sleepy", quick).results == 300; }));
  data.front() = "30000";
  const auto behind = installation.publish_all("sleepy", data);
  EXPECT_TRUE(eventually([&] { return audit(redis, "sleepy", behind).results == 299; }, 10s))
      << audit(redis, "sleepy", behind).results;
}

}  // namespace
}  // namespace fanfare::test
