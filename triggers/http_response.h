// A response as the bytes that go to its client.
#pragma once

#include <string>
#include <string_view>

#include "triggers/http.h"

namespace fanfare::triggers::http_detail {

struct ResponseFrame {
  std::string_view date;  // as HTTP writes it
  bool keep = false;      // the connection stays open
  bool to_http_1_0 = false;
  bool to_head = false;  // the request's method was HEAD
};

// Appends head and body; Date, Content-Length and Connection are this function's. Control
// characters in values become spaces.
void append_response(std::string& bytes, const HttpResponse& response, const ResponseFrame& frame);

}  // namespace fanfare::triggers::http_detail
