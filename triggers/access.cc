#include "triggers/access.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>

#include "protocol/base64.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

bool starts_with_any_case(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const char byte = text[i];
    if ((byte >= 'A' && byte <= 'Z' ? byte + 32 : byte) != lower[i]) return false;
  }
  return true;
}

// Of "example.org:80", "[::1]:80" and the same without a port.
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_loopback_name(std::string_view host) {
  const std::string_view name = host_name(host);
  if (name == "localhost" || name == "[::1]") return true;
  // An address, and not the beginning of somebody's name.
  return name.starts_with("127.") && name.find_first_not_of("0123456789.") == name.npos;
}

// Of "Basic dXNlcjpwYXNz" what stands behind the scheme, without the spaces between; empty if it is
// another one.
std::string_view credential_of(std::string_view authorization, std::string_view lower_scheme) {
  if (!starts_with_any_case(authorization, lower_scheme)) return {};
  authorization.remove_prefix(lower_scheme.size());
  const std::size_t begin = authorization.find_first_not_of(' ');
  return begin == 0 || begin == authorization.npos ? std::string_view{}
                                                   : authorization.substr(begin);
}

// The password of HTTP Basic; empty if there is none.
std::string password_of(std::string_view authorization) {
  const std::string_view credential = credential_of(authorization, "basic");
  if (credential.empty()) return {};
  const auto decoded = protocol::from_base64(credential);
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  return colon == std::string::npos ? std::string{} : decoded->substr(colon + 1);
}

// Of Bearer, or the access key id of AWS.
std::string_view token_of(std::string_view authorization) {
  constexpr std::string_view kCredential = "Credential=";
  if (const auto token = credential_of(authorization, "bearer"); !token.empty()) return token;
  authorization = credential_of(authorization, "aws4-hmac-sha256");
  const std::size_t at = authorization.find(kCredential);
  if (at == authorization.npos) return {};
  authorization.remove_prefix(at + kCredential.size());
  return authorization.substr(0, authorization.find('/'));
}

std::string_view token_of(const HttpExchange& exchange) {
  if (const auto token = exchange.header("X-Fanfare-Token"); !token.empty()) return token;
  return token_of(exchange.header("Authorization"));
}

// There at all, with whatever value: proxies add a line to what clients have sent.
bool says_it_was_forwarded(const HttpExchange& exchange) {
  return std::ranges::any_of(exchange.headers(), [](const auto& field) {
    return starts_with_any_case(field.first, "forwarded") ||
           starts_with_any_case(field.first, "x-forwarded") ||
           starts_with_any_case(field.first, "x-real-ip") ||
           starts_with_any_case(field.first, "via");
  });
}

bool is_trusted_loopback(const HttpExchange& exchange) {
  return exchange.peer().loopback && is_loopback_name(exchange.header("Host")) &&
         !says_it_was_forwarded(exchange);
}

// Browsers send no Origin with links and pictures, and say then where they come from.
bool is_of_another_origin(const HttpExchange& exchange) {
  const std::string_view site = exchange.header("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string_view origin = exchange.header("Origin");
  if (origin.empty()) return false;
  const std::size_t scheme = origin.find("://");
  return scheme == origin.npos || origin.substr(scheme + 3) != exchange.header("Host");
}

}  // namespace

bool is_token(const std::vector<std::string>& tokens, std::string_view text) {
  bool known = false;
  for (const std::string& token : tokens) {
    const bool same = token.size() == text.size() && !token.empty() &&
                      CRYPTO_memcmp(token.data(), text.data(), token.size()) == 0;
    known = known || same;
  }
  return known;
}

bool has_token(const std::vector<std::string>& tokens, std::string_view authorization) {
  return is_token(tokens, token_of(authorization)) || is_token(tokens, password_of(authorization));
}

std::optional<HttpResponse> refusal_of(const AccessOptions& options, const HttpExchange& exchange) {
  if (is_token(options.tokens, token_of(exchange))) return std::nullopt;
  // Browsers keep passwords, and send them along with what other pages ask for.
  if (is_token(options.tokens, password_of(exchange.header("Authorization"))) &&
      !is_of_another_origin(exchange)) {
    return std::nullopt;
  }
  if (options.trust_loopback && is_trusted_loopback(exchange)) {
    if (!is_of_another_origin(exchange)) return std::nullopt;
    return problem(403, "pages of other origins may only use forms; send a token otherwise");
  }
  HttpResponse response =
      problem(401, "a token is needed: Authorization: Bearer TOKEN, one of [triggers] tokens");
  response.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (!exchange.header("x-amz-sns-message-type").empty()) {
    response.headers.push_back({"WWW-Authenticate", "Basic realm=\"fanfare\""});
  }
  return response;
}

}  // namespace fanfare::triggers
