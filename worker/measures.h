// What the worker measures: how attempts end and how long they take, and what commits cost.
//
// Since this worker started. An attempt costs two additions and a look at the bucket of the one
// before it; a commit's group is observed once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/histogram.h"
#include "protocol/record.h"

namespace fanfare::worker {

struct Measures {
  // Of groups, from the call until Redis has answered, repeats included.
  Histogram commit{duration_buckets()};
  Histogram commit_deliveries{count_buckets()};
};

// Of one function.
struct FunctionMeasures {
  // kOk to kInitFailed, and from kWorkerLost to kCancelled.
  static constexpr std::size_t kOutcomes = 10;
  static constexpr std::size_t index_of(protocol::Outcome outcome) {
    const auto code = static_cast<std::size_t>(outcome);
    return code < 16 ? code : code - 10;
  }
  void ended(protocol::Outcome outcome) { ++attempts.at(index_of(outcome)); }

  std::array<std::uint64_t, kOutcomes> attempts{};
  Histogram duration{duration_buckets()};    // of the handler, however it ended
  Histogram cold_start{duration_buckets()};  // from arrival until its new instance began it
};

}  // namespace fanfare::worker
