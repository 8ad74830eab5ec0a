#include "triggers/webhook_signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/base64.h"
#include "triggers/definitions.h"
#include "triggers/fake_exchange.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// The example of the Standard Webhooks specification's reference libraries.
constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr std::int64_t kSent = 1614265330;
const WallTime kThen{std::chrono::seconds{kSent}};

std::string key_of(const char* secret) {
  return webhook_key(WebhookScheme::kStandard, secret).value();
}

FakeExchange message(std::string signature, std::string body = R"({"test": 2432232314})",
                     std::string sent = std::to_string(kSent)) {
  return {"POST",
          "/webhooks/a",
          {{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
           {"webhook-timestamp", std::move(sent)},
           {"webhook-signature", std::move(signature)}},
          std::move(body)};
}

Result<Webhook> verified(const FakeExchange& exchange, WallTime now = kThen,
                         std::vector<std::string> keys = {key_of(kSecret)}) {
  return verify_webhook(WebhookScheme::kStandard, keys, exchange, now, 5min);
}

const std::string kSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

TEST(StandardWebhooks, AgreeWithTheSpecificationsExample) {
  EXPECT_EQ(standard_signature(key_of(kSecret), "msg_p5jXN8AQM9LWM0D4loKWxJek", kSent,
                               R"({"test": 2432232314})"),
            kSignature);
  const auto webhook = verified(message(kSignature));
  ASSERT_TRUE(webhook) << webhook.error().message;
  EXPECT_EQ(webhook->id, "msg_p5jXN8AQM9LWM0D4loKWxJek");
}

TEST(StandardWebhooks, AreRefusedIfAnythingOfThemWasChanged) {
  EXPECT_FALSE(verified(message(kSignature, R"({"test": 2432232315})")));
  EXPECT_FALSE(verified(message(kSignature, R"({"test": 2432232314})", std::to_string(kSent + 1))));
  EXPECT_FALSE(verified(message("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=")));
  EXPECT_FALSE(verified(message("v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")));
  EXPECT_FALSE(verified(message("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")));
  EXPECT_FALSE(verified(message("")));
  EXPECT_FALSE(verified(message(kSignature), kThen, {std::string(24, 'x')}));
  EXPECT_FALSE(verified(message(kSignature), kThen, {}));
}

TEST(StandardWebhooks, AreRefusedIfTheyAreNotOfNow) {
  EXPECT_TRUE(verified(message(kSignature), kThen + 5min));
  EXPECT_TRUE(verified(message(kSignature), kThen - 5min));
  EXPECT_FALSE(verified(message(kSignature), kThen + 5min + 1ms));
  EXPECT_FALSE(verified(message(kSignature), kThen - 5min - 1ms));
  for (const char* sent :
       {"", "x", "1614265330x", "-1", "99999999999999999999", "9223372036854775807"}) {
    EXPECT_FALSE(verified(message(kSignature, "{}", sent))) << sent;
  }
}

TEST(StandardWebhooks, MayBeSignedWithTheOldAndTheNewSecret) {
  EXPECT_TRUE(verified(message("v1,AAAA v1a,whatever " + kSignature)));
  EXPECT_TRUE(verified(message(kSignature), kThen, {std::string(24, 'x'), key_of(kSecret)}));
}

TEST(GithubWebhooks, AgreeWithGithubsExample) {
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
  const auto key = webhook_key(WebhookScheme::kGithub, "It's a Secret to Everybody");
  ASSERT_TRUE(key);
  const auto from = [&](std::string signature) {
    return verify_webhook(WebhookScheme::kGithub, {*key},
                          FakeExchange("POST", "/webhooks/github",
                                       {{"X-Hub-Signature-256", std::move(signature)},
                                        {"X-GitHub-Delivery", "72d3162e"},
                                        {"X-GitHub-Event", "push"}},
                                       "Hello, World!"),
                          kThen, 5min);
  };
  const auto webhook =
      from("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
  ASSERT_TRUE(webhook);
  EXPECT_EQ(webhook->id, "72d3162e");
  EXPECT_EQ(webhook->subject, "push");
  EXPECT_FALSE(from("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18"));
  EXPECT_FALSE(from("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"));
  EXPECT_FALSE(from(""));
}

TEST(WebhookSecrets, MustBeLongEnoughToBeOne) {
  EXPECT_FALSE(webhook_key(WebhookScheme::kStandard, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
  EXPECT_FALSE(webhook_key(WebhookScheme::kStandard, "whsec_?"));
  EXPECT_FALSE(
      webhook_key(WebhookScheme::kStandard, "whsec_" + protocol::to_base64(std::string(23, 'x'))));
  EXPECT_TRUE(
      webhook_key(WebhookScheme::kStandard, "whsec_" + protocol::to_base64(std::string(64, 'x'))));
  EXPECT_FALSE(
      webhook_key(WebhookScheme::kStandard, "whsec_" + protocol::to_base64(std::string(65, 'x'))));
  EXPECT_FALSE(webhook_key(WebhookScheme::kGithub, "fifteen letters"));
  const auto definitions = [](const char* toml) {
    const auto read = parse_definitions(toml, "t.toml");
    return read ? "" : read.error().message;
  };
  EXPECT_THAT(definitions("[webhooks.a]\n"), HasSubstr("a: secrets is missing"));
  EXPECT_THAT(definitions("[webhooks.a]\nsecrets = [\"x\"]\n"),
              HasSubstr("a: a secret is whsec_ and base64"));
  EXPECT_THAT(definitions("[webhooks.a]\nscheme = \"x\"\n"), HasSubstr("must be \"standard\" or"));
}

}  // namespace
}  // namespace fanfare::triggers
