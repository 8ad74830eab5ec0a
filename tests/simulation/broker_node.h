// One process of the broker: its core, its socket, its connections to Redis, as broker::Shell has
// them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core.h"
#include "tests/simulation/answer_book.h"
#include "tests/simulation/world.h"

namespace fanfare::simulation {

class BrokerNode {
 public:
  BrokerNode(World& world, broker::CoreOptions options);
  ~BrokerNode();  // the process has ended; what it sent may still arrive
  BrokerNode(const BrokerNode&) = delete;
  BrokerNode& operator=(const BrokerNode&) = delete;

  BrokerLife life_number() const { return number_; }
  const broker::Core& core() const { return *core_; }
  // It has given up by itself, or was replaced: whoever supervises it takes it away.
  bool ended() const { return ended_; }

  void pause();  // as SIGSTOP
  void resume();
  bool paused() const { return paused_; }
  // To some worker.
  void send_garbage();
  void shift_clock(Duration by) {
    latest_wall_ms();
    clock_offset_ += by;
  }

 private:
  Now now() const { return world_.schedule.now(clock_offset_); }
  // What was due by this clock once stays due when it is set back.
  std::int64_t latest_wall_ms() {
    return latest_wall_ms_ = std::max(latest_wall_ms_, to_ms(now().wall));
  }
  void on_frame(const std::string& peer, std::string_view frame);
  std::optional<protocol::Message> note_frame(const std::string& peer, std::string_view frame);
  void on_tick();
  void arm_tick();
  void wake();
  void turn();
  void carry_out();
  void relay();
  void inspect(const broker::OutgoingFrame& out);
  void watch_joined();
  void check_counters();

  World& world_;
  const BrokerLife number_;
  const Life life_ = new_life();
  Duration clock_offset_{};
  std::int64_t latest_wall_ms_ = 0;
  bool paused_ = false;
  bool woken_ = false;
  bool ended_ = false;
  bool began_ = false;
  std::uint64_t tick_ = 0;
  AnswerBook book_;
  std::unique_ptr<broker::Core> core_;
  std::unique_ptr<RedisLink> redis_;
  std::unique_ptr<RedisLink> relay_redis_;  // of workers that have no way to Redis
  std::unique_ptr<ServerSocket> socket_;
};

}  // namespace fanfare::simulation
