#include "webhook.h"

#include <curl/curl.h>
#include <fanfare/function.h>

#include <algorithm>
#include <memory>
#include <new>

namespace notify {
namespace {

constexpr long kConnectTimeoutMs = 5000;
constexpr curl_off_t kRetryAfterMax = 24 * 3600;

// The body of the answer is of no use here, however long it is.
std::size_t discard(char*, std::size_t size, std::size_t count, void*) {
  return size * count;
}

[[noreturn]] void fail_to_connect(CURLcode code, const char* details) {
  const std::string why = details && *details ? details : curl_easy_strerror(code);
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    throw fanfare::Failure{"ConfigError", "the webhook's URL: " + why}.retryable(false);
  }
  throw fanfare::Failure{"DeliveryError", why};
}

[[noreturn]] void fail_by_status(long status, curl_off_t retry_after) {
  const std::string what = "the webhook answered " + std::to_string(status);
  if (status < 500 && status != 408 && status != 425 && status != 429) {
    throw fanfare::Failure{"DeliveryRefused", what}.retryable(false);
  }
  fanfare::Failure failure{"DeliveryError", what};
  if (retry_after > 0)
    failure.retry_after(std::chrono::seconds(std::min(retry_after, kRetryAfterMax)));
  throw failure;
}

}  // namespace

Webhook::Webhook(std::chrono::milliseconds timeout) : curl_(curl_easy_init()), timeout_(timeout) {
  if (!curl_) throw std::bad_alloc();
}

Webhook::~Webhook() {
  curl_easy_cleanup(curl_);
}

long Webhook::post(const Message& message) {
  CURL* const curl = curl_;
  curl_easy_reset(curl);  // options only: the connection stays open
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(nullptr,
                                                                      &curl_slist_free_all);
  for (const std::string& header : message.headers) {
    curl_slist* const longer = curl_slist_append(headers.get(), header.c_str());
    if (!longer) throw std::bad_alloc();
    (void)headers.release();
    headers.reset(longer);
  }
  char details[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, message.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, message.body.c_str());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(message.body.size()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_.count()));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "fanfare-notify");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &discard);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (code != CURLE_OK) fail_to_connect(code, details);

  long status = 0;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
  if (status < 200 || status > 299) fail_by_status(status, retry_after);
  return status;
}

}  // namespace notify
