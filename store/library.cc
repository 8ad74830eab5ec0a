#include "store/library.h"

#include "base/sha256.h"

namespace fanfare::store {

extern const std::string_view kLibrarySource;  // written by embed.cmake

std::string_view library_source() {
  return kLibrarySource;
}

const std::string& library_digest() {
  static const std::string digest = sha256_hex(kLibrarySource);
  return digest;
}

std::string library_text() {
  constexpr std::string_view kPlace = "@DIGEST@";
  std::string text{kLibrarySource};
  if (const auto at = text.find(kPlace); at != std::string::npos) {
    text.replace(at, kPlace.size(), library_digest());
  }
  return text;
}

}  // namespace fanfare::store
