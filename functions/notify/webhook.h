// Posting one message to a webhook, and what its answer means for another attempt.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <string>
#include <vector>

namespace notify {

struct Message {
  std::string url;
  std::string body;
  std::vector<std::string> headers;  // "name: value"
};

struct Answer {
  long status = 0;
  std::chrono::seconds retry_after{};  // as the answer asks, 24 h at most; 0: it does not
  std::string start;                   // of its body: up to 1 KiB, for people to read
};

// One connection is kept per process, so that a warm instance posts without a new handshake.
class Webhook {
 public:
  enum class Private { kRefused, kAllowed };
  explicit Webhook(Private private_addresses);
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  // Posts and returns whatever is answered. Redirects are not followed, the environment's proxies
  // not used. Of an answer's body 64 KiB are read; the rest, however slow it comes, is left.
  // Throws fanfare::Failure:
  //   DeliveryError, retryable     no connection, or no answer in time
  //   AddressRefused, not so       every address of the host is private (address.h), and these are
  //                                not allowed: each is judged just before it is connected to
  //   ConfigError, not so          a URL that is none, or not http(s)
  Answer post(const Message& message, std::chrono::milliseconds timeout);

 private:
  struct Attempt;
  static curl_socket_t open_socket(void* attempt, curlsocktype purpose, curl_sockaddr* address);
  static std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* attempt);
  [[noreturn]] static void fail_to_connect(CURLcode code, const Attempt& attempt);

  CURL* curl_;
  Private private_;
};

// Throws fanfare::Failure for every other status than 200 to 299:
//   DeliveryError, retryable     408, 425, 429, 5xx; with the wait that the answer asks for
//   DeliveryRefused, not so      any other answer
void require_success(const Answer& answer);

}  // namespace notify
