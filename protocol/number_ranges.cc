#include "protocol/number_ranges.h"

#include <algorithm>

namespace fanfare::protocol {

void NumberRanges::add(const Alternative& range, std::uint32_t target) {
  ranges_.push_back({.min = range.number,
                     .max = range.number_max,
                     .min_inside = range.min_inside,
                     .max_inside = range.max_inside,
                     .target = target,
                     .max_below = 0});
}

void NumberRanges::build() {
  std::ranges::sort(ranges_, {}, &Range::min);
  if (!ranges_.empty()) fill(0, ranges_.size());
}

double NumberRanges::fill(std::size_t from, std::size_t to) {
  const std::size_t middle = from + (to - from) / 2;
  Range& range = ranges_[middle];
  range.max_below = range.max;
  if (from < middle) range.max_below = std::max(range.max_below, fill(from, middle));
  if (middle + 1 < to) range.max_below = std::max(range.max_below, fill(middle + 1, to));
  return range.max_below;
}

}  // namespace fanfare::protocol
