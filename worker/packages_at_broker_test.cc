#include <gtest/gtest.h>

#include "worker/package_source.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;

struct Fetching {
  void join(std::uint64_t session) {
    relay.on_session(session, {64, 1u << 20});
    relay.flush(now);
  }
  void pass(Duration time) {
    now += time;
    relay.tick(now);
    relay.flush(now);
  }
  protocol::FetchPackage question() {
    relay.flush(now);
    auto asked = std::get<protocol::FetchPackage>(protocol::decode(frames.back()).value());
    last = asked.request;
    return asked;
  }
  void part(std::uint64_t size, std::string bytes) {
    receive(protocol::PackagePart{last, size, std::move(bytes)});
  }
  void receive(const protocol::Message& message) { relay.on_frame(protocol::encode(message), now); }

  TimePoint now = TimePoint{} + 1h;
  std::vector<std::string> frames;
  std::uint64_t last = 0;
  Relay relay{[this](std::string frame) { frames.push_back(std::move(frame)); }};
  PackagesAtBroker packages{relay};
  std::optional<Result<std::string>> fetched;
  void fetch() {
    packages.fetch("d", [this](Result<std::string> bytes) { fetched = std::move(bytes); });
  }
};

TEST(PackagesAtBroker, ArePutTogetherFromParts) {
  Fetching worker;
  worker.join(1);
  worker.fetch();
  EXPECT_EQ(worker.question().offset, 0u);
  worker.part(7, "abc");
  EXPECT_EQ(worker.question().offset, 3u);
  EXPECT_FALSE(worker.fetched);
  worker.part(7, "defg");
  ASSERT_TRUE(worker.fetched);
  EXPECT_EQ(**worker.fetched, "abcdefg");
}

TEST(PackagesAtBroker, GoOnWhereTheyWereAtTheNextBroker) {
  Fetching worker;
  worker.join(1);
  worker.fetch();
  worker.question();
  worker.part(7, "abc");
  worker.join(2);
  EXPECT_EQ(worker.question().offset, 3u);
  worker.part(7, "defg");
  EXPECT_EQ(**worker.fetched, "abcdefg");
}

TEST(PackagesAtBroker, WaitAsLongAsTheyAreToldTo) {
  Fetching worker;
  worker.join(1);
  worker.fetch();
  const auto asked = worker.question();
  for (int i = 0; i < 3; ++i) {
    const std::size_t sent = worker.frames.size();
    worker.receive(protocol::Refused{asked.request, protocol::Refusal::kQueueFull, "later"});
    worker.pass(Relay::kPause - 1ms);
    EXPECT_EQ(worker.frames.size(), sent);
    worker.pass(1ms);
    EXPECT_EQ(worker.frames.size(), sent + 1);
  }
  EXPECT_FALSE(worker.fetched);
  worker.part(3, "abc");
  EXPECT_EQ(**worker.fetched, "abc");
}

TEST(PackagesAtBroker, ThatAreNotThereOrDoNotFitTogetherAreRefused) {
  for (const auto& [size, bytes] :
       std::vector<std::pair<std::uint64_t, std::string>>{{2, "abc"}, {7, ""}, {1u << 30, "abc"}}) {
    Fetching worker;
    worker.join(1);
    worker.fetch();
    worker.question();
    worker.part(size, bytes);
    ASSERT_TRUE(worker.fetched);
    EXPECT_EQ(worker.fetched->error().kind, ErrorKind::kReject);
  }
  Fetching worker;
  worker.join(1);
  worker.fetch();
  const auto asked = worker.question();
  worker.receive(protocol::Refused{asked.request, protocol::Refusal::kInvalid, "no such"});
  EXPECT_EQ(worker.fetched->error().message, "no such");
}

}  // namespace
}  // namespace fanfare::worker
