#include "tests/simulation/worker_node.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "protocol/kinds.h"
#include "tests/simulation/garbage.h"

namespace fanfare::simulation {
namespace {

using namespace std::chrono_literals;
using protocol::kKind;
using protocol::Outcome;

// Bounds that real installations meet in floods only.
void tighten(worker::CoreOptions& options, Random& random) {
  const auto now_and_then = [&](auto& bound, std::size_t least, std::size_t below) {
    if (random.chance(0.3)) {
      bound = static_cast<std::remove_reference_t<decltype(bound)>>(least + random.below(below));
    }
  };
  now_and_then(options.held_max, 40, 200);
  now_and_then(options.prefetch_deliveries_max, 1, 50);
  now_and_then(options.prefetch_bytes_max, 1000, 100'000);
  now_and_then(options.uncommitted_max, 1, 50);
  now_and_then(options.uncommitted_bytes_max, 1000, 200'000);
  now_and_then(options.set_aside_max, 1, 5);
  now_and_then(options.batch_bytes_max, 100, 20'000);
  now_and_then(options.commit_deliveries_max, 1, 20);
  now_and_then(options.commit_bytes_max, 1000, 100'000);
  now_and_then(options.commit_calls_max, 1, 4);
  now_and_then(options.forks_per_second, 20, 500);
  now_and_then(options.forks_at_once, 1, 3);
  now_and_then(options.usage_rows_max, 1, 3);
  if (random.chance(0.2)) options.prefetch = random.between(0ms, 20ms);
  if (random.chance(0.2)) options.one_each_from = random.between(0ms, 20ms);
  if (random.chance(0.2)) options.single_from = random.between(0ms, 20ms);
  if (random.chance(0.2)) options.batch_work = random.between(0ms, 20ms);
  if (random.chance(0.2)) options.hold_partial = random.between(0ms, 20ms);
  options.local = random.chance(0.8);
}

worker::CoreOptions options_of(World& world, const std::string& name, const std::string& host,
                               WorkerLife life) {
  worker::CoreOptions options;
  options.name = name;
  options.host = host;
  options.pid = static_cast<std::int32_t>(life);
  options.pid_started = life;
  options.slots = static_cast<std::uint32_t>(2 + world.random.below(3));
  options.reports = worker::CoreOptions::Reports::kFailures;
  options.usage_ttl = 24h;
  options.grace = world.random.between(20ms, 200ms);
  options.kill_grace = 10ms;
  options.init_timeout = 150ms;
  options.max_uses = world.random.chance(0.3) ? 5 : 10'000;
  options.protections.commit_before_done = world.mutation != Mutation::kDoneBeforeCommit;
  options.protections.repeat_commits = world.mutation != Mutation::kForgetCommits;
  options.protections.repeat_done = world.mutation != Mutation::kForgetDone;
  options.protections.announce_held = world.mutation != Mutation::kAnnounceNothing;
  options.protections.wait_for_journal = world.mutation != Mutation::kCommitBeforeJournal;
  options.relayed = world.random.chance(0.4);
  tighten(options, world.random);
  return options;
}

}  // namespace

WorkerNode::WorkerNode(World& world, const std::string& name, const std::string& host)
    : world_(world), name_(name), number_(world.next_worker_life++) {
  world_.living_workers.insert(number_);
  world_.trace.say("worker {} starts as {} on host {}", number_, name_, host);
  core_ = std::make_unique<worker::Core>(options_of(world, name, host, number_), *this, now());
  if (core_->options().relayed) {
    relay_ = std::make_unique<worker::Relay>(
        [this](std::string frame) { socket_->send(std::move(frame)); },
        world.mutation != Mutation::kForgetRelayed);
    broker_store_ = std::make_unique<worker::BrokerStore>(*relay_);
  } else {
    redis_ = std::make_unique<RedisLink>(
        world.redis, world.random.chance(0.5) ? AfterBreak::kTell : AfterBreak::kRepeat);
  }
  socket_ = std::make_unique<ClientSocket>(
      world.network, name,
      ClientSocket::Handlers{.on_connected =
                                 [this] {
                                   world_.worker_peers[socket_->peer()] = {number_, true};
                                   core_->on_connected(now());
                                   wake();
                                 },
                             .on_disconnected =
                                 [this] {
                                   core_->on_disconnected(now());
                                   if (relay_) relay_->on_session(0, {});
                                   wake();
                                 },
                             .on_frame = [this](std::string_view frame) { on_frame(frame); },
                             .on_broken =
                                 [this] {
                                   world_.worker_peers[socket_->peer()].standing = false;
                                   world_.history.on_connection_broken(number_);
                                 }});
  wake();
}

WorkerNode::~WorkerNode() {
  *life_ = false;
  world_.trace.say("worker {} is gone", number_);
  world_.living_workers.erase(number_);
  world_.worker_peers[socket_->peer()].standing = false;
  world_.history.on_worker_died(number_);
}

void WorkerNode::drain() {
  world_.trace.say("worker {} is drained", number_);
  core_->begin_drain(now());
  wake();
}

void WorkerNode::send_garbage() {
  socket_->send(some_garbage(world_.random));
}

void WorkerNode::on_frame(std::string_view frame) {
  if (relay_ && relay_->on_frame(frame, now().steady)) return wake();
  const auto message = protocol::decode(frame);
  const std::uint64_t stale_before = core_->counters().delivered_stale;
  const std::uint64_t malformed_before = core_->counters().frames_malformed;
  core_->on_frame(frame, now());
  const bool stale = core_->counters().delivered_stale > stale_before;
  const bool malformed = core_->counters().frames_malformed > malformed_before;
  if (!message) {
    // What looks like deliveries of a former session is not looked at any further.
    if (!malformed && !stale) {
      world_.history.violate("worker {} did not count what it could not read", number_);
    }
  } else if (malformed) {
    world_.history.violate("worker {} cannot read what the broker sent", number_);
  } else if (const auto* deliver = std::get_if<protocol::Deliver>(&*message); deliver && !stale) {
    world_.history.on_received(number_, *deliver);
  }
  wake();
}

void WorkerNode::wake() {
  if (std::exchange(woken_, true)) return;
  after(world_.random.around(10us), [this] {
    woken_ = false;
    turn();
  });
}

void WorkerNode::turn() {
  if (ended_) return;
  if (relay_) relay_->tick(now().steady);
  core_->tick(now());
  core_->flush(now());
  if (relay_) {
    relay_->on_session(core_->session(), core_->relay_terms());
    relay_->flush(now().steady);
  }
  check_limits();
  check_counters();
  if (core_->finished()) {
    world_.trace.say("worker {} has left", number_);
    ended_ = true;
    return;
  }
  Duration pause = core_->until_next_tick(now());
  if (relay_) {
    const TimePoint at = now().steady;
    pause = std::clamp(relay_->next_tick(), at, at + pause) - at;
  }
  pause = std::max<Duration>(50us, pause);
  after(pause, [this, tick = ++tick_] {
    if (tick == tick_) turn();
  });
}

// What came has ended in one of the ways that are counted, once nothing is here any more.
void WorkerNode::check_counters() {
  if (core_->held() > 0) return;
  const worker::Counters& c = core_->counters();
  if (c.delivered != c.attempts_ok + c.attempts_failed + c.attempts_drained + c.attempts_throttled +
                         c.attempts_cancelled) {
    world_.history.violate(
        "worker {} counts {} deliveries, {} ok, {} failed, {} handed back, {} cancelled", number_,
        c.delivered, c.attempts_ok, c.attempts_failed, c.attempts_drained + c.attempts_throttled,
        c.attempts_cancelled);
  }
}

// What is not forked yet takes no room.
void WorkerNode::check_limits() {
  std::array<std::size_t, kFunctionsMax> of_function{};
  std::size_t all = 0;
  for (const auto& [id, instance] : instances_) {
    if (instance.pid == 0) continue;
    if (id != core_->express()) ++all;
    ++of_function[instance.function];
  }
  if (all > core_->options().slots) {
    world_.history.violate("worker {} runs {} instances in {} slots", number_, all,
                           core_->options().slots);
  }
  for (std::size_t i = 0; i < world_.workload.functions().size(); ++i) {
    const auto& function = world_.workload.functions()[i];
    if (function.max_concurrency > 0 && of_function[i] > function.max_concurrency) {
      world_.history.violate("worker {} has {} instances of {}; max_concurrency is {}", number_,
                             of_function[i], function.name, function.max_concurrency);
    }
  }
}

// ---- effects: the broker and Redis ----

void WorkerNode::send(std::string frame) {
  if (protocol::peek_kind(frame) == kKind<protocol::Done>.number) {
    const auto message = protocol::decode(frame);
    world_.history.on_done_sent(number_, std::get<protocol::Done>(message.value()));
  }
  socket_->send(std::move(frame));
}

void WorkerNode::call(store::Call call, std::function<void(Result<store::Answer>)> done) {
  if (broker_store_) return broker_store_->call(std::move(call), std::move(done));
  redis_->call(std::move(call), std::move(done));
}

void WorkerNode::commit(worker::CommitId id, const store::Commit& commit) {
  call(commit, [this, id](Result<store::Answer> answer) {
    if (answer) {
      core_->on_commit_answer(id, std::get<store::Committed>(*answer), now());
    } else {
      core_->on_commit_failed(id, answer.error(), now());
    }
    wake();
  });
}

void WorkerNode::meter(const store::Meter& usage) {
  const auto& counters = core_->counters();
  world_.history.on_usage_told(
      usage.worker, counters.attempts_ok + counters.attempts_failed + counters.attempts_cancelled);
  call(usage, [this](const Result<store::Answer>& answer) {
    if (answer) {
      core_->on_meter_answer(now());
    } else {
      core_->on_meter_failed(answer.error(), now());
    }
    wake();
  });
}

void WorkerNode::read_rows(worker::ReadId id, store::Call reading) {
  call(std::move(reading), [this, id](Result<store::Answer> answer) {
    core_->on_rows(id, std::move(answer), now());
    wake();
  });
}

void WorkerNode::report(const worker::AttemptReport& report) {
  world_.trace.say("worker {}: {} attempt {} of {}", number_,
                   protocol::to_string(report.row.outcome), report.row.number,
                   protocol::to_string(report.id));
}

void WorkerNode::warn(std::string_view line) {
  world_.trace.say("worker {} warns: {}", number_, line);
}

// ---- effects: zygotes ----

bool WorkerNode::start_zygote(worker::ZygoteId zygote, const protocol::FunctionSpec& spec,
                              const protocol::Manifest&) {
  zygotes_[zygote] = {world_.workload.find(spec.name).value(), false};
  const bool package_is_here = world_.random.chance(0.7);
  if (package_is_here) {
    prepare_zygote(zygote);
  } else {
    after(world_.random.around(2ms), [this, zygote] {
      if (!zygotes_.contains(zygote)) return;
      core_->on_zygote_started(zygote, now());
      prepare_zygote(zygote);
      wake();
    });
  }
  return package_is_here;
}

void WorkerNode::prepare_zygote(worker::ZygoteId zygote) {
  const bool fails = world_.random.chance(world_.mishaps.zygote_fails);
  if (world_.random.chance(world_.mishaps.zygote_hangs)) return;
  after(200us + world_.random.around(2ms), [this, zygote, fails] {
    const auto at = zygotes_.find(zygote);
    if (at == zygotes_.end()) return;
    if (!fails) {
      at->second.ready = true;
      core_->on_zygote_ready(zygote, now());
      return wake();
    }
    zygotes_.erase(at);
    std::erase_if(instances_, [&](const auto& one) {
      return one.second.zygote == zygote && one.second.pid == 0;
    });
    core_->on_zygote_failed(
        zygote, {.type = "InitFailed", .message = "as chance had it", .retryable = true}, {},
        now());
    wake();
  });
}

void WorkerNode::stop_zygote(worker::ZygoteId zygote) {
  zygotes_.erase(zygote);
  // What it had not forked yet it never will.
  for (auto& [id, instance] : instances_) {
    if (instance.zygote != zygote || instance.pid != 0) continue;
    after(100us, [this, id] {
      if (instances_.erase(id) == 0) return;
      core_->on_fork_failed(id, "its zygote was stopped", now());
      wake();
    });
  }
}

void WorkerNode::crash_some_zygote() {
  if (zygotes_.empty()) return;
  auto at = zygotes_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(world_.random.below(zygotes_.size())));
  if (!at->second.ready) return;
  const worker::ZygoteId zygote = at->first;
  world_.trace.say("worker {}: a zygote dies", number_);
  zygotes_.erase(at);
  std::erase_if(instances_, [&](const auto& one) {
    return one.second.zygote == zygote && one.second.pid == 0;
  });
  core_->on_zygote_gone(zygote, now());
  wake();
}

// ---- effects: instances ----

WorkerNode::Instance* WorkerNode::find(worker::InstanceId id) {
  const auto at = instances_.find(id);
  return at == instances_.end() ? nullptr : &at->second;
}

bool WorkerNode::fork(worker::ZygoteId zygote, worker::InstanceId id) {
  const auto at = zygotes_.find(zygote);
  if (at == zygotes_.end() || world_.random.chance(0.02)) return false;
  Instance& instance = instances_[id];
  instance.id = id;
  instance.zygote = zygote;
  instance.function = at->second.function;
  after(100us + world_.random.around(200us), [this, id] { come_alive(id); });
  return true;
}

void WorkerNode::come_alive(worker::InstanceId id) {
  Instance* instance = find(id);
  if (!instance || instance->pid != 0) return;
  const auto zygote = zygotes_.find(instance->zygote);
  if (zygote == zygotes_.end()) return;  // its end has been told
  if (!zygote->second.ready) return after(500us, [this, id] { come_alive(id); });
  if (world_.random.chance(world_.mishaps.fork_fails)) {
    instances_.erase(id);
    core_->on_fork_failed(id, "as chance had it", now());
    return wake();
  }
  instance->pid = next_pid_++;
  core_->on_instance_started(id, instance->pid, now());
  if ((instance = find(id))) begin_next(*instance);
  wake();
}

Result<worker::InstanceHandle::Sent> WorkerNode::run(worker::InstanceId id,
                                                     std::span<const worker::Item> items) {
  Instance* instance = find(id);
  if (!instance || instance->dying) return reconnect("the instance is gone");
  if (instance->open.size() >= 2) return retry_later("two batches are open");
  const std::size_t taken =
      world_.random.chance(0.9) ? items.size() : 1 + world_.random.below(items.size());
  const std::uint64_t batch = instance->next_batch++;
  for (std::size_t i = 0; i < taken; ++i) {
    instance->work.push_back({batch, static_cast<std::uint32_t>(i), items[i].id, items[i].attempt,
                              script_of(items[i].packed_event), items[i].together});
  }
  instance->open.emplace_back(batch, taken);
  if (instance->pid != 0 && !instance->running) {
    after(20us, [this, id] {
      if (Instance* idle = find(id); idle && !idle->running) begin_next(*idle);
    });
  }
  return worker::InstanceHandle::Sent{batch, taken};
}

std::optional<worker::InstanceHandle::Running> WorkerNode::running(worker::InstanceId id) {
  const Instance* instance = find(id);
  return instance ? instance->running : std::nullopt;
}

std::vector<worker::InstanceHandle::Kept> WorkerNode::recall(worker::InstanceId id) {
  Instance* instance = find(id);
  if (!instance) return {};
  std::map<std::uint64_t, std::size_t> kept;
  const std::size_t begun = instance->running ? 1 : 0;
  while (instance->work.size() > begun) {
    const Work& last = instance->work.back();
    kept[last.batch] = last.item;
    const auto open = std::ranges::find(instance->open, last.batch,
                                        &std::pair<std::uint64_t, std::size_t>::first);
    if (--open->second == 0) instance->open.erase(open);
    instance->work.pop_back();
  }
  std::vector<worker::InstanceHandle::Kept> answer;
  for (const auto& [batch, items] : kept) answer.push_back({batch, items});
  return answer;
}

// Of every other item, as its number has it.
std::optional<worker::Progress> WorkerNode::progress(worker::InstanceId id) {
  const Instance* instance = find(id);
  if (!instance || !instance->running || instance->running->item % 2 == 0) return std::nullopt;
  return worker::Progress{.fraction = 0.5, .note = "half way"};
}

void WorkerNode::kill(worker::InstanceId id, int signal) {
  Instance* instance = find(id);
  if (!instance || instance->pid == 0) return;
  // A function may ignore SIGTERM while it runs, or use its last moments well.
  if (signal == SIGTERM && instance->running && world_.random.chance(0.3)) return;
  after(world_.random.around(200us), [this, id, signal] { die(id, CLD_KILLED, signal); });
}

void WorkerNode::crash_some_instance() {
  if (instances_.empty()) return;
  auto at = instances_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(world_.random.below(instances_.size())));
  if (at->second.pid != 0) die(at->first, CLD_KILLED, SIGKILL);
}

void WorkerNode::begin_next(Instance& instance) {
  if (instance.dying || instance.running || instance.work.empty()) return;
  const Work work = instance.work.front();
  const DeliveryKey key{instance.function, work.id};
  const worker::InstanceId id = instance.id;
  instance.running = {work.batch, work.item, now().steady};
  if (!is_invocation(work.id)) world_.history.on_execution(number_, key, work.attempt);

  const Duration service = std::chrono::microseconds{work.script.service_us};
  const bool misbehaves = work.attempt <= work.script.times;
  if (work.script.behaviour == Behaviour::kHang && misbehaves) return;
  if (work.script.behaviour == Behaviour::kPoison && !is_invocation(work.id) &&
      world_.poisoned[key] < work.script.times) {
    ++world_.poisoned[key];
    return after(service, [this] {
      world_.trace.say("a function kills worker {}", number_);
      world_.last_fault = world_.schedule.steady();
      ended_ = true;
    });
  }
  if (work.script.behaviour == Behaviour::kCrash && misbehaves) {
    return after(service, [this, id, work] {
      const Instance* there = find(id);
      if (there && there->running && there->running->batch == work.batch &&
          there->running->item == work.item) {
        die(id, CLD_DUMPED, SIGSEGV);
      }
    });
  }
  after(service, [this, id, work] { finish_item(id, work.batch, work.item); });
}

void WorkerNode::note_failure(const Instance& instance, const Work& work) {
  if (!is_invocation(work.id)) {
    world_.history.on_instance_failure(number_, {instance.function, work.id});
  }
}

worker::ItemResult WorkerNode::result_of(const Instance& instance, const Work& work) {
  worker::ItemResult result;
  result.batch = work.batch;
  result.item = work.item;
  result.started_at = instance.running->started_at;
  result.duration = now().steady - result.started_at;
  if (work.script.prints) result.log_tail = "a line\n";
  const bool refuses = work.script.behaviour == Behaviour::kRefuse;
  if (refuses || (work.script.behaviour == Behaviour::kFail && work.attempt <= work.script.times)) {
    note_failure(instance, work);
    result.outcome = Outcome::kFunctionError;
    result.failure = {.type = "Asked", .message = "as the event said", .retryable = !refuses};
    return result;
  }
  result.output = "output of attempt " + std::to_string(work.attempt) + " at " + name_;
  if (work.script.behaviour == Behaviour::kOversize) {
    note_failure(instance, work);
    result.output.resize(5000, '.');
  }
  if (world_.workload.functions()[instance.function].keeps_count && !is_invocation(work.id)) {
    std::string packed;
    protocol::append_write(packed, {protocol::RowWrite::Kind::kIncrement, kCountRow, "1", 0});
    result.asked.push_back({worker::Asked::Kind::kWriteRows, std::move(packed)});
  }
  return result;
}

void WorkerNode::finish_item(worker::InstanceId id, std::uint64_t batch, std::uint32_t item) {
  Instance* instance = find(id);
  if (!instance || instance->dying || !instance->running || instance->running->batch != batch ||
      instance->running->item != item) {
    return;
  }
  instance->finished.push_back(result_of(*instance, instance->work.front()));
  instance->work.pop_front();
  instance->running.reset();
  if (!std::exchange(instance->told, true)) {
    after(world_.random.around(30us), [this, id] {
      if (Instance* there = find(id)) hand_in(*there);
      wake();
    });
  }
  begin_next(*instance);
}

void WorkerNode::hand_in(Instance& instance) {
  instance.told = false;
  std::vector<worker::ItemResult> results = std::exchange(instance.finished, {});
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (--instance.open.front().second == 0) instance.open.pop_front();
  }
  core_->on_results(instance.id, results, now());
}

void WorkerNode::die(worker::InstanceId id, int code, int status) {
  Instance* instance = find(id);
  if (!instance || instance->dying) return;
  instance->dying = true;
  if (!instance->finished.empty()) hand_in(*instance);
  if (!(instance = find(id))) return;
  worker::Core::End end;
  end.ending.code = code;
  end.ending.status = status;
  end.running = instance->running;
  if (end.running) note_failure(*instance, instance->work.front());
  for (std::size_t i = 1; end.running && i < instance->work.size(); ++i) {
    const Work& work = instance->work[i];
    if (work.together && work.batch == end.running->batch) note_failure(*instance, work);
  }
  instances_.erase(id);
  core_->on_instance_ended(id, std::move(end), now());
  wake();
}

}  // namespace fanfare::simulation
