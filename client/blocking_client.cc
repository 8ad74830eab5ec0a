#include "client/blocking_client.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace fanfare::client {
namespace {

// A promise that is kept even when its callback is dropped unanswered, as on closing.
template <typename T>
class Reply {
 public:
  ~Reply() {
    if (!kept_) promise_.set_value(reconnect("the client was closed before an answer came"));
  }
  void keep(Result<T> value) {
    kept_ = true;
    promise_.set_value(std::move(value));
  }
  std::future<Result<T>> future() { return promise_.get_future(); }

 private:
  std::promise<Result<T>> promise_;
  bool kept_ = false;
};

}  // namespace

// Other threads hand over events through `inbox` and everything else as posted work. The loop's
// thread alone touches the client.
struct BlockingClient::Impl {
  struct Submitted {
    std::string packed_event;
    OnReceipt on_receipt;
  };

  explicit Impl(ClientOptions client_options) : options(std::move(client_options)) {}

  ClientOptions options;
  Loop loop;
  ZmqContext zmq;
  std::unique_ptr<Client> client;

  std::mutex mutex;
  std::condition_variable room;
  std::vector<Submitted> inbox;      // under mutex
  std::size_t unanswered = 0;        // events, under mutex
  std::size_t unanswered_bytes = 0;  // under mutex
  bool closing = false;              // under mutex

  std::thread thread;

  bool has_room(std::size_t bytes) const {
    return unanswered == 0 || (unanswered < options.publish.queued_events_max &&
                               unanswered_bytes + bytes <= options.publish.queued_bytes_max);
  }

  void submit(std::string packed_event, OnReceipt on_receipt);
  void take_inbox();
  void answered(std::size_t bytes);
};

void BlockingClient::Impl::submit(std::string packed_event, OnReceipt on_receipt) {
  bool first = false;
  {
    std::unique_lock lock(mutex);
    room.wait(lock, [&] { return closing || has_room(packed_event.size()); });
    first = inbox.empty();
    ++unanswered;
    unanswered_bytes += packed_event.size();
    inbox.push_back({std::move(packed_event), std::move(on_receipt)});
  }
  if (first) loop.post_from_any_thread([this] { take_inbox(); });
}

void BlockingClient::Impl::take_inbox() {
  std::vector<Submitted> taken;
  {
    const std::lock_guard lock(mutex);
    taken.swap(inbox);
  }
  for (Submitted& submitted : taken) {
    const std::size_t bytes = submitted.packed_event.size();
    const auto tell = std::make_shared<OnReceipt>(std::move(submitted.on_receipt));
    auto added = client->publish_packed(std::move(submitted.packed_event),
                                        [this, bytes, tell](const Result<Receipt>& receipt) {
                                          answered(bytes);
                                          (*tell)(receipt);
                                        });
    if (added) continue;
    answered(bytes);
    (*tell)(added.error());
  }
}

void BlockingClient::Impl::answered(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex);
    --unanswered;
    unanswered_bytes -= bytes;
  }
  room.notify_all();
}

BlockingClient::BlockingClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<BlockingClient>> BlockingClient::open(ClientOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  auto client = Client::open(impl->loop, impl->zmq, impl->options);
  if (!client) return client.error();
  impl->client = *std::move(client);
  Impl* self = impl.get();
  impl->thread = std::thread([self] { self->loop.run(); });
  return std::unique_ptr<BlockingClient>(new BlockingClient(std::move(impl)));
}

BlockingClient::~BlockingClient() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->room.notify_all();
  impl_->loop.stop();
  impl_->thread.join();
  impl_->client.reset();  // before its loop
}

std::future<Result<Receipt>> BlockingClient::publish(const protocol::Event& event) {
  auto reply = std::make_shared<Reply<Receipt>>();
  auto future = reply->future();
  publish(event, [reply](const Result<Receipt>& receipt) { reply->keep(receipt); });
  return future;
}

void BlockingClient::publish(const protocol::Event& event, OnReceipt on_receipt) {
  if (auto fits = check_data_size(event.data.size(), impl_->options.publish); !fits) {
    return on_receipt(fits.error());
  }
  impl_->submit(protocol::pack(event), std::move(on_receipt));
}

Result<protocol::ResultRecord> BlockingClient::invoke(const std::string& function,
                                                      const protocol::Event& event,
                                                      Duration timeout) {
  auto reply = std::make_shared<Reply<protocol::ResultRecord>>();
  auto future = reply->future();
  impl_->loop.post_from_any_thread([this, function, event, timeout, reply = std::move(reply)] {
    impl_->client->invoke(function, event, timeout,
                          [reply](auto record) { reply->keep(std::move(record)); });
  });
  return future.get();
}

Result<Awaited> BlockingClient::await(const protocol::EventId& event, const std::string& function,
                                      Duration timeout) {
  auto reply = std::make_shared<Reply<Awaited>>();
  auto future = reply->future();
  impl_->loop.post_from_any_thread([this, event, function, timeout, reply = std::move(reply)] {
    impl_->client->await(event, function, timeout,
                         [reply](auto awaited) { reply->keep(std::move(awaited)); });
  });
  return future.get();
}

Result<std::string> BlockingClient::admin(const std::string& verb, const std::string& body) {
  auto reply = std::make_shared<Reply<std::string>>();
  auto future = reply->future();
  impl_->loop.post_from_any_thread([this, verb, body, reply = std::move(reply)] {
    impl_->client->admin(verb, body, [reply](auto answer) { reply->keep(std::move(answer)); });
  });
  return future.get();
}

}  // namespace fanfare::client
