// A publisher's decisions: which events go out together, when a batch is repeated, what was
// answered.
//
// One batch is in flight; events added meanwhile gather for the next one. So a lone event leaves at
// once, and under load batches grow by themselves. A batch whose answer does not come goes out
// again, unchanged and under the same sequence, after every reconnect, every answer_timeout, and
// every time the broker says that it cannot take it just now; the broker's repeat guard takes it
// once. An event that is not answered within `timeout` of being added fails, and its outcome is
// unknown.
//
// No I/O, no clock of its own, one thread. Receipts are called back from on_published, on_refused
// and tick, in the order of the events; a callback may add further events.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "protocol/messages.h"

namespace fanfare::client {

// What the broker said of an event that it took.
struct Receipt {
  protocol::EventId id;
  std::shared_ptr<const std::vector<std::string>> functions;  // that get it; empty = unmatched
  bool duplicate = false;  // known already: `id` is the first one's, nothing new was queued
};

// Failures, by kind. kRetryLater: the broker or this queue is full ("queue_full: …"). kReject: the
// event will never do ("too_large: …", …). kReconnect: no answer. Whether the event may have been
// published for all that is what may_be_published says.
using OnReceipt = std::function<void(const Result<Receipt>&)>;

struct PublishLimits {
  std::size_t batch_events_max = protocol::kBatchEventsMax;
  std::size_t batch_bytes_max = protocol::kBatchBytesMax;  // one larger event travels alone
  std::size_t queued_events_max = 65'536;                  // those in flight included
  std::size_t queued_bytes_max = 64u << 20;
  // The broker's max_event_bytes, which may be less, it says itself.
  std::size_t event_data_bytes_max = protocol::kEventDataBytesCeiling;
  Duration answer_timeout = std::chrono::seconds{5};       // then the batch is repeated
  Duration refused_pause = std::chrono::milliseconds{50};  // after "cannot just now"
  Duration timeout = std::chrono::seconds{30};             // then the event fails
};

// Where a publisher goes on that keeps its batches on disk: it has the same name in its next life,
// and sends the batch that it has not heard of once more.
struct PublishResume {
  std::uint64_t next_sequence = 1;
  bool in_doubt = false;  // the batch of that sequence may have been sent before
};

class PublishQueue {
 public:
  // `client` names this publisher to the repeat guard: new_client_id(), or a lasting_client_id()
  // that was kept.
  PublishQueue(std::string client, PublishLimits limits, PublishResume resume = {});

  // Takes a packed event. kReject if it is too large, kRetryLater if the queue is full; the
  // callback is then not called.
  Result<void> add(std::string packed_event, TimePoint now, OnReceipt on_receipt);
  bool has_room(std::size_t packed_bytes) const;

  // The batch to send now, if any: a new one, or the one in flight once more. Call while connected.
  std::optional<std::string> take_frame(TimePoint now);
  // The frame just taken could not be sent: it will be offered again.
  void unsend();

  void on_connected();  // a fresh connection: what was sent on the old one may be lost
  void on_published(const protocol::Published& answer);
  void on_refused(const protocol::Refused& refused, TimePoint now);
  // Fails what has waited too long. `broker` is named in the message.
  void tick(TimePoint now, const std::string& broker);
  // Fails everything at once: there is nobody to send it to, or nobody who is understood.
  void give_up(const Error& error);

  bool empty() const { return waiting_.empty() && !flight_; }
  std::size_t queued() const { return queued_; }
  std::optional<TimePoint> next_deadline() const;

 private:
  struct Waiting {
    std::string packed_event;
    TimePoint added;
    OnReceipt on_receipt;
  };
  struct Flight {
    protocol::Publish batch;
    std::vector<OnReceipt> receipts;
    TimePoint oldest;     // when its first event was added
    bool to_send = true;  // for the first time, or again
    bool ever_sent = false;
    bool answered = false;  // for good
    TimePoint resend_at = TimePoint::max();
    std::string last_refusal;  // why the broker could not take it just now
  };
  void begin_flight();
  Flight end_flight();
  void fail_flight(const Error& error);
  void fail_first_waiting(const Error& error);

  std::string client_;
  PublishLimits limits_;
  std::deque<Waiting> waiting_;
  std::optional<Flight> flight_;
  std::uint64_t next_sequence_;
  bool in_doubt_;                     // the next batch to begin may have been sent before
  bool answers_outstanding_ = false;  // on this connection, to frames of the batch before
  std::size_t queued_ = 0, queued_bytes_ = 0;
};

// What an event's attributes may add to its data when it is packed.
inline constexpr std::size_t kAttributeBytesMax = 128u << 10;

// kReject ("too_large: …") if `data_bytes` are more than an event may have.
Result<void> check_data_size(std::size_t data_bytes, const PublishLimits& limits);

// 16 random bytes as hex.
std::string new_client_id();
// The same for a publisher that keeps its name: the repeat guard remembers it for 90 days.
std::string lasting_client_id();

// Whether the event of a failed receipt may be journaled nevertheless, or may yet be: it was sent,
// and no answer was about it. Its publisher must then leave in place what the event refers to.
bool may_be_published(const Error& error);

// How a refusal reads and what its sender may do next: "queue_full: …" is kRetryLater, ….
Error to_error(protocol::Refusal code, const std::string& message);

}  // namespace fanfare::client
