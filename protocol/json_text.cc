#include "protocol/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocol/utf8.h"

namespace fanfare::protocol {

bool nests_within_bounds(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') in_string = !in_string;
    if (in_string) {
      if (c == '\\') ++i;
    } else if (c == '[' || c == '{') {
      if (++depth > kJsonDepthMax) return false;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return true;
}

std::string json_fault(std::string_view text) {
  constexpr std::size_t kFaultBytesMax = 200;
  if (text.find_first_not_of(" \t\r\n") == text.npos) return "it is empty";
  if (!nests_within_bounds(text)) return fmt::format("it nests over {} deep", kJsonDepthMax);
  try {
    // The library has its words about a mistake for exceptions only.
    const auto read = nlohmann::json::parse(text);
    return {};
  } catch (const nlohmann::json::exception& wrong) {
    // "[json.exception.parse_error.101] parse error at line 1, column 8: syntax error …", and
    // "[json.exception.out_of_range.406] number overflow …"
    std::string_view what = wrong.what();
    for (const std::string_view before : {"] ", "parse error at "}) {
      if (const auto at = what.find(before); at != what.npos) {
        what.remove_prefix(at + before.size());
      }
    }
    return to_utf8(what, kFaultBytesMax);
  }
}

bool is_json_type(std::string_view content_type) {
  std::string type{content_type.substr(0, content_type.find(';'))};
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return type == "application/json" || type == "text/json" || type.ends_with("+json");
}

void append_json_string(std::string& json, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  json += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      json += "\\u00";
      json += kHex[static_cast<unsigned char>(c) >> 4];
      json += kHex[static_cast<unsigned char>(c) & 15];
    } else {
      json += c;
    }
  }
  json += '"';
}

}  // namespace fanfare::protocol
