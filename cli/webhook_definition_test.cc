#include "cli/webhook_definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/manifest.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

WebhookDefinition billing() {
  return {.name = "billing",
          .url = "https://user:pass@example.org/hooks?token=abc",
          .patterns = {R"({"type":["order.placed"]})", R"({"data":{"a\"b":["\u007f"]}})"},
          .format = "cloudevents",
          .secrets = {"whsec_bmV3", "whsec_b2xk"},
          .allow_private = true,
          .timeout = 90s,
          .concurrency = 7,
          .retry = "standard"};
}

std::string complaint_about(const WebhookDefinition& definition) {
  const auto checked = check(definition);
  return checked ? "fine" : checked.error().message;
}

TEST(WebhookDefinition, IsReadBackFromItsManifest) {
  WebhookDefinition definition = billing();
  EXPECT_EQ(complaint_about(definition), "fine");
  EXPECT_EQ(webhook_of("billing", manifest_of(definition)), definition);
  definition.secrets.clear();
  definition.secret_file = "/etc/fanfare/\"a\" b.secret";
  definition.patterns.clear();
  EXPECT_EQ(webhook_of("billing", manifest_of(definition)), definition);
}

TEST(WebhookDefinition, BecomesAManifestOfTheHandlerNotify) {
  const auto manifest = protocol::parse_manifest(manifest_of(billing()), "function.toml", "x");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->name, "billing");
  EXPECT_EQ(manifest->handler, "notify.so");
  EXPECT_EQ(manifest->timeout, 90s);
  EXPECT_EQ(manifest->max_concurrency, 7u);
  EXPECT_EQ(manifest->retry.profile, "standard");
  EXPECT_EQ(manifest->patterns, billing().patterns);
  EXPECT_THAT(manifest->env, testing::Contains(std::pair<std::string, std::string>(
                                 "WEBHOOK_SECRET", "whsec_bmV3 whsec_b2xk")));
}

TEST(WebhookDefinition, OfAnotherManifestIsNone) {
  EXPECT_FALSE(webhook_of("notify", "handler = \"notify.so\"\n[env]\nWEBHOOK_URL = \"x\"\n"));
  EXPECT_FALSE(webhook_of("x", ""));
}

TEST(WebhookDefinition, SaysWhatIsWrong) {
  WebhookDefinition definition = billing();
  definition.name = "a b";
  EXPECT_THAT(complaint_about(definition), HasSubstr("is no name for a webhook"));
  for (const char* url :
       {"", "example.org", "ftp://example.org/", "https://", "https:///path", "https://user@/",
        "https://example.org/a b", "https://example.org/\n", "https://\xc3\xa4.org/",
        "https://user:pa/ss@example.org", "https://[::1]:x/"}) {
    definition = billing();
    definition.url = url;
    EXPECT_THAT(complaint_about(definition), HasSubstr("--url")) << url;
  }
  definition.url = "https://[::1]:8443/hooks";
  EXPECT_EQ(complaint_about(definition), "fine");
  definition.url = "https://example.org/" + std::string(2048, 'x');
  EXPECT_THAT(complaint_about(definition), HasSubstr("2048 is the most"));
}

TEST(WebhookDefinition, TakesTypesAndPatterns) {
  EXPECT_EQ(*pattern_of_word("order.placed"), R"({"type":["order.placed"]})");
  EXPECT_EQ(*pattern_of_word("order.*"), R"({"type":[{"wildcard":"order.*"}]})");
  EXPECT_EQ(*pattern_of_word(R"( {"source":["/shop"]})"), R"( {"source":["/shop"]})");
  for (const char* word : {"", " ", "{", R"({"type":"x"})", "a**b"}) {
    const auto pattern = pattern_of_word(word);
    ASSERT_FALSE(pattern) << word;
    EXPECT_THAT(pattern.error().message, HasSubstr("--on")) << word;
  }
}

TEST(WebhookDefinition, ShowsNoSecretsOfAUrl) {
  EXPECT_EQ(shown_url("https://user:pass@example.org:8443/hooks?token=abc#x"),
            "https://…@example.org:8443/…");
  EXPECT_EQ(shown_url("https://user:p@ss@[2001:db8::1]:8443"), "https://…@[2001:db8::1]:8443");
  EXPECT_EQ(shown_url("https://example.org/services/T0/B0/x"), "https://example.org/…");
  EXPECT_EQ(shown_url("https://example.org?token=abc"), "https://example.org/…");
  EXPECT_EQ(shown_url("https://example.org/@me"), "https://example.org/…");
  EXPECT_EQ(shown_url("https://example.org/"), "https://example.org/");
  EXPECT_EQ(shown_url("https://example.org"), "https://example.org");
  EXPECT_EQ(shown_url("user:pass@example.org"), "…");
}

TEST(WebhookDefinition, MakesSecretsOf32Bytes) {
  const std::string secret = new_webhook_secret();
  EXPECT_EQ(secret.size(), 6u + 44u);
  EXPECT_TRUE(secret.starts_with("whsec_"));
  EXPECT_NE(secret, new_webhook_secret());
}

}  // namespace
}  // namespace fanfare::cli
