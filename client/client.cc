#include "client/client.h"

#include <algorithm>
#include <utility>

namespace fanfare::client {
namespace {

void tell_invoked(const Client::OnInvoked& tell, Result<protocol::Message> answer) {
  if (!answer) return tell(answer.error());
  const auto* invoked = std::get_if<protocol::Invoked>(&*answer);
  if (!invoked) return tell(reject("the broker answered something else"));
  tell(protocol::unpack_result(invoked->record));
}

}  // namespace

Client::Client(Loop& loop, ClientOptions options)
    : loop_(loop),
      options_(std::move(options)),
      queue_(options_.name.empty() ? new_client_id() : options_.name, options_.publish,
             options_.resume),
      timer_(loop,
             [this] {
               const TimePoint now = loop_.now().steady;
               give_up_unless_met(now);
               queue_.tick(now, where());
               requests_.tick(now, where());
               wake();
             }),
      hook_(loop.before_wait([this] {
        if (std::exchange(woken_, false)) send_all();
      })) {}

Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::open(Loop& loop, ZmqContext& zmq, ClientOptions options) {
  std::unique_ptr<Client> client(new Client(loop, std::move(options)));
  Client* self = client.get();
  EndpointLink::Handlers handlers;
  handlers.on_message = [self](std::string_view frame) { self->on_frame(frame); };
  handlers.on_connected = [self] {
    self->met_broker_ = true;
    self->last_refusal_.clear();
    self->queue_.on_connected();
    self->requests_.on_connected();
    self->wake();
  };
  handlers.on_disconnected = [self] {
    self->requests_.on_disconnected(self->options_.broker);
    self->wake();
  };
  handlers.on_writable = [self] { self->wake(); };
  handlers.on_refused = [self](ConnectRefusal why) { self->on_refused(why); };
  client->link_ = std::make_unique<EndpointLink>(
      loop, zmq, options_to(client->options_.broker, client->options_.curve), std::move(handlers));
  if (auto connected = client->link_->connect(client->options_.broker); !connected) {
    return connected.error();
  }
  if (client->options_.local) {
    client->lane_ = std::make_unique<LocalLane>(loop, client->options_.broker);
  }
  return client;
}

// A key that is not allowed does not become so by waiting; a broker that knew us may know us again,
// as after a mistake in its list that is mended.
void Client::on_refused(ConnectRefusal why) {
  last_refusal_ = explain(why, options_.broker, options_.curve.get());
  if (met_broker_ || why == ConnectRefusal::kNoHandshake) return;
  const Error refused = reject("not_allowed: " + last_refusal_);
  queue_.give_up(refused);
  requests_.give_up(refused);
}

// The broker, and what it said when it was asked to be connected to.
std::string Client::where() const {
  if (last_refusal_.empty()) return options_.broker;
  return options_.broker + " (" + last_refusal_ + ")";
}

// A broker that was there once will be back; one that never was is probably a wrong address.
void Client::give_up_unless_met(TimePoint now) {
  if (met_broker_ || queue_.empty()) return;
  const TimePoint patience = first_event_at_ + options_.connect_timeout;
  if (now >= patience) queue_.give_up(reconnect("unreachable: no broker at " + where()));
}

void Client::wake() {
  if (std::exchange(woken_, true)) return;
  loop_.post([] {});  // the hook runs at the end of this turn, or of the one that this starts
}

void Client::send_all() {
  if (link_->connected()) {
    for (auto& [request, frame] : requests_.take_frames()) {
      if (auto sent = link_->send(std::move(frame)); !sent) requests_.unsend(request);
    }
    if (auto frame = queue_.take_frame(loop_.now().steady)) {
      if (auto sent = link_->send(std::move(*frame)); !sent) queue_.unsend();
    }
  }
  arm_timer();
}

void Client::arm_timer() {
  const auto batch = queue_.next_deadline();
  const auto request = requests_.next_deadline();
  if (!batch && !request) return timer_.stop();
  TimePoint at = std::min(batch.value_or(TimePoint::max()), request.value_or(TimePoint::max()));
  if (batch && !met_broker_) at = std::min(at, first_event_at_ + options_.connect_timeout);
  timer_.start_after(std::max(at - loop_.now().steady, Duration{std::chrono::milliseconds{1}}));
}

void Client::on_frame(std::string_view frame) {
  auto message = protocol::decode(frame);
  if (!message) return on_unreadable(frame, message.error());
  wake();
  if (const auto* published = std::get_if<protocol::Published>(&*message)) {
    return queue_.on_published(*published);
  }
  const auto* refused = std::get_if<protocol::Refused>(&*message);
  if (refused && refused->request < kFirstRequest) {
    return queue_.on_refused(*refused, loop_.now().steady);
  }
  requests_.on_answer(*std::move(message));
}

// A broker of another version would never be understood, whatever waits. Anything else is nothing
// of ours: the batch or request goes on waiting.
void Client::on_unreadable(std::string_view frame, const Error& error) {
  if (protocol::refusal_of(frame, error).code != protocol::Refusal::kVersion) return;
  const Error other_version = to_error(
      protocol::Refusal::kVersion, error.message + "; use client and broker of the same release");
  queue_.give_up(other_version);
  requests_.give_up(other_version);
}

Result<void> Client::publish(const protocol::Event& event, OnReceipt on_receipt) {
  if (auto fits = check_data_size(event.data.size(), options_.publish); !fits) return fits.error();
  return publish_packed(protocol::pack(event), std::move(on_receipt));
}

Result<void> Client::publish_packed(std::string packed_event, OnReceipt on_receipt) {
  if (queue_.empty()) first_event_at_ = loop_.now().steady;
  auto added = queue_.add(std::move(packed_event), loop_.now().steady, std::move(on_receipt));
  if (added) wake();
  return added;
}

void Client::add_request(protocol::Message request, Duration timeout,
                         RequestTable::OnAnswer on_answer) {
  const TimePoint now = loop_.now().steady;
  requests_.add(std::move(request), now + options_.connect_timeout, now + timeout,
                std::move(on_answer));
  wake();
}

void Client::invoke(const std::string& function, const protocol::Event& event, Duration timeout,
                    OnInvoked on_invoked) {
  if (auto fits = check_data_size(event.data.size(), options_.publish); !fits) {
    return loop_.post(
        [error = fits.error(), on_invoked = std::move(on_invoked)] { on_invoked(error); });
  }
  protocol::Invoke request;
  request.function = function;
  request.timeout_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count());
  request.packed_event = protocol::pack(event);
  if (!lane_) return ask_broker(std::move(request), std::move(on_invoked));
  const auto on_local = [this, on_invoked](std::optional<Result<protocol::Message>> answer,
                                           protocol::Invoke again) {
    answer ? tell_invoked(on_invoked, *std::move(answer))
           : ask_broker(std::move(again), on_invoked);
  };
  if (!lane_->invoke(request, on_local)) ask_broker(std::move(request), std::move(on_invoked));
}

// The broker says when the time is up; the grace is for its word to arrive.
void Client::ask_broker(protocol::Invoke request, OnInvoked on_invoked) {
  const auto timeout = std::chrono::milliseconds{request.timeout_ms};
  add_request(std::move(request), timeout + std::chrono::seconds{2},
              [tell = std::move(on_invoked)](Result<protocol::Message> answer) {
                tell_invoked(tell, std::move(answer));
              });
}

void Client::await(const protocol::EventId& event, const std::string& function, Duration timeout,
                   OnAwaited on_awaited) {
  protocol::Await request;
  request.event = event;
  request.function = function;
  request.timeout_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count());
  add_request(std::move(request), timeout + std::chrono::seconds{2},
              [tell = std::move(on_awaited)](Result<protocol::Message> answer) {
                if (!answer) return tell(answer.error());
                auto* awaited = std::get_if<protocol::Awaited>(&*answer);
                if (!awaited) return tell(reject("the broker answered something else"));
                tell(Awaited{std::move(awaited->ended), std::move(awaited->pending)});
              });
}

void Client::admin(const std::string& verb, const std::string& body, OnAdmin on_admin) {
  protocol::Admin request;
  request.verb = verb;
  request.data = body;
  add_request(std::move(request), options_.admin_timeout,
              [tell = std::move(on_admin)](Result<protocol::Message> answer) {
                if (!answer) return tell(answer.error());
                auto* reply = std::get_if<protocol::AdminReply>(&*answer);
                if (!reply) return tell(reject("the broker answered something else"));
                tell(std::move(reply->data));
              });
}

}  // namespace fanfare::client
