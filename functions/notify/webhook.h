// Posting one message to a webhook, and what its answer means for another attempt.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace notify {

struct Message {
  std::string url;
  std::string body;                  // JSON
  std::vector<std::string> headers;  // "name: value"
};

// One connection is kept per process, so that a warm instance posts without a new handshake.
class Webhook {
 public:
  explicit Webhook(std::chrono::milliseconds timeout = std::chrono::seconds(15));
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  // Posts and returns the status, 200 to 299. Redirects are not followed: they are failures.
  // Throws fanfare::Failure:
  //   DeliveryError, retryable     no connection, no answer in time, 408, 425, 429, 5xx; with the
  //                                wait that the answer's Retry-After asks for
  //   DeliveryRefused, not so      any other answer
  //   ConfigError, not so          a URL that is none, or not http(s)
  long post(const Message& message);

 private:
  void* curl_;
  std::chrono::milliseconds timeout_;
};

}  // namespace notify
