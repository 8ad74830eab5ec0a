#include "functions/notify/webhook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include "functions/notify/test_support.h"

namespace notify {
namespace {

using namespace std::chrono_literals;
using fanfare::Failure;
using ::testing::HasSubstr;
using ::testing::Not;

Answer answered(const std::string& url) {
  return Webhook(Webhook::Private::kAllowed).post({url, "{}", {}}, 5s);
}

Failure failed(const std::string& url) {
  return failure_of([&] { require_success(answered(url)); });
}

TEST(Webhook, TellsWhatMayBeTriedAgain) {
  struct Case {
    int status;
    const char* type;
    bool retryable;
  };
  for (const Case& each : {Case{500, "DeliveryError", true}, Case{503, "DeliveryError", true},
                           Case{429, "DeliveryError", true}, Case{408, "DeliveryError", true},
                           Case{425, "DeliveryError", true}, Case{400, "DeliveryRefused", false},
                           Case{404, "DeliveryRefused", false}, Case{410, "DeliveryRefused", false},
                           Case{304, "DeliveryRefused", false}}) {
    const CannedServer server(canned_response(each.status));
    const Failure failure = failed(server.url());
    EXPECT_EQ(failure.type(), each.type) << each.status;
    EXPECT_EQ(failure.retryable(), each.retryable) << each.status;
    EXPECT_FALSE(failure.retry_after());
  }
}

TEST(Webhook, TakesEveryStatusOf200To299) {
  for (const int status : {200, 202, 204, 299}) {
    const CannedServer server(canned_response(status, "", ""));
    EXPECT_EQ(failed(server.url()).type(), "none") << status;
  }
}

TEST(Webhook, WaitsAsLongAsTheReceiverAsks) {
  CannedServer server(canned_response(429, "retry-after: 7\r\n"));
  EXPECT_EQ(failed(server.url()).retry_after(), 7s);

  const std::time_t then = std::time(nullptr) + 60;
  char date[64];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", std::gmtime(&then));
  server.answer(canned_response(503, "retry-after: " + std::string(date) + "\r\n"));
  const auto by_date = failed(server.url()).retry_after();
  ASSERT_TRUE(by_date) << date;
  EXPECT_GT(*by_date, 50s);
  EXPECT_LE(*by_date, 60s);

  server.answer(canned_response(503, "retry-after: 9999999\r\n"));
  EXPECT_EQ(failed(server.url()).retry_after(), 24h) << "the most that is waited";
  for (const char* nonsense : {"0", "-5", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", ""}) {
    server.answer(canned_response(503, "retry-after: " + std::string(nonsense) + "\r\n"));
    EXPECT_FALSE(failed(server.url()).retry_after()) << nonsense;
  }
}

TEST(Webhook, FollowsNoRedirect) {
  const CannedServer elsewhere(canned_response(200));
  const CannedServer server(canned_response(302, "location: " + elsewhere.url() + "\r\n"));
  EXPECT_EQ(failed(server.url()).type(), "DeliveryRefused");
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST(Webhook, TriesAgainAfterANetworkError) {
  const CannedServer hangs_up("");
  const Failure no_answer = failed(hangs_up.url());
  EXPECT_EQ(no_answer.type(), "DeliveryError");
  EXPECT_TRUE(no_answer.retryable());
  std::string nobody_there;
  {
    nobody_there = CannedServer("").url();
  }
  EXPECT_EQ(failed(nobody_there).type(), "DeliveryError");
}

TEST(Webhook, WaitsForAnAnswerNoLongerThanItMay) {
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // takes, and says nothing
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(silent, 8), 0);
  ASSERT_EQ(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const auto began = std::chrono::steady_clock::now();
  const Failure failure =
      failure_of([&] { Webhook(Webhook::Private::kAllowed).post({url, "{}", {}}, 200ms); });
  EXPECT_EQ(failure.type(), "DeliveryError");
  EXPECT_TRUE(failure.retryable());
  EXPECT_GE(std::chrono::steady_clock::now() - began, 200ms);
  ::close(silent);
}

TEST(Webhook, SpeaksNothingButHttp) {
  for (const char* url : {"file:///etc/passwd", "gopher://127.0.0.1/", "not a url"}) {
    const Failure failure = failed(url);
    EXPECT_EQ(failure.type(), "ConfigError") << url;
    EXPECT_FALSE(failure.retryable());
  }
}

TEST(Webhook, RefusesPrivateAddressesHoweverTheyAreWritten) {
  const CannedServer server(canned_response(200));
  const std::string port = server.url().substr(std::string("http://127.0.0.1").size());
  Webhook webhook(Webhook::Private::kRefused);
  for (const char* host : {"127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0", "[::1]",
                           "[::ffff:127.0.0.1]", "169.254.169.254"}) {
    const Failure failure =
        failure_of([&] { webhook.post({"http://" + std::string(host) + port, "{}", {}}, 5s); });
    EXPECT_EQ(failure.type(), "AddressRefused") << host << ": " << failure.message();
    EXPECT_FALSE(failure.retryable()) << host;
    EXPECT_THAT(failure.message(), HasSubstr("WEBHOOK_ALLOW_PRIVATE")) << host;
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST(Webhook, SaysHowTheAnswerBegan) {
  CannedServer server(canned_response(500, "", "out of\r\npaper\x1b[2J"));
  EXPECT_EQ(failed(server.url()).message(), "the webhook answered 500: out of  paper [2J");
  server.answer(canned_response(400, "", std::string(199, 'x') + "ä and so on"));
  EXPECT_EQ(failed(server.url()).message(), "the webhook answered 400: " + std::string(199, 'x'));
}

TEST(Webhook, ReadsOnlyTheBeginningOfALongAnswer) {
  const CannedServer server(canned_response(200, "", std::string(1 << 20, 'y')));
  const Answer answer = answered(server.url());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.start, std::string(1024, 'y'));
}

TEST(Webhook, GoesByTheStatusThoughTheBodyNeverEnds) {
  const CannedServer server("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nand then nothing");
  const Answer answer = answered(server.url());
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.start, "and then nothing");
}

}  // namespace
}  // namespace notify
