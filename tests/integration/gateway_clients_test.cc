// The gateway and clients of other makers, unmodified, from npm: tests/clients has the programs
// that use them, and ops/setup installs what they need.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "functions/notify/canned_server.h"
#include "tests/integration/gateway_process.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;

const std::string kClients = FANFARE_SOURCE_DIR "/tests/clients/";
const std::string kSdkToken = "a token of the clients";
const std::string kSdkSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

// ops/setup leaves a copy of the lock file once all that it names is there.
std::string missing_of_npm() {
  if (std::system("node --version >/dev/null 2>&1") != 0) return "node is missing";
  const std::string installed = content_of(kClients + "node_modules/installed");
  if (installed.empty()) return "tests/clients/node_modules is missing";
  if (installed != content_of(kClients + "package-lock.json")) {
    return "tests/clients/node_modules is not what package-lock.json names";
  }
  return "";
}

void expect_good(Gateway& gateway, std::vector<std::string> program) {
  std::vector<std::string> command{"/usr/bin/env", "node", kClients + program.front()};
  command.insert(command.end(), program.begin() + 1, program.end());
  const auto [printed, code] = run(gateway, std::move(command));
  EXPECT_EQ(code, 0) << program.front() << ": " << printed << gateway.log();
}

// What functions/notify posts, in each of its formats.
void post_webhooks(Gateway& gateway, const std::string& file) {
  const notify::CannedServer receiver("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
  nlohmann::json requests = nlohmann::json::array();
  for (const std::string format : {"event", "cloudevents", "cloudevents-binary", "sns"}) {
    gateway.installation.deploy(
        "functions/notify",
        "[env]\nWEBHOOK_URL = \"" + receiver.url() + "\"\nWEBHOOK_SECRET = \"" + kSdkSecret +
            "\"\nWEBHOOK_ALLOW_PRIVATE = \"yes\"\nNOTIFY_FORMAT = \"" + format + "\"\n");
    for (const char* data : {R"({"name":"Zoë","total":12})", R"({"text":"\u0000 \\ / é"})"}) {
      protocol::Event event;
      event.type = "notify";
      event.source = "/tests";
      event.content_type = "application/json";
      event.data = data;
      const auto receipt = gateway.installation.client().publish(event).get();
      ASSERT_TRUE(receipt) << receipt.error().message;
      const auto record = gateway.installation.result("notify", receipt->id);
      EXPECT_EQ(record.status, protocol::Status::kSucceeded) << record.error_message;
      ASSERT_EQ(receiver.requests().size(), requests.size() + 1);
      const auto request = receiver.requests().back();
      requests.push_back({{"format", format},
                          {"sent", data},
                          {"headers", request.headers},
                          {"body", request.body}});
    }
  }
  std::ofstream{file} << requests;
}

TEST(GatewayClients, AreServedAsTheirMakersHaveIt) {
  if (const std::string missing = missing_of_npm(); !missing.empty()) {
    // Continuous integration has installed everything, or it has not checked what it says.
    if (std::getenv("CI")) FAIL() << missing << "; ops/setup --all installs it";
    GTEST_SKIP() << missing << "; ops/setup --all installs it";
  }
  Gateway gateway(
      {{"FANFARE_TRIGGERS_TRUST_LOOPBACK", "false"}, {"FANFARE_TRIGGERS_TOKENS", kSdkToken}},
      "[webhooks.shop]\nsecrets = [\"" + kSdkSecret + "\"]\n",
      {.broker = {{"FANFARE_BROKER_QUEUE_MAX", "8"}}});
  const std::string no_retry = "[retry]\nprofile = \"none\"\n";
  Installation& installation = gateway.installation;
  installation.deploy("functions-testing/calls", no_retry);
  installation.deploy("functions-testing/chatty", no_retry);
  installation.deploy("functions-testing/crash",
                      no_retry + "[[on]]\npattern = '{\"type\": [\"order.lost\"]}'\n");
  installation.deploy("functions-testing/sleepy", "max_concurrency = 1\n");
  installation.deploy("functions-testing/introspect",
                      "[[on]]\npattern = '{\"type\": [\"order.placed\", \"webhook.received\"]}'\n");

  expect_good(gateway, {"lambda.mjs", gateway.url, kSdkToken});
  expect_good(gateway, {"cloudevents.mjs", gateway.url, kSdkToken});
  expect_good(gateway, {"webhooks.mjs", gateway.url, kSdkToken, kSdkSecret});
  const std::string posted = installation.file("posted.json");
  post_webhooks(gateway, posted);
  expect_good(gateway, {"received.mjs", posted, kSdkSecret});
}

}  // namespace
}  // namespace fanfare::test
