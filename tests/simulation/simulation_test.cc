#include "tests/simulation/simulation.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <string>

#include "tests/simulation/sweep.h"

namespace fanfare::simulation {
namespace {

// Within so many seeds a checker must notice that a protection is missing.
// The rarest shows in one of some 300.
constexpr std::uint64_t kSeedsToFind = 2000;

// 2,000 seeds in all, in two tests that run side by side. With sanitizers, and not optimised, each
// takes some hundred times longer.
#if defined(FANFARE_SANITIZED)
constexpr std::uint64_t kSeedsPerTest = 20;
#else
constexpr std::uint64_t kSeedsPerTest = 1000;
#endif
constexpr std::uint64_t kStepsPerSeed = 2000;

class Quiet : public ::testing::Environment {
 public:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
};
const auto* const kQuiet = ::testing::AddGlobalTestEnvironment(new Quiet);

TEST(Simulation, TheSameSeedGivesTheSameRun) {
  for (const std::uint64_t seed : {3u, 14u, 159u}) {
    Options options;
    options.seed = seed;
    options.tracing = Tracing::kKeep;
    const Report once = simulate(options);
    const Report again = simulate(options);
    EXPECT_EQ(once.trace, again.trace) << "seed " << seed;
    EXPECT_EQ(once.steps, again.steps);
    EXPECT_EQ(once.calls, again.calls);
    EXPECT_EQ(once.executions, again.executions);
  }
}

TEST(Simulation, AViolationNamesItsSeedAndHowToSeeItAgain) {
  const Sweep wanted{.seeds = kSeedsToFind, .mutation = Mutation::kAcknowledgeBeforeJournal};
  const SweepResult result = sweep(wanted);
  ASSERT_TRUE(result.seed);
  const std::string text = describe(wanted, result);
  EXPECT_NE(text.find("--first " + std::to_string(*result.seed)), std::string::npos) << text;
  EXPECT_NE(text.find("--mutation acknowledge_before_journal"), std::string::npos) << text;
  EXPECT_FALSE(result.found.trace.empty());
}

void expect_no_violation(std::uint64_t first) {
  const Sweep wanted{.first = first, .seeds = kSeedsPerTest, .steps = kStepsPerSeed, .threads = 1};
  const SweepResult result = sweep(wanted);
  EXPECT_FALSE(result.seed) << describe(wanted, result);
  EXPECT_EQ(result.runs, wanted.seeds);
}

TEST(Simulation, TheFirstThousandSeedsShowNoViolation) {
  expect_no_violation(1);
}

TEST(Simulation, TheSecondThousandSeedsShowNoViolation) {
  expect_no_violation(1001);
}

class WithoutProtection : public ::testing::TestWithParam<MutationName> {};

TEST_P(WithoutProtection, IsFound) {
  const Sweep wanted{.first = 1, .seeds = kSeedsToFind, .mutation = GetParam().mutation};
  const SweepResult result = sweep(wanted);
  EXPECT_TRUE(result.seed) << "nothing noticed in " << result.runs << " runs";
}

INSTANTIATE_TEST_SUITE_P(Simulation, WithoutProtection,
                         ::testing::ValuesIn(kMutations.begin() + 1, kMutations.end()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace fanfare::simulation
