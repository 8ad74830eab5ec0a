#include "broker/package_shelf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "protocol/package.h"
#include "protocol/relay_messages.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr TimePoint kLoaded = TimePoint{} + 1h;

PackageShelf::Question question(std::uint64_t request, std::uint64_t offset = 0) {
  return {SessionId{1}, request, offset};
}

TEST(PackageShelf, ReadsAPackageOnceAndHandsItOutInParts) {
  PackageShelf shelf;
  const std::string bytes = std::string(protocol::kPackagePartMax, 'a') + "the end";
  const std::string d = sha256_hex(bytes);
  shelf.ask(d, question(1), kLoaded);
  shelf.ask(d, question(2), kLoaded);
  EXPECT_THAT(shelf.take_wanted(), ElementsAre(d));
  EXPECT_TRUE(shelf.take_answers().empty());
  shelf.on_read(d, bytes, kLoaded);
  auto answers = shelf.take_answers();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1].question.request, 2u);
  EXPECT_EQ(answers[0].part->size, bytes.size());
  EXPECT_EQ(answers[0].part->bytes, bytes.substr(0, protocol::kPackagePartMax));
  shelf.ask(d, question(3, protocol::kPackagePartMax), kLoaded);
  shelf.ask(d, question(4, bytes.size()), kLoaded);
  shelf.ask(d, question(5, bytes.size() + 1), kLoaded);
  answers = shelf.take_answers();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].part->bytes, "the end");
  EXPECT_EQ(answers[1].part->bytes, "");
  EXPECT_EQ(answers[2].part.error().kind, ErrorKind::kReject);
  EXPECT_TRUE(shelf.take_wanted().empty());
}

TEST(PackageShelf, ForgetsWhatNobodyAsksForAnyMore) {
  PackageShelf shelf;
  const std::string d = sha256_hex("bytes");
  shelf.ask(d, question(1), kLoaded);
  shelf.on_read(d, std::string("bytes"), kLoaded);
  shelf.tick(kLoaded + 9s);
  EXPECT_EQ(shelf.bytes(), 5u);
  shelf.tick(kLoaded + 10s);
  EXPECT_EQ(shelf.bytes(), 0u);
}

TEST(PackageShelf, TellsWhoWaitsWhyThereIsNoneAndAsksAgainNextTime) {
  PackageShelf shelf;
  for (const Error& why : {reject("no such"), retry_later("Redis is away")}) {
    shelf.ask("d", question(1), kLoaded);
    EXPECT_THAT(shelf.take_wanted(), ElementsAre("d"));
    shelf.on_read("d", why, kLoaded);
    const auto answers = shelf.take_answers();
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].part.error().kind, why.kind);
  }
}

TEST(PackageShelf, HasRoomForSoMuchAndTellsTheRestToAskLater) {
  PackageShelf shelf{160u << 20};
  const std::string bytes_a(60u << 20, 'a'), bytes_b(60u << 20, 'b');
  const std::string a = sha256_hex(bytes_a), b = sha256_hex(bytes_b);
  shelf.ask(a, question(1), kLoaded);
  shelf.ask(b, question(2), kLoaded);
  shelf.ask("c", question(3), kLoaded);
  EXPECT_THAT(shelf.take_wanted(), ElementsAre(a, b));
  const auto answers = shelf.take_answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].question.request, 3u);
  EXPECT_EQ(answers[0].part.error().kind, ErrorKind::kRetryLater);
  shelf.on_read(a, bytes_a, kLoaded);
  shelf.on_read(b, bytes_b, kLoaded + 1s);
  shelf.ask("c", question(4), kLoaded + 1s);
  EXPECT_TRUE(shelf.take_wanted().empty()) << "both are in use";
  shelf.ask("c", question(5), kLoaded + 2s);
  EXPECT_THAT(shelf.take_wanted(), ElementsAre("c"));
  EXPECT_LE(shelf.bytes(), 160u << 20);
}

TEST(PackageShelf, DoesNotKeepADamagedPackageSoThatADeploymentMendsIt) {
  PackageShelf shelf;
  const std::string d = sha256_hex("whole");
  shelf.ask(d, question(1), kLoaded);
  ASSERT_THAT(shelf.take_wanted(), ElementsAre(d));
  shelf.on_read(d, std::string("whale"), kLoaded);
  const auto refused = shelf.take_answers();
  ASSERT_EQ(refused.size(), 1u);
  ASSERT_FALSE(refused[0].part);
  EXPECT_EQ(refused[0].part.error().kind, ErrorKind::kReject);
  EXPECT_EQ(shelf.bytes(), 0u);
  shelf.ask(d, question(2), kLoaded + 1s);
  ASSERT_THAT(shelf.take_wanted(), ElementsAre(d)) << "it is read anew";
  shelf.on_read(d, std::string("whole"), kLoaded + 1s);
  EXPECT_EQ(shelf.take_answers().at(0).part->bytes, "whole");
}

TEST(PackageShelf, RefusesAPackageThatIsLargerThanAny) {
  PackageShelf shelf;
  shelf.ask("d", question(1), kLoaded);
  shelf.on_read("d", std::string(73u << 20, 'x'), kLoaded);
  EXPECT_EQ(shelf.take_answers().at(0).part.error().kind, ErrorKind::kReject);
}

}  // namespace
}  // namespace fanfare::broker
