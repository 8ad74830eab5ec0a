// Drives a broker's core by hand: a test plays publisher, worker and Redis, and says what time it
// is.
//
// Redis is as small as a test needs: starting calls are answered at once with the functions the
// test gave; everything later waits in calls() until the test answers it, or answer_all() says yes.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core.h"

namespace fanfare::broker {

class CoreHarness {
 public:
  using Functions = std::map<std::string, std::string>;  // name → function.toml

  static Functions one() { return {{"f", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}}; }

  // `unread`: lanes of each function that hold something when the broker starts; the test answers
  // their Page calls itself.
  explicit CoreHarness(Functions functions = one(), CoreOptions options = {},
                       std::vector<protocol::Lane> unread = {},
                       std::string digest = std::string(64, 'd'))
      : functions_(std::move(functions)),
        digest_(std::move(digest)),
        unread_(std::move(unread)),
        core(std::move(options), now) {
    collect();
    answer_all();
    turn();
  }

  // ---- time ----
  void pass(Duration duration) {
    now.steady += duration;
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(duration);
    core.tick(now);
    turn();
  }

  // ---- publisher ----
  static std::string event(std::string type = "t", std::string data = "x") {
    protocol::Event e;
    e.source = "/tests";
    e.type = std::move(type);
    e.data = std::move(data);
    return protocol::pack(e);
  }
  static std::string event(const protocol::PublishOptions& options) {
    protocol::Event e;
    e.source = "/tests";
    e.type = "t";
    e.options = options;
    return protocol::pack(e);
  }
  void publish(std::uint64_t sequence, std::vector<std::string> events, bool repeat = false,
               std::string client = "c") {
    feed("pub-" + client, protocol::Publish{client, sequence, repeat, std::move(events)});
  }

  // ---- worker ----
  void hello(const std::string& name = "w", std::vector<protocol::HeldDelivery> held = {},
             std::optional<protocol::WorkerState> state = protocol::WorkerState::kRunning) {
    feed(name, protocol::Hello{.name = name,
                               .host = "",
                               .pid = 1,
                               .pid_started = 0,
                               .slots = 4,
                               .held = std::move(held),
                               .state = state});
  }
  void credit(std::uint64_t total, const std::string& worker = "w",
              const std::string& function = "f", bool warm = false) {
    feed(worker, protocol::Credit{{{function, total, warm}}});
  }
  void join(std::uint64_t total = 1000, const std::string& name = "w") {
    hello(name);
    credit(total, name);
  }
  protocol::Done::Row ok_row(const protocol::Delivery& delivery,
                             const std::string& function = "f") {
    protocol::Done::Row row;
    row.function = function;
    row.id = delivery.id;
    row.token = delivery.token;
    return row;
  }
  protocol::Done::Row failed_row(const protocol::Delivery& delivery,
                                 protocol::Outcome outcome = protocol::Outcome::kFunctionError,
                                 bool retryable = true) {
    auto row = ok_row(delivery);
    row.outcome = outcome;
    row.final_status = protocol::Status::kFailed;
    row.failure = {.type = "TestError", .message = "as asked", .retryable = retryable};
    protocol::append_row(row.packed_row, {.number = delivery.attempt, .outcome = outcome});
    return row;
  }
  void done(protocol::Done::Row row, const std::string& worker = "w") {
    feed(worker, protocol::Done{++done_number_, {std::move(row)}, {}, {}});
  }

  // ---- operator ----
  // Asks, and gives the answer as JSON once everything in Redis has said yes; what is refused as
  // {"refused": code, "message": …}.
  nlohmann::json ask(const std::string& verb, const std::string& body) {
    admin(verb, body);
    answer_all();
    return admin_answer();
  }
  void admin(const std::string& verb, const std::string& body) {
    feed("operator", protocol::Admin{++requests_, verb, body});
  }
  // The oldest answer that has come, null if none has.
  nlohmann::json admin_answer() {
    if (auto refused = take<protocol::Refused>("operator"); !refused.empty()) {
      return {{"refused", static_cast<int>(refused[0].code)}, {"message", refused[0].message}};
    }
    auto& inbox = inbox_["operator"];
    if (inbox.empty()) return nullptr;
    auto reply = std::get<protocol::AdminReply>(std::move(inbox.front()));
    inbox.pop_front();
    return nlohmann::json::parse(reply.data);
  }

  // ---- plumbing ----
  void feed(const std::string& peer, const protocol::Message& message) {
    feed_frame(peer, protocol::encode(message));
  }
  void feed_frame(const std::string& peer, const std::string& frame) {
    core.on_frame(peer, frame, now);
    turn();
  }
  void turn() {
    do core.flush(now);
    while (core.wants_turn());
    collect();
  }
  void collect() {
    for (auto& out : core.take_frames()) {
      auto message = protocol::decode(out.frame);
      ASSERT_TRUE(message) << message.error().message;
      inbox_[out.peer].push_back(*std::move(message));
    }
    for (auto& call : core.take_calls()) calls_.push_back(std::move(call));
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
  std::vector<protocol::Delivery> delivered(const std::string& worker = "w") {
    std::vector<protocol::Delivery> all;
    for (auto& deliver : take<protocol::Deliver>(worker)) {
      for (auto& delivery : deliver.deliveries) all.push_back(std::move(delivery));
    }
    return all;
  }
  std::vector<protocol::Published> answers(const std::string& client = "c") {
    return take<protocol::Published>("pub-" + client);
  }

  // ---- Redis ----
  template <typename T>
  std::size_t waiting_calls() const {
    std::size_t count = 0;
    for (const auto& call : calls_) count += std::holds_alternative<T>(call.call) ? 1u : 0u;
    return count;
  }
  // Takes the oldest call of type T, for the test to answer.
  template <typename T>
  std::pair<Ticket, T> take_call() {
    for (auto at = calls_.begin(); at != calls_.end(); ++at) {
      if (!std::holds_alternative<T>(at->call)) continue;
      auto out = std::pair{at->ticket, std::get<T>(std::move(at->call))};
      calls_.erase(at);
      return out;
    }
    ADD_FAILURE() << "no such call waits";
    return {};
  }
  void answer(Ticket ticket, store::Answer yes) {
    answer(ticket, Result<store::Answer>{std::move(yes)});
  }
  void answer(Ticket ticket, Result<store::Answer> answer) {
    core.on_answer(ticket, std::move(answer), now);
    turn();
  }
  // Says yes to everything that waits, in order, and to what follows from it.
  void answer_all() {
    std::deque<OutgoingCall> pages;
    while (!calls_.empty()) {
      OutgoingCall call = std::move(calls_.front());
      calls_.pop_front();
      if (!unread_.empty() && std::holds_alternative<store::Page>(call.call)) {
        pages.push_back(std::move(call));
        continue;
      }
      core.on_answer(call.ticket, yes(call.call), now);
      do core.flush(now);
      while (core.wants_turn());
      collect();
    }
    calls_ = std::move(pages);
  }

 private:
  static store::Moved all_ok(std::size_t items) {
    return {std::vector<store::Verdict>(items, store::Verdict::kOk)};
  }
  store::Answer yes(const store::Call& call) {
    if (const auto* m = std::get_if<store::Begin>(&call)) {
      return store::Begun{1, {}, m->layout != 0 ? m->layout : store::kLayoutNewest};
    }
    if (std::holds_alternative<store::ListWorkers>(call)) return store::WorkerList{};
    if (std::holds_alternative<store::ListTopics>(call)) return store::TopicList{};
    if (std::holds_alternative<store::SetTopics>(call)) return store::TopicsSet{};
    if (std::holds_alternative<store::ListFunctions>(call)) {
      store::FunctionList list;
      for (const auto& [name, toml] : functions_) {
        list.functions.push_back({name, toml, digest_, 1, false});
      }
      return list;
    }
    if (std::holds_alternative<store::Survey>(call)) return store::Surveyed{.lanes = unread_};
    if (std::holds_alternative<store::Append>(call)) return store::Appended{};
    if (std::holds_alternative<store::Recall>(call)) return store::Recalled{};
    if (const auto* m = std::get_if<store::Lookup>(&call)) {
      return store::LookedUp{std::vector<std::optional<std::string>>(m->keys.size())};
    }
    if (std::holds_alternative<store::Page>(call)) return store::Paged{};
    if (std::holds_alternative<store::Due>(call)) return store::DueRows{};
    if (const auto* m = std::get_if<store::Postpone>(&call)) return all_ok(m->items.size());
    if (const auto* m = std::get_if<store::Bury>(&call)) return all_ok(m->items.size());
    if (const auto* m = std::get_if<store::Redrive>(&call)) return all_ok(m->items.size());
    if (const auto* m = std::get_if<store::CountOutboxes>(&call)) {
      return store::OutboxCounts{std::vector<std::uint64_t>(m->functions.size())};
    }
    if (std::holds_alternative<store::ReadOutbox>(call)) return store::OutboxPage{};
    if (std::holds_alternative<store::Deploy>(call)) return store::Deployed{1};
    if (std::holds_alternative<store::Remove>(call)) return store::Removed{true};
    if (std::holds_alternative<store::SetState>(call)) return store::StateSet{true};
    if (std::holds_alternative<store::Find>(call)) return store::Found{};
    return store::Noted{};
  }

  Functions functions_;
  std::string digest_;  // of all packages
  std::vector<protocol::Lane> unread_;
  std::map<std::string, std::deque<protocol::Message>> inbox_;
  std::deque<OutgoingCall> calls_;
  std::uint64_t done_number_ = 0, requests_ = 0;

 public:
  Now now{TimePoint{} + std::chrono::hours{1}, wall_from_ms(1'700'000'000'000)};
  Core core;
};

}  // namespace fanfare::broker
