#include "base/frame_buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace fanfare {
namespace {

constexpr std::size_t kFirstBytes = 512 * 1024;  // a full batch of small events, or so

}  // namespace

void FrameBuffer::begin(std::size_t bytes) {
  size_ = 0;
  wanted_ = bytes;
}

std::span<char> FrameBuffer::room() {
  if (size_ == capacity_) {
    const std::size_t larger = std::min(wanted_, std::max(kFirstBytes, 2 * capacity_));
    auto* const grown = static_cast<char*>(std::realloc(memory_.get(), larger));
    if (!grown) throw std::bad_alloc();
    (void)memory_.release();
    memory_.reset(grown);
    capacity_ = larger;
  }
  return {memory_.get() + size_, std::min(capacity_, wanted_) - size_};
}

void FrameBuffer::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> to = room();
    const std::size_t n = std::min(to.size(), bytes.size());
    std::memcpy(to.data(), bytes.data(), n);
    came(n);
    bytes.remove_prefix(n);
  }
}

FrameBuffer FrameBuffers::take(std::size_t here) {
  if (here < kSpareFrom || spare_.empty()) return {};
  FrameBuffer taken = std::move(spare_.back());
  spare_.pop_back();
  spare_bytes_ -= taken.capacity();
  return taken;
}

void FrameBuffers::give_back(FrameBuffer done) {
  if (done.capacity() < kSpareFrom || spare_bytes_ + done.capacity() > kSpareBytesMax) return;
  spare_bytes_ += done.capacity();
  spare_.push_back(std::move(done));
}

}  // namespace fanfare
