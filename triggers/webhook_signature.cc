#include "triggers/webhook_signature.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <charconv>

#include "protocol/base64.h"

namespace fanfare::triggers {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr std::size_t kKeyBytesMin = 24, kKeyBytesMax = 64, kTextBytesMin = 16;
constexpr std::size_t kIdBytesMax = 256;
constexpr int kSignaturesMax = 16;  // of one message

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hex_of(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return hex;
}

// What it would be signed with by each of the keys: once, however many signatures come.
template <typename Signature>
std::vector<std::string> signatures_of(const std::vector<std::string>& keys,
                                       const Signature& signature) {
  std::vector<std::string> all;
  for (const std::string& key : keys) all.push_back(signature(key));
  return all;
}

// All are looked at, so that the time says nothing of which one it was.
bool is_one_of(const std::vector<std::string>& signatures, std::string_view given) {
  bool found = false;
  for (const std::string& signature : signatures) {
    const bool one = same(signature, given);
    found = found || one;
  }
  return found;
}

Result<Webhook> verify_standard(const std::vector<std::string>& keys, const HttpExchange& exchange,
                                WallTime now, Duration tolerance) {
  const std::string_view id = exchange.header("webhook-id");
  const std::string_view sent = exchange.header("webhook-timestamp");
  std::string_view signatures = exchange.header("webhook-signature");
  if (id.empty() || id.size() > kIdBytesMax) return reject("webhook-id is missing or too long");
  std::int64_t timestamp = 0;
  const auto read = std::from_chars(sent.data(), sent.data() + sent.size(), timestamp);
  if (sent.empty() || read.ec != std::errc{} || read.ptr != sent.data() + sent.size()) {
    return reject("webhook-timestamp is missing or no number");
  }
  const std::int64_t tolerance_ms = tolerance / std::chrono::milliseconds{1};
  constexpr std::int64_t kFarOff = 100'000'000'000;  // seconds: no overflow below
  if (timestamp < 0 || timestamp > kFarOff ||
      std::abs(to_ms(now) - timestamp * 1000) > tolerance_ms) {
    return reject("webhook-timestamp is too far from now");
  }
  const auto valid = signatures_of(keys, [&](const std::string& key) {
    return standard_signature(key, id, timestamp, exchange.body());
  });
  bool found = false;
  for (int i = 0; i < kSignaturesMax && !signatures.empty(); ++i) {
    const std::string_view one = signatures.substr(0, signatures.find(' '));
    signatures.remove_prefix(std::min(one.size() + 1, signatures.size()));
    const bool its = is_one_of(valid, one);
    found = found || its;
  }
  if (!found) return reject("no signature in webhook-signature is of one of the secrets");
  return Webhook{std::string{id}, {}};
}

Result<Webhook> verify_github(const std::vector<std::string>& keys, const HttpExchange& exchange) {
  const auto valid = signatures_of(keys, [&](const std::string& key) {
    return "sha256=" + hex_of(hmac_sha256(key, exchange.body()));
  });
  const bool found = is_one_of(valid, exchange.header("X-Hub-Signature-256"));
  if (!found) return reject("X-Hub-Signature-256 is not of one of the secrets");
  if (exchange.header("X-GitHub-Delivery").empty()) return reject("X-GitHub-Delivery is missing");
  return Webhook{std::string{exchange.header("X-GitHub-Delivery")},
                 std::string{exchange.header("X-GitHub-Event")}};
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::string bytes(32, '\0');
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(bytes.data()), &size);
  return bytes;
}

Result<std::string> webhook_key(WebhookScheme scheme, std::string_view secret) {
  if (scheme == WebhookScheme::kGithub) {
    if (secret.size() < kTextBytesMin) return reject("a secret has at least 16 characters");
    return std::string{secret};
  }
  if (!secret.starts_with(kPrefix))
    return reject("a secret is whsec_ and base64 of 24 to 64 bytes");
  auto key = protocol::from_base64(secret.substr(kPrefix.size()));
  const bool fits = key && key->size() >= kKeyBytesMin && key->size() <= kKeyBytesMax;
  return fits ? std::move(key) : reject("a secret is whsec_ and base64 of 24 to 64 bytes");
}

std::string standard_signature(std::string_view key, std::string_view id, std::int64_t timestamp_s,
                               std::string_view body) {
  std::string text = fmt::format("{}.{}.", id, timestamp_s);
  text += body;
  return "v1," + protocol::to_base64(hmac_sha256(key, text));
}

Result<Webhook> verify_webhook(WebhookScheme scheme, const std::vector<std::string>& keys,
                               const HttpExchange& exchange, WallTime now, Duration tolerance) {
  return scheme == WebhookScheme::kGithub ? verify_github(keys, exchange)
                                          : verify_standard(keys, exchange, now, tolerance);
}

}  // namespace fanfare::triggers
