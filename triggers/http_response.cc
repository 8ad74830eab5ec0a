#include "triggers/http_response.h"

#include <charconv>

#include "triggers/problem.h"

namespace fanfare::triggers::http_detail {
namespace {

void append_number(std::string& text, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  text.append(digits, end);
}

// Whoever has made it (a function may say what an event's sender has said): no value ends its line.
void append_value(std::string& bytes, std::string_view value) {
  for (const char byte : value) {
    const bool control = (static_cast<unsigned char>(byte) < 0x20 && byte != '\t') || byte == 0x7f;
    bytes += control ? ' ' : byte;
  }
}

}  // namespace

void append_response(std::string& bytes, const HttpResponse& response, const ResponseFrame& frame) {
  const bool bodiless = response.status == 204 || response.status == 304;
  bytes += "HTTP/1.1 ";
  append_number(bytes, response.status);
  bytes += ' ';
  bytes += reason_phrase(response.status);
  bytes += "\r\nDate: ";
  bytes += frame.date;
  bytes += "\r\n";
  for (const HttpHeader& header : response.headers) {
    bytes += header.name;
    bytes += ": ";
    append_value(bytes, header.value);
    bytes += "\r\n";
  }
  if (!bodiless) {
    bytes += "Content-Length: ";
    append_number(bytes, response.body.size());
    bytes += "\r\n";
  }
  if (!frame.keep) {
    bytes += "Connection: close\r\n";
  } else if (frame.to_http_1_0) {
    bytes += "Connection: keep-alive\r\n";
  }
  bytes += "\r\n";
  if (!bodiless && !frame.to_head) bytes += response.body;
}

}  // namespace fanfare::triggers::http_detail
