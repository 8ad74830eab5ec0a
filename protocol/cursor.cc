#include "protocol/cursor.h"

namespace fanfare::protocol {

void Cursor::fail(const char* what) {
  if (failure_ == nullptr) {
    failure_ = what;
    failed_at_ = offset();
  }
  at_ = end_;
}

Error Cursor::error() const {
  return reject(std::string{failure_ ? failure_ : "nothing is wrong"} + " at byte " +
                std::to_string(failed_at_));
}

void Cursor::skip(int depth) {
  if (at_end()) return fail("truncated");
  const auto t = static_cast<std::uint8_t>(*at_);
  const bool is_array = (t & 0xF0) == 0x90 || t == 0xDC || t == 0xDD;
  const bool is_map = (t & 0xF0) == 0x80 || t == 0xDE || t == 0xDF;
  if (!is_array && !is_map) {
    ++at_;
    return skip_bytes(t);
  }
  if (depth == 0) return fail("nested too deep");
  const std::uint32_t values = is_array ? array() : map() * 2;
  for (std::uint32_t i = 0; i < values && ok(); ++i) skip(depth - 1);
}

// Steps over what follows the tag of a value that is no container.
void Cursor::skip_bytes(std::uint8_t t) {
  if (t < 0x80 || t >= 0xE0 || t == 0xC0 || t == 0xC2 || t == 0xC3) return;
  if ((t & 0xE0) == 0xA0) {
    take(t & 0x1F);
    return;
  }
  std::size_t size = 0;
  switch (t) {
    case 0xC4:
    case 0xD9:
      size = number<std::uint8_t>();
      break;
    case 0xC5:
    case 0xDA:
      size = number<std::uint16_t>();
      break;
    case 0xC6:
    case 0xDB:
      size = number<std::uint32_t>();
      break;
    case 0xC7:
      size = number<std::uint8_t>() + std::size_t{1};
      break;  // ext: type and bytes
    case 0xC8:
      size = number<std::uint16_t>() + std::size_t{1};
      break;
    case 0xC9:
      size = number<std::uint32_t>() + std::size_t{1};
      break;
    case 0xCC:
    case 0xD0:
      size = 1;
      break;
    case 0xCD:
    case 0xD1:
      size = 2;
      break;
    case 0xCA:
    case 0xCE:
    case 0xD2:
      size = 4;
      break;
    case 0xCB:
    case 0xCF:
    case 0xD3:
      size = 8;
      break;
    case 0xD4:
      size = 2;
      break;  // fixext: type and 1, 2, 4, 8 or 16 bytes
    case 0xD5:
      size = 3;
      break;
    case 0xD6:
      size = 5;
      break;
    case 0xD7:
      size = 9;
      break;
    case 0xD8:
      size = 17;
      break;
    default:
      return wrong("not msgpack");
  }
  if (ok()) take(size);
}

}  // namespace fanfare::protocol
