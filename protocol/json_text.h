// Small questions about JSON as text, asked before a JSON library is let near it.
#pragma once

#include <string>
#include <string_view>

namespace fanfare::protocol {

// Deeper JSON counts as no JSON at all: libraries write nested values recursively.
inline constexpr int kJsonDepthMax = 256;

// Whether the brackets of `json`, outside its strings, nest at most kJsonDepthMax deep. Says
// nothing about whether it is JSON otherwise.
bool nests_within_bounds(std::string_view json);

// application/json, text/json or anything/…+json, with or without parameters.
bool is_json_type(std::string_view content_type);

// Appends UTF-8 text as a JSON string with its quotes.
void append_json_string(std::string& json, std::string_view text);

}  // namespace fanfare::protocol
