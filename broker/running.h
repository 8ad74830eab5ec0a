// What workers said they are at, as far as it still holds: for people who ask what runs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "broker/core.h"

namespace fanfare::broker {

struct RunningNow {
  const protocol::RunningAttempt* attempt = nullptr;
  const Session* session = nullptr;
  std::int64_t running_ms = 0;  // until now

  // 0 to 1; nothing if the function has not said.
  std::optional<double> progress() const;
};

// The latest heartbeats of all sessions, looked through by delivery. A worker goes on to the next
// attempt between two heartbeats: only what is still lent to it, under the same token, is here.
// Made for one question; good until the core changes.
class RunningIndex {
 public:
  RunningIndex(const Core& core, Now now);

  const RunningNow* find(std::string_view function, const protocol::EventId& id) const;
  // Those that have run for `at_least` or report progress, the longest first, at most `most`.
  std::vector<RunningNow> longest(std::int64_t at_least_ms, std::size_t most) const;

 private:
  std::map<std::pair<std::string_view, protocol::EventId>, RunningNow> by_delivery_;
};

}  // namespace fanfare::broker
