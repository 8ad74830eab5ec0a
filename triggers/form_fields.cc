#include "triggers/form_fields.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/utf8.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"
#include "triggers/http.h"

namespace fanfare::triggers {
namespace {

std::string decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out.push_back(' ');
      continue;
    }
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) {
      out.push_back(text[i]);
    } else {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return out;
}

}  // namespace

Error not_utf8(std::string_view field) {
  return reject(
      fmt::format("the field '{}' is not UTF-8, which forms are sent in: a page says so by "
                  "<meta charset=\"utf-8\">",
                  protocol::to_utf8(field, 64)));
}

Result<FormFields> urlencoded_fields(std::string_view text) {
  FormFields fields;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(pair.size() + 1, text.size()));
    if (pair.empty()) continue;
    if (fields.size() == kFormFieldsMax) {
      return reject(fmt::format("a form may have {} fields", kFormFieldsMax));
    }
    const std::size_t sign = pair.find('=');
    auto& [name, value] =
        fields.emplace_back(decoded(pair.substr(0, sign)),
                            sign == pair.npos ? std::string{} : decoded(pair.substr(sign + 1)));
    if (!is_utf8(name) || !is_utf8(value)) return not_utf8(name);
  }
  return fields;
}

const std::string* find_field(const FormFields& fields, std::string_view name) {
  for (const auto& [each, value] : fields) {
    if (each == name) return &value;
  }
  return nullptr;
}

std::string to_json(const FormFields& fields, std::string_view left_out, const FormFields& more) {
  std::vector<std::pair<std::string_view, std::vector<std::string>>> members;
  std::unordered_map<std::string_view, std::size_t> places;
  const auto add = [&](std::string_view name, std::string json) {
    if (name.starts_with('_') || (!left_out.empty() && name == left_out)) return;
    const auto [place, added] = places.emplace(name, members.size());
    if (added) members.push_back({name, {}});
    members[place->second].second.push_back(std::move(json));
  };
  for (const auto& [name, value] : fields) {
    std::string text;
    protocol::append_json_string(text, value);
    add(name, std::move(text));
  }
  for (const auto& [name, json] : more) add(name, json);
  std::string json = "{";
  for (const auto& [name, values] : members) {
    if (json.size() > 1) json += ',';
    protocol::append_json_string(json, name);
    json += values.size() > 1 ? ":[" : ":";
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) json += ',';
      json += values[i];
    }
    if (values.size() > 1) json += ']';
  }
  return json + "}";
}

}  // namespace fanfare::triggers
