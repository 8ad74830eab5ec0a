#include "submission.h"

#include <fanfare/function.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

namespace store_form {
namespace {

constexpr std::size_t kNameMax = 200, kEmailMax = 254, kMessageMax = 20'000, kFieldsMax = 100;

[[noreturn]] void refuse(const char* type, std::string message) {
  throw fanfare::Failure{type, std::move(message)}.retryable(false);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string url_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
      if (low < 0) refuse("MalformedForm", "a percent sign that two hex digits do not follow");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::map<std::string, std::string> parse_urlencoded(std::string_view data) {
  std::map<std::string, std::string> fields;
  while (!data.empty()) {
    const std::string_view pair = data.substr(0, data.find('&'));
    data.remove_prefix(std::min(pair.size() + 1, data.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    fields[url_decode(pair.substr(0, equals))] = url_decode(value);
  }
  return fields;
}

// A file that came with the form, as the gateway refers to it; empty: it is none.
std::string file_of(const nlohmann::json& value) {
  const auto text = [&value](const char* name) -> std::string {
    const auto at = value.find(name);
    return at != value.end() && at->is_string() ? at->get<std::string>() : std::string{};
  };
  if (!value.is_object() || text("bucket").empty() || text("key").empty()) return {};
  return text("bucket") + "/" + text("key");
}

// One file, or several of one field.
std::string files_of(const nlohmann::json& value) {
  if (!value.is_array()) return file_of(value);
  std::string all;
  for (const auto& one : value) {
    const std::string file = file_of(one);
    if (file.empty()) return {};
    all += all.empty() ? file : ", " + file;
  }
  return all;
}

std::map<std::string, std::string> parse_json(std::string_view data) {
  const auto json = nlohmann::json::parse(data, nullptr, false);
  if (!json.is_object()) refuse("MalformedForm", "the data is neither a form nor a JSON object");
  std::map<std::string, std::string> fields;
  for (const auto& [key, value] : json.items()) {
    if (value.is_structured()) {
      fields[key] = files_of(value);
      if (fields[key].empty())
        refuse("MalformedForm", "field '" + key + "' is no value and no file");
      continue;
    }
    fields[key] = value.is_string() ? value.get<std::string>()
                  : value.is_null() ? ""
                                    : value.dump();
  }
  return fields;
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const std::size_t from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return "";
  return std::string(text.substr(from, text.find_last_not_of(kSpace) - from + 1));
}

bool is_utf8(const std::string& text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

// Not every address that RFC 5322 allows, but every one that mail is really sent to.
bool is_email(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || text.find('@', at + 1) != std::string_view::npos) {
    return false;
  }
  const std::string_view domain = text.substr(at + 1);
  const std::size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || domain.size() - dot < 3) return false;
  if (domain.find("..") != std::string_view::npos || domain.front() == '-') return false;
  return at <= 64 && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '<' || c == '>' ||
                  c == ',';
         });
}

}  // namespace

std::map<std::string, std::string> parse_fields(std::string_view content_type,
                                                std::string_view data) {
  const bool urlencoded = content_type.starts_with("application/x-www-form-urlencoded");
  auto fields = urlencoded ? parse_urlencoded(data) : parse_json(data);
  if (fields.size() > kFieldsMax) refuse("MalformedForm", "more than 100 fields");
  return fields;
}

Submission validate(std::map<std::string, std::string> fields) {
  std::string problems;
  const auto problem = [&problems](const std::string& text) {
    problems += (problems.empty() ? "" : "; ") + text;
  };
  for (auto& [key, value] : fields) {
    if (!is_utf8(key) || !is_utf8(value)) refuse("ValidationError", "the text is not UTF-8");
    value = trimmed(value);
  }
  const auto take = [&](const std::string& key, std::size_t bytes_max) {
    std::string value;
    if (auto node = fields.extract(key)) value = std::move(node.mapped());
    if (value.empty()) problem(key + " is missing");
    if (value.size() > bytes_max) problem(key + " is longer than " + std::to_string(bytes_max));
    return value;
  };
  Submission submission;
  submission.name = take("name", kNameMax);
  submission.email = take("email", kEmailMax);
  submission.message = take("message", kMessageMax);
  std::transform(submission.email.begin(), submission.email.end(), submission.email.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (!submission.email.empty() && !is_email(submission.email)) problem("email is not an address");
  if (!problems.empty()) refuse("ValidationError", std::move(problems));
  submission.others = std::move(fields);
  return submission;
}

std::string to_json(const Submission& submission, std::string_view form) {
  nlohmann::ordered_json json{{"form", form},
                              {"name", submission.name},
                              {"email", submission.email},
                              {"message", submission.message}};
  if (!submission.others.empty()) json["fields"] = submission.others;
  return json.dump();
}

std::string row_key(std::string_view form, std::string_view event_id) {
  std::int64_t ms = 0;
  std::from_chars(event_id.data(), event_id.data() + event_id.size(), ms);
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  constexpr std::size_t kFormMax = 200;  // of what a key may have; more says no more
  std::size_t end = std::min(form.size(), kFormMax);
  while (end < form.size() && (static_cast<unsigned char>(form[end]) & 0xC0) == 0x80) --end;
  return std::string(form.substr(0, end)) + '/' + time.data() + '/' + std::string(event_id);
}

std::string to_row(const Submission& submission, std::string_view form) {
  nlohmann::ordered_json json{{"form", form},
                              {"name", submission.name},
                              {"email", submission.email},
                              {"message", submission.message}};
  for (const auto& [name, value] : submission.others) json.emplace(name, value);
  return json.dump();
}

}  // namespace store_form
