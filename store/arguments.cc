#include "store/arguments.h"

#include <numeric>
#include <string>

namespace fanfare::store {
namespace {

std::array<std::string, 256> make_index_texts() {
  std::array<std::string, 256> texts;
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = std::to_string(i);
  return texts;
}

}  // namespace

void Arguments::add_index(std::uint8_t index) {
  static const std::array<std::string, 256> texts = make_index_texts();
  views_.push_back(texts[index]);
}

std::size_t Arguments::bytes() const {
  return std::accumulate(views_.begin(), views_.end(), std::size_t{0},
                         [](std::size_t sum, std::string_view view) { return sum + view.size(); });
}

void Arguments::clear() {
  views_.clear();
  large_.clear();
  block_ = used_ = 0;
}

char* Arguments::take(std::size_t size) {
  if (size > kBlock / 4) {
    large_.push_back(std::make_unique_for_overwrite<char[]>(size));
    return large_.back().get();
  }
  if (block_ < blocks_.size() && used_ + size > kBlock) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(kBlock));
  }
  char* const place = blocks_[block_].get() + used_;
  used_ += size;
  return place;
}

}  // namespace fanfare::store
