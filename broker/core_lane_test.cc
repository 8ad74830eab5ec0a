// Tenants that share a lane: one's flood does not hold up the other, and what is taken ahead of the
// lane's reading runs once, whatever happens to workers and Redis.
#include <gtest/gtest.h>

#include <set>

#include "broker/core_world.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

const CoreWorld::Functions kTenants{{"f", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}};

protocol::PublishOptions of(const std::string& tenant) {
  protocol::PublishOptions options;
  options.tenant = tenant;
  return options;
}

// A tenant in the lane of `other`.
std::string neighbour_of(const std::string& other) {
  for (int n = 0;; ++n) {
    const std::string name = "quiet " + std::to_string(n);
    if (place_of(of(name)).lane == place_of(of(other)).lane) return name;
  }
}

// A worker that takes one at a time, and how often each delivery has succeeded there.
struct LaneWorld : CoreWorld {
  explicit LaneWorld(CoreOptions options = small_windows()) : CoreWorld(kTenants, options) {}
  static CoreOptions small_windows() {
    CoreOptions options;
    options.window.deliveries_max = 64;
    options.window.ahead_of_one_max = 8;
    return options;
  }
  void flood(std::size_t events, const std::string& tenant = "flood") {
    for (std::size_t sent = 0; sent < events; sent += 100) {
      publish(std::vector(std::min<std::size_t>(100, events - sent), of(tenant)));
    }
  }
  void credit(std::uint64_t total) { feed("w", protocol::Credit{{{"f", total, false}}}); }
  std::string tenant_of(const protocol::Delivery& delivery) {
    const auto event = protocol::view_event(delivery.packed_event);
    return protocol::unpack_options(event->packed_options)->tenant;
  }
  // Lends and ends `most`, one after the other; the tenants in that order.
  std::vector<std::string> run_some(std::size_t most) {
    std::vector<std::string> tenants;
    for (std::size_t n = 0; n < most; ++n) {
      credit(++credit_);
      for (const auto& delivery : delivered()) {
        tenants.push_back(tenant_of(delivery));
        EXPECT_TRUE(ran.insert(delivery.id).second) << to_string(delivery.id) << " ran twice";
        succeed(delivery);
      }
    }
    return tenants;
  }
  std::set<protocol::EventId> ran;
  std::uint64_t credit_ = 0;
};

TEST(Lanes, AQuietTenantDoesNotWaitBehindTheFloodOfItsNeighbour) {
  LaneWorld world;
  const std::string quiet = neighbour_of("flood");
  world.join("w", {}, 0);
  world.flood(1000);
  world.publish({of(quiet)});
  const auto tenants = world.run_some(3);
  EXPECT_EQ(std::ranges::count(tenants, quiet), 1) << "it is its turn after one of the flood";
  for (int n = 0; n < 20; ++n) {
    world.publish({of(quiet)});
    EXPECT_EQ(std::ranges::count(world.run_some(2), quiet), 1) << n;
  }
  world.run_some(1000);
  EXPECT_EQ(world.ran.size(), 1021u);
  EXPECT_EQ(world.function().unfinished(), 0u);
}

// Four slots, and as many deliveries ahead of them: half of a slot's each is kept.
TEST(Lanes, WhoComesAnewIsLentBesideAFloodThatHasAllItMayHave) {
  LaneWorld world;
  const std::string quiet = neighbour_of("flood");
  world.join("w", {}, 0);
  world.flood(50);
  world.credit(8);
  EXPECT_EQ(world.delivered().size(), 6u);
  world.publish({of("flood")});
  EXPECT_TRUE(world.delivered().empty());
  world.publish({of(quiet), of(quiet)});
  auto lent = world.delivered();
  ASSERT_EQ(lent.size(), 1u) << "its second one has its turn among the others";
  EXPECT_EQ(world.tenant_of(lent[0]), quiet);
  world.publish({of("one that shares no lane")});
  EXPECT_EQ(world.delivered().size(), 1u);
  world.publish({of("yet another")});
  EXPECT_TRUE(world.delivered().empty()) << "no more than the worker takes";
}

TEST(Lanes, NothingIsKeptOfAWorkersSlotsOrWithoutTenants) {
  LaneWorld one_each, plain;
  one_each.join("w", {}, 0);
  one_each.flood(50);
  one_each.credit(4);
  EXPECT_EQ(one_each.delivered().size(), 4u);
  plain.join("w", {}, 0);
  plain.flood(50, "");
  plain.credit(8);
  EXPECT_EQ(plain.delivered().size(), 8u);
}

TEST(Lanes, WhatWasTakenAheadRunsOnceAlsoWhenItsWorkerDiesOrRedisIsRestarted) {
  for (const bool restart : {false, true}) {
    LaneWorld world;
    const std::string quiet = neighbour_of("flood");
    world.join("w", {}, 0);
    world.flood(300);
    world.publish({of(quiet), of(quiet), of(quiet)});
    world.credit(8);
    world.credit_ = 0;
    ASSERT_EQ(world.delivered().size(), 6u) << "two are kept for tenants that come anew";
    if (restart) {
      world.core->on_store_restarted();
      world.run();
    }
    world.die();
    world.join("w", {}, 0);
    world.run_some(400);
    EXPECT_EQ(world.ran.size(), 303u) << restart;
    EXPECT_EQ(world.function().unfinished(), 0u);
    EXPECT_EQ(world.function().queue.size(), 0u);
  }
}

TEST(Lanes, ATenantWithMoreThanItsShareIsReadInItsTurn) {
  LaneWorld world;
  const std::string other = neighbour_of("flood");
  world.join("w", {}, 0);
  world.flood(300);
  world.flood(100, other);
  EXPECT_EQ(world.function().queue.size(), 100u + 8u + 8u)
      << "the chunk that filled the window, and each one's share";
  world.run_some(500);
  EXPECT_EQ(world.ran.size(), 400u);
}

// ---- ordering keys ----

// A key in the lane of `other`.
std::string key_beside(const std::string& other, int number) {
  const auto lane = [](const std::string& key) {
    protocol::PublishOptions options;
    options.ordering_key = key;
    return place_of(options).lane;
  };
  for (int n = 0;; ++n) {
    const std::string name = "key " + std::to_string(n);
    if (lane(name) == lane(other) && number-- == 0) return name;
  }
}

std::string key_of(const protocol::Delivery& delivery) {
  const auto event = protocol::view_event(delivery.packed_event);
  return protocol::unpack_options(event->packed_options)->ordering_key;
}

TEST(Lanes, AKeyThatIsHeldUpDoesNotHoldUpTheOthersOfItsLane) {
  LaneWorld world;
  world.join("w", {}, 1'000'000);
  world.publish_keyed("held up");
  const auto holder = world.delivered();
  ASSERT_EQ(holder.size(), 1u);
  for (int n = 0; n < 50; ++n) world.publish_keyed("held up", 20);
  EXPECT_LT(world.function().queue.size(), 100u);
  for (int n = 0; n < 30; ++n) {
    world.publish_keyed(key_beside("held up", n), 3);
    for (int i = 0; i < 3; ++i) {
      const auto lent = world.delivered();
      ASSERT_EQ(lent.size(), 1u) << n;
      world.succeed(lent[0]);
    }
  }
  world.succeed(holder[0]);
  protocol::EventId last = holder[0].id;
  for (int n = 0; n < 1000; ++n) {
    const auto lent = world.delivered();
    ASSERT_EQ(lent.size(), 1u) << n;
    ASSERT_LT(last, lent[0].id);
    last = lent[0].id;
    world.succeed(lent[0]);
  }
  EXPECT_EQ(world.function().unfinished(), 0u);
}

// More of it than may be taken ahead: the rest is read in its turn, behind what was taken.
TEST(Lanes, WhatIsTakenAheadOfAKeyComesBeforeWhatIsReadOfIt) {
  LaneWorld world;
  world.join("w", {}, 1'000'000);
  world.publish_keyed("held up");
  const auto holder = world.delivered();
  for (int n = 0; n < 20; ++n) world.publish_keyed("held up", 20);
  const std::string other = key_beside("held up", 0);
  for (int n = 0; n < 6; ++n) world.publish_keyed(other, 10);
  protocol::EventId last;
  int run = 0;
  const auto run_on = [&] {
    for (auto lent = world.delivered(); !lent.empty(); lent = world.delivered()) {
      for (const auto& delivery : lent) {
        if (key_of(delivery) == other) {
          EXPECT_LT(last, delivery.id);
          last = delivery.id;
          ++run;
        }
        world.succeed(delivery);
      }
    }
  };
  run_on();
  EXPECT_EQ(run, 8) << "as many as may wait";
  world.publish_keyed(other, 5);
  run_on();
  EXPECT_EQ(run, 8) << "it has something unread";
  world.succeed(holder.at(0));
  run_on();
  EXPECT_EQ(run, 65);
  EXPECT_EQ(world.function().unfinished(), 0u);
}

// Nobody knows what of which key lies unread: order comes first.
TEST(Lanes, OfAKeyNothingIsTakenAheadAfterARestartUntilAllHasBeenRead) {
  LaneWorld world;
  const std::string other = key_beside("held up", 0);
  for (int n = 0; n < 20; ++n) world.publish_keyed("held up", 20);
  world.publish_keyed(other, 10);
  world.start_broker();
  world.pass(1s);
  EXPECT_GT(world.function().queue.size(), 0u);
  world.publish_keyed(other);
  world.join("w", {}, 1'000'000);
  std::vector<protocol::EventId> of_other;
  for (auto lent = world.delivered(); !lent.empty(); lent = world.delivered()) {
    for (const auto& delivery : lent) {
      if (key_of(delivery) == other) of_other.push_back(delivery.id);
      world.succeed(delivery);
    }
  }
  EXPECT_EQ(of_other.size(), 11u);
  EXPECT_TRUE(std::ranges::is_sorted(of_other));
}

}  // namespace
}  // namespace fanfare::broker
