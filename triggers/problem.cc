#include "triggers/problem.h"

#include <fmt/format.h>

#include "protocol/json_text.h"
#include "protocol/utf8.h"

namespace fanfare::triggers {
namespace {

struct Phrase {
  unsigned status;
  std::string_view text;
};

// RFC 9110, section 15, and RFC 6585.
constexpr Phrase kPhrases[] = {{100, "Continue"},
                               {200, "OK"},
                               {201, "Created"},
                               {202, "Accepted"},
                               {204, "No Content"},
                               {301, "Moved Permanently"},
                               {302, "Found"},
                               {303, "See Other"},
                               {304, "Not Modified"},
                               {307, "Temporary Redirect"},
                               {308, "Permanent Redirect"},
                               {400, "Bad Request"},
                               {401, "Unauthorized"},
                               {403, "Forbidden"},
                               {404, "Not Found"},
                               {405, "Method Not Allowed"},
                               {406, "Not Acceptable"},
                               {408, "Request Timeout"},
                               {409, "Conflict"},
                               {410, "Gone"},
                               {411, "Length Required"},
                               {413, "Content Too Large"},
                               {414, "URI Too Long"},
                               {415, "Unsupported Media Type"},
                               {417, "Expectation Failed"},
                               {418, "Unused"},
                               {422, "Unprocessable Content"},
                               {429, "Too Many Requests"},
                               {431, "Request Header Fields Too Large"},
                               {500, "Internal Server Error"},
                               {501, "Not Implemented"},
                               {502, "Bad Gateway"},
                               {503, "Service Unavailable"},
                               {504, "Gateway Timeout"},
                               {505, "HTTP Version Not Supported"},
                               {507, "Insufficient Storage"}};

}  // namespace

std::string_view reason_phrase(unsigned status) {
  for (const Phrase& phrase : kPhrases) {
    if (phrase.status == status) return phrase.text;
  }
  return "";
}

HttpResponse problem(unsigned status, std::string_view detail) {
  const std::string_view phrase = reason_phrase(status);
  HttpResponse response{
      .status = status,
      .headers = {{"Content-Type", "application/problem+json"}},
      .body = fmt::format("{{\"title\":\"{}\",\"status\":{},\"detail\":", phrase, status)};
  protocol::append_json_string(response.body, protocol::to_utf8(detail, 1024));
  response.body += "}\n";
  return response;
}

HttpResponse problem_of(const Error& error) {
  const std::string_view message = error.message;
  if (message.starts_with("too_large")) return problem(413, message);
  if (message.starts_with("queue_full") || message.starts_with("throttled")) {
    HttpResponse response = problem(429, message);
    response.headers.push_back({"Retry-After", "1"});
    return response;
  }
  switch (error.kind) {
    case ErrorKind::kReject:
      return problem(400, message);
    case ErrorKind::kRetryLater:
    case ErrorKind::kReconnect: {
      HttpResponse response = problem(503, message);
      response.headers.push_back({"Retry-After", "1"});
      return response;
    }
    case ErrorKind::kStale:
    case ErrorKind::kFatal:
      break;
  }
  return problem(500, message);
}

}  // namespace fanfare::triggers
