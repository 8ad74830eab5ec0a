// Bytes that several hold and nobody changes: one allocation, one copy, freed with the last holder.
//
// For what passes through many hands, such as an event that waits in a queue while a call that
// journals it is under way. Copies may be held by different threads.
#pragma once

#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>

namespace fanfare {

class SharedBytes {
 public:
  SharedBytes() = default;
  // Implicit both ways: it is a string in all but ownership.
  SharedBytes(std::string_view bytes) : size_(bytes.size()) {
    if (bytes.empty()) return;
    auto copy = std::make_shared_for_overwrite<char[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    bytes_ = std::move(copy);
  }
  SharedBytes(const std::string& bytes) : SharedBytes(std::string_view{bytes}) {}
  SharedBytes(const char* text) : SharedBytes(std::string_view{text}) {}
  operator std::string_view() const { return {bytes_.get(), size_}; }

  std::size_t size() const { return size_; }
  std::string str() const { return std::string{std::string_view{*this}}; }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) {
    return std::string_view{a} == std::string_view{b};
  }
  friend std::ostream& operator<<(std::ostream& out, const SharedBytes& bytes) {
    return out << std::string_view{bytes};
  }

 private:
  std::shared_ptr<const char[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace fanfare
