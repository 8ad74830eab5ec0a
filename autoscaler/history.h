// What an autoscaler has decided lately, as `fanfare autoscale status` shows it. No I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

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

class History {
 public:
  // `driver`, `dry_run`, `options`: shown as they are.
  History(std::string driver, bool dry_run, const ScalerOptions& options);

  void decided(WallTime at, const Observation& seen, const WorkerSet& workers,
               const Decision& decision);
  // The last 50 are kept.
  void changed(Change change);
  // Why there was no decision; the next one clears it.
  void failed(WallTime at, std::string why);

  // {"at", "driver", "dry_run", "min", "max", "workers", "leaving", "desired", "demand", "stable",
  //  "panic", "panicking", "slots", "reason", "trouble", "changes": [newest first]}
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
