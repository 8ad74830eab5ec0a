#include "webhook.h"

#include <fanfare/function.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <new>

#include "address.h"

namespace notify {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectTimeout{5000};
constexpr curl_off_t kRetryAfterMax = 24 * 3600;
constexpr std::size_t kStartMax = 1024;      // of an answer's body: kept
constexpr std::size_t kBodyMax = 64 * 1024;  // read; a longer one costs the connection
constexpr std::size_t kToldMax = 200;        // in a failure's message

using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

Headers list_of(const std::vector<std::string>& lines) {
  Headers headers(nullptr, &curl_slist_free_all);
  for (const std::string& line : lines) {
    curl_slist* const longer = curl_slist_append(headers.get(), line.c_str());
    if (!longer) throw std::bad_alloc();
    if (!headers) headers.reset(longer);  // the others were hung onto this one
  }
  return headers;
}

// On one line, and not through the middle of a character.
std::string told(const std::string& start) {
  std::string text = start.substr(0, kToldMax);
  while (text.size() < start.size() && !text.empty() &&
         (static_cast<unsigned char>(start[text.size()]) & 0xC0) == 0x80) {
    text.pop_back();
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  return text.empty() ? text : ": " + text;
}

}  // namespace

// What one call of post() knows beside the handle.
struct Webhook::Attempt {
  Private private_addresses;
  std::string refused;       // the last address that was not connected to, and why
  bool tried_one = false;    // an address that may be connected to
  std::string host_problem;  // libcurl's words
  std::string start;         // of the answer's body
  std::size_t seen = 0;      // bytes of it
};

Webhook::Webhook(Private private_addresses) : curl_(curl_easy_init()), private_(private_addresses) {
  if (!curl_) throw std::bad_alloc();
}

Webhook::~Webhook() {
  curl_easy_cleanup(curl_);
}

curl_socket_t Webhook::open_socket(void* of, curlsocktype, curl_sockaddr* address) {
  auto& attempt = *static_cast<Attempt*>(of);
  if (attempt.private_addresses == Private::kRefused) {
    if (std::string why = why_private(address->addr); !why.empty()) {
      attempt.refused = std::move(why);
      return CURL_SOCKET_BAD;
    }
  }
  attempt.tried_one = true;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::size_t Webhook::take_body(char* bytes, std::size_t size, std::size_t count, void* of) {
  auto& attempt = *static_cast<Attempt*>(of);
  const std::size_t got = size * count;
  attempt.start.append(bytes, std::min(got, kStartMax - attempt.start.size()));
  attempt.seen += got;
  return attempt.seen > kBodyMax ? 0 : got;
}

void Webhook::fail_to_connect(CURLcode code, const Attempt& attempt) {
  const std::string why =
      attempt.host_problem.empty() ? curl_easy_strerror(code) : attempt.host_problem;
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    throw fanfare::Failure{"ConfigError", "the webhook's URL: " + why}.retryable(false);
  }
  if (!attempt.refused.empty() && !attempt.tried_one) {
    throw fanfare::Failure{"AddressRefused",
                           "the webhook's host is " + attempt.refused +
                               ", which is not public; WEBHOOK_ALLOW_PRIVATE = \"yes\" in [env], "
                               "or `fanfare webhook add … --allow-private`, lets it be reached"}
        .retryable(false);
  }
  throw fanfare::Failure{"DeliveryError", why};
}

Answer Webhook::post(const Message& message, milliseconds timeout) {
  CURL* const curl = curl_;
  curl_easy_reset(curl);  // options only: the connection stays open
  const Headers headers = list_of(message.headers);
  Attempt attempt{.private_addresses = private_};
  char details[CURL_ERROR_SIZE] = "";
  const auto ms = [](milliseconds time) { return static_cast<long>(time.count()); };
  curl_easy_setopt(curl, CURLOPT_URL, message.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // a proxy would be asked for any address
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &attempt);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, message.body.c_str());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(message.body.size()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, ms(std::min(kConnectTimeout, timeout)));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ms(timeout));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "fanfare-notify");
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &attempt);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  attempt.host_problem = details;

  Answer answer;
  curl_off_t retry_after = 0;  // seconds, from either form of the header
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
  // Once there is a status it counts, whatever becomes of the body.
  if (code != CURLE_OK && answer.status < 200) fail_to_connect(code, attempt);
  answer.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(retry_after, 0, kRetryAfterMax));
  answer.start = std::move(attempt.start);
  return answer;
}

void require_success(const Answer& answer) {
  const long status = answer.status;
  if (status >= 200 && status <= 299) return;
  const std::string what = "the webhook answered " + std::to_string(status) + told(answer.start);
  if (status < 500 && status != 408 && status != 425 && status != 429) {
    throw fanfare::Failure{"DeliveryRefused", what}.retryable(false);
  }
  fanfare::Failure failure{"DeliveryError", what};
  if (answer.retry_after.count() > 0) failure.retry_after(answer.retry_after);
  throw failure;
}

}  // namespace notify
