#include "protocol/manifest.h"

#include <gtest/gtest.h>

namespace fanfare::protocol {
namespace {

using namespace std::chrono_literals;

Result<Manifest> parse(std::string_view toml) {
  return parse_manifest(toml, "function.toml", "resize");
}

Manifest parsed(std::string_view toml) {
  auto manifest = parse(toml);
  EXPECT_TRUE(manifest) << manifest.error().message;
  return manifest ? *manifest : Manifest{};
}

std::string complaint(std::string_view toml) {
  const auto manifest = parse(toml);
  return manifest ? "accepted" : manifest.error().message;
}

DescribedSetting described(const Manifest& manifest, std::string_view key) {
  for (const DescribedSetting& setting : describe(manifest)) {
    if (setting.key == key) return setting;
  }
  return {};
}

TEST(Manifest, IsCompleteWhenEmpty) {
  const Manifest manifest = parsed("");
  EXPECT_EQ(manifest.name, "resize");
  EXPECT_EQ(manifest.runtime, "native");
  EXPECT_EQ(manifest.handler, "resize.so");
  EXPECT_EQ(manifest.timeout, 30s);
  EXPECT_EQ(manifest.memory_bytes, 256ull << 20);
  EXPECT_EQ(manifest.keep_alive, 60s);
  EXPECT_EQ(manifest.batch_size, 1u);
  EXPECT_EQ(manifest.retry.max_attempts, 10u);
  EXPECT_EQ(manifest.retry.base, 1s);
  EXPECT_EQ(manifest.retry.cap, 5min);
  EXPECT_EQ(manifest.retry.max_age, 24h);
  EXPECT_EQ(manifest.result_ttl, 24h);
  EXPECT_EQ(manifest.result_max_bytes, 1u << 20);
  EXPECT_EQ(manifest.store_max_rows, 1'000'000u);
  EXPECT_EQ(manifest.store_max_bytes, 1u << 30);
  EXPECT_EQ(manifest.weight, 1u);
  EXPECT_TRUE(manifest.patterns.empty());
}

TEST(Manifest, ReadsEveryKey) {
  const Manifest m = parsed(R"(
name = "thumbs"
runtime = "provided"
handler = "bin/bootstrap"
timeout = "2m"
memory = "1GiB"
max_concurrency = 8
provisioned = 2
keep_alive = 5
rate = "6000/m"
on_success = "notify"
on_failure = "thumb.failed"
weight = 3
[batch]
size = 10
window = "500ms"
[[on]]
pattern = '{"type":["storage.object.created"]}'
[[on]]
pattern = { type = ["x"], data = { size = [1, 2.5, true, { prefix = "a" }] } }
[retry]
profile = "lambda"
max_attempts = 5
[result]
ttl = "1h"
max_bytes = "64KiB"
[store]
max_rows = 5000
max_bytes = "3MiB"
[env]
SIZE = "128"
TOKEN_file = "/run/token"
)");
  EXPECT_EQ(m.name, "thumbs");
  EXPECT_EQ(m.runtime, "provided");
  EXPECT_EQ(m.handler, "bin/bootstrap");
  EXPECT_EQ(m.timeout, 2min);
  EXPECT_EQ(m.memory_bytes, 1ull << 30);
  EXPECT_EQ(m.max_concurrency, 8u);
  EXPECT_EQ(m.provisioned, 2u);
  EXPECT_EQ(m.keep_alive, 5s);
  EXPECT_DOUBLE_EQ(m.rate_per_second, 100);
  EXPECT_EQ(m.batch_size, 10u);
  EXPECT_EQ(m.batch_window, 500ms);
  ASSERT_EQ(m.patterns.size(), 2u);
  EXPECT_EQ(m.patterns[0], R"({"type":["storage.object.created"]})");
  EXPECT_EQ(m.patterns[1], R"({"data":{"size":[1,2.5,true,{"prefix":"a"}]},"type":["x"]})");
  EXPECT_EQ(m.retry.profile, "lambda");
  EXPECT_EQ(m.retry.max_attempts, 5u);
  EXPECT_EQ(m.retry.base, 1min);
  EXPECT_EQ(m.retry.cap, 2min);
  EXPECT_EQ(m.retry.max_age, 6h);
  EXPECT_EQ(m.result_ttl, 1h);
  EXPECT_EQ(m.result_max_bytes, 65536u);
  EXPECT_EQ(m.store_max_rows, 5000u);
  EXPECT_EQ(m.store_max_bytes, 3u << 20);
  EXPECT_EQ(m.on_success, "notify");
  EXPECT_EQ(m.on_failure, "thumb.failed");
  EXPECT_EQ(m.weight, 3u);
  EXPECT_EQ(m.env, (decltype(m.env){{"SIZE", "128"}, {"TOKEN_file", "/run/token"}}));
}

TEST(Manifest, SaysWhereEachSettingCameFrom) {
  const Manifest m = parsed("timeout = \"5s\"\n[retry]\nprofile = \"lambda\"\nbase = \"30s\"\n");
  EXPECT_EQ(described(m, "timeout").value, "5s");
  EXPECT_EQ(described(m, "timeout").origin, "manifest");
  EXPECT_EQ(described(m, "memory").value, "256MiB");
  EXPECT_EQ(described(m, "memory").origin, "default");
  EXPECT_EQ(described(m, "retry.max_attempts").value, "3");
  EXPECT_EQ(described(m, "retry.max_attempts").origin, "profile");
  EXPECT_EQ(described(m, "retry.base").value, "30s");
  EXPECT_EQ(described(m, "retry.base").origin, "manifest");
  EXPECT_EQ(described(m, "max_concurrency").value, "as many as slots");
  EXPECT_EQ(described(m, "rate").value, "none");
  EXPECT_EQ(described(m, "on").value, "none");
}

TEST(Manifest, ShowsNoSecrets) {
  const Manifest m = parsed("[env]\nPASSWORD = \"hunter2\"\n");
  EXPECT_EQ(described(m, "env").value, "PASSWORD");
}

TEST(Manifest, KnowsTheRetryProfiles) {
  EXPECT_EQ(parsed("retry.profile = \"standard\"").retry.max_attempts, 10u);
  EXPECT_EQ(parsed("retry.profile = \"none\"").retry.max_attempts, 1u);
  const RetryPolicy webhook = parsed("retry.profile = \"webhook\"").retry;
  EXPECT_EQ(webhook.max_attempts, 10u);
  EXPECT_EQ(webhook.base, 5s);
  EXPECT_EQ(webhook.cap, 24h);
  EXPECT_EQ(webhook.max_age, 96h);
  EXPECT_EQ(parsed("retry = { max_attempts = 2, profile = \"lambda\" }").retry.max_attempts, 2u)
      << "whatever the order";
}

TEST(Manifest, NamesTheNearestKeyForAnUnknownOne) {
  EXPECT_EQ(complaint("# comment\ntimout = \"5s\"\n"),
            "function.toml:2:1: unknown key timout; did you mean timeout?");
  EXPECT_EQ(complaint("[retry]\nmax_atempts = 3\n"),
            "function.toml:2:1: unknown key retry.max_atempts; did you mean retry.max_attempts?");
  EXPECT_NE(complaint("[[on]]\npatern = \"{}\"\n").find("did you mean on.pattern?"),
            std::string::npos);
  EXPECT_EQ(complaint("zzzzzzzzzzzz = 1"), "function.toml:1:1: unknown key zzzzzzzzzzzz");
}

TEST(Manifest, SaysWhereTheTomlIsBroken) {
  EXPECT_EQ(complaint("name = \"a\"\ntimeout = \n").substr(0, 17), "function.toml:2:1");
  EXPECT_NE(complaint("a = [1, 2"), "accepted");
  EXPECT_NE(complaint("a = \xFF"), "accepted");
}

TEST(Manifest, RefusesValuesOutOfRangeAndNamesTheRange) {
  EXPECT_EQ(complaint("timeout = \"9ms\""),
            "function.toml:1:11: timeout is 9ms, must be from 10ms to 1d");
  EXPECT_EQ(complaint("memory = \"15MiB\""),
            "function.toml:1:10: memory is 15MiB, must be from 16MiB to 1TiB");
  EXPECT_EQ(complaint("batch.size = 257"),
            "function.toml:1:14: batch.size is 257, must be from 1 to 256");
  for (const char* toml : {"timeout = \"25h\"",
                           "memory = \"2TiB\"",
                           "max_concurrency = -1",
                           "provisioned = -1",
                           "keep_alive = \"25h\"",
                           "batch.size = 0",
                           "batch.window = \"301s\"",
                           "weight = 0",
                           "weight = 1001",
                           "retry.max_attempts = 0",
                           "retry.max_attempts = 101",
                           "retry.base = \"0s\"",
                           "retry.max_age = \"0\"",
                           "result.max_bytes = \"9MiB\"",
                           "rate = \"0/s\"",
                           "rate = \"5\"",
                           "rate = \"5/x\"",
                           "rate = \"-5/s\"",
                           "rate = \"1e3/s\"",
                           "rate = 5",
                           "runtime = \"python\"",
                           "retry.profile = \"aws\"",
                           "name = \"a b\"",
                           "name = \"\"",
                           "handler = \"../x.so\"",
                           "handler = \"a/../../x\"",
                           "handler = \"/x.so\"",
                           "handler = \"\"",
                           "on_success = \"\"",
                           "retry = { base = \"10s\", cap = \"5s\" }",
                           "max_concurrency = 1\nprovisioned = 2"}) {
    EXPECT_NE(complaint(toml), "accepted") << toml;
  }
}

TEST(Manifest, RefusesWrongTypes) {
  for (const char* toml :
       {"name = 5", "timeout = true", "timeout = 1.5", "memory = []", "batch = 5",
        "batch.size = \"5\"", "retry = \"none\"", "on = \"x\"", "on = [1]", "env = 5", "env.A = 5",
        "[[on]]", "[[on]]\npattern = 5", "[[on]]\npattern = \"[]\"", "[[on]]\npattern = '[{}]'",
        "[[on]]\npattern = \"{\"", "[[on]]\npattern = { a = 1979-05-27 }"}) {
    EXPECT_NE(complaint(toml), "accepted") << toml;
  }
}

TEST(Manifest, AcceptsTheEndsOfEveryRange) {
  for (const char* toml :
       {"timeout = \"10ms\"", "timeout = \"24h\"", "memory = \"16MiB\"", "memory = \"1TiB\"",
        "keep_alive = 0", "batch.window = \"300s\"", "weight = 1000", "result.ttl = 0",
        "retry.max_attempts = 100", "rate = \"1000000/s\"", "rate = \"0.5/h\""}) {
    EXPECT_EQ(complaint(toml), "accepted") << toml;
  }
}

TEST(Manifest, TakesNoRoomForResultsAsNoResults) {
  EXPECT_EQ(parsed("result.max_bytes = 0").result_ttl, Duration{});
}

TEST(Manifest, PrintsRatesAsTheyWereGiven) {
  EXPECT_EQ(described(parsed("rate = \"100/s\""), "rate").value, "100/s");
  EXPECT_EQ(described(parsed("rate = \"10/h\""), "rate").value, "10/h");
  EXPECT_EQ(described(parsed("rate = \"7/m\""), "rate").value, "7/m");
}

TEST(Manifest, RefusesAFolderWhoseNameIsNoFunctionName) {
  const auto manifest = parse_manifest("", "my fn/function.toml", "my fn");
  ASSERT_FALSE(manifest);
  EXPECT_NE(manifest.error().message.find("my fn"), std::string::npos);
  EXPECT_TRUE(parse_manifest("name = \"fn\"", "my fn/function.toml", "my fn"));
}

}  // namespace
}  // namespace fanfare::protocol
