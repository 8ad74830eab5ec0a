#include "signature.h"

#include <fanfare/function.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

namespace notify {
namespace {

const unsigned char* unsigned_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

constexpr std::size_t kSecretsMax = 8;

std::string decoded_key(std::string_view secret) {
  if (secret.starts_with("whsec_")) secret.remove_prefix(6);
  std::string key(secret.size() / 4 * 3, '\0');
  const int size = secret.empty() || secret.size() % 4 != 0
                       ? -1
                       : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()),
                                         unsigned_bytes(secret), static_cast<int>(secret.size()));
  if (size < 0) {
    throw fanfare::Failure{"ConfigError", "WEBHOOK_SECRET is not whsec_ and base64"}.retryable(
        false);
  }
  for (; secret.ends_with('='); secret.remove_suffix(1)) key.pop_back();
  return key;
}

}  // namespace

std::string sign(std::string_view secret, std::string_view id, std::int64_t timestamp,
                 std::string_view body) {
  const std::string key = decoded_key(secret);
  std::string content(id);
  content += "." + std::to_string(timestamp) + ".";
  content += body;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), unsigned_bytes(content),
       content.size(), digest.data(), &size);
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> text;
  const int length = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(size));
  return "v1," +
         std::string(reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(length));
}

std::vector<std::string_view> secrets_in(std::string_view text) {
  constexpr std::string_view kBetween = " \t\r\n";
  std::vector<std::string_view> secrets;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kBetween), text.size()));
    if (text.empty()) return secrets;
    secrets.push_back(text.substr(0, text.find_first_of(kBetween)));
    text.remove_prefix(secrets.back().size());
  }
}

std::string sign_with_each(const std::vector<std::string_view>& secrets, std::string_view id,
                           std::int64_t timestamp, std::string_view body) {
  if (secrets.size() > kSecretsMax) {
    throw fanfare::Failure{"ConfigError", "WEBHOOK_SECRET has more than 8 secrets"}.retryable(
        false);
  }
  std::string all;
  for (const std::string_view secret : secrets) {
    all += (all.empty() ? "" : " ") + sign(secret, id, timestamp, body);
  }
  return all;
}

}  // namespace notify
