// Asks the broker's Redis now and then how it is, and looks how much room its disk has.
//
// A connection of its own, so that a question never waits behind the journal, nor the journal
// behind it. Nothing is decided by what it says: it is for /metrics. Without an answer the last one
// is told for kKeptFor, and then none.
//
// On the loop's thread. The disk is looked at by statvfs, which waits for no disk of this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/loop.h"
#include "base/metrics_text.h"
#include "base/redis_link.h"
#include "store/redis_health.h"

namespace fanfare::broker {

class RedisWatch {
 public:
  static constexpr Duration kAskEvery = std::chrono::seconds{5};
  static constexpr Duration kKeptFor = std::chrono::seconds{30};

  RedisWatch(Loop& loop, RedisOptions redis);

  // fanfare_redis_…; without an answer, nothing. The disk's only if Redis is on this machine and
  // its directory can be seen from here.
  void tell(MetricsText& text) const;

 private:
  void ask();
  void look_at_disk();

  struct Disk {
    std::uint64_t free_bytes = 0, size_bytes = 0;
  };
  Loop& loop_;
  bool here_;              // on this machine
  std::string directory_;  // of the append-only file; empty: not known
  std::optional<store::RedisHealth> health_;
  std::optional<Disk> disk_;
  TimePoint answered_at_;
  RedisLink link_;
  Timer timer_;
};

}  // namespace fanfare::broker
