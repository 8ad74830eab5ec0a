// Deliver without copies: the broker holds an event's bytes already, and the worker only passes
// them on, so both work on views. The views live as long as the frame or the strings they point
// into.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/messages.h"

namespace fanfare::protocol {

// As Delivery, with views for the bytes.
struct DeliveryView {
  EventId id;
  std::uint8_t slot = 0;
  std::uint16_t entry_size = 1;
  Lane lane;
  Origin origin = Origin::kJournal;
  AttemptToken token;
  std::uint32_t attempt = 1;
  std::int64_t accepted_ms = 0;
  std::string_view packed_ledger;
  std::string_view packed_event;
  bool operator==(const DeliveryView&) const = default;
};

struct DeliverView {
  std::string_view function;
  std::vector<DeliveryView> deliveries;
  bool early = false;
};

Result<DeliverView> view_deliver(std::string_view frame);

// Writes a Deliver frame one delivery after the other.
class DeliverWriter {
 public:
  static constexpr std::size_t kDeliveriesMax = 65535;

  explicit DeliverWriter(std::string_view function, std::size_t expected_bytes = 4096,
                         bool early = false);

  // Copies what the views point to. Requires count() < kDeliveriesMax.
  void add(const DeliveryView& delivery);

  std::size_t count() const { return count_; }
  std::size_t bytes() const { return frame_.size(); }

  // The finished frame; the writer is empty afterwards and must not be used again.
  std::string take();

 private:
  std::string frame_;
  std::size_t count_at_ = 0;  // where the number of deliveries stands, filled in at last
  std::size_t count_ = 0;
  bool early_ = false;
};

}  // namespace fanfare::protocol
