// The broker as seen from the worker: greeting, functions, credit, reports.
#include <signal.h>

#include <algorithm>
#include <type_traits>

#include "protocol/deliver_view.h"
#include "protocol/kinds.h"
#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr Duration kGreetAgain = std::chrono::seconds{5};           // no Welcome came
constexpr Duration kGreetRefused = std::chrono::milliseconds{100};  // the broker is starting
constexpr int kSilentHeartbeats = 4;                                // then the session is in doubt
constexpr std::size_t kDoneRowsMax = 4096;
constexpr std::size_t kDoneBytesMax = 4u << 20;
constexpr std::size_t kHeldInHelloMax = 65'000;  // the protocol's arrays end at 65,536

}  // namespace

void Core::on_connected(Now now) {
  greet(now);
}

void Core::on_disconnected(Now now) {
  link_ = Link::kDown;
  session_ = 0;
  disown_awaited(now);
  lose_invoking("the connection to the broker broke; whether the function ran is unknown");
}

// Says Hello and names what is held, so that a new session continues the old one.
void Core::greet(Now now) {
  link_ = Link::kGreeting;
  session_ = 0;
  disown_awaited(now);
  greet_again_at_ = now.steady + kGreetAgain;
  due(greet_again_at_);
  protocol::Hello hello{.name = options_.name,
                        .host = options_.host,
                        .pid = options_.pid,
                        .pid_started = options_.pid_started,
                        .slots = options_.slots,
                        .held = {},
                        .state = state(),
                        .relayed = options_.relayed,
                        .prepares = {"native"},
                        .version = FANFARE_VERSION,
                        .early = true,
                        .local = options_.local};
  if (options_.protections.announce_held) hello.held = everything_held();
  effects_.send(protocol::encode(hello));
  options_.failpoint("worker.hello.sent");
}

std::vector<protocol::HeldDelivery> Core::everything_held() const {
  std::vector<protocol::HeldDelivery> held;
  const auto add = [&held](const std::string& function, const protocol::EventId& id,
                           protocol::AttemptToken token) {
    if (held.size() < kHeldInHelloMax) held.push_back({function, id, token});
  };
  for (const Held& one : pool_.all()) {
    if (one.function && one.local == 0 && !is_disowned(one))
      add(one.function->spec.name, one.id, one.token);
  }
  for (const auto& row : protocol::Done{0, done_rows_, done_committed_, {}}.all_rows()) {
    add(row.function, row.id, row.token);
  }
  for (const SentDone& sent : sent_done_) {
    const auto message = protocol::decode(sent.frame);
    for (const auto& row : std::get<protocol::Done>(message.value()).all_rows()) {
      add(row.function, row.id, row.token);
    }
  }
  return held;
}

void Core::on_frame(std::string_view frame, Now now) {
  if (link_ == Link::kJoined) {
    greet_again_at_ = now.steady + std::max<Duration>(kGreetAgain, heartbeat_ * kSilentHeartbeats);
  }
  if (protocol::peek_kind(frame) == protocol::kKind<protocol::Deliver>.number)
    return on_deliver(frame, now);
  auto message = protocol::decode(frame);
  if (!message) {
    ++counters_.frames_malformed;
    return effects_.warn("the broker sent what cannot be read: " + message.error().message);
  }
  std::visit(
      [&](auto& m) {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, protocol::Welcome>) {
          join(std::move(m), now);
        } else if constexpr (std::is_same_v<M, protocol::Functions>) {
          on_functions(std::move(m.functions), now);
        } else if constexpr (std::is_same_v<M, protocol::HeartbeatAck>) {
          on_heartbeat_ack(m);
        } else if constexpr (std::is_same_v<M, protocol::Reset>) {
          greet(now);
        } else if constexpr (std::is_same_v<M, protocol::Cancel>) {
          on_cancel(m, now);
        } else if constexpr (std::is_same_v<M, protocol::Prepare>) {
          on_prepare(std::move(m), now);
        } else if constexpr (std::is_same_v<M, protocol::Journaled>) {
          on_journaled(m, now);
        } else if constexpr (std::is_same_v<M, protocol::Local>) {
          on_local(m);
        } else if constexpr (std::is_same_v<M, protocol::Quiet>) {
          set_quiet(m.quiet, now);
        } else if constexpr (std::is_same_v<M, protocol::Invoked>) {
          on_invoked(m);
        } else if constexpr (std::is_same_v<M, protocol::Refused>) {
          if (on_invoke_refused(m)) return;
          ++counters_.refused_by_broker;
          if (link_ == Link::kGreeting) {
            greet_again_at_ = now.steady + kGreetRefused;
            due(greet_again_at_);
          }
          effects_.warn("the broker refused: " + m.message);
        } else {
          ++counters_.frames_malformed;
          effects_.warn("the broker sent a message that is not for workers");
        }
      },
      *message);
}

void Core::on_not_one_frame() {
  ++counters_.frames_malformed;
  effects_.warn("the broker sent something that is not one frame");
}

void Core::join(protocol::Welcome welcome, Now now) {
  link_ = Link::kJoined;
  session_ = welcome.session;
  epoch_ = welcome.epoch;
  forbid_local();
  packs_results_ = welcome.layout >= 2;
  relay_terms_ = {welcome.relay_calls, welcome.relay_bytes};
  heartbeat_ =
      std::chrono::milliseconds{std::clamp<std::uint32_t>(welcome.heartbeat_ms, 10, 60'000)};
  next_heartbeat_ = now.steady + heartbeat_;
  greet_again_at_ = now.steady + std::max<Duration>(kGreetAgain, heartbeat_ * kSilentHeartbeats);
  due(next_heartbeat_);
  delivers_ = 0;
  credit_open_ = 0;
  for (auto& [name, function] : functions_) {
    function->received = function->credit_total = 0;
    function->credit_promised = function->credit_beside = 0;
    function->told_credit = false;
    touch(*function);
  }
  on_functions(std::move(welcome.functions), now);
  drop_candidates();  // this broker may know nothing of them; if it does it asks again
  if (!options_.protections.repeat_done) {
    sent_done_.clear();
    sent_rows_ = 0;
  }
  for (const SentDone& sent : sent_done_) effects_.send(sent.frame);
  route_those_left(now);
  options_.failpoint("worker.session.joined");
}

void Core::on_functions(std::vector<protocol::FunctionSpec> specs, Now now) {
  for (auto& [name, function] : functions_) function->removed = true;
  for (auto& spec : specs) {
    auto& slot = functions_[spec.name];
    if (!slot) slot = std::make_unique<Function>();
    Function& function = *slot;
    function.removed = false;
    touch(function);
    if (function.spec.generation == spec.generation && function.spec.digest == spec.digest &&
        function.spec.manifest_toml == spec.manifest_toml) {
      settle_candidate(function, now);
      continue;
    }
    function.spec = std::move(spec);
    function.local = false;  // until the broker says so of this one
    auto manifest =
        protocol::parse_manifest(function.spec.manifest_toml, "function.toml", function.spec.name);
    function.refusal.clear();
    if (!manifest) {
      function.refusal = manifest.error().message;
    } else if (manifest->runtime != "native") {
      function.refusal = "runtime \"" + manifest->runtime + "\" is not one that this worker has";
    }
    if (!function.refusal.empty()) {
      effects_.warn("function " + function.spec.name + " cannot run here: " + function.refusal);
    } else {
      function.manifest = *std::move(manifest);
    }
    end_zygote(function, now);
    adopt_candidate(function, now);
    forget_failures(function);
    function.service_is_former = function.service_ns > 0;
  }
  usable_ = 0;
  for (auto& [name, function] : functions_) {
    if (function->usable()) ++usable_;
    if (function->removed) {
      end_zygote(*function, now);
      touch(*function);
    }
    const std::vector<Instance*> instances = function->instances;
    for (Instance* instance : instances) {
      if (function->removed || instance->generation != function->spec.generation) {
        if (!instance->retiring) ++counters_.instances_recycled;
        replace(*instance, now);
      }
    }
  }
}

// Its generation is not the present one, or its function is gone: it finishes what it is at. What
// it has not begun runs on the new one.
void Core::replace(Instance& instance, Now now) {
  if (!options_.protections.let_old_finish) {
    effects_.kill(instance.id, SIGKILL);
    instance.told_to_end = true;
  }
  retire(instance, now);
  if (instance.idle() || instance.told_to_end || !instance.started) return;
  if (instance.batches[0].together) return;
  take_back_waiting(instance, now);
  if (instance.idle()) stop(instance, StopReason::kNone, now);  // it had begun nothing
}

// An invocation waits for nobody. What may have ended the process that ran it, alone or with
// others, is found out by itself, so that it does not take others along again.
bool Core::goes_alone(const Held& held) {
  if (held.origin == protocol::Origin::kInvoke) return true;
  if (held.packed_ledger.empty()) return false;
  const auto rows = protocol::unpack_ledger(held.packed_ledger);
  if (!rows) return false;
  const auto last = std::find_if(rows->rbegin(), rows->rend(), [](const auto& row) {
    return row.outcome != protocol::Outcome::kDrained &&
           row.outcome != protocol::Outcome::kThrottled;  // it did not run then
  });
  if (last == rows->rend()) return false;
  switch (last->outcome) {
    case protocol::Outcome::kCrashed:
    case protocol::Outcome::kTimeout:
    case protocol::Outcome::kOutOfMemory:
    case protocol::Outcome::kWorkerLost:
      return true;
    default:
      return false;
  }
}

void Core::on_deliver(std::string_view bytes, Now now) {
  if (link_ != Link::kJoined) {
    ++counters_.delivered_stale;
    return;
  }
  Frame& frame = frame_pool_.take();
  frame.bytes.assign(bytes);
  frame.users = 1;
  const auto view = protocol::view_deliver(frame.bytes);
  if (!view) {
    frame_pool_.give_back(frame);
    ++counters_.frames_malformed;
    return effects_.warn("the broker sent deliveries that cannot be read: " + view.error().message);
  }
  ++delivers_;
  Function* function = find(view->function);
  if (!function) {
    function = functions_.emplace(view->function, std::make_unique<Function>()).first->second.get();
    function->spec.name = view->function;
    function->removed = true;
  }
  if (function->removed) counters_.delivered_unknown += view->deliveries.size();
  touch(*function);
  note_work(*function);
  function->received += view->deliveries.size();
  credit_open_ -= std::min(credit_open_, view->deliveries.size());
  counters_.delivered += view->deliveries.size();
  std::size_t event_bytes = 0;
  Held* before = nullptr;
  for (const protocol::DeliveryView& delivery : view->deliveries) {
    Held& held = pool_.take();
    held.id = delivery.id;
    held.token = delivery.token;
    held.lane = delivery.lane;
    held.entry_size = delivery.entry_size;
    held.slot = delivery.slot;
    held.origin = delivery.origin;
    held.returns = 0;
    held.cancelled = false;
    held.attempt = delivery.attempt;
    held.accepted_ms = delivery.accepted_ms;
    held.packed_event = delivery.packed_event;
    held.packed_ledger = delivery.packed_ledger;
    held.nested = delivery.origin == protocol::Origin::kInvoke && is_nested(delivery.packed_event);
    if (held.nested && function->credit_beside > 0) --function->credit_beside;
    held.local = 0;
    held.alone = function->gathers() && goes_alone(held);
    held.arrived = now.steady;
    options_.tracepoint(protocol::Hop::kReceived, held.id.entry);
    held.function = function;
    held.frame = &frame;
    ++frame.users;
    event_bytes += delivery.packed_event.size();
    if (before && before->entry && before->entry->shared() && before->id.entry == held.id.entry &&
        before->lane == held.lane && before->origin == held.origin) {
      held.entry = before->entry;
      ++held.entry->unfinished;
    } else {
      enter(held, view->early);
    }
    before = &held;
    enqueue(*function, held);
  }
  if (!view->deliveries.empty()) {
    const double mean =
        static_cast<double>(event_bytes) / static_cast<double>(view->deliveries.size());
    function->event_bytes += 0.2 * (mean - function->event_bytes);
  }
  if (--frame.users == 0) frame_pool_.give_back(frame);
  options_.failpoint("worker.delivery.taken");
}

void Core::on_heartbeat_ack(const protocol::HeartbeatAck& ack) {
  if (ack.session != session_) return;
  while (!sent_done_.empty() && sent_done_.front().number <= ack.done_number) {
    sent_rows_ -= sent_done_.front().rows;
    sent_done_.pop_front();
  }
  if (std::exchange(credit_short_, false)) {
    for (auto& [name, function] : functions_) touch(*function);
  }
}

void Core::send_heartbeat(Now now) {
  next_heartbeat_ = now.steady + heartbeat_;
  rows_since_heartbeat_ = 0;
  protocol::Heartbeat heartbeat{
      .session = session_, .delivered = delivers_, .rows = {}, .running = {}, .state = state()};
  for (const auto& [name, function] : functions_) {
    if (function->removed && function->instances.empty()) continue;
    heartbeat.rows.push_back(
        {.function = name,
         .instances = static_cast<std::uint32_t>(function->instances.size()),
         .busy = static_cast<std::uint32_t>(function->instances.size() - function->idle.size() -
                                            function->spare.size()),
         .queued = static_cast<std::uint32_t>(function->queue.size())});
  }
  tell_broken(heartbeat);
  tell_local(heartbeat);
  heartbeat.running = running_attempts(now);
  heartbeat.waiting = static_cast<std::uint32_t>(invoking_.size());
  effects_.send(protocol::encode(heartbeat));
  options_.failpoint("worker.heartbeat.sent");
}

void Core::tell_broken(protocol::Heartbeat& heartbeat) const {
  for (const auto& [name, function] : functions_) {
    if (heartbeat.broken.size() == protocol::kBrokenInHeartbeatMax) return;
    const bool starts = function->failures_in_row == 0 || function->no_room ||
                        function->zygote_state == Function::ZygoteState::kReady;
    if (function->removed || starts) continue;
    heartbeat.broken.push_back({name, function->spec.generation, function->last_failure});
  }
}

void Core::send_done() {
  std::size_t from = 0;
  while (from < done_rows_.size() || !done_committed_.empty() || !done_outboxes_.empty()) {
    // What was committed fits into one: held_max of them are 250 kB.
    protocol::Done done{.number = next_done_++,
                        .rows = {},
                        .committed = std::exchange(done_committed_, {}),
                        .outboxes = {done_outboxes_.begin(), done_outboxes_.end()}};
    done_outboxes_.clear();
    std::size_t bytes = 0;
    while (from < done_rows_.size() && done.rows.size() < kDoneRowsMax && bytes < kDoneBytesMax) {
      protocol::Done::Row& row = done_rows_[from++];
      bytes += row.record.size() + row.log_tail.size() + row.packed_row.size() +
               row.failure.message.size() + 64;
      done.rows.push_back(std::move(row));
    }
    std::size_t rows = done.rows.size();
    for (const auto& group : done.committed) rows += group.count();
    sent_done_.push_back({done.number, rows, protocol::encode(done)});
    effects_.send(sent_done_.back().frame);
    options_.failpoint("worker.done.sent");
    sent_rows_ += rows;
    rows_since_heartbeat_ += rows;
  }
  done_rows_.clear();
}

// How many deliveries of a function should be here or on their way.
std::size_t Core::window(const Function& function) const {
  if (!function.usable() || function.broken || is_refused_too_much(function)) return 0;
  std::size_t idle_elsewhere = 0;
  for (const Function* other : staffed_) {
    if (other != &function) idle_elsewhere += other->idle.size();
  }
  const std::size_t free = options_.slots - std::min<std::size_t>(options_.slots, slots_taken());
  const std::size_t usable =
      std::clamp<std::size_t>(function.instances.size() + free + idle_elsewhere, 1,
                              std::max<std::size_t>(1, instances_max(function)));
  // What gathers has a whole batch for each instance, and another one waiting.
  const std::size_t least = usable * function.manifest.batch_size;
  const auto one_each_ns = static_cast<double>(options_.one_each_from.count());
  if (function.service_ns == 0 || function.service_ns >= one_each_ns) return least;
  const auto ahead = static_cast<std::size_t>(static_cast<double>(options_.prefetch.count()) /
                                              std::max(function.service_ns, 100.0));
  const auto by_bytes = static_cast<std::size_t>(static_cast<double>(options_.prefetch_bytes_max) /
                                                 std::max(function.event_bytes, 64.0));
  return std::clamp<std::size_t>(
      std::max(usable * std::max<std::size_t>(ahead, 2), least), least,
      std::max<std::size_t>(least, std::min(options_.prefetch_deliveries_max, by_bytes)));
}

// Credit that a function does not use stays with it. So what is fetched ahead takes half of
// held_max. Most of the other half is for those that have less than they need to keep the slots at
// work, or than an equal part of it if they are too many for that; the last tenth is for those that
// have nothing, one each, whenever they come. So none waits for what others do not use.
std::size_t Core::room_for(const Function& function, std::size_t wanted, std::size_t has) const {
  const std::size_t all = options_.held_max;
  const std::size_t taken = pool_.in_use() + sent_rows_ + credit_open_;
  const auto below = [taken](std::size_t limit) { return limit - std::min(limit, taken); };
  const std::size_t part = 2 * all / 5 / std::max<std::size_t>(1, usable_) + 1;
  const std::size_t needed =
      std::min({wanted, options_.slots * std::size_t{function.manifest.batch_size}, part});
  return std::max({below(all / 2), std::min(needed - std::min(needed, has), below(all - all / 10)),
                   std::min<std::size_t>(has == 0 ? 1 : 0, below(all))});
}

void Core::send_credit() {
  if (state() != protocol::WorkerState::kRunning || lacks_relay()) return;
  protocol::Credit credit;
  const bool full = has_too_much_uncommitted();
  for (Function* function : touched_now_) {
    const std::size_t wanted = window(*function);
    const std::size_t outstanding = function->outstanding();
    // A broker that greeted twice may have lent by a total of before.
    function->credit_total = std::max(function->credit_total, function->received);
    const std::size_t open = function->credit_total - function->received;
    std::size_t grow = wanted > outstanding + open ? wanted - outstanding - open : 0;
    std::size_t beside = std::exchange(function->credit_promised, 0);
    if (outstanding + open <= wanted) function->credit_beside = 0;
    if (wanted == 0 || function->credit_beside + beside > nested_max()) beside = 0;
    grow += beside;
    const std::size_t room = full ? 0 : room_for(*function, wanted, outstanding + open);
    if (grow > room) {
      // What is given beside the usual is the last of it, and stays promised.
      function->credit_promised = std::min(beside, grow - room);
      beside -= function->credit_promised;
      grow = room;
      credit_short_ = true;
    }
    function->credit_beside += beside;
    // A Credit message costs the broker a look at its queues: small growth waits for more.
    const bool noticeable = grow * 4 >= wanted || open + outstanding < wanted / 2 || beside > 0;
    const bool warm = !function->instances.empty();
    const bool news = function->usable() && (warm != function->told_warm || !function->told_credit);
    if (!(grow > 0 && noticeable) && !news) continue;
    function->credit_total += grow;
    credit_open_ += grow;
    function->told_warm = warm;
    function->told_credit = true;
    credit.rows.push_back({function->spec.name, function->credit_total, warm});
  }
  if (credit.rows.empty()) return;
  effects_.send(protocol::encode(credit));
  options_.failpoint("worker.credit.sent");
}

}  // namespace fanfare::worker
