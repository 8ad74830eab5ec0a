#include "protocol/codec_body.h"
#include "protocol/deliver_view.h"

namespace fanfare::protocol {

template <typename T>
concept DeliveryLike = Like<T, Delivery> || Like<T, DeliveryView>;
template <typename T>
concept DeliverLike = Like<T, Deliver> || Like<T, DeliverView>;

void fields(auto& wire, DeliveryLike auto& delivery) {
  wire.structure("delivery", 10);
  fields(wire, delivery.id);
  wire.number("delivery.slot", delivery.slot);
  wire.number("delivery.entry_size", delivery.entry_size);
  wire.number("delivery.lane", delivery.lane.number);
  wire.enumeration("delivery.origin", delivery.origin);
  wire.number("delivery.token", delivery.token.value);
  wire.number("delivery.attempt", delivery.attempt);
  wire.number("delivery.accepted_ms", delivery.accepted_ms);
  wire.bin("delivery.packed_ledger", delivery.packed_ledger);
  wire.bin("delivery.packed_event", delivery.packed_event);
  wire.end_structure();
}

void body(auto& wire, DeliverLike auto& m) {
  wire.str("function", m.function);
  wire.list("deliveries", m.deliveries, each_fields);
  if (wire.later()) wire.boolean("early", m.early);
}

static std::size_t expected_bytes(const DeliveryView& delivery) {
  return 72 + delivery.packed_ledger.size() + delivery.packed_event.size();
}

static std::size_t expected_bytes(const Deliver& m) {
  std::size_t bytes = 128;
  for (const Delivery& delivery : m.deliveries) {
    bytes += 72 + delivery.packed_ledger.size() + delivery.packed_event.size();
  }
  return bytes;
}

MessageCodec deliver_codec() {
  return codec_of<Deliver>();
}

template std::string encode(const Deliver&);

Result<DeliverView> view_deliver(std::string_view frame) {
  return view_as<Deliver, DeliverView>(frame);
}

DeliverWriter::DeliverWriter(std::string_view function, std::size_t expected_bytes, bool early)
    : early_(early) {
  frame_.reserve(expected_bytes);
  {
    Encoder wire{frame_, 96};
    // Older builds are sent none that are early, and know nothing of the field.
    wire.structure("Deliver", 2 + kKind<Deliver>.fields - (early ? 0 : kKind<Deliver>.later));
    wire.number("version", kProtocolVersion);
    wire.number("kind", kKind<Deliver>.number);
    wire.str("function", function);
  }
  frame_ += '\xDC';  // an array with a count of two bytes
  count_at_ = frame_.size();
  frame_.append(2, '\0');
}

void DeliverWriter::add(const DeliveryView& delivery) {
  const std::size_t expected = protocol::expected_bytes(delivery);
  if (frame_.capacity() - frame_.size() < expected) {
    frame_.reserve(2 * (frame_.size() + expected));
  }
  Encoder wire{frame_, expected};
  fields(wire, delivery);
  ++count_;
}

std::string DeliverWriter::take() {
  frame_[count_at_] = static_cast<char>(count_ >> 8);
  frame_[count_at_ + 1] = static_cast<char>(count_ & 0xFF);
  if (early_) {
    Encoder wire{frame_, 1};
    wire.boolean("early", true);
  }
  return std::move(frame_);
}

}  // namespace fanfare::protocol
