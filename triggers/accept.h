// What a client wants to have for an answer: the field Accept (RFC 9110, section 12.5.1).
//
// No I/O.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "triggers/http.h"

namespace fanfare::triggers {

// Which of the media types `offered`, in lower case and the preferred one first, the request wants
// most: among those of the same weight the first one, as it is without an Accept. Nothing if it
// wants none of them. Of its media ranges the closest one counts, as in "text/*;q=0.3, text/html";
// those that cannot be read are left out, parameters but q are ignored.
std::optional<std::size_t> wanted_of(const HttpExchange& exchange,
                                     std::span<const std::string_view> offered);

}  // namespace fanfare::triggers
