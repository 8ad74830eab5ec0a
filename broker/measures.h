// What the broker measures: how long things take, and what became of each function's deliveries.
//
// Histograms are fed where work comes in groups, once for each group: nothing here costs an event
// more than an addition. Functions are told apart, tenants are not: there may be any number.
#pragma once

#include <cstdint>

#include "base/histogram.h"

namespace fanfare::broker {

struct Measures {
  // Of events, from the turn in which their batch came to that in which it was answered whole.
  Histogram publish{duration_buckets()};
  // Of chunks, from the call until Redis has answered, repeats after a lost answer included; those
  // of outboxes, too.
  Histogram journal{duration_buckets()};
  Histogram chunk_events{count_buckets()};  // of these chunks
};

// Since this broker started, unlike FunctionState::counts, which Redis keeps.
struct FunctionMeasures {
  // Of deliveries each time they were lent: since they were accepted, or since they were due, if
  // that came later. By the wall clock's milliseconds.
  Histogram queue_time{duration_buckets()};
  std::uint64_t created = 0;
  std::uint64_t dispatched = 0;
  std::uint64_t retried = 0;
  std::uint64_t succeeded = 0, dead = 0, expired = 0, cancelled = 0;
};

}  // namespace fanfare::broker
