// Signatures as standardwebhooks.com defines them (v1: HMAC-SHA256).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace notify {

// "v1,<base64>" over "id.timestamp.body". `secret` is base64, with or without the prefix "whsec_".
// Throws fanfare::Failure ConfigError, not retryable, if it is not.
std::string sign(std::string_view secret, std::string_view id, std::int64_t timestamp,
                 std::string_view body);

// Secrets as they are written down, with blanks or line breaks between them.
std::vector<std::string_view> secrets_in(std::string_view text);

// With each of them, a blank in between: while one secret replaces another, receivers have either.
// Throws as sign() does, and for more than 8.
std::string sign_with_each(const std::vector<std::string_view>& secrets, std::string_view id,
                           std::int64_t timestamp, std::string_view body);

}  // namespace notify
