// An exchange without a socket, for tests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "triggers/http.h"

namespace fanfare::triggers {

class FakeExchange : public HttpExchange {
 public:
  FakeExchange(std::string method, std::string target, std::vector<HttpHeader> headers = {},
               std::string body = {})
      : method_(std::move(method)),
        target_(std::move(target)),
        headers_(std::move(headers)),
        body_(std::move(body)) {}

  std::string_view method() const override { return method_; }
  std::string_view target() const override { return target_; }
  std::string_view header(std::string_view name) const override {
    for (const HttpHeader& header : headers_) {
      if (lower(header.name) == lower(name)) return header.value;
    }
    return {};
  }
  std::vector<std::pair<std::string_view, std::string_view>> headers() const override {
    std::vector<std::pair<std::string_view, std::string_view>> all;
    for (const HttpHeader& header : headers_) all.emplace_back(header.name, header.value);
    return all;
  }
  std::string_view body() const override { return body_; }
  BodySink* sink() const override { return nullptr; }
  const HttpPeer& peer() const override { return from; }
  void respond(HttpResponse response) override { said = std::move(response); }

  HttpPeer from{.address = "127.0.0.1", .loopback = true, .encrypted = false};
  std::optional<HttpResponse> said;

 private:
  static std::string lower(std::string_view text) {
    std::string all{text};
    for (char& byte : all) byte = static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
    return all;
  }

  std::string method_, target_;
  std::vector<HttpHeader> headers_;
  std::string body_;
};

}  // namespace fanfare::triggers
