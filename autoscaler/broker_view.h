// What the broker's status says of the work there is and of the workers that do it. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fanfare::autoscaler {

struct BrokerView {
  // Deliveries that run, and those that wait and could: of paused functions none, none that waits
  // behind another of its ordering key, and of each function as many as its max_concurrency. What
  // the broker has not read from the journal yet, beyond some thousands, does not count either.
  double demand = 0;
  double slots = 0;  // of a connected worker that takes work, on average; 0: there is none
};

struct ConnectedWorker {
  std::string name, state;  // running | quiet | terminating
  std::string host;         // the boot that it runs on
  std::uint32_t pid = 0;
  double slots = 0;
  std::uint64_t held = 0;  // deliveries
};

// Reads the answer to the broker's admin verb "status". kReject if it is no such thing.
Result<BrokerView> broker_view_of(std::string_view status_json);
// The same of "workers".
Result<std::vector<ConnectedWorker>> connected_workers_of(std::string_view workers_json);

}  // namespace fanfare::autoscaler
