#include "tests/integration/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>

namespace fanfare::test {

struct HttpClient::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

namespace {

std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* answer) {
  static_cast<HttpAnswer*>(answer)->body.append(bytes, size);
  return size;
}

std::size_t take_header(char* bytes, std::size_t, std::size_t size, void* answer) {
  const std::string line(bytes, size);
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return size;
  std::string name = line.substr(0, colon);
  std::ranges::transform(name, name.begin(),
                         [](unsigned char byte) { return static_cast<char>(std::tolower(byte)); });
  const std::size_t from = line.find_first_not_of(' ', colon + 1);
  static_cast<HttpAnswer*>(answer)->headers[name] =
      line.substr(from, line.find_last_not_of("\r\n") + 1 - from);
  return size;
}

}  // namespace

HttpClient::HttpClient(std::string base)
    : base_(std::move(base)), handle_(std::make_unique<Handle>()) {}
HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::get(const std::string& path, const std::vector<std::string>& headers) {
  return send("GET", path, nullptr, headers);
}

HttpAnswer HttpClient::post(const std::string& path, const std::string& body,
                            const std::vector<std::string>& headers) {
  return send("POST", path, &body, headers);
}

HttpAnswer HttpClient::send(const std::string& method, const std::string& path,
                            const std::string* body, const std::vector<std::string>& headers) {
  HttpAnswer answer;
  CURL* const curl = handle_->curl;
  const std::string url = base_ + path;
  curl_slist* list = nullptr;
  for (const auto& header : headers) list = curl_slist_append(list, header.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 30'000L);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
  curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  if (body) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(body->size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data());
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(list);
  if (code != CURLE_OK) answer.error = curl_easy_strerror(code);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

void HttpClient::trust(const std::string& certificate) {
  curl_easy_setopt(handle_->curl, CURLOPT_CAINFO, certificate.c_str());
}

}  // namespace fanfare::test
