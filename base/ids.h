// Ids that cannot land in each other's place.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <utility>

namespace fanfare {

// A value of type Rep that is its own type: WorkerSession and RequestId do not convert into each
// other. Ordered and hashable like the value it holds.
template <typename Tag, typename Rep>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(Rep value) : value_(std::move(value)) {}
  const Rep& value() const { return value_; }
  friend auto operator<=>(const StrongId&, const StrongId&) = default;
  friend bool operator==(const StrongId&, const StrongId&) = default;

 private:
  Rep value_{};
};

}  // namespace fanfare

template <typename Tag, typename Rep>
struct std::hash<fanfare::StrongId<Tag, Rep>> {
  std::size_t operator()(const fanfare::StrongId<Tag, Rep>& id) const {
    return std::hash<Rep>{}(id.value());
  }
};
