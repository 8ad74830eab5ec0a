// Outbound webhooks through real processes: the command line, a worker, and somebody who answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "cli/exit_code.h"
#include "functions/notify/test_support.h"
#include "tests/integration/command_fixture.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using notify::canned_response;
using notify::signed_with;
using ::testing::HasSubstr;
using ::testing::Not;

class Webhooks : public CommandFixture {
 protected:
  protocol::ResultRecord send(const std::string& function, const std::string& type) {
    protocol::Event event;
    event.source = "/shop";
    event.type = type;
    event.content_type = "application/json";
    event.data = R"({"total": 12})";
    const auto receipt = installation_.client().publish(event).get();
    if (!receipt) throw std::runtime_error(receipt.error().message);
    return installation_.result(function, receipt->id);
  }
  json sent(const std::string& function, const std::string& type) {
    const auto record = send(function, type);
    EXPECT_EQ(record.status, protocol::Status::kSucceeded) << record.error_message;
    return json::parse(record.output, nullptr, false);
  }
  json listed(const std::string& name) {
    for (const json& one : run_json({"webhook", "list"})) {
      if (one["name"] == name) return one;
    }
    return {};
  }

  notify::CannedServer server_{canned_response(200)};
};

TEST_F(Webhooks, AreSignedRotatedDisabledByA410AndRemoved) {
  EXPECT_THAT(run({"webhook", "list"}).output, HasSubstr("no webhooks"));
  const std::vector<std::string> add{
      "webhook", "add",     "billing",  "--url",       server_.url() + "?token=abc",
      "--on",    "order.*", "--format", "cloudevents", "--allow-private"};
  EXPECT_THAT(run(add).output, HasSubstr("--new-secret"));
  auto with_secret = add;
  with_secret.emplace_back("--new-secret");
  const std::string secret = run_json(with_secret)["secret"];
  EXPECT_EQ(sent("billing", "order.placed")["status"], 200) << installation_.logs();
  ASSERT_EQ(server_.requests().size(), 1u);
  EXPECT_TRUE(signed_with(secret.c_str(), server_.requests()[0]));
  const json event = json::parse(server_.requests()[0].body);
  EXPECT_EQ(event["specversion"], "1.0");
  EXPECT_EQ(event["type"], "order.placed");
  EXPECT_EQ(event["data"]["total"], 12);
  EXPECT_EQ(run_json(add)["outcome"], "unchanged") << "and its secret stays";
  const auto another = run(with_secret);
  EXPECT_EQ(another.exit_code, cli::kUsage);
  EXPECT_THAT(another.output, HasSubstr("`fanfare webhook rotate billing`"));
  auto not_private = add;
  not_private.pop_back();
  EXPECT_THAT(run(not_private).output, HasSubstr("--allow-private was given before"));
  EXPECT_THAT(run(add).output, Not(HasSubstr("was given before")));

  const std::string newer = run_json({"webhook", "rotate", "billing"})["secret"];
  EXPECT_EQ(sent("billing", "order.paid")["status"], 200);
  EXPECT_TRUE(signed_with(secret.c_str(), server_.requests()[1]));
  EXPECT_TRUE(signed_with(newer.c_str(), server_.requests()[1]));
  EXPECT_THAT(run({"webhook", "rotate", "billing"}).output, HasSubstr("--finish"));
  run_json({"webhook", "rotate", "billing", "--finish"});
  EXPECT_THAT(run({"webhook", "test", "billing"}).output, HasSubstr("billing answered 200: ok"));
  EXPECT_FALSE(signed_with(secret.c_str(), server_.requests()[2]));
  EXPECT_TRUE(signed_with(newer.c_str(), server_.requests()[2]));

  server_.answer(canned_response(410));
  EXPECT_EQ(sent("billing", "order.placed")["disabled"], true);
  EXPECT_EQ(sent("billing", "order.placed")["skipped"], "disabled");
  EXPECT_EQ(server_.requests().size(), 4u) << "nothing was sent after the 410";
  const json disabled = listed("billing");
  EXPECT_EQ(disabled["state"], "disabled");
  EXPECT_EQ(disabled["disabled"]["why"], "the webhook answered 410");
  EXPECT_THAT(disabled.dump(), Not(HasSubstr("abc")));
  EXPECT_THAT(disabled.dump(), Not(HasSubstr("whsec_")));
  const auto tested = run({"webhook", "test", "billing"});
  EXPECT_EQ(tested.exit_code, cli::kFailed);
  EXPECT_THAT(tested.output, HasSubstr("fanfare webhook enable billing"));

  server_.answer(canned_response(200));
  EXPECT_EQ(run_json({"webhook", "enable", "billing"})["outcome"], "enabled");
  EXPECT_EQ(sent("billing", "order.placed")["status"], 200);
  EXPECT_EQ(listed("billing")["state"], "enabled");
  run_json({"webhook", "disable", "billing"});
  EXPECT_EQ(sent("billing", "order.placed")["skipped"], "disabled");
  EXPECT_EQ(server_.requests().size(), 5u);

  EXPECT_THAT(run({"webhook", "remove", "biling"}).output, HasSubstr("did you mean billing?"));
  EXPECT_EQ(run_json({"webhook", "remove", "billing"})["outcome"], "removed");
  EXPECT_EQ(listed("billing"), json());
  run_json(with_secret);
  EXPECT_EQ(listed("billing")["state"], "enabled") << "what disabled the old one is gone";

  installation_.deploy("builtin/noop", "on_success = \"billing\"\n");
  installation_.publish("noop", "x");
  ASSERT_TRUE(eventually([&] { return server_.requests().size() == 6; })) << installation_.logs();
  const json told = json::parse(server_.requests()[5].body);
  EXPECT_EQ(told["type"], "function.succeeded") << "results are CloudEvents, too";
  EXPECT_EQ(told["source"], "/functions/noop");
  EXPECT_EQ(told["data"]["requestContext"]["condition"], "Success");
}

TEST_F(Webhooks, AreTriedAgainNotEarlierThanAskedAndReachNothingPrivate) {
  installation_.deploy("builtin/noop");
  EXPECT_THAT(run({"webhook", "add", "noop", "--url", server_.url(), "--unsigned"}).output,
              HasSubstr("deployed from a folder"));

  run_json({"webhook", "add", "inner", "--url", server_.url(), "--unsigned", "--on", "inner"});
  const auto refused = send("inner", "inner");
  EXPECT_EQ(refused.status, protocol::Status::kFailed);
  EXPECT_EQ(refused.error_type, "AddressRefused");
  EXPECT_THAT(refused.error_message, HasSubstr("--allow-private"));
  EXPECT_EQ(refused.reason, protocol::DeadReason::kNotRetryable);
  EXPECT_EQ(listed("inner")["dead"], 1);
  EXPECT_EQ(server_.requests().size(), 0u);

  server_.answer(canned_response(503, "retry-after: 2\r\n"));
  const std::string file = installation_.file("busy.secret");
  std::ofstream(file) << notify::kSecret << "\n";
  run_json({"webhook", "add", "busy", "--url", server_.url(), "--secret-file", file, "--on", "busy",
            "--allow-private", "--retry", "standard"});
  installation_.publish("busy", "{}");
  ASSERT_TRUE(eventually([&] { return server_.requests().size() == 1; }));
  server_.answer(canned_response(200));
  ASSERT_TRUE(eventually([&] { return server_.requests().size() == 2; }));
  const auto requests = server_.requests();
  EXPECT_GE(requests[1].came - requests[0].came, 2s);
  EXPECT_EQ(requests[0].headers.at("webhook-id"), requests[1].headers.at("webhook-id"));
  EXPECT_TRUE(signed_with(notify::kSecret, requests[1]));

  std::ofstream(file) << notify::kOtherSecret << "\n" << notify::kSecret << "\n";
  EXPECT_EQ(run_json({"webhook", "rotate", "busy"})["outcome"], "read again");
  installation_.publish("busy", "{}");
  ASSERT_TRUE(eventually([&] { return server_.requests().size() == 3; }));
  EXPECT_TRUE(signed_with(notify::kSecret, server_.requests()[2]));
  EXPECT_TRUE(signed_with(notify::kOtherSecret, server_.requests()[2]));
}

}  // namespace
}  // namespace fanfare::test
