#include <fanfare/function.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "functions/notify/canned_server.h"
#include "functions/notify/signature.h"
#include "functions/notify/template.h"
#include "functions/notify/webhook.h"
#include "functions/testing/function_runner.h"

namespace notify {
namespace {

using fanfare::Failure;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

template <typename Action>
Failure failure_of(Action action) {
  try {
    action();
  } catch (const Failure& failure) {
    return failure;
  }
  return {"none", ""};
}

std::string response(int status, const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Canned\r\n" + headers +
         "connection: close\r\ncontent-length: 2\r\n\r\nok";
}

TEST(Notify, FillsInWhatATemplateAsksFor) {
  const json values{{"name", "Ada"}, {"order", {{"id", 7}, {"paid", true}}}};
  EXPECT_EQ(render("Hello {{name}}, order {{ order.id }} paid: {{order.paid}}", values),
            "Hello Ada, order 7 paid: true");
  EXPECT_EQ(render("nothing to fill in { or }", values), "nothing to fill in { or }");
  EXPECT_EQ(render("", values), "");
}

TEST(Notify, RefusesTemplatesThatCannotBeFilledIn) {
  const json values{{"name", "Ada"}};
  for (const char* text : {"{{nobody}}", "{{name.first}}", "{{name", "{{}}", "{{ }}"}) {
    const Failure failure = failure_of([&] { render(text, values); });
    EXPECT_EQ(failure.type(), "TemplateError") << text;
    EXPECT_FALSE(failure.retryable());
  }
  EXPECT_EQ(failure_of([] { render("{{x}}", json(3)); }).type(), "TemplateError");
}

TEST(Notify, SignsAsTheStandardsOwnExampleDoes) {
  EXPECT_EQ(sign(kSecret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Notify, RefusesASecretThatIsNoSecret) {
  for (const char* secret : {"", "whsec_", "whsec_abc", "whsec_!!!!"}) {
    EXPECT_EQ(failure_of([&] { sign(secret, "id", 1, "body"); }).type(), "ConfigError") << secret;
  }
}

TEST(Notify, TellsWhatMayBeTriedAgain) {
  struct Case {
    int status;
    const char* type;
    bool retryable;
  };
  for (const Case& each : {Case{500, "DeliveryError", true}, Case{503, "DeliveryError", true},
                           Case{429, "DeliveryError", true}, Case{408, "DeliveryError", true},
                           Case{400, "DeliveryRefused", false}, Case{404, "DeliveryRefused", false},
                           Case{410, "DeliveryRefused", false}}) {
    const CannedServer server(response(each.status));
    const Failure failure = failure_of([&] { Webhook().post({server.url(), "{}", {}}); });
    EXPECT_EQ(failure.type(), each.type) << each.status;
    EXPECT_EQ(failure.retryable(), each.retryable) << each.status;
    EXPECT_FALSE(failure.retry_after());
  }
}

TEST(Notify, WaitsAsLongAsTheReceiverAsks) {
  const CannedServer server(response(429, "retry-after: 7\r\n"));
  const Failure failure = failure_of([&] { Webhook().post({server.url(), "{}", {}}); });
  EXPECT_EQ(failure.retry_after(), 7s);
}

TEST(Notify, FollowsNoRedirect) {
  const CannedServer elsewhere(response(200));
  const CannedServer server(response(302, "location: " + elsewhere.url() + "\r\n"));
  const Failure failure = failure_of([&] { Webhook().post({server.url(), "{}", {}}); });
  EXPECT_EQ(failure.type(), "DeliveryRefused");
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST(Notify, TriesAgainAfterANetworkError) {
  const CannedServer hangs_up("");
  const Failure no_answer = failure_of([&] { Webhook().post({hangs_up.url(), "{}", {}}); });
  EXPECT_EQ(no_answer.type(), "DeliveryError");
  EXPECT_TRUE(no_answer.retryable());
  std::string nobody_there;
  {
    nobody_there = CannedServer("").url();
  }
  EXPECT_EQ(failure_of([&] { Webhook().post({nobody_there, "{}", {}}); }).type(), "DeliveryError");
}

TEST(Notify, SpeaksNothingButHttp) {
  for (const char* url : {"file:///etc/passwd", "gopher://127.0.0.1/", "not a url"}) {
    const Failure failure = failure_of([&] { Webhook().post({url, "{}", {}}); });
    EXPECT_EQ(failure.type(), "ConfigError") << url;
    EXPECT_FALSE(failure.retryable());
  }
}

TEST(Notify, DeliversASignedMessageAsAFunction) {
  const CannedServer server(response(204));
  auto runner = fanfare::testing::FunctionRunner::start(
      std::string(FANFARE_BIN_DIR) + "/../functions/notify/notify.so",
      {{"WEBHOOK_URL", server.url()},
       {"WEBHOOK_SECRET", kSecret},
       {"NOTIFY_TEMPLATE", "Hi {{who}}"}});
  ASSERT_TRUE(runner) << runner.error().message;
  const auto result = (*runner)->run("notification.published", R"({"who":"Ada"})");
  ASSERT_EQ(result.outcome, fanfare::protocol::Outcome::kOk) << result.failure.message;
  EXPECT_EQ(result.output, R"({"status":204,"webhook_id":"msg_1-1.0","text":"Hi Ada"})");

  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1u);
  CannedServer::Request request = requests[0];
  EXPECT_EQ(request.line, "POST /hook HTTP/1.1");
  const json body = json::parse(request.body);
  EXPECT_EQ(body["type"], "notification.published");
  EXPECT_EQ(body["text"], "Hi Ada");
  EXPECT_EQ(body["data"]["who"], "Ada");
  EXPECT_EQ(request.headers["webhook-id"], "msg_1-1.0");
  const std::int64_t timestamp = std::stoll(request.headers["webhook-timestamp"]);
  EXPECT_EQ(request.headers["webhook-signature"],
            sign(kSecret, "msg_1-1.0", timestamp, request.body));
}

TEST(Notify, LetsTheNotificationSayWhereToAndWhat) {
  const CannedServer server(response(500, "retry-after: 2\r\n"));
  auto runner = fanfare::testing::FunctionRunner::start(std::string(FANFARE_BIN_DIR) +
                                                        "/../functions/notify/notify.so");
  ASSERT_TRUE(runner) << runner.error().message;
  const auto failed = (*runner)->run(
      "notification.published", json{{"url", server.url()}, {"template", "at {{url}}"}}.dump());
  EXPECT_EQ(failed.failure.type, "DeliveryError");
  EXPECT_TRUE(failed.failure.retryable);
  EXPECT_EQ(failed.failure.retry_after_ms, 2000);
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].headers.count("webhook-signature"), 0u);

  EXPECT_EQ((*runner)->run("notification.published", "{}").failure.type, "ConfigError");
  EXPECT_EQ((*runner)->run("notification.published", "plain").failure.type,
            "MalformedNotification");
}

}  // namespace
}  // namespace notify
