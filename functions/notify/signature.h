// Signatures as standardwebhooks.com defines them (v1: HMAC-SHA256).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace notify {

// "v1,<base64>" over "id.timestamp.body". `secret` is base64, with or without the prefix "whsec_".
// Throws fanfare::Failure ConfigError, not retryable, if it is not.
std::string sign(std::string_view secret, std::string_view id, std::int64_t timestamp,
                 std::string_view body);

}  // namespace notify
