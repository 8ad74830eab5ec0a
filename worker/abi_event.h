// A packed event as functions get it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fanfare/function.h"
#include "protocol/event.h"
#include "protocol/ids.h"

namespace fanfare::worker {

class AbiEvent {
 public:
  // Keeps views into `packed`, which must stay as long.
  AbiEvent(const protocol::EventId& id, std::string_view packed);
  AbiEvent(const AbiEvent&) = delete;
  AbiEvent& operator=(const AbiEvent&) = delete;

  // Why it cannot be read; the event is then empty.
  const std::optional<std::string>& problem() const { return problem_; }
  const abi::Event& event() const { return event_; }

 private:
  std::string id_;
  protocol::Event owner_;  // of the extensions, which few events have
  std::vector<abi::Attribute> extensions_;
  std::optional<std::string> problem_;
  abi::Event event_{};
};

}  // namespace fanfare::worker
