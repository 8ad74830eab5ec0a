#include "tests/simulation/client_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/simulation/garbage.h"

namespace fanfare::simulation {
namespace {

using namespace std::chrono_literals;

// How long after its own time a request may stay without an answer: a broker ticks, may stand still
// for a while, and the network delays.
constexpr Duration kAnswerGrace = 5s;

client::PublishLimits limits_of(World& world) {
  Random& random = world.random;
  client::PublishLimits limits;
  limits.batch_events_max = 1 + random.below(world.doubts || random.chance(0.2) ? 600 : 12);
  // The hasty ones repeat what is only slow.
  limits.answer_timeout =
      world.doubts || random.chance(0.2) ? random.between(200us, 5ms) : random.between(20ms, 500ms);
  limits.refused_pause = 10ms;
  limits.timeout = 5s;
  return limits;
}

}  // namespace

PublisherNode::PublisherNode(World& world, const std::string& name, Duration pace)
    : world_(world),
      pace_(pace),
      queue_(fmt::format("client{:016x}", world.random.next()), limits_of(world)),
      socket_(std::make_unique<ClientSocket>(
          world.network, name,
          ClientSocket::Handlers{.on_connected =
                                     [this] {
                                       queue_.on_connected();
                                       send_all();
                                     },
                                 .on_disconnected = [] {},
                                 .on_frame = [this](std::string_view frame) { on_frame(frame); },
                                 .on_broken = [this] { unreadable_.clear(); }})) {
  world_.schedule.after(world_.random.around(pace_), life_, [this] { publish_some(); });
}

PublisherNode::~PublisherNode() {
  *life_ = false;
}

void PublisherNode::publish_some() {
  if (!world_.publishing) return;
  Random& random = world_.random;
  const bool many = random.chance(0.02);
  const std::size_t count = many ? 20 + random.below(300) : 1 + random.below(4);
  std::optional<std::int64_t> instant_ms;
  if (random.chance(many ? 0.4 : 0.03)) instant_ms = common_instant();
  for (std::size_t i = 0; i < count; ++i) publish_one(instant_ms);
  send_all();
  world_.schedule.after(world_.random.around(pace_), life_, [this] { publish_some(); });
}

// What all publishers have many events due at. Things like to happen just then.
std::int64_t PublisherNode::common_instant() {
  const std::int64_t now_ms = to_ms(now().wall);
  if (world_.instant_ms <= now_ms) {
    const auto ahead = std::chrono::milliseconds{20 + world_.random.below(300)};
    world_.instant_ms = now_ms + ahead.count();
    world_.schedule.after(ahead + world_.random.between(-1ms, 2ms), [&world = world_] {
      if (world.publishing) world.at_instant();
    });
  }
  return world_.instant_ms;
}

// Most often something new; else what has been published before, or an event that takes its id or
// its key.
void PublisherNode::publish_one(std::optional<std::int64_t> instant_ms) {
  Random& random = world_.random;
  Workload::Names names;
  if (!world_.named.empty() && random.chance(0.1)) {
    const World::Named& known = random.pick(world_.named);
    if (random.chance(0.7)) {
      world_.history.submit_again(known.tag);
      return submit(known.tag, known.event.packed);
    }
    names = known.event.names;
  }
  const bool original = names.empty();
  const Tag tag = world_.history.next_tag();
  auto made =
      world_.workload.make_event(tag, to_ms(now().wall), random, std::move(names), instant_ms);
  world_.history.submit(world_.workload.subscribed_to(made.type), made.not_before_ms, made.packed);
  submit(tag, made.packed);
  if (!original || made.names.empty()) return;
  constexpr std::size_t kNamedMax = 40;
  if (world_.named.size() < kNamedMax) {
    world_.named.push_back({tag, std::move(made)});
  } else {
    world_.named[random.below(kNamedMax)] = {tag, std::move(made)};
  }
}

void PublisherNode::submit(Tag tag, std::string packed) {
  const auto added = queue_.add(std::move(packed), now().steady,
                                [this, tag](const Result<client::Receipt>& receipt) {
                                  world_.history.on_receipt(tag, receipt);
                                });
  if (!added) world_.history.on_receipt(tag, added.error());
}

void PublisherNode::on_frame(std::string_view frame) {
  const auto message = protocol::decode(frame);
  if (!message) return world_.history.violate("a publisher got a frame that cannot be read");
  if (const auto* published = std::get_if<protocol::Published>(&*message)) {
    queue_.on_published(*published);
  } else if (const auto* refused = std::get_if<protocol::Refused>(&*message)) {
    if (!is_answer_to_garbage(*refused)) queue_.on_refused(*refused, now().steady);
  }
  send_all();
}

void PublisherNode::send_garbage() {
  std::string frame = some_garbage(world_.random);
  const bool names_a_request = protocol::refusal_of(frame, reject("")).request != 0;
  if (names_a_request || !socket_->connected() || !socket_->standing()) return;
  socket_->send(std::move(frame));
  unreadable_.push_back(Unreadable::kGarbage);
}

bool PublisherNode::is_answer_to_garbage(const protocol::Refused& refused) {
  if (refused.request != 0) return false;
  if (unreadable_.empty()) {
    world_.history.violate("a publisher is refused what it has not sent: {}", refused.message);
    return true;
  }
  const Unreadable first = unreadable_.front();
  unreadable_.pop_front();
  return first == Unreadable::kGarbage;
}

void PublisherNode::send_all() {
  queue_.tick(now().steady, "simulation");
  if (socket_->connected()) {
    if (auto frame = queue_.take_frame(now().steady)) {
      const bool stands = socket_->standing();
      if (stands && std::exchange(spoil_next_, false)) {
        *frame = spoil(*frame, world_.random);
        unreadable_.push_back(Unreadable::kBatch);
      }
      socket_->send(*std::move(frame));
    }
  }
  arm_timer();
}

void PublisherNode::arm_timer() {
  const auto deadline = queue_.next_deadline();
  if (!deadline) return;
  const TimePoint at = std::max(*deadline, now().steady + 1ms);
  world_.schedule.at(at, [this, life = life_, timer = ++timer_] {
    if (*life && timer == timer_) send_all();
  });
}

// ---- callers ----

CallerNode::CallerNode(World& world, const std::string& name, Duration pace)
    : world_(world),
      pace_(pace),
      socket_(std::make_unique<ClientSocket>(
          world.network, name,
          ClientSocket::Handlers{.on_connected = [] {},
                                 .on_disconnected = [this] { pending_.clear(); },
                                 .on_frame = [this](std::string_view frame) { on_frame(frame); },
                                 // Nobody will answer what was asked on it.
                                 .on_broken = [this] { pending_.clear(); }})) {
  if (pace_ > 0ms) {
    world_.schedule.after(world_.random.around(pace_), life_, [this] { ask_something(); });
  }
}

void CallerNode::ask_something() {
  if (!world_.publishing) return;
  const std::uint64_t request = next_request_++;
  const Duration timeout = world_.random.between(5ms, 400ms);
  const auto timeout_ms = static_cast<std::uint32_t>(to_ms(timeout));
  if (world_.random.chance(0.6)) {
    const auto& functions = world_.workload.functions();
    protocol::Invoke invoke;
    invoke.request = request;
    invoke.function = functions[world_.random.below(functions.size())].name;
    invoke.timeout_ms = timeout_ms;
    invoke.packed_event = world_.workload.make_invocation(0, world_.random);
    ask(request, invoke, timeout, "an invocation of " + invoke.function);
  } else if (const auto event = world_.history.some_event(world_.random)) {
    protocol::Await await;
    await.request = request;
    await.event = *event;
    await.timeout_ms = timeout_ms;
    ask(request, await, timeout, "a wait for " + protocol::to_string(*event));
  }
  world_.schedule.after(world_.random.around(pace_), life_, [this] { ask_something(); });
}

void CallerNode::deploy(std::size_t function, std::uint32_t generation) {
  const auto& model = world_.workload.functions()[function];
  protocol::Admin admin;
  admin.request = next_request_++;
  admin.verb = "deploy";
  std::string manifest;
  for (const char c : model.manifest)
    manifest += c == '\n' ? "\\n" : c == '"' ? "\\\"" : c == '\\' ? "\\\\" : std::string(1, c);
  admin.data = fmt::format(R"({{"name":"{}","manifest":"{}","digest":"{}"}})", model.name, manifest,
                           Workload::digest(function, generation));
  ask(admin.request, admin, 0ms, "a deployment of " + model.name);
}

void CallerNode::control(const std::string& verb, std::string body, OnReply on_reply) {
  const protocol::Admin admin{next_request_++, verb, std::move(body)};
  ask(admin.request, admin, 0ms, fmt::format("{} {}", verb, admin.data), std::move(on_reply));
}

void CallerNode::redrive(const std::string& function,
                         const std::vector<protocol::EntryId>& letters) {
  protocol::Admin admin;
  admin.request = next_request_++;
  admin.verb = "redrive";
  std::string ids;
  for (const auto& letter : letters) {
    ids += fmt::format("{}\"{}\"", ids.empty() ? "" : ",", protocol::to_string(letter));
  }
  admin.data = fmt::format(R"({{"name":"{}","letters":[{}]}})", function, ids);
  ask(admin.request, admin, 0ms, "a redrive of " + function);
}

void CallerNode::ask(std::uint64_t request, const protocol::Message& message, Duration timeout,
                     std::string what, OnReply on_reply) {
  if (!socket_->connected() || !socket_->standing()) return;
  socket_->send(protocol::encode(message));
  pending_[request] = {std::move(what), std::move(on_reply)};
  world_.schedule.after(timeout + kAnswerGrace, life_, [this, request] {
    const auto at = pending_.find(request);
    if (at != pending_.end()) world_.history.violate("{} was never answered", at->second.what);
  });
}

void CallerNode::on_frame(std::string_view frame) {
  const auto message = protocol::decode(frame);
  if (!message) return world_.history.violate("a caller got a frame that cannot be read");
  const std::uint64_t request = std::visit(
      [](const auto& m) -> std::uint64_t {
        if constexpr (requires { m.request; }) return m.request;
        return 0;
      },
      *message);
  const auto at = pending_.find(request);
  if (at == pending_.end()) {
    return world_.history.violate("a caller got an answer to request {}, which it does not await",
                                  request);
  }
  if (const auto* refused = std::get_if<protocol::Refused>(&*message)) {
    world_.trace.say("{} is refused: {}", at->second.what, refused->message);
  }
  const Pending pending = std::move(at->second);
  pending_.erase(at);
  const auto* reply = std::get_if<protocol::AdminReply>(&*message);
  if (reply && pending.on_reply) pending.on_reply(reply->data);
}

// ---- strangers ----

StrangerNode::StrangerNode(World& world)
    : world_(world),
      socket_(std::make_unique<ClientSocket>(
          world.network, "s0",
          ClientSocket::Handlers{.on_connected = [] {},
                                 .on_disconnected = [] {},
                                 .on_frame = [this](std::string_view frame) { on_frame(frame); },
                                 .on_broken =
                                     [this] {
                                       ++connection_;
                                       sent_ = answered_ = 0;
                                     }})) {}

void StrangerNode::send_garbage() {
  if (!socket_->connected() || !socket_->standing()) return;
  socket_->send(some_garbage(world_.random));
  world_.schedule.after(kAnswerGrace, life_, [this, connection = connection_, number = ++sent_] {
    if (connection == connection_ && answered_ < number) {
      world_.history.violate("a stranger was never told that nobody can read what it sent");
    }
  });
}

void StrangerNode::on_frame(std::string_view frame) {
  const auto message = protocol::decode(frame);
  const auto* refused = message ? std::get_if<protocol::Refused>(&*message) : nullptr;
  const bool as_it_should = refused && (refused->code == protocol::Refusal::kMalformed ||
                                        refused->code == protocol::Refusal::kVersion);
  if (!as_it_should || ++answered_ > sent_) {
    world_.history.violate("a stranger got an answer that is not the refusal of what it sent");
  }
}

}  // namespace fanfare::simulation
