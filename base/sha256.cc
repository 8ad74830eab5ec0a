#include "base/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace fanfare {
namespace {

std::string hex_of(const std::array<std::uint8_t, 32>& digest) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

}  // namespace

std::array<std::uint8_t, 32> sha256(std::string_view bytes) {
  std::array<std::uint8_t, 32> digest{};
  unsigned length = 0;
  // Fails only when OpenSSL itself is broken: nothing can be named safely then.
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1 ||
      length != digest.size()) {
    std::abort();
  }
  return digest;
}

std::string sha256_hex(std::string_view bytes) {
  return hex_of(sha256(bytes));
}

// As above, what fails here is OpenSSL itself.
Sha256::Sha256() : state_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  if (!state_ || EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr) != 1) std::abort();
}

void Sha256::add(std::string_view bytes) {
  if (EVP_DigestUpdate(state_.get(), bytes.data(), bytes.size()) != 1) std::abort();
}

std::string Sha256::hex() {
  std::array<std::uint8_t, 32> digest{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(state_.get(), digest.data(), &length) != 1 || length != digest.size()) {
    std::abort();
  }
  return hex_of(digest);
}

}  // namespace fanfare
