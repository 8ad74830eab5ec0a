// Functions whose outboxes wait for one another's queues.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "broker/core_world.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

CoreOptions with_room_for(std::uint64_t deliveries, std::uint64_t entries) {
  CoreOptions options;
  options.queue_max = deliveries;
  options.outbox_max = entries;
  return options;
}

CoreWorld::Functions functions(std::initializer_list<const char*> names) {
  CoreWorld::Functions all;
  for (const char* name : names) all[name] = "";
  all["f"] = "[[on]]\npattern = '{\"type\":[\"t\"]}'\n";
  return all;
}

// A former broker left this: `queued` deliveries of the function, and entries in its outbox.
void leave(CoreWorld& world, const std::string& function, std::size_t queued,
           const std::vector<std::string>& entries_to) {
  static std::uint64_t number = 0;
  const protocol::EntryId entry{static_cast<std::uint64_t>(to_ms(world.now.wall)), ++number};
  protocol::Event event;
  event.source = "/tests";
  event.type = "left";
  event.options.generation = 1;
  store::Append append{.epoch = world.core->epoch(), .entry = entry};
  append.streams.push_back({function, {}, {}});
  for (std::size_t i = 0; i <= queued; ++i) {
    append.streams[0].items.push_back({static_cast<std::uint8_t>(i), protocol::pack(event)});
  }
  ASSERT_TRUE(world.redis.call(append));
  store::Commit commit{.function = function, .result_ttl_ms = 1000, .groups = {}};
  commit.groups.push_back(
      {entry, {}, protocol::Origin::kJournal, static_cast<std::uint16_t>(queued + 1), {}});
  commit.groups[0].items.push_back({0, 0, protocol::make_token(world.core->epoch(), 1), "r", {}});
  for (const auto& to : entries_to) {
    commit.groups[0].items[0].effects.emplace_back(std::in_place_type<store::Publish>, to,
                                                   protocol::pack(event));
  }
  ASSERT_TRUE(world.redis.call(commit));
}

// The next broker, which looks into the outboxes before a worker comes.
void start(CoreWorld& world) {
  world.start_broker();
  world.pass(1s);
  world.join();
}

std::string to_g() {
  protocol::Event event;
  event.source = "/tests";
  event.type = "t2";
  event.options.to = "g";
  return protocol::pack(event);
}

// Lets what is lent succeed, until nothing is any more; how many that were, each time.
std::vector<std::size_t> run_all(CoreWorld& world) {
  std::vector<std::size_t> ran;
  for (int quiet = 0; quiet < 3; ++quiet) {
    world.pass(1s);
    std::size_t now = 0;
    for (auto& deliver : world.take<protocol::Deliver>("w")) {
      for (const auto& delivery : deliver.deliveries) {
        world.succeed(delivery, "w", deliver.function);
        ++now;
      }
    }
    if (now == 0) continue;
    ran.push_back(now);
    quiet = -1;
  }
  return ran;
}

std::size_t sum_of(const std::vector<std::size_t>& ran) {
  return std::accumulate(ran.begin(), ran.end(), std::size_t{0});
}

TEST(CoreCircle, AFunctionWhoseOutboxWaitsForItsOwnQueueIsLentOneByOne) {
  CoreWorld world(functions({"f"}), with_room_for(2, 2));
  leave(world, "f", 2, {"f", "f", "f"});
  start(world);
  EXPECT_THAT(run_all(world), ElementsAre(1, 1, 2, 1)) << "until its outbox is not full any more";
}

TEST(CoreCircle, WithoutProtectionItIsNeverLentAgain) {
  CoreOptions options = with_room_for(2, 2);
  options.protections.open_circles = false;
  CoreWorld world(functions({"f"}), options);
  leave(world, "f", 2, {"f", "f", "f"});
  start(world);
  EXPECT_THAT(run_all(world), ElementsAre());
}

// Whoever invokes it without a pause, and a result that its worker cannot get rid of.
TEST(CoreCircle, InvocationsAndWhatIsStuckDoNotTakeItsTurn) {
  CoreWorld world(functions({"f"}), with_room_for(2, 2));
  world.publish({{}});
  world.join();
  ASSERT_EQ(world.delivered().size(), 1u) << "which never ends";
  leave(world, "f", 1, {"f", "f", "f"});
  world.core->on_store_restarted();
  world.pass(1s);
  protocol::Event event;
  event.source = "/tests";
  event.type = "function.invoked";
  for (std::uint64_t request = 1; request <= 3; ++request) {
    world.feed("caller", protocol::Invoke{request, "f", 60'000, protocol::pack(event)});
  }
  world.pass(1s);
  const auto next = world.delivered();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].origin, protocol::Origin::kJournal);
}

TEST(CoreCircle, SoAreFunctionsThatPublishToOneAnother) {
  CoreWorld world(functions({"f", "g", "h"}), with_room_for(1, 1));
  leave(world, "f", 1, {"g", "g"});
  leave(world, "g", 1, {"h"});
  leave(world, "h", 1, {"f"});
  start(world);
  EXPECT_EQ(sum_of(run_all(world)), 7u);
}

TEST(CoreCircle, WhoseWayLeadsToAPausedFunctionWaitsForIt) {
  CoreWorld world(functions({"f", "g"}), with_room_for(1, 1));
  leave(world, "f", 1, {"g"});
  leave(world, "g", 1, {"f"});
  const auto pause = [&](bool paused) {
    world.feed("operator", protocol::Admin{1, paused ? "pause" : "resume", R"({"name":"g"})"});
  };
  world.start_broker();
  world.pass(1s);
  pause(true);
  world.join();
  EXPECT_THAT(run_all(world), ElementsAre());
  pause(false);
  EXPECT_EQ(sum_of(run_all(world)), 4u);
}

TEST(CoreCircle, WhoseWayDoesNotLeadBackIsNotLent) {
  CoreWorld world(functions({"f", "g"}), with_room_for(1, 1));
  leave(world, "f", 1, {"g"});
  leave(world, "g", 1, {});
  world.start_broker();
  world.pass(1s);
  world.feed("w", protocol::Hello{
                      .name = "w", .host = "", .pid = 1, .pid_started = 0, .slots = 4, .held = {}});
  world.feed("w", protocol::Credit{{{"f", 1000, false}}});  // nobody runs g
  EXPECT_THAT(run_all(world), ElementsAre());
}

TEST(CoreCircle, RoomThatAnOutboxWaitsForIsNotGivenToPublishers) {
  CoreWorld world(functions({"f", "g"}), with_room_for(2, 10));
  leave(world, "f", 0, {"g", "g", "g"});
  start(world);
  world.pass(1s);
  auto delivered = world.delivered();
  ASSERT_EQ(delivered.size(), 2u);
  world.succeed(delivered[0], "w", "g");
  world.feed("publisher", protocol::Publish{"publisher", 1, false, {to_g()}});
  const auto told = world.take<protocol::Published>("publisher").at(0);
  ASSERT_EQ(told.errors.size(), 1u);
  EXPECT_EQ(told.errors[0].code, protocol::Refusal::kQueueFull);
  world.succeed(delivered[1], "w", "g");
  world.pass(1s);
  EXPECT_EQ(world.delivered().size(), 1u) << "what waited";
  world.feed("publisher", protocol::Publish{"publisher", 2, false, {to_g()}});
  EXPECT_TRUE(world.take<protocol::Published>("publisher").at(0).errors.empty());
}

}  // namespace
}  // namespace fanfare::broker
