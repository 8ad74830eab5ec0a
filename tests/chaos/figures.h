// Figures taken from a history.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/chaos/history.h"

namespace fanfare::chaos {

// The value below which `share` of them lie; 0 of none.
double quantile(std::vector<double> values, double share);

// When, after `from_ns`, half a second first saw acknowledgements at this rate; in ms from then.
// 1e6: never.
double ms_until_acknowledged(const History& history, std::int64_t from_ns, double per_s);

// For each execution whose result died with its worker: milliseconds from the kill until the
// delivery ran again. Only of kills between `from_ns` and `until_ns`, by the monotonic clock.
std::vector<double> ms_until_run_again(const History& history, std::int64_t from_ns = 0,
                                       std::int64_t until_ns = INT64_MAX);

}  // namespace fanfare::chaos
