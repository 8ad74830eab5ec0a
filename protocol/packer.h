// Writes msgpack to the end of a std::string, through the msgpack library. For this folder's
// sources only: no other header includes it.
//
// Growing a string by a few bytes at a time costs a call each; Buffer grows it in large steps and
// cuts it to length in the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <msgpack.hpp>
#include <string>
#include <string_view>

namespace fanfare::protocol {

class Buffer {
 public:
  // Writes behind what `out` holds; `expected_bytes` are made room for at once.
  Buffer(std::string& out, std::size_t expected_bytes) : out_(out), used_(out.size()) {
    out_.resize(used_ + expected_bytes);
  }
  ~Buffer() { out_.resize(used_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Inlined, so that what has a known size, nearly all, is no call.
  [[gnu::always_inline]] void write(const char* bytes, std::size_t size) {
    if (out_.size() - used_ < size) out_.resize((used_ + size) * 2);
    std::memcpy(out_.data() + used_, bytes, size);
    used_ += size;
  }

 private:
  std::string& out_;
  std::size_t used_;
};

class Packer {
 public:
  Packer(std::string& out, std::size_t expected_bytes)
      : buffer_(out, expected_bytes), packer_(buffer_) {}

  void array(std::size_t count) { packer_.pack_array(static_cast<std::uint32_t>(count)); }
  void map(std::size_t count) { packer_.pack_map(static_cast<std::uint32_t>(count)); }
  void unsigned_integer(std::uint64_t value) { packer_.pack_uint64(value); }
  void integer(std::int64_t value) { packer_.pack_int64(value); }
  void boolean(bool value) { value ? packer_.pack_true() : packer_.pack_false(); }
  void nil() { packer_.pack_nil(); }
  void str(std::string_view text) {
    const auto size = static_cast<std::uint32_t>(text.size());
    packer_.pack_str(size);
    packer_.pack_str_body(text.data(), size);
  }
  void str_or_nil(std::string_view text) { text.empty() ? nil() : str(text); }
  void bin(std::string_view bytes) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    packer_.pack_bin(size);
    packer_.pack_bin_body(bytes.data(), size);
  }
  // Bytes that are msgpack already.
  void raw(std::string_view packed) { buffer_.write(packed.data(), packed.size()); }

 private:
  Buffer buffer_;
  msgpack::packer<Buffer> packer_;
};

}  // namespace fanfare::protocol
