// For tests: a broker's core on a model of Redis that answers at once. The broker can be replaced
// by another one, workers are played by hand, the test says what time it is.
//
// For what a broker does over several lives; see CoreHarness for answers that come late or are no.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/core.h"
#include "store/model_store.h"

namespace fanfare::broker {

class CoreWorld {
 public:
  using Functions = std::map<std::string, std::string>;  // name → function.toml

  explicit CoreWorld(const Functions& functions, CoreOptions options = {})
      : options_(std::move(options)) {
    const auto begun = redis.call(store::Begin{});
    const std::uint32_t epoch = std::get<store::Begun>(*begun).epoch;
    for (const auto& [name, toml] : functions) {
      EXPECT_TRUE(redis.call(store::Deploy{epoch, name, toml, std::string(64, 'd')}));
    }
    start_broker();
  }

  // A new broker takes office; the former one is gone, with all connections.
  void start_broker() {
    inbox_.clear();
    done_numbers_.clear();
    core = std::make_unique<Core>(options_, now);
    run();
  }
  void pass(Duration duration) {
    now.steady += duration;
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(duration);
    core->tick(now);
    run();
  }
  // Everything that follows from what has been said, Redis' answers included.
  void run() {
    for (bool busy = true; busy;) {
      do core->flush(now);
      while (core->wants_turn());
      for (auto& out : core->take_frames()) {
        auto message = protocol::decode(out.frame);
        ASSERT_TRUE(message) << message.error().message;
        inbox_[out.peer].push_back(*std::move(message));
      }
      auto calls = core->take_calls();
      busy = !calls.empty();
      for (auto& out : calls) core->on_answer(out.ticket, redis.call(out.call), now);
    }
  }

  // ---- publisher ----
  void publish(const std::vector<protocol::PublishOptions>& events, const std::string& type = "t") {
    std::vector<std::string> packed;
    for (const auto& options : events) {
      protocol::Event event;
      event.source = "/tests";
      event.type = type;
      event.options = options;
      packed.push_back(protocol::pack(event));
    }
    feed("publisher", protocol::Publish{"publisher", ++sequence_, false, std::move(packed)});
  }
  // `count` events with this ordering key.
  void publish_keyed(const std::string& key, std::size_t count = 1) {
    protocol::PublishOptions options;
    options.ordering_key = key;
    publish(std::vector<protocol::PublishOptions>(count, options));
  }

  // ---- worker ----
  void join(const std::string& worker = "w", std::vector<protocol::HeldDelivery> held = {},
            std::uint64_t credit = 1000) {
    feed(worker, protocol::Hello{.name = worker,
                                 .host = "",
                                 .pid = 1,
                                 .pid_started = 0,
                                 .slots = 4,
                                 .held = std::move(held)});
    protocol::Credit message;
    for (const auto& [name, function] : core->functions()) {
      message.rows.push_back({name, credit, false});
    }
    feed(worker, message);
  }
  // What it was sent and has not been asked for yet.
  std::vector<protocol::Delivery> delivered(const std::string& worker = "w") {
    std::vector<protocol::Delivery> all;
    std::erase_if(inbox_[worker], [&](protocol::Message& message) {
      auto* deliver = std::get_if<protocol::Deliver>(&message);
      if (!deliver) return false;
      for (auto& delivery : deliver->deliveries) all.push_back(std::move(delivery));
      return true;
    });
    return all;
  }
  // Everything of type T that was sent to `peer` and not taken yet.
  template <typename T>
  std::vector<T> take(const std::string& peer) {
    std::vector<T> taken;
    std::erase_if(inbox_[peer], [&](protocol::Message& message) {
      auto* wanted = std::get_if<T>(&message);
      if (wanted) taken.push_back(std::move(*wanted));
      return wanted != nullptr;
    });
    return taken;
  }
  static protocol::HeldDelivery held(const protocol::Delivery& delivery) {
    return {"f", delivery.id, delivery.token};
  }
  // Commits it, without a report.
  void commit(const protocol::Delivery& delivery, const std::string& function = "f") {
    store::Commit commit{.function = function, .result_ttl_ms = 1000, .groups = {}};
    commit.groups.push_back({delivery.id.entry,
                             delivery.lane,
                             delivery.origin,
                             delivery.entry_size,
                             {{delivery.id.index, delivery.slot, delivery.token, "r"}}});
    ASSERT_TRUE(redis.call(commit));
  }
  void succeed(const protocol::Delivery& delivery, const std::string& worker = "w",
               const std::string& function = "f") {
    if (delivery.origin != protocol::Origin::kInvoke) commit(delivery, function);
    report(worker, row_of(delivery, function));
  }
  void fail(const protocol::Delivery& delivery, const std::string& worker = "w",
            bool retryable = true) {
    auto row = row_of(delivery);
    row.outcome = protocol::Outcome::kFunctionError;
    row.final_status = protocol::Status::kFailed;
    row.failure = {.type = "TestError", .message = "as asked", .retryable = retryable};
    protocol::append_row(row.packed_row, {.number = delivery.attempt, .outcome = row.outcome});
    report(worker, std::move(row));
  }
  void hand_back(const protocol::Delivery& delivery, const std::string& worker = "w") {
    auto row = row_of(delivery);
    row.outcome = protocol::Outcome::kDrained;
    report(worker, std::move(row));
  }
  void die(const std::string& worker = "w") {
    for (const auto& [id, session] : core->sessions()) {
      if (session.hello.name != worker) continue;
      core->on_worker_died(id, now);
      break;
    }
    run();
  }

  void feed(const std::string& peer, const protocol::Message& message) {
    core->on_frame(peer, protocol::encode(message), now);
    run();
  }
  const FunctionState& function(const std::string& name = "f") const {
    return *core->functions().at(name);
  }

  store::ModelStore redis;
  Now now{TimePoint{} + std::chrono::hours{1}, wall_from_ms(1'700'000'000'000)};
  std::unique_ptr<Core> core;

 private:
  static protocol::Done::Row row_of(const protocol::Delivery& delivery,
                                    const std::string& function = "f") {
    protocol::Done::Row row;
    row.function = function;
    row.id = delivery.id;
    row.token = delivery.token;
    return row;
  }
  void report(const std::string& worker, protocol::Done::Row row) {
    feed(worker, protocol::Done{++done_numbers_[worker], {std::move(row)}, {}});
  }

  CoreOptions options_;
  std::uint64_t sequence_ = 0;
  std::map<std::string, std::uint64_t> done_numbers_;
  std::map<std::string, std::deque<protocol::Message>> inbox_;
};

}  // namespace fanfare::broker
