// An HTTP client as users have one: libcurl, on one connection that it keeps.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"

namespace fanfare::test {

struct HttpAnswer {
  long status = 0;                             // 0: there was none
  std::map<std::string, std::string> headers;  // by name in lower case
  std::string body;
  std::string error;  // why there was none
};

class HttpClient {
 public:
  explicit HttpClient(std::string base);  // "http://127.0.0.1:8080"
  ~HttpClient();

  HttpAnswer get(const std::string& path, const std::vector<std::string>& headers = {});
  HttpAnswer post(const std::string& path, const std::string& body,
                  const std::vector<std::string>& headers = {});
  HttpAnswer send(const std::string& method, const std::string& path, const std::string* body,
                  const std::vector<std::string>& headers);
  void trust(const std::string& certificate);  // PEM file

 private:
  std::string base_;
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace fanfare::test
