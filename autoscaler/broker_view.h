// What the broker's status says of the work there is and of the workers that do it. No I/O.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace fanfare::autoscaler {

struct BrokerView {
  // Deliveries that run, and those that wait and may run: not those of paused functions, nor those
  // behind others of their ordering key.
  double demand = 0;
  double slots = 0;           // of a connected worker that takes work, on average; 0: there is none
  std::uint32_t workers = 0;  // such workers
};

// Reads the answer to the broker's admin verb "status". kReject if it is no such thing.
Result<BrokerView> broker_view_of(std::string_view status_json);

}  // namespace fanfare::autoscaler
