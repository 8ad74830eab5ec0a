#include "tests/simulation/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fanfare::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Duration kSupervision = 1ms;

}  // namespace

Cluster::Cluster(World& world) : world_(world), broker_options_(broker_options()) {
  Random& random = world_.random;
  start_broker();
  const std::size_t workers = 1 + random.below(3);
  for (std::size_t i = 0; i < workers; ++i) {
    workers_.push_back(
        {fmt::format("w{}", i), random.chance(0.6) ? "here" : "elsewhere", {}, false});
  }
  for (auto& place : workers_)
    place.node = std::make_unique<WorkerNode>(world_, place.name, place.host);
  publishers_.resize(1 + random.below(3));
  for (std::size_t i = 0; i < publishers_.size(); ++i) start_publisher(i);
  if (random.chance(0.7)) {
    callers_.push_back(std::make_unique<CallerNode>(world_, "c0", random.between(5ms, 60ms)));
  }
  operator_ = std::make_unique<CallerNode>(world_, "o0", Duration{});
  std::vector<std::string> names;
  for (const auto& place : workers_) names.push_back(place.name);
  const auto lives = [this](const std::string& name) {
    return std::ranges::any_of(workers_, [&](const WorkerPlace& place) {
      return place.name == name && place.node != nullptr;
    });
  };
  control_ = std::make_unique<Operator>(world_, *operator_, std::move(names), lives);
  stranger_ = std::make_unique<StrangerNode>(world_);
  supervise();
}

broker::CoreOptions Cluster::broker_options() {
  Random& random = world_.random;
  broker::CoreOptions options;
  options.lease = random.between(400ms, 1000ms);
  options.heartbeat = random.between(30ms, 100ms);
  options.announce_grace = random.between(50ms, 200ms);
  static constexpr std::size_t kWindows[] = {4, 16, 64, 8192};
  options.window.deliveries_max = kWindows[random.below(4)];
  if (random.chance(0.3)) options.window.bytes_max = 1000 + random.below(20'000);
  options.window.running_times = 1 + random.below(4);
  if (random.chance(0.5)) options.window.shared_bytes_max = random.below(20'000);
  if (random.chance(0.3)) options.window.ahead_max = 1 + random.below(20);
  if (random.chance(0.3)) options.window.ahead_of_one_max = 1 + random.below(5);
  if (random.chance(0.3)) options.window.flows_unread_max = 1 + random.below(5);
  // Batches have hundreds of events: with the first of these they are admitted in many turns.
  static constexpr std::size_t kAdmitted[] = {2, 5, 20, 256};
  options.admitted_at_once = kAdmitted[random.below(4)];
  static constexpr std::uint32_t kPages[] = {1, 3, 16, 256};
  options.later.page_rows = kPages[random.below(4)];
  if (random.chance(0.3)) options.later.rows_max = 64;
  if (random.chance(0.3)) options.later.bytes_max = 100'000 + random.below(200'000);
  static constexpr std::uint64_t kQueues[] = {1, 5, 20, 100};
  if (random.chance(0.2)) options.queue_max = kQueues[random.below(4)];
  world_.history.set_queue_max(options.queue_max);
  if (random.chance(0.2)) options.event_bytes_max = 30'000;
  if (random.chance(0.1)) options.intake_bytes_max = 2000 + random.below(30'000);
  if (world_.doubts && random.chance(0.5))
    options.intake_bytes_max = 50'000 + random.below(500'000);
  if (random.chance(0.3)) options.outbox_max = 1 + random.below(20);
  if (random.chance(0.3)) options.purged_at_once = 1 + random.below(20);
  if (random.chance(0.3)) options.cancellations_max = 1 + random.below(4);
  if (random.chance(0.3)) {
    options.appends_in_flight_max = 1 + static_cast<std::uint32_t>(random.below(4));
  }
  if (random.chance(0.2)) options.invocations_max = 1 + random.below(2);
  if (random.chance(0.2)) options.waits_max = 1 + random.below(2);
  // The store's claims outlive every run: what the broker forgets it has to look up.
  if (random.chance(0.4)) options.dedup_window = random.between(1ms, 100ms);
  if (random.chance(0.4)) options.claims_kept_max = random.below(20);
  static constexpr std::uint32_t kRelayed[] = {1, 2, 8, 64};
  options.relay.calls_per_worker = kRelayed[random.below(4)];
  if (random.chance(0.3)) options.relay.bytes_per_worker = 100 + random.below(2000);
  if (random.chance(0.3)) options.relay.calls_max = 1 + random.below(4);
  options.start_early = random.chance(0.7);
  options.former_lends = broker::Office::kSuccessorWaits;
  auto& protections = options.protections;
  const Mutation planted = world_.mutation;
  protections.acknowledge_after_journal = planted != Mutation::kAcknowledgeBeforeJournal;
  protections.take_back_from_lost_workers = planted != Mutation::kForgetLeases;
  protections.losses_spare_the_budget = planted != Mutation::kLossesUseTheBudget;
  protections.repeat_guard = planted != Mutation::kNoRepeatGuard;
  protections.unique_tokens = planted != Mutation::kOneTokenForAll;
  protections.wait_for_announcements = planted != Mutation::kDoNotWaitForAnnouncements;
  protections.answer_garbage = planted != Mutation::kSilentGarbage;
  protections.check_claims = planted != Mutation::kForgetIds;
  protections.end_before_cutting = planted != Mutation::kCutWithoutEnd;
  protections.empty_outboxes = planted != Mutation::kOutboxesKeepEntries;
  protections.look_at_outboxes = planted != Mutation::kOutboxesForgotten;
  protections.open_circles = planted != Mutation::kCirclesStand;
  protections.bound_queues = planted != Mutation::kUnboundedQueue;
  protections.keep_key_order = planted != Mutation::kKeysUnheeded;
  protections.count_refusals = planted != Mutation::kUncountedRefusal;
  protections.answer_relays_after_redis = planted != Mutation::kRelayAnswersEarly;
  options.later.check_pages = planted != Mutation::kPagesUnchecked;
  return options;
}

void Cluster::start_broker() {
  broker_options_.seed = world_.random.next();
  brokers_.push_back(std::make_unique<BrokerNode>(world_, broker_options_));
}

void Cluster::start_worker(WorkerPlace& place) {
  place.starting = true;
  world_.schedule.after(5ms + world_.random.around(80ms), [this, &place] {
    place.starting = false;
    place.node = std::make_unique<WorkerNode>(world_, place.name, place.host);
  });
}

void Cluster::start_publisher(std::size_t place) {
  publishers_[place] = std::make_unique<PublisherNode>(world_, fmt::format("p{}", place),
                                                       world_.random.between(1ms, 12ms));
}

// Takes away what has ended and starts it again.
void Cluster::supervise() {
  std::erase_if(brokers_, [](const auto& broker) { return broker->ended(); });
  // Also beside one that lives and lost its address to one that died.
  if (!world_.network.somebody_listens() && !broker_starting_) {
    broker_starting_ = true;
    world_.schedule.after(2ms + world_.random.around(40ms), [this] {
      broker_starting_ = false;
      start_broker();
    });
  }
  for (WorkerPlace& place : workers_) {
    if (place.node && place.node->ended()) place.node.reset();
    if (!place.node && !place.starting) start_worker(place);
  }
  world_.schedule.after(kSupervision, [this] { supervise(); });
}

// ---- faults ----

void Cluster::crash_broker() {
  if (brokers_.empty()) return;
  brokers_.erase(brokers_.begin() +
                 static_cast<std::ptrdiff_t>(world_.random.below(brokers_.size())));
}

void Cluster::pause_broker(Duration pause) {
  if (brokers_.empty() || brokers_.back()->paused()) return;
  brokers_.back()->pause();
  world_.schedule.after(pause, [this, number = brokers_.back()->life_number()] {
    for (const auto& broker : std::vector<BrokerNode*>([&] {
           std::vector<BrokerNode*> all;
           for (const auto& one : brokers_) all.push_back(one.get());
           return all;
         }())) {
      if (broker->life_number() == number && broker->paused()) broker->resume();
    }
  });
}

void Cluster::replace_broker(Duration pause) {
  if (brokers_.empty() || brokers_.back()->paused()) return;
  pause_broker(pause);
  start_broker();
}

WorkerNode* Cluster::some_worker() {
  return world_.random.pick(workers_).node.get();
}

void Cluster::crash_worker() {
  world_.random.pick(workers_).node.reset();
}

void Cluster::crash_instance() {
  if (WorkerNode* worker = some_worker()) worker->crash_some_instance();
}

void Cluster::crash_zygote() {
  if (WorkerNode* worker = some_worker()) worker->crash_some_zygote();
}

void Cluster::drain_worker() {
  if (WorkerNode* worker = some_worker()) worker->drain();
}

void Cluster::crash_publisher() {
  const std::size_t place = world_.random.below(publishers_.size());
  world_.trace.say("publisher {} crashes", place);
  start_publisher(place);
}

ClientSocket* Cluster::some_socket() {
  const std::size_t dice = world_.random.below(workers_.size() + publishers_.size() + 1);
  if (dice < workers_.size()) {
    return workers_[dice].node ? &workers_[dice].node->socket() : nullptr;
  }
  if (dice < workers_.size() + publishers_.size()) {
    return &publishers_[dice - workers_.size()]->socket();
  }
  return callers_.empty() ? &operator_->socket() : &callers_.front()->socket();
}

void Cluster::break_connection() {
  ClientSocket* socket = some_socket();
  if (!socket) return;
  world_.trace.say("the connection of {} breaks", socket->name());
  socket->break_connection();
}

void Cluster::cut_off(Duration pause) {
  ClientSocket* socket = some_socket();
  if (!socket) return;
  world_.trace.say("{} is cut off for {:.0f} ms", socket->name(), to_ms(pause));
  socket->cut_off_until(world_.schedule.steady() + pause);
}

void Cluster::step_clock(Duration by) {
  if (brokers_.empty()) return;
  world_.trace.say("the broker's clock steps by {:.0f} ms", to_ms(by));
  brokers_.back()->shift_clock(by);
}

void Cluster::deploy() {
  operator_->deploy(world_.random.below(world_.workload.functions().size()), next_generation_++);
}

void Cluster::redrive() {
  const auto& functions = world_.workload.functions();
  const auto& function = functions[world_.random.below(functions.size())];
  const auto* held = world_.redis.model().find(function.name);
  if (!held || held->dead.empty()) return;
  std::vector<protocol::EntryId> letters;
  for (std::uint64_t n = 1 + world_.random.below(6); n > 0; --n) {
    letters.push_back(held->dead[world_.random.below(held->dead.size())].letter);
  }
  operator_->redrive(function.name, letters);
}

void Cluster::send_garbage() {
  WorkerNode* worker = some_worker();
  PublisherNode& publisher = *world_.random.pick(publishers_);
  switch (world_.random.below(5)) {
    case 0:
      return publisher.send_garbage();
    case 1:
      return publisher.spoil_next();
    case 2:
      if (worker) worker->send_garbage();
      return;
    case 3:
      if (!brokers_.empty()) brokers_.back()->send_garbage();
      return;
    default:
      stranger_->send_garbage();
  }
}

// ---- the end ----

bool Cluster::clients_idle() const {
  return std::all_of(publishers_.begin(), publishers_.end(),
                     [](const auto& publisher) { return publisher->idle(); }) &&
         std::all_of(callers_.begin(), callers_.end(),
                     [](const auto& caller) { return caller->idle(); }) &&
         operator_->idle() && control_->all_free();
}

std::string Cluster::what_brokers_hold() const {
  std::string text;
  for (const auto& broker : brokers_) {
    if (broker->core().epoch() != world_.history.acting_epoch()) continue;
    for (const auto& [name, function] : broker->core().functions()) {
      const bool nothing = function->counts.open == 0 && function->counts.later == 0 &&
                           function->leases.empty() && function->waiting() == 0 &&
                           function->moving.empty() && function->cut.empty() &&
                           function->unwanted.empty() && !function->purge;
      if (nothing) continue;
      std::uint64_t credit = 0;
      for (const auto& line : function->credit) credit += line.available();
      text += fmt::format(
          "{}: counts {} open and {} later, {} lent, {} waiting ({} suspects), {} "
          "moving ({} unwanted), {} cut, {}credit {}; ",
          name, function->counts.open, function->counts.later, function->leases.size(),
          function->waiting(), function->suspects.size(), function->moving.size(),
          function->unwanted.size(), function->cut.size(), function->purge ? "a purge, " : "",
          credit);
    }
    if (text.empty()) continue;
    for (const auto& [id, session] : broker->core().sessions()) {
      text += fmt::format("session {} of {} has {} suspects; ", id.value(), session.hello.name,
                          session.suspects_lent);
    }
  }
  return text;
}

std::string Cluster::what_workers_hold() const {
  std::string text;
  for (const auto& place : workers_) {
    if (!place.node) continue;
    const auto& core = place.node->core();
    text += fmt::format(
        "worker {}: {}joined, {} held, {} instances, {} commits, {} reports, {} questions; ",
        place.node->life_number(), core.joined() ? "" : "not ", core.held(), core.instances(),
        core.commits_in_flight(), core.unacknowledged_done(), place.node->questions());
  }
  return text;
}

}  // namespace fanfare::simulation
