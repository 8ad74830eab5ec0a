// The arguments of one Redis command: views of bytes that live elsewhere, and of texts kept here.
//
// Meant to be used again and again: clear() keeps the memory. Views stay good until then.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace fanfare::store {

class Arguments {
 public:
  // Bytes that outlive this object's next clear().
  void add(std::string_view bytes) { views_.push_back(bytes); }
  // Bytes that do not: the pieces are copied, one behind the other, into one argument.
  template <typename... Pieces>
  void add_copy(const Pieces&... pieces) {
    views_.push_back(keep(pieces...));
  }
  template <std::integral T>
  void add_number(T number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    add_copy(std::string_view{digits, static_cast<std::size_t>(end - digits)});
  }
  void add_index(std::uint8_t index);

  // An argument of so many bytes, for the caller to fill.
  char* add_room(std::size_t bytes) {
    char* const room = take(bytes);
    views_.push_back({room, bytes});
    return room;
  }

  // Copies without adding: for what is added several times.
  template <typename... Pieces>
  std::string_view keep(const Pieces&... pieces) {
    const std::size_t size = (std::string_view{pieces}.size() + ... + 0);
    char* const start = take(size);
    char* at = start;
    const auto put = [&at](std::string_view piece) {
      if (!piece.empty()) std::memcpy(at, piece.data(), piece.size());
      at += piece.size();
    };
    (put(pieces), ...);
    return {start, size};
  }

  std::span<const std::string_view> all() const { return views_; }
  std::size_t bytes() const;
  void clear();

 private:
  static constexpr std::size_t kBlock = 128 * 1024;
  char* take(std::size_t size);

  std::vector<std::string_view> views_;
  std::vector<std::unique_ptr<char[]>> blocks_;  // of kBlock each
  std::vector<std::unique_ptr<char[]>> large_;   // of texts above kBlock / 4
  std::size_t block_ = 0, used_ = 0;             // where the next text goes
};

}  // namespace fanfare::store
