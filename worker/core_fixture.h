// A worker's core among fakes: no processes, no sockets, no Redis, and time that only moves when
// told. For tests of the core.
#pragma once

#include <signal.h>
#include <sys/wait.h>

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocol/deliver_view.h"
#include "protocol/event.h"
#include "worker/core.h"

namespace fanfare::worker {

using namespace std::chrono_literals;

class FakeEffects : public Effects {
 public:
  struct Given {  // a batch handed to an instance
    std::uint64_t number;
    std::vector<protocol::EventId> ids;
    std::size_t taken = 0;
  };

  void send(std::string frame) override { frames.push_back(std::move(frame)); }
  bool start_zygote(ZygoteId zygote, const protocol::FunctionSpec& spec,
                    const protocol::Manifest&) override {
    zygotes.emplace_back(zygote, spec.name);
    return zygotes_start_at_once;
  }
  void stop_zygote(ZygoteId zygote) override { stopped_zygotes.push_back(zygote); }
  std::string printed_by(ZygoteId) override { return init_printed; }
  bool fork(ZygoteId, InstanceId instance) override {
    if (forks_refused) return false;
    forked.push_back(instance);
    return true;
  }
  Result<InstanceHandle::Sent> run(InstanceId instance, std::span<const Item> items) override {
    if (run_error) return *run_error;
    Given given{next_batch_++, {}, 0};
    for (const Item& item : items) given.ids.push_back(item.id);
    batches[instance].push_back(given);
    return InstanceHandle::Sent{given.number, items.size()};
  }
  std::optional<InstanceHandle::Running> running(InstanceId instance) override {
    const auto at = now_running.find(instance);
    if (at == now_running.end()) return std::nullopt;
    return at->second;
  }
  // All but what runs.
  std::vector<InstanceHandle::Kept> recall(InstanceId instance) override {
    std::vector<InstanceHandle::Kept> kept;
    const auto running = now_running.find(instance);
    for (Given& given : batches[instance]) {
      const bool at_it = running != now_running.end() && running->second.batch == given.number;
      const std::size_t items = at_it ? running->second.item + std::size_t{1} : given.taken;
      if (items == given.ids.size()) continue;
      given.ids.resize(items);
      kept.push_back({given.number, items});
    }
    std::erase_if(batches[instance], [](const Given& given) { return given.ids.empty(); });
    return kept;
  }
  std::optional<Progress> progress(InstanceId instance) override {
    const auto at = reported.find(instance);
    if (at == reported.end()) return std::nullopt;
    if (progress_read) progress_read();
    return at->second;
  }
  void kill(InstanceId instance, int signal) override { kills.emplace_back(instance, signal); }
  void commit(CommitId id, const store::Commit& call) override { commits.emplace_back(id, call); }
  std::optional<InstanceHandle::Output> output(InstanceId instance) override {
    auto node = printed.extract(instance);
    return node.empty() ? std::nullopt : std::optional(std::move(node.mapped()));
  }
  void meter(const store::Meter& call) override { metered.push_back(call); }
  void read_rows(ReadId id, store::Call call) override { reads.emplace_back(id, std::move(call)); }
  void give_rows(InstanceId instance, std::uint64_t number,
                 const Result<store::Rows>& rows) override {
    given_rows.push_back({instance, number, rows});
  }
  void give_invoked(InstanceId instance, std::uint64_t number,
                    const InvokeAnswer& answer) override {
    given_invoked.push_back({instance, number, answer});
  }
  void answer_caller(CallerId caller, std::uint64_t request, std::string frame) override {
    answered.push_back({caller, request, std::move(frame)});
  }
  void report(const AttemptReport& report) override {
    reports.emplace_back(protocol::to_string(report.row.outcome));
  }
  void print(const OutputLine& line) override {
    lines.push_back(protocol::to_string(line.id) + ": " + std::string{line.text});
  }
  void say_left_out(const LeftOut& more) override { left_out.push_back(more); }
  void warn(std::string_view line) override { warnings.emplace_back(line); }

  std::vector<std::string> frames, reports, lines, warnings;
  std::map<InstanceId, InstanceHandle::Output> printed;  // and not handed out
  std::vector<LeftOut> left_out;
  std::vector<store::Meter> metered;
  std::vector<std::pair<ZygoteId, std::string>> zygotes;
  std::vector<ZygoteId> stopped_zygotes;
  std::string init_printed;  // whichever zygote it is
  std::vector<InstanceId> forked;
  std::map<InstanceId, std::deque<Given>> batches;  // unfinished
  std::map<InstanceId, InstanceHandle::Running> now_running;
  std::map<InstanceId, Progress> reported;
  std::function<void()> progress_read;  // what happens just when progress is read
  std::vector<std::pair<InstanceId, int>> kills;
  std::vector<std::pair<CommitId, store::Commit>> commits;  // not answered yet
  std::vector<std::pair<ReadId, store::Call>> reads;
  struct GivenRows {
    InstanceId instance;
    std::uint64_t number;
    Result<store::Rows> rows;
  };
  std::vector<GivenRows> given_rows;
  struct GivenInvoked {
    InstanceId instance;
    std::uint64_t number;
    InvokeAnswer answer;
  };
  std::vector<GivenInvoked> given_invoked;
  struct Answered {
    CallerId caller;
    std::uint64_t request;
    std::string frame;
  };
  std::vector<Answered> answered;
  bool zygotes_start_at_once = true, forks_refused = false;
  std::optional<Error> run_error;

 private:
  std::uint64_t next_batch_ = 1;
};

// The core, and the words that tests are told in.
class Worker {
 public:
  explicit Worker(CoreOptions options = {.name = "w1", .host = "boot", .pid = 7, .slots = 4}) {
    core.emplace(options, effects, now);
  }

  // Joined, with one function "f".
  static protocol::FunctionSpec function(const std::string& name, const std::string& toml = "",
                                         std::uint64_t generation = 1) {
    return {.name = name,
            .manifest_toml = toml,
            .digest = "d" + std::to_string(generation),
            .generation = generation};
  }
  void join(std::vector<protocol::FunctionSpec> functions = {function("f")}) {
    core->on_connected(now);
    welcome(std::move(functions));
  }
  void welcome(std::vector<protocol::FunctionSpec> functions = {function("f")}) {
    receive(protocol::Welcome{.session = ++session, .epoch = 1, .functions = std::move(functions)});
  }
  void receive(const protocol::Message& message) {
    core->on_frame(protocol::encode(message), now);
    turn();
  }
  void turn() {
    core->tick(now);
    core->flush(now);
  }
  void pass(Duration time, bool broker_is_heard = true) {
    now.steady += time;
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(time);
    if (broker_is_heard && core->joined()) {
      core->on_frame(protocol::encode(protocol::HeartbeatAck{.session = session}), now);
    }
    turn();
  }

  static protocol::Delivery delivery(std::uint64_t entry, std::uint8_t index = 0,
                                     std::uint16_t entry_size = 1, std::uint32_t token = 0x1001) {
    protocol::Delivery d;
    d.id = {{entry, 0}, index};
    d.slot = index;
    d.entry_size = entry_size;
    d.token = {token};
    d.accepted_ms = 1;
    d.packed_event = "event";
    return d;
  }
  void deliver(std::vector<protocol::Delivery> deliveries, const std::string& name = "f") {
    receive(protocol::Deliver{.function = name, .deliveries = std::move(deliveries)});
  }
  // Single deliveries with entries from..to.
  void deliver_entries(std::uint64_t from, std::uint64_t to, const std::string& name = "f") {
    std::vector<protocol::Delivery> all;
    for (std::uint64_t entry = from; entry <= to; ++entry) all.push_back(delivery(entry));
    deliver(std::move(all), name);
  }

  static ItemResult result(const FakeEffects::Given& batch, std::size_t item, TimePoint started,
                           Duration took) {
    ItemResult r;
    r.batch = batch.number;
    r.item = static_cast<std::uint32_t>(item);
    r.output = "out";
    r.started_at = started;
    r.duration = took;
    return r;
  }
  // The instance finishes up to `count` items, one after the other, as `change` says.
  template <typename Change>
  void finish(InstanceId instance, std::size_t count, Duration took, Change change) {
    std::vector<ItemResult> results;
    auto& given = effects.batches[instance];
    const Duration total = took * static_cast<std::int64_t>(count);
    now.steady += total;
    TimePoint started = now.steady - total;
    while (results.size() < count && !given.empty()) {
      auto& batch = given.front();
      results.push_back(result(batch, batch.taken, started, took));
      change(results.back());
      started += took;
      if (++batch.taken == batch.ids.size()) given.pop_front();
    }
    core->on_results(instance, results, now);
    turn();
  }
  void finish(InstanceId instance, std::size_t count = 1, Duration took = 1ms) {
    finish(instance, count, took, [](ItemResult&) {});
  }
  void fail(InstanceId instance) {
    finish(instance, 1, 1ms, [](ItemResult& r) {
      r.outcome = protocol::Outcome::kFunctionError;
      r.failure = {.type = "ValueError", .message = "no", .retryable = true, .retry_after_ms = {}};
    });
  }
  // The instance dies while it runs the next item it has not finished (or, idle, between items).
  void die(InstanceId instance, Ending ending = {.code = CLD_KILLED, .status = SIGSEGV},
           bool while_running = true) {
    Core::End end{
        .ending = ending, .running = {}, .log_tail = "last words", .log_truncated = false};
    auto& given = effects.batches[instance];
    if (while_running && !given.empty()) {
      end.running = {given.front().number, static_cast<std::uint32_t>(given.front().taken),
                     now.steady - 1ms};
    }
    effects.batches.erase(instance);
    core->on_instance_ended(instance, end, now);
    turn();
  }
  std::size_t unfinished(InstanceId instance) {
    std::size_t count = 0;
    for (const auto& batch : effects.batches[instance]) count += batch.ids.size() - batch.taken;
    return count;
  }

  // Redis answers everything outstanding.
  void answer_commits(store::Verdict verdict = store::Verdict::kOk) {
    const auto commits = std::exchange(effects.commits, {});
    for (const auto& [id, call] : commits) {
      std::size_t items = 0;
      for (const auto& group : call.groups) items += group.items.size();
      core->on_commit_answer(id, {std::vector<store::Verdict>(items, verdict)}, now);
    }
    turn();
  }

  // What the core has sent since the last call, decoded; of one kind.
  template <typename M>
  std::vector<M> sent() {
    std::vector<M> found;
    std::vector<std::string> rest;
    for (std::string& frame : effects.frames) {
      auto message = protocol::decode(frame);
      if (message && std::holds_alternative<M>(*message)) {
        found.push_back(std::get<M>(*std::move(message)));
      } else {
        rest.push_back(std::move(frame));
      }
    }
    effects.frames = std::move(rest);
    return found;
  }
  std::vector<protocol::Done::Row> done_rows() {
    std::vector<protocol::Done::Row> rows;
    for (auto& done : sent<protocol::Done>()) {
      done.rows = done.all_rows();
      last_done = done.number;
      for (auto& row : done.rows) rows.push_back(std::move(row));
    }
    return rows;
  }
  void acknowledge() {
    receive(protocol::HeartbeatAck{.session = session, .done_number = last_done});
  }
  // Deliveries of a function that the broker may still send.
  std::uint64_t credit(const std::string& name = "f") {
    for (const auto& message : sent<protocol::Credit>()) {
      for (const auto& row : message.rows) totals[row.function] = row.total;
    }
    return totals[name];
  }

  Now now{TimePoint{} + 1000s, wall_from_ms(1'700'000'000'000)};
  FakeEffects effects;
  std::optional<Core> core;
  std::uint64_t session = 0;
  std::uint64_t last_done = 0;
  std::map<std::string, std::uint64_t> totals;
};

}  // namespace fanfare::worker
