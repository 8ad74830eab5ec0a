#include "triggers/form_part.h"

#include "base/utf8.h"
#include "triggers/field_parameters.h"
#include "triggers/http.h"

namespace fanfare::triggers {
namespace {

constexpr std::size_t kTypeBytesMax = 255;

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// As the HTML standard has browsers write names: these three and nothing else.
std::string without_browser_escapes(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  while (!text.empty()) {
    const std::string three = lower_case(text.substr(0, 3));
    const char stands_for = three == "%22"   ? '"'
                            : three == "%0d" ? '\r'
                            : three == "%0a" ? '\n'
                                             : 0;
    plain += stands_for ? stands_for : text.front();
    text.remove_prefix(stands_for ? 3 : 1);
  }
  return plain;
}

// RFC 8187: UTF-8'en'%e2%82%ac.txt
std::optional<std::string> extended_value(std::string_view text) {
  const std::size_t first = text.find('\'');
  const std::size_t second = first == text.npos ? first : text.find('\'', first + 1);
  if (second == text.npos || lower_case(text.substr(0, first)) != "utf-8") return std::nullopt;
  text.remove_prefix(second + 1);
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      value += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) return std::nullopt;
    value += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return is_utf8(value) ? std::optional{value} : std::nullopt;
}

Result<void> read_disposition(std::string_view value, FormPart& part) {
  if (media_type(value) != "form-data") return reject("a part of a form must be form-data");
  const auto parameters = field_parameters(value);
  if (!parameters) return reject("the Content-Disposition of a part cannot be read");
  std::optional<std::string> name, extended;
  for (const auto& [key, text] : *parameters) {
    if (key == "name" && !name) name = without_browser_escapes(text);
    if (key == "filename" && !part.file_name) part.file_name = without_browser_escapes(text);
    if (key == "filename*" && !extended) extended = extended_value(text);
  }
  if (extended) part.file_name = std::move(extended);
  if (!name) return reject("a part of the form has no name");
  part.name = *std::move(name);
  return {};
}

}  // namespace

Result<FormPart> form_part_of(std::string_view head) {
  FormPart part;
  bool disposed = false;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const std::size_t colon = line.find(':');
    if (colon == line.npos || colon == 0 || line.front() == ' ' || line.front() == '\t') {
      return reject("a line in the head of a part is no field");
    }
    const std::string name = lower_case(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "content-disposition") {
      if (std::exchange(disposed, true)) return reject("a part has two Content-Dispositions");
      if (const auto read = read_disposition(value, part); !read) return read.error();
    } else if (name == "content-type") {
      part.type = value.substr(0, kTypeBytesMax);
    } else if (name == "content-transfer-encoding") {
      const std::string encoding = lower_case(value);
      if (encoding != "binary" && encoding != "8bit" && encoding != "7bit") {
        return reject("the content of parts is sent as it is, without a transfer encoding");
      }
    }
  }
  if (!disposed) return reject("a part of the form has no Content-Disposition");
  return part;
}

}  // namespace fanfare::triggers
