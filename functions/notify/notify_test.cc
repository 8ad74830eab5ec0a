#include <fanfare/function.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "functions/notify/signature.h"
#include "functions/notify/template.h"
#include "functions/notify/test_support.h"
#include "functions/testing/function_runner.h"
#include "protocol/row_writes.h"

namespace notify {
namespace {

using fanfare::Failure;
using fanfare::protocol::Outcome;
using fanfare::testing::FunctionRunner;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

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

TEST(Notify, SignsWithEachSecret) {
  const std::string text = std::string(" ") + kOtherSecret + "\r\n" + kSecret + "\n";
  const auto secrets = secrets_in(text);
  ASSERT_EQ(secrets.size(), 2u);
  EXPECT_EQ(sign_with_each(secrets, "id", 1, "body"),
            sign(kOtherSecret, "id", 1, "body") + " " + sign(kSecret, "id", 1, "body"));
  EXPECT_TRUE(secrets_in(" \n").empty());
  EXPECT_EQ(failure_of([] { sign_with_each({9, kSecret}, "id", 1, ""); }).type(), "ConfigError");
}

// The handler as a worker would run it.
class NotifyFunction : public ::testing::Test {
 protected:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  void start(Environment env, bool private_allowed = true) {
    if (private_allowed) env.emplace_back("WEBHOOK_ALLOW_PRIVATE", "yes");
    auto started = FunctionRunner::start(
        std::string(FANFARE_BIN_DIR) + "/../functions/notify/notify.so", std::move(env));
    ASSERT_TRUE(started) << started.error().message;
    runner = *std::move(started);
  }
  fanfare::worker::ItemResult run(std::string data, std::string type = "notification.published") {
    return runner->run(std::move(type), std::move(data));
  }
  json output(std::string data) {
    const auto result = run(std::move(data));
    EXPECT_EQ(result.outcome, Outcome::kOk) << result.failure.message;
    return json::parse(result.output, nullptr, false);
  }

  CannedServer server{canned_response(204, "", "")};
  std::unique_ptr<FunctionRunner> runner;
};

TEST_F(NotifyFunction, DeliversASignedMessage) {
  start({{"WEBHOOK_URL", server.url()},
         {"WEBHOOK_SECRET", kSecret},
         {"NOTIFY_TEMPLATE", "Hi {{who}}"}});
  const auto result = run(R"({"who":"Ada"})");
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.failure.message;
  EXPECT_EQ(result.output, R"({"status":204,"webhook_id":"msg_1-1.0","text":"Hi Ada"})");

  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].line, "POST /hook HTTP/1.1");
  const json body = json::parse(requests[0].body);
  EXPECT_EQ(body["type"], "notification.published");
  EXPECT_EQ(body["text"], "Hi Ada");
  EXPECT_EQ(body["data"]["who"], "Ada");
  EXPECT_EQ(requests[0].headers.at("webhook-id"), "msg_1-1.0");
  EXPECT_TRUE(signed_with(kSecret, requests[0]));
  EXPECT_FALSE(signed_with(kOtherSecret, requests[0]));
}

TEST_F(NotifyFunction, SignsWithBothSecretsWhileOneReplacesTheOther) {
  start({{"WEBHOOK_URL", server.url()},
         {"WEBHOOK_SECRET", std::string(kOtherSecret) + "\n" + kSecret},
         {"NOTIFY_FORMAT", "cloudevents-binary"}});
  EXPECT_EQ(output("{}")["status"], 204);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].headers.at("ce-type"), "notification.published");
  EXPECT_TRUE(signed_with(kSecret, requests[0]));
  EXPECT_TRUE(signed_with(kOtherSecret, requests[0]));
}

TEST_F(NotifyFunction, TellsTheReceiverWhichTraceItIsIn) {
  start({{"WEBHOOK_URL", server.url()}});
  fanfare::protocol::Event event{.source = "/s", .type = "t"};
  event.extensions = {{"traceparent", "00-aa-bb-01"}, {"tracestate", "a=b\r\nx-forged: yes"}};
  EXPECT_EQ(runner->run(event).outcome, Outcome::kOk);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].headers.at("traceparent"), "00-aa-bb-01");
  EXPECT_EQ(requests[0].headers.count("x-forged"), 0u);
}

TEST_F(NotifyFunction, LetsThePublisherSayWhereToOnlyIfThatIsAllowed) {
  const std::string data = json{{"url", server.url()}, {"template", "at {{url}}"}}.dump();
  start({});
  const auto refused = run(data);
  EXPECT_EQ(refused.failure.type, "ConfigError");
  EXPECT_THAT(refused.failure.message, HasSubstr("WEBHOOK_URL_FROM_DATA"));
  EXPECT_TRUE(server.requests().empty());

  server.answer(canned_response(500, "retry-after: 2\r\n"));
  start({{"WEBHOOK_URL_FROM_DATA", "yes"}});
  const auto failed = run(data);
  EXPECT_EQ(failed.failure.type, "DeliveryError");
  EXPECT_TRUE(failed.failure.retryable);
  EXPECT_EQ(failed.failure.retry_after_ms, 2000);
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].headers.count("webhook-signature"), 0u);
  EXPECT_EQ(json::parse(server.requests()[0].body)["text"], "at " + server.url());
  EXPECT_EQ(run("{}").failure.type, "ConfigError");

  server.answer(canned_response(410));
  EXPECT_EQ(run(data).failure.type, "DeliveryRefused") << "one of many URLs disables nothing";
}

TEST_F(NotifyFunction, TakesATemplateFromNotificationsAlone) {
  start({{"WEBHOOK_URL", server.url()}});
  const std::string data = R"({"template":"{{nobody}}"})";
  EXPECT_EQ(run(data).failure.type, "TemplateError");
  EXPECT_EQ(run(data, "form.submitted").outcome, Outcome::kOk);
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(json::parse(server.requests()[0].body)["data"]["template"], "{{nobody}}");
}

TEST_F(NotifyFunction, RefusesDataThatAreNoJson) {
  start({{"WEBHOOK_URL", server.url()}});
  EXPECT_EQ(run("plain").failure.type, "MalformedNotification");
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(NotifyFunction, SendsNothingAsItShips) {
  start({});
  const auto skipped = run("{}");
  EXPECT_EQ(skipped.outcome, Outcome::kOk) << skipped.failure.message;
  EXPECT_EQ(json::parse(skipped.output)["skipped"], "unconfigured");
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(NotifyFunction, ReachesNoPrivateAddressUnlessAllowed) {
  start({{"WEBHOOK_URL", server.url()}}, false);
  const auto refused = run("{}");
  EXPECT_EQ(refused.failure.type, "AddressRefused");
  EXPECT_FALSE(refused.failure.retryable);
  EXPECT_THAT(refused.failure.message, HasSubstr("127.0.0.1 (loopback, 127.0.0.0/8)"));
  EXPECT_TRUE(server.requests().empty());

  start({{"WEBHOOK_URL", server.url()}, {"WEBHOOK_ALLOW_PRIVATE", "maybe"}}, false);
  EXPECT_EQ(run("{}").failure.type, "ConfigError");
}

TEST_F(NotifyFunction, AsksNoProxyOfTheEnvironment) {
  const CannedServer proxy(canned_response(200));
  start({{"WEBHOOK_URL", server.url()}, {"http_proxy", proxy.url()}, {"all_proxy", proxy.url()}});
  EXPECT_EQ(output("{}")["status"], 204);
  EXPECT_TRUE(proxy.requests().empty());
}

TEST_F(NotifyFunction, IsDisabledByAnAnswerOf410UntilTheRowIsGone) {
  server.answer(canned_response(410));
  start({{"WEBHOOK_URL", server.url()}});
  const json gone = output("{}");
  EXPECT_EQ(gone["status"], 410);
  EXPECT_EQ(gone["disabled"], true);
  const json skipped = output("{}");
  EXPECT_EQ(skipped["skipped"], "disabled");
  EXPECT_EQ(skipped["why"], "the webhook answered 410");
  EXPECT_EQ(skipped["since"].get<std::string>().size(), sizeof "2026-11-28T00:00:00Z" - 1);
  EXPECT_EQ(server.requests().size(), 1u) << "nothing was sent";

  EXPECT_THAT(runner->store().rows().at("disabled").value, Not(HasSubstr("/hook")))
      << "a URL may hold secrets";

  const auto rows = runner->store();
  start({{"WEBHOOK_URL", server.url() + "/new"}});
  runner->store() = rows;
  server.answer(canned_response(200));
  EXPECT_EQ(output("{}")["status"], 200) << "another URL is another webhook";

  start({{"WEBHOOK_URL", server.url()}});
  EXPECT_EQ(output("{}")["status"], 200) << "the row is gone";
  EXPECT_EQ(output("{}")["answer"], "ok");
}

TEST_F(NotifyFunction, UnderstandsARowThatSaysTheUrl) {
  const std::string row =
      json{{"since", "2026-11-28T00:00:00Z"}, {"why", "410"}, {"url", server.url()}}.dump();
  for (const bool same : {true, false}) {
    start({{"WEBHOOK_URL", server.url() + (same ? "" : "/new")}});
    std::string write;
    fanfare::protocol::append_write(write, {.key = "disabled", .value = row});
    runner->store().write(write, 0, {});
    EXPECT_EQ(output("{}").contains("skipped"), same);
  }
}

}  // namespace
}  // namespace notify
