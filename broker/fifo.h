// First in, first out, for many queues of which most are short: an empty one has no memory of its
// own, a long one moves each element at most once more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace fanfare::broker {

template <typename T>
class Fifo {
 public:
  bool empty() const { return head_ == all_.size(); }
  std::size_t size() const { return all_.size() - head_; }
  const T& front() const { return all_[head_]; }

  void push_back(T value) { all_.push_back(std::move(value)); }
  void push_front(T value) {
    if (head_ > 0) {
      all_[--head_] = std::move(value);
    } else {
      all_.insert(all_.begin(), std::move(value));
    }
  }
  T pop_front() {
    T value = std::move(all_[head_++]);
    if (head_ == all_.size()) {
      all_.clear();
      head_ = 0;
    } else if (head_ >= kCompactFrom && head_ * 2 >= all_.size()) {
      compact();
    }
    return value;
  }

  auto begin() const { return all_.begin() + static_cast<std::ptrdiff_t>(head_); }
  auto end() const { return all_.end(); }

  // Takes out the first that fits; false if none does.
  template <typename Wanted>
  bool take_if(Wanted wanted, T& out) {
    const auto at = std::find_if(begin(), end(), wanted);
    if (at == end()) return false;
    const auto index = at - all_.begin();
    out = std::move(all_[static_cast<std::size_t>(index)]);
    all_.erase(all_.begin() + index);
    return true;
  }
  template <typename Unwanted>
  void erase_if(Unwanted unwanted) {
    compact();
    std::erase_if(all_, unwanted);
  }

 private:
  static constexpr std::size_t kCompactFrom = 64;
  void compact() {
    all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(std::exchange(head_, 0)));
  }

  std::vector<T> all_;  // before head_: what has been taken out
  std::size_t head_ = 0;
};

}  // namespace fanfare::broker
