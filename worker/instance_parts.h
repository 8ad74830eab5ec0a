// What the sources of InstanceRuntime share. For them only.
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "fanfare/function.h"

namespace fanfare::worker {

inline constexpr std::size_t kContentTypeMax = 256, kTypeMax = 256, kMessageMax = 1024;

inline std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

inline std::uint32_t peak_memory_kb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint32_t>(usage.ru_maxrss);
}

inline std::string_view view(abi::Text text) {
  return {text.data, text.size};
}

inline std::string too_large(std::size_t bytes, std::uint64_t limit) {
  return "the result is " + std::to_string(bytes) + " bytes, the limit is " +
         std::to_string(limit) + " (result.max_bytes)";
}

// An event that came as a memfd.
class MappedEvent {
 public:
  MappedEvent(int memfd, std::size_t size) : size_(size) {
    if (size > 0) address_ = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, memfd, 0);
  }
  MappedEvent(const MappedEvent&) = delete;
  MappedEvent& operator=(const MappedEvent&) = delete;
  ~MappedEvent() {
    if (address_ != MAP_FAILED) ::munmap(address_, size_);
  }
  bool ok() const { return address_ != MAP_FAILED; }
  std::string_view bytes() const { return {static_cast<const char*>(address_), size_}; }

 private:
  void* address_ = MAP_FAILED;
  std::size_t size_;
};

}  // namespace fanfare::worker
