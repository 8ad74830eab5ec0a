#include "disabling.h"

#include <openssl/evp.h>

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

namespace notify {
namespace {

using nlohmann::json;

std::string text_in(const json& row, const char* name) {
  const auto at = row.find(name);
  return at != row.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

std::string sha256_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[sizeof "2026-11-28T00:00:00Z"];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace

std::optional<Disabled> disabled(fanfare::Store store, std::string_view url) {
  const auto value = store.get(kDisabledKey);
  if (!value) return std::nullopt;
  const json row = json::parse(*value, nullptr, /*allow_exceptions=*/false);
  if (!row.is_object()) return Disabled{"", *value};  // somebody has put it there by hand
  const std::string about = text_in(row, "url_sha256"), about_url = text_in(row, "url");
  if (!about.empty() && about != sha256_hex(url)) return std::nullopt;
  if (!about_url.empty() && about_url != url) return std::nullopt;
  return Disabled{text_in(row, "since"), text_in(row, "why")};
}

void disable(fanfare::Store store, std::string_view url, std::string_view why) {
  const json row{{"since", now_text()}, {"why", why}, {"url_sha256", sha256_hex(url)}};
  store.put(kDisabledKey, row.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace notify
