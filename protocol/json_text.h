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

// Why `text` is no JSON, or none that nests within bounds, for whoever wrote it: "it is empty",
// "line 1, column 8: …"; empty if it is. Reads it all once more: ask only when reading has failed.
std::string json_fault(std::string_view text);

// application/json, text/json or anything/…+json, with or without parameters.
bool is_json_type(std::string_view content_type);

// Appends UTF-8 text as a JSON string with its quotes.
void append_json_string(std::string& json, std::string_view text);

}  // namespace fanfare::protocol
