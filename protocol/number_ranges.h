// Ranges of numbers, and which of them hold a number: for n of them, k of which do, in the order of
// log n + k steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "protocol/pattern.h"

namespace fanfare::protocol {

class NumberRanges {
 public:
  // `range` is a kNumeric; `target` is what finding it gives.
  void add(const Alternative& range, std::uint32_t target);
  // Once, after all have been added.
  void build();
  bool empty() const { return ranges_.empty(); }

  template <typename Found>
  void each_with(double number, Found&& found) const {
    look(0, ranges_.size(), number, found);
  }

 private:
  struct Range {
    double min = 0, max = 0;
    bool min_inside = true, max_inside = true;
    std::uint32_t target = 0;
    double max_below = 0;  // the largest `max` of the part of the vector whose middle this is

    bool holds(double number) const {
      return (min_inside ? number >= min : number > min) &&
             (max_inside ? number <= max : number < max);
    }
  };

  double fill(std::size_t from, std::size_t to);

  // What begins above the number lies right of the middle; what ends below it, below `max_below`.
  template <typename Found>
  void look(std::size_t from, std::size_t to, double number, Found& found) const {
    while (from < to) {
      const std::size_t middle = from + (to - from) / 2;
      const Range& range = ranges_[middle];
      if (range.max_below < number) return;
      look(from, middle, number, found);
      if (range.min > number) return;
      if (range.holds(number)) found(range.target);
      from = middle + 1;
    }
  }

  std::vector<Range> ranges_;  // ascending by `min`: a tree, each part's middle being its root
};

}  // namespace fanfare::protocol
