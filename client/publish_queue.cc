#include "client/publish_queue.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <utility>

namespace fanfare::client {
namespace {

// How the messages of failures end that no answer has brought; may_be_published goes by them.
constexpr std::string_view kNothingSent = "; nothing was sent";
constexpr std::string_view kInDoubt = "; whether the event was published is unknown";

Error ending_with(std::string_view end, Error error) {
  error.message += end;
  return error;
}

using Functions = std::shared_ptr<const std::vector<std::string>>;

// Of the first event of the run.
Result<Receipt> receipt_of(const protocol::PublishRun& run, const protocol::Published& answer,
                           std::span<const Functions> routes) {
  if (run.fate == protocol::PublishRun::Fate::kRefused) {
    return run.detail < answer.errors.size()
               ? to_error(answer.errors[run.detail].code, answer.errors[run.detail].message)
               : reject("refused without a reason");
  }
  return Receipt{
      run.first,
      run.detail < routes.size() ? routes[run.detail] : std::make_shared<Functions::element_type>(),
      run.fate == protocol::PublishRun::Fate::kDuplicate};
}

}  // namespace

PublishQueue::PublishQueue(std::string client, PublishLimits limits, PublishResume resume)
    : client_(std::move(client)),
      limits_(limits),
      next_sequence_(resume.next_sequence),
      in_doubt_(resume.in_doubt) {}

bool PublishQueue::has_room(std::size_t packed_bytes) const {
  if (queued_ == 0) return true;
  return queued_ < limits_.queued_events_max &&
         queued_bytes_ + packed_bytes <= limits_.queued_bytes_max;
}

Result<void> PublishQueue::add(std::string packed_event, TimePoint now, OnReceipt on_receipt) {
  if (packed_event.size() > limits_.event_data_bytes_max + kAttributeBytesMax) {
    return check_data_size(packed_event.size(), limits_);
  }
  if (!has_room(packed_event.size())) {
    return to_error(protocol::Refusal::kQueueFull,
                    std::to_string(queued_) + " events wait here for the broker's answer");
  }
  ++queued_;
  queued_bytes_ += packed_event.size();
  waiting_.push_back({std::move(packed_event), now, std::move(on_receipt)});
  return {};
}

void PublishQueue::begin_flight() {
  Flight flight;
  flight.oldest = waiting_.front().added;
  flight.batch.client = client_;
  flight.batch.sequence = next_sequence_++;
  flight.ever_sent = std::exchange(in_doubt_, false);
  const std::size_t events = std::min(waiting_.size(), limits_.batch_events_max);
  flight.batch.packed_events.reserve(events);
  flight.receipts.reserve(events);
  std::size_t bytes = 0;
  while (!waiting_.empty() && flight.receipts.size() < limits_.batch_events_max) {
    Waiting& next = waiting_.front();
    bytes += next.packed_event.size();
    if (bytes > limits_.batch_bytes_max && !flight.receipts.empty()) break;
    flight.batch.packed_events.push_back(std::move(next.packed_event));
    flight.receipts.push_back(std::move(next.on_receipt));
    waiting_.pop_front();
  }
  flight_ = std::move(flight);
}

PublishQueue::Flight PublishQueue::end_flight() {
  Flight flight = std::move(*flight_);
  // An answer ends a batch that went out once; one that was repeated, or that nobody answered, may
  // be answered again.
  answers_outstanding_ = flight.ever_sent && (flight.batch.repeat || !flight.answered);
  flight_.reset();
  queued_ -= flight.receipts.size();
  for (const auto& event : flight.batch.packed_events) queued_bytes_ -= event.size();
  return flight;
}

std::optional<std::string> PublishQueue::take_frame(TimePoint now) {
  if (!flight_) {
    if (waiting_.empty()) return std::nullopt;
    begin_flight();
  }
  if (!flight_->to_send && now < flight_->resend_at) return std::nullopt;
  flight_->to_send = false;
  flight_->resend_at = now + limits_.answer_timeout;
  // Until the first one is known to be sent there is nothing to repeat, and the broker need not
  // look.
  flight_->batch.repeat = flight_->ever_sent;
  flight_->ever_sent = true;
  return protocol::encode(flight_->batch);
}

void PublishQueue::unsend() {
  if (!flight_) return;
  flight_->to_send = true;
  flight_->ever_sent = flight_->batch.repeat;
}

void PublishQueue::on_connected() {
  answers_outstanding_ = false;  // those of the former connection went with it
  if (flight_) flight_->to_send = true;
}

void PublishQueue::on_published(const protocol::Published& answer) {
  if (!flight_ || answer.sequence != flight_->batch.sequence) return;  // of a batch given up before
  flight_->answered = true;
  const Flight flight = end_flight();
  std::vector<Functions> routes;
  for (const auto& route : answer.routes) {
    routes.push_back(std::make_shared<Functions::element_type>(route));
  }
  std::size_t at = 0;
  for (const protocol::PublishRun& run : answer.runs) {
    Result<Receipt> told = receipt_of(run, answer, routes);
    for (std::uint32_t n = 0; n < run.count && at < flight.receipts.size(); ++n) {
      if (told) told->id.index = static_cast<std::uint8_t>(run.first.index + n);
      if (const OnReceipt& tell = flight.receipts[at++]) tell(told);
    }
  }
  for (; at < flight.receipts.size(); ++at) {
    if (flight.receipts[at])
      flight.receipts[at](reconnect("the broker's answer left out this event"));
  }
}

void PublishQueue::on_refused(const protocol::Refused& refused, TimePoint now) {
  if (!flight_ || (refused.request != 0 && refused.request != flight_->batch.sequence)) return;
  // The refusal of what cannot be read names no batch. It is this one's if nothing else can still
  // be answered; else the batch, or its first try, may have been taken, and asking again will tell.
  const bool in_doubt = refused.request == 0 && (flight_->batch.repeat || answers_outstanding_);
  if (in_doubt || refused.code == protocol::Refusal::kUnavailable) {
    flight_->resend_at = now + limits_.refused_pause;
    flight_->last_refusal = refused.message;
    return;
  }
  flight_->answered = true;
  fail_flight(to_error(refused.code, refused.message));
}

void PublishQueue::fail_flight(const Error& error) {
  const Flight flight = end_flight();
  const Result<Receipt> failure = error;
  for (const OnReceipt& tell : flight.receipts) {
    if (tell) tell(failure);
  }
}

void PublishQueue::fail_first_waiting(const Error& error) {
  const Waiting first = std::move(waiting_.front());
  waiting_.pop_front();
  --queued_;
  queued_bytes_ -= first.packed_event.size();
  if (first.on_receipt) first.on_receipt(error);
}

void PublishQueue::tick(TimePoint now, const std::string& broker) {
  const Error late = reconnect("unreachable: no answer from the broker at " + broker + " within " +
                               format_duration(limits_.timeout));
  if (flight_ && now >= flight_->oldest + limits_.timeout) {
    const std::string& refusal = flight_->last_refusal;
    fail_flight(refusal.empty() ? ending_with(flight_->ever_sent ? kInDoubt : kNothingSent, late)
                                : reconnect("unavailable: " + refusal));
  }
  while (!flight_ && !waiting_.empty() && now >= waiting_.front().added + limits_.timeout) {
    fail_first_waiting(ending_with(kNothingSent, late));
  }
}

void PublishQueue::give_up(const Error& error) {
  const std::size_t waiting = waiting_.size();  // callbacks may add more
  if (flight_) fail_flight(ending_with(flight_->ever_sent ? kInDoubt : kNothingSent, error));
  for (std::size_t i = 0; i < waiting && !waiting_.empty(); ++i) {
    fail_first_waiting(ending_with(kNothingSent, error));
  }
}

std::optional<TimePoint> PublishQueue::next_deadline() const {
  if (flight_) return std::min(flight_->resend_at, flight_->oldest + limits_.timeout);
  if (!waiting_.empty()) return waiting_.front().added + limits_.timeout;
  return std::nullopt;
}

Result<void> check_data_size(std::size_t data_bytes, const PublishLimits& limits) {
  if (data_bytes <= limits.event_data_bytes_max) return {};
  return to_error(protocol::Refusal::kTooLarge,
                  "the event has " + std::to_string(data_bytes) + " bytes of data; " +
                      std::to_string(limits.event_data_bytes_max) + " at most");
}

std::string new_client_id() {
  std::array<unsigned char, 16> bytes{};
  if (getentropy(bytes.data(), bytes.size()) != 0) std::abort();  // no Linux since 3.17 refuses
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string lasting_client_id() {
  return "lasting-" + new_client_id();
}

bool may_be_published(const Error& error) {
  if (error.message.ends_with(kNothingSent)) return false;
  return error.kind == ErrorKind::kReconnect || error.message.ends_with(kInDoubt);
}

Error to_error(protocol::Refusal code, const std::string& message) {
  using protocol::Refusal;
  const bool passes = code == Refusal::kQueueFull || code == Refusal::kUnavailable ||
                      code == Refusal::kTimeout || code == Refusal::kInternal;
  return {passes ? ErrorKind::kRetryLater : ErrorKind::kReject,
          std::string(protocol::to_string(code)) + ": " + message};
}

}  // namespace fanfare::client
