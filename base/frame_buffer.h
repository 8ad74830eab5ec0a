// The memory that frames are read into: that of a turn, which takes what has come, and that of a
// frame which comes in several pieces. Neither is filled before it is read into, and that of large
// frames is kept for the next ones, since fresh memory costs more than what is done with it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace fanfare {

// One frame while it arrives. Grows as it does, so that who announces a large frame and sends
// little of it takes little.
class FrameBuffer {
 public:
  FrameBuffer() = default;
  FrameBuffer(FrameBuffer&& other) noexcept { *this = std::move(other); }
  FrameBuffer& operator=(FrameBuffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    capacity_ = std::exchange(other.capacity_, 0);
    size_ = std::exchange(other.size_, 0);
    wanted_ = std::exchange(other.wanted_, 0);
    return *this;
  }

  // For a frame of `bytes`.
  void begin(std::size_t bytes);
  // Where what comes next goes: at least one byte, at most what is missing. Good until the next
  // call.
  std::span<char> room();
  void came(std::size_t bytes) { size_ += bytes; }
  void append(std::string_view bytes);  // at most what is missing

  bool whole() const { return size_ == wanted_; }
  std::string_view frame() const { return {memory_.get(), size_}; }
  std::size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };

  std::unique_ptr<char, Free> memory_;  // of malloc: realloc may move pages instead of bytes
  std::size_t capacity_ = 0, size_ = 0, wanted_ = 0;
};

// What the streams of one thread share.
class FrameBuffers {
 public:
  static constexpr std::size_t kPortionBytes = 256 * 1024;
  static constexpr std::size_t kSpareFrom =
      64 * 1024;  // of a frame are here: then it is a large one
  static constexpr std::size_t kSpareBytesMax = 4 << 20;  // together

  // In use while a stream reads, its handlers included: none may make another stream read.
  std::span<char> portion() { return {portion_.get(), kPortionBytes}; }

  // For a frame of which so much is here: with the memory of an earlier one, if it is large and
  // there is some. So who stalls after a few bytes holds a few.
  FrameBuffer take(std::size_t here);
  void give_back(FrameBuffer done);

 private:
  std::unique_ptr<char[]> portion_ = std::make_unique_for_overwrite<char[]>(kPortionBytes);
  std::vector<FrameBuffer> spare_;
  std::size_t spare_bytes_ = 0;
};

}  // namespace fanfare
