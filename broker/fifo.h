// First in, first out, for many queues of which most are short: an empty one has no memory of its
// own, a short one lies in one piece, and a long one in blocks, so that it grows without moving
// what it holds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <utility>
#include <vector>

namespace fanfare::broker {

template <typename T>
class Fifo {
 public:
  bool empty() const { return blocks_.empty(); }
  const T& front() const {
    const Block& first = blocks_.front();
    return first.items[first.head];
  }

  void push_back(T&& value) {
    if (blocks_.empty()) {
      blocks_.emplace_back();
    } else if (blocks_.back().items.size() == kBlock) {
      blocks_.emplace_back().items.reserve(kBlock);
    }
    blocks_.back().items.push_back(std::move(value));
  }
  // Requires that it is not empty.
  T pop_front() {
    Block& first = blocks_.front();
    T value = std::move(first.items[first.head++]);
    if (first.head == first.items.size()) blocks_.pop_front();
    return value;
  }

  // The first that fits, null if none does; good until the queue changes.
  template <typename Wanted>
  const T* find_if(Wanted wanted) const {
    for (const Block& block : blocks_) {
      const auto at = std::find_if(block.begin(), block.items.end(), wanted);
      if (at != block.items.end()) return &*at;
    }
    return nullptr;
  }

  // Takes out the first that fits; false if none does.
  template <typename Wanted>
  bool take_if(Wanted wanted, T& out) {
    for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
      const auto at = std::find_if(block->begin(), block->items.cend(), wanted);
      if (at == block->items.cend()) continue;
      out = std::move(block->items[static_cast<std::size_t>(at - block->items.cbegin())]);
      block->items.erase(at);
      if (block->head == block->items.size()) blocks_.erase(block);
      return true;
    }
    return false;
  }
  template <typename Unwanted>
  void erase_if(Unwanted unwanted) {
    for (Block& block : blocks_) {
      block.items.erase(block.items.cbegin(), block.begin());
      block.head = 0;
      std::erase_if(block.items, unwanted);
    }
    std::erase_if(blocks_, [](const Block& block) { return block.items.empty(); });
  }

 private:
  static constexpr std::size_t kBlock = 128;
  struct Block {
    std::vector<T> items;
    std::size_t head = 0;  // what lies before it has been taken out
    auto begin() const { return items.cbegin() + static_cast<std::ptrdiff_t>(head); }
  };
  std::list<Block> blocks_;  // none is empty
};

}  // namespace fanfare::broker
