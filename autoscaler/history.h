// What an autoscaler has decided lately, as `fanfare autoscale status` shows it. No I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/driver.h"
#include "autoscaler/scaler.h"
#include "base/time.h"

namespace fanfare::autoscaler {

// The hash in Redis that has each autoscaler's status by its name.
inline constexpr const char* kStatusKey = "fanfare:autoscalers";

struct Change {
  WallTime at;
  std::uint32_t from = 0, to = 0;
  std::string reason;
  std::string outcome;  // what the driver has said; "dry run"
};

// Those of a status that an autoscaler has told before, to go on with; since when each drains is
// not told, so it is from `now` on. None if the text is no status.
std::vector<Drain> drains_in(std::string_view status_json, TimePoint now);

class History {
 public:
  // `driver`, `dry_run`, `options`: shown as they are.
  History(std::string driver, bool dry_run, const ScalerOptions& options);

  void decided(WallTime at, const Observation& seen, const WorkerSet& workers,
               const Decision& decision);
  // The last 50 are kept; of one that is tried again and again and ends alike, the last time.
  void changed(Change change);
  // Why there was no decision; the next one clears it.
  void failed(WallTime at, std::string why);

  // {"at", "driver", "dry_run", "min", "max", "workers", "leaving", "desired", "demand", "stable",
  //  "panic", "panicking", "slots", "slots_elsewhere", "reason", "trouble", "drains": […],
  //  "changes": [newest first]}
  std::string to_json() const;

 private:
  std::string driver_;
  bool dry_run_;
  ScalerOptions options_;
  WallTime at_{};
  Observation seen_;
  WorkerSet workers_;
  Decision decision_;
  std::string trouble_;
  std::deque<Change> changes_;
};

}  // namespace fanfare::autoscaler
