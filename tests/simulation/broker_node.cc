#include "tests/simulation/broker_node.h"

#include <utility>
#include <vector>

#include "protocol/kinds.h"
#include "tests/simulation/garbage.h"

namespace fanfare::simulation {
namespace {

using namespace std::chrono_literals;
using protocol::kKind;

}  // namespace

BrokerNode::BrokerNode(World& world, broker::CoreOptions options)
    : world_(world),
      number_(world.next_broker_life++),
      core_(std::make_unique<broker::Core>(std::move(options), now())),
      redis_(std::make_unique<RedisLink>(world.redis, AfterBreak::kRepeat)),
      relay_redis_(std::make_unique<RedisLink>(world.redis, AfterBreak::kRepeat)),
      socket_(std::make_unique<ServerSocket>(
          world.network, ServerSocket::Handlers{
                             .on_frame = [this](const std::string& peer,
                                                std::string_view frame) { on_frame(peer, frame); },
                             .on_peer_gone =
                                 [this](const std::string& peer) {
                                   core_->on_peer_gone(peer, now());
                                   wake();
                                 }})) {
  world_.trace.say("broker {} starts", number_);
  wake();
  arm_tick();
}

BrokerNode::~BrokerNode() {
  *life_ = false;
  world_.trace.say("broker {} is gone", number_);
}

void BrokerNode::pause() {
  world_.trace.say("broker {} stands still", number_);
  paused_ = true;
  socket_->pause();
  redis_->pause();
  relay_redis_->pause();
}

void BrokerNode::resume() {
  world_.trace.say("broker {} goes on", number_);
  paused_ = false;
  socket_->resume();
  redis_->resume();
  relay_redis_->resume();
  wake();
  arm_tick();
}

void BrokerNode::on_frame(const std::string& peer, std::string_view frame) {
  const auto worker = world_.worker_peers.find(peer);
  const auto knows_peer = [&] {
    for (const auto& [id, session] : core_->sessions()) {
      if (session.peer == peer) return true;
    }
    return false;
  };
  const bool known = knows_peer();
  const std::optional<protocol::Message> message = note_frame(peer, frame);
  core_->on_frame(peer, frame, now());
  wake();
  if (!message || worker == world_.worker_peers.end()) return;

  if (const auto* hello = std::get_if<protocol::Hello>(&*message); hello && knows_peer()) {
    world_.trace.say("broker {} hears hello of worker {}, which holds {}", number_,
                     worker->second.life, hello->held.size());
    world_.history.on_hello_taken(number_, worker->second.life, *hello,
                                  core_->options().announce_grace);
  } else if (const auto* done = std::get_if<protocol::Done>(&*message); done && known) {
    world_.history.on_done_taken(*done);
  } else if (std::holds_alternative<protocol::Bye>(*message) && known) {
    world_.history.on_worker_given_up(number_, worker->second.life, false);
  }
}

// What it says, unless it is a batch.
std::optional<protocol::Message> BrokerNode::note_frame(const std::string& peer,
                                                        std::string_view frame) {
  if (protocol::peek_kind(frame) == kKind<protocol::Publish>.number) {
    const auto publish = protocol::view_publish(frame);
    publish ? book_.on_publish(peer, *publish) : book_.on_unreadable(peer);
    return std::nullopt;
  }
  auto message = protocol::decode(frame);
  if (message) return *std::move(message);
  book_.on_unreadable(peer);
  return std::nullopt;
}

void BrokerNode::send_garbage() {
  const auto& sessions = core_->sessions();
  if (paused_ || sessions.empty()) return;
  auto at = sessions.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(world_.random.below(sessions.size())));
  socket_->send(at->second.peer, some_garbage(world_.random));
}

// ---- the turn ----

void BrokerNode::wake() {
  if (std::exchange(woken_, true)) return;
  // What arrives in the meantime is handled in the same turn.
  world_.schedule.after(world_.random.around(30us), life_, [this] {
    woken_ = false;
    turn();
  });
}

void BrokerNode::on_tick() {
  if (paused_) return;
  const Now at = now();
  for (const auto& [id, session] : core_->sessions()) {
    if (at.steady - session.heard < core_->options().lease) continue;
    world_.history.on_worker_given_up(number_, static_cast<WorkerLife>(session.hello.pid), true);
  }
  core_->tick(at);
  wake();
}

void BrokerNode::arm_tick() {
  const Duration pause = core_->wants_turn()
                             ? Duration{1us}
                             : std::max<Duration>(100us, core_->until_next_tick(now()));
  world_.schedule.after(pause, life_, [this, tick = ++tick_] {
    if (tick == tick_) on_tick();
  });
}

void BrokerNode::turn() {
  if (paused_ || ended_) return;
  core_->flush(now());
  carry_out();
  if (!began_ && core_->epoch() != 0) {
    began_ = true;
    world_.history.on_began(number_, core_->epoch());
  }
  if (core_->ended()) {
    ended_ = true;
    world_.trace.say("broker {} ends: {}", number_, core_->ended()->message);
    return;
  }
  if (const std::size_t forgotten = core_->batches_forgotten(); forgotten > 0) {
    world_.history.violate("broker {} has forgotten {} batches", number_, forgotten);
  }
  arm_tick();
}

void BrokerNode::carry_out() {
  for (auto& out : core_->take_frames()) {
    inspect(out);
    book_.on_sent(out.peer, out.frame);
    socket_->send(out.peer, std::move(out.frame));
  }
  check_counters();
  for (auto& out : core_->take_calls()) {
    std::optional<store::Recall> recall;
    if (const auto* asked = std::get_if<store::Recall>(&out.call)) {
      recall = *asked;
      book_.on_recall();
    }
    auto answered = [this, ticket = out.ticket,
                     recall = std::move(recall)](Result<store::Answer> answer) {
      if (recall) book_.on_recalled(*recall, answer);
      core_->on_answer(ticket, std::move(answer), now());
      wake();
    };
    redis_->call(std::move(out.call), std::move(answered));
  }
  relay();
  watch_joined();
}

void BrokerNode::relay() {
  for (auto& out : core_->take_relayed()) {
    relay_redis_->call(std::move(out.call),
                       [this, ticket = out.ticket](Result<store::Answer> answer) {
                         core_->on_relay_answer(ticket, std::move(answer));
                         wake();
                       });
  }
}

void BrokerNode::check_counters() {
  std::size_t callers = 0;
  for (const auto& [name, function] : core_->functions()) callers += function->callers.size();
  const std::string complaint =
      book_.check(core_->counters(), {.callers = callers, .ended = core_->ended().has_value()});
  if (!complaint.empty()) world_.history.violate("broker {}: {}", number_, complaint);
}

void BrokerNode::inspect(const broker::OutgoingFrame& out) {
  const std::uint8_t kind = protocol::peek_kind(out.frame);
  if (kind == kKind<protocol::Published>.number) {
    const auto message = protocol::decode(out.frame);
    world_.history.on_acknowledged(std::get<protocol::Published>(message.value()));
  } else if (kind == kKind<protocol::Deliver>.number) {
    const auto message = protocol::decode(out.frame);
    const auto& deliver = std::get<protocol::Deliver>(message.value());
    const auto worker = world_.worker_peers.find(out.peer);
    if (worker == world_.worker_peers.end()) {
      return world_.history.violate("broker {} lends to a peer that is no worker", number_);
    }
    world_.trace.say("broker {} lends {} of {} to worker {}, first {} token {:x}", number_,
                     deliver.deliveries.size(), deliver.function, worker->second.life,
                     protocol::to_string(deliver.deliveries.front().id),
                     deliver.deliveries.front().token.value);
    world_.history.on_lent(number_, worker->second.life, latest_wall_ms(), deliver,
                           worker->second.standing);
  }
}

// A worker on this machine is watched by its pidfd; those elsewhere are missed by their lease.
void BrokerNode::watch_joined() {
  for (const broker::Session& session : core_->take_joined()) {
    if (session.hello.host != "here") continue;
    const auto watch = [this, id = session.id, pid = session.hello.pid](auto& again) -> void {
      if (!core_->sessions().contains(id)) return;
      if (!paused_ && !world_.living_workers.contains(static_cast<WorkerLife>(pid))) {
        core_->on_worker_died(id, now());
        return wake();
      }
      world_.schedule.after(3ms, life_, [again] { again(again); });
    };
    watch(watch);
  }
}

}  // namespace fanfare::simulation
