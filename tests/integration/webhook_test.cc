// Outbound webhooks through real processes: the command line, a worker, and somebody who answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "cli/exit_code.h"
#include "functions/notify/test_support.h"
#include "tests/integration/command_fixture.h"
#include "tests/integration/gateway_process.h"
#include "tests/integration/http_client.h"

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
  EXPECT_EQ(disabled["url"], server_.url().substr(0, server_.url().find("/hook")) + "/…");
  EXPECT_THAT(run({"store", "export", "billing"}).output, Not(HasSubstr("127.0.0.1")));
  EXPECT_THAT(disabled.dump(), Not(HasSubstr("whsec_")));
  const auto tested = run({"webhook", "test", "billing"});
  EXPECT_EQ(tested.exit_code, cli::kFailed);
  EXPECT_THAT(tested.output, HasSubstr("fanfare webhook enable billing"));

  const std::string url = server_.url() + "?token=abc";
  for (const bool is_it : {false, true}) {  // rows of before have the URL
    const json row{{"why", "410"}, {"url", is_it ? url : "https://example.org/another"}};
    run({"store", "put", "billing", "disabled", row.dump()});
    EXPECT_EQ(listed("billing")["state"], is_it ? "disabled" : "enabled");
  }
  EXPECT_EQ(sent("billing", "order.placed")["skipped"], "disabled");

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
  std::ofstream(installation_.file("busy.url")) << server_.url() << "\n";
  run_json({"webhook", "add", "busy", "--url", "@" + installation_.file("busy.url"),
            "--secret-file", file, "--on", "busy", "--allow-private", "--retry", "standard"});
  installation_.publish("busy", "{}");
  ASSERT_TRUE(eventually([&] { return server_.requests().size() == 1; }));
  server_.answer(canned_response(200));
  ASSERT_TRUE(eventually([&] { return server_.requests().size() == 2; }));
  const auto requests = server_.requests();
  EXPECT_GE(requests[1].came - requests[0].came, 2s);
  EXPECT_EQ(requests[0].headers.at("webhook-id"), requests[1].headers.at("webhook-id"));
  EXPECT_TRUE(signed_with(notify::kSecret, requests[1]));

  std::ofstream(file) << notify::kOtherSecret << "\n" << notify::kSecret << "\n";
  const auto made = run({"webhook", "add", "busy", "--url", server_.url(), "--new-secret"});
  EXPECT_EQ(made.exit_code, cli::kUsage);
  EXPECT_THAT(made.output, HasSubstr("lies in " + file));
  EXPECT_THAT(made.output, HasSubstr("`fanfare webhook rotate busy`"));
  EXPECT_EQ(run_json({"webhook", "rotate", "busy"})["outcome"], "read again");
  installation_.publish("busy", "{}");
  ASSERT_TRUE(eventually([&] { return server_.requests().size() == 3; }));
  EXPECT_TRUE(signed_with(notify::kSecret, server_.requests()[2]));
  EXPECT_TRUE(signed_with(notify::kOtherSecret, server_.requests()[2]));
}

TEST_F(Webhooks, OfFormatSnsAreTakenByAnotherTopicWithAttributesAndSubject) {
  for (const char* function : {"functions-testing/introspect", "builtin/noop"}) {
    installation_.deploy(function);
  }
  const GatewayProcess gateway(installation_, {}, "[topics.orders]\n[topics.others]\n");
  const auto add = [&](const char* name, const std::string& url) {
    const json added = run_json({"webhook", "add", name, "--url", url, "--format", "sns",
                                 "--new-secret", "--allow-private"});
    run_json({"topic", "subscribe", "orders", name});
    return added["secret"].get<std::string>();
  };
  add("onward", gateway.url + "/topics/others");
  const std::string secret = add("elsewhere", server_.url());
  const std::string policy = R"({"price":[{"numeric":[">=",100]}],"store":["berlin"]})";
  run_json({"topic", "subscribe", "others", "introspect"});
  run_json({"topic", "subscribe", "others", "noop", "--filter", policy});
  HttpClient http(gateway.url);
  const auto id_in = [](const std::string& receipt) {
    return protocol::parse_event_id(json::parse(receipt)["id"].get<std::string>()).value();
  };

  const std::string data = R"({"total": 12.50, "to": "Zoë"})";
  const auto published =
      http.post("/topics/orders", data,
                {"Content-Type: application/json", "Fanfare-Subject: Größe", "Idempotency-Key: 7",
                 R"(Fanfare-Attributes: {"store":"berlin","price":120.5,"tags":["a","b"]})"});
  ASSERT_EQ(published.status, 202) << published.body;
  const auto id = id_in(published.body);
  const json posted = json::parse(installation_.result("onward", id).output);
  EXPECT_EQ(posted["status"], 202) << posted;
  const json taken = json::parse(posted["answer"].get<std::string>());
  EXPECT_EQ(taken["functions"], (json{"introspect", "noop"})) << "noop's policy sees attributes";
  const json seen = json::parse(installation_.result("introspect", id_in(posted["answer"])).output);
  EXPECT_EQ(seen["source"], "/topics/others");
  EXPECT_EQ(seen["subject"], "Größe");
  EXPECT_EQ(seen["content_type"], "application/json");
  EXPECT_EQ(seen["data"], data);
  EXPECT_EQ(seen["extensions"], 1) << "the attributes";

  ASSERT_EQ(json::parse(installation_.result("elsewhere", id).output)["status"], 200);
  const auto request = server_.requests().at(0);
  EXPECT_TRUE(signed_with(secret.c_str(), request)) << "SNS's own signature nobody else makes";
  const json message = json::parse(request.body);
  EXPECT_EQ(message["MessageId"], seen["ce_id"]) << "one id, whoever is told";
  EXPECT_EQ(message["MessageAttributes"]["tags"]["Type"], "String.Array");
  std::vector<std::string> headers;
  for (const char* name :
       {"content-type", "x-amz-sns-message-type", "x-amz-sns-message-id", "x-amz-sns-topic-arn"}) {
    headers.push_back(std::string(name) + ": " + request.headers.at(name));
  }
  const json again = json::parse(http.post("/topics/others", request.body, headers).body);
  EXPECT_EQ(again["duplicate"], true) << again;
  EXPECT_EQ(again["id"], taken["id"]);
  // Back where it came from it goes round once, and ends.
  run_json({"webhook", "add", "back", "--url", gateway.url + "/topics/others", "--format", "sns",
            "--unsigned", "--allow-private"});
  run_json({"topic", "subscribe", "others", "back"});
  const auto round = id_in(http.post("/topics/others", "round").body);
  const json first = json::parse(installation_.result("back", round).output);
  const json second =
      json::parse(installation_.result("back", id_in(first["answer"].get<std::string>())).output);
  EXPECT_EQ(json::parse(first["answer"].get<std::string>()).contains("duplicate"), false);
  EXPECT_EQ(json::parse(second["answer"].get<std::string>())["duplicate"], true) << second;

  const auto bytes =
      id_in(http.post("/topics/orders", "\x89PNG", {"Content-Type: image/png"}).body);
  const auto refused = installation_.result("elsewhere", bytes);
  EXPECT_EQ(refused.error_type, "NotText");
  EXPECT_EQ(refused.reason, protocol::DeadReason::kNotRetryable);
  EXPECT_EQ(server_.requests().size(), 1u);
}

}  // namespace
}  // namespace fanfare::test
