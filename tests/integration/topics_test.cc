// Topics as their users have them: real HTTP clients and the command line, a real gateway, broker,
// worker and Redis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "cli/exit_code.h"
#include "tests/integration/command_fixture.h"
#include "tests/integration/gateway_process.h"
#include "tests/integration/http_client.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// What a function says in answer to what is published, its own patterns apart.
class Topics : public CommandFixture {
 protected:
  Topics() {
    installation_.deploy("functions-testing/introspect");
    installation_.deploy("builtin/noop");
    installation_.deploy("functions-testing/moody", "[env]\nMOODY_FILE = \"" + repaired_ + "\"\n");
    start_gateway(R"(
[topics.orders]
tenant = "acme"
[[topics.orders.subscriptions]]
function = "introspect"
[[topics.orders.subscriptions]]
function = "moody"
filter = { kind = ["retail", "trade"] }
filter_scope = "body"
)");
  }

  // Another one takes the place of the one that runs, if one does.
  void start_gateway(const std::string& definitions) {
    if (gateway_) {
      gateway_->restart(definitions);
    } else {
      gateway_.emplace(installation_, Process::Environment{}, definitions);
    }
    http_ = std::make_unique<HttpClient>(gateway_->url);
  }
  std::string gateway_log() const { return gateway_->log(); }

  // The receipt of what was published, and who gets it.
  json publish(const std::string& topic, const std::string& body,
               const std::vector<std::string>& headers = {}) {
    const auto answer = http_->post("/topics/" + topic, body, headers);
    EXPECT_EQ(answer.status, 202) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  json result(const json& receipt, const std::string& function) {
    const std::string id = receipt["id"];
    const auto answer = http_->get("/results/" + id + "/" + function + "?wait=20s");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }

  json subscription(const std::string& topic, const std::string& function) {
    const json shown = run_json({"topic", "show", topic});
    for (const auto& one : shown["subscriptions"]) {
      if (one["function"] == function) return one;
    }
    return nullptr;
  }

  const std::string repaired_ = installation_.file("repaired");
  std::optional<GatewayProcess> gateway_;
  std::unique_ptr<HttpClient> http_;
};

const char* const kPolicy = R"({"price":[{"numeric":[">=",100]}],"store":["berlin"]})";

TEST_F(Topics, FanOutToWhoWantsItAndOneThatFailsHoldsUpNobody) {
  EXPECT_EQ(run_json({"topic", "subscribe", "orders", "noop", "--filter", kPolicy})["outcome"],
            "subscribed");
  const json filtered = publish("orders", R"({"kind":"retail","n":1})");
  EXPECT_EQ(filtered["functions"], (json{"introspect", "moody"})) << "noop does not want it";
  const json wanted = publish("orders", R"({"kind":"other"})",
                              {R"(Fanfare-Attributes: {"store":"berlin","price":120})",
                               "Fanfare-Subject: a subject", "Content-Type: application/json"});
  EXPECT_EQ(wanted["functions"], (json{"introspect", "noop"})) << "moody does not";
  EXPECT_EQ(publish("orders", R"({"kind":"trade"})",
                    {R"(Fanfare-Attributes: {"store":"berlin","price":100})"})["functions"],
            (json{"introspect", "moody", "noop"}));

  EXPECT_EQ(result(wanted, "noop")["status"], "succeeded");
  const json seen = result(wanted, "introspect")["output"];
  EXPECT_EQ(seen["type"], "notification.published");
  EXPECT_EQ(seen["source"], "/topics/orders");
  EXPECT_EQ(seen["subject"], "a subject");
  EXPECT_EQ(seen["data"], R"({"kind":"other"})");
  EXPECT_EQ(seen["extensions"], 1) << "the attributes";

  EXPECT_EQ(result(filtered, "moody")["status"], "failed");
  ASSERT_TRUE(eventually([&] { return subscription("orders", "moody")["dead"] == 2; }));
  EXPECT_EQ(result(filtered, "introspect")["status"], "succeeded");
  EXPECT_EQ(subscription("orders", "introspect")["dead"], 0);
  std::ofstream(repaired_).close();
  namespace fs = std::filesystem;  // for instances, which run as somebody else
  fs::permissions(fs::path(repaired_).parent_path(), fs::perms::all);
  EXPECT_EQ(run_json({"dlq", "redrive", "moody"})["redriven"], 2);
  EXPECT_TRUE(eventually([&] { return result(filtered, "moody")["status"] == "succeeded"; }));

  const std::string list = run({"topic", "list"}).output;
  EXPECT_THAT(list, HasSubstr("orders"));
  EXPECT_THAT(list, HasSubstr(kPolicy));
  EXPECT_THAT(list, HasSubstr("triggers.toml"));

  // The file and an operator both want introspect to have it: each takes back its own.
  const std::vector<std::string> mine{"topic",      "subscribe", "orders",
                                      "introspect", "--filter",  kPolicy};
  const auto both = run(mine);
  EXPECT_THAT(both.output,
              HasSubstr("triggers.toml subscribes it, too: it gets what either wants"));
  EXPECT_THAT(run({"topic", "unsubscribe", "orders", "introspect"}).output,
              HasSubstr("that of triggers.toml stays: change it there"));
  EXPECT_EQ(run_json({"topic", "show", "orders"})["subscriptions"].size(), 3u);
  run(mine);
  const json shown = run_json({"topic", "show", "orders"});
  EXPECT_EQ(shown["subscriptions"].size(), 4u);
  EXPECT_EQ(shown["file"], true);
  EXPECT_EQ(shown["operator"], true);
  EXPECT_THAT(
      run({"topic", "show", "orders"}).output,
      AllOf(ContainsRegex("introspect .*triggers.toml"), ContainsRegex("berlin.* operator")));

  installation_.broker().kill_hard();
  installation_.start_broker();
  gateway_->await_ready();
  EXPECT_EQ(publish("orders", R"({"kind":"trade"})",
                    {R"(Fanfare-Attributes: {"store":"berlin","price":100})"})["functions"],
            (json{"introspect", "moody", "noop"}))
      << "a restarted broker knows them";

  start_gateway("[topics.others]\n[[topics.others.subscriptions]]\nfunction = \"scribe\"\n");
  EXPECT_EQ(publish("orders", R"({"kind":"trade"})",
                    {R"(Fanfare-Attributes: {"store":"berlin","price":100})"})["functions"],
            (json{"introspect", "noop"}))
      << "what is gone from the file goes, what a person has added stays";
  EXPECT_THAT(publish("orders", "{}")["functions"], IsEmpty());

  EXPECT_THAT(gateway_log(), HasSubstr("subscribers that are not deployed: scribe; once"));
  EXPECT_EQ(subscription("others", "scribe")["state"], "not deployed");
  EXPECT_THAT(publish("others", "{}")["functions"], IsEmpty());
  installation_.deploy("functions-testing/scribe");
  EXPECT_EQ(publish("others", "{}")["functions"], json{"scribe"});
}

TEST_F(Topics, TakeWhatSnsSends) {
  const std::string body = R"({
  "Type" : "Notification",
  "MessageId" : "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  "TopicArn" : "arn:aws:sns:eu-north-1:123456789012:orders",
  "Subject" : "My First Message",
  "Message" : "{\"kind\": \"retail\", \"total\": 12.50}",
  "Timestamp" : "2026-05-02T00:54:06.655Z",
  "SignatureVersion" : "1", "Signature" : "EXAMPLE", "SigningCertURL" : "https://sns.eu-north-1.amazonaws.com/x.pem",
  "MessageAttributes" : {"store": {"Type":"String","Value":"berlin"}, "price": {"Type":"Number","Value":"250"}}
})";
  run_json({"topic", "subscribe", "orders", "noop", "--filter", kPolicy});
  const std::vector<std::string> headers{"Content-Type: text/plain; charset=UTF-8",
                                         "x-amz-sns-message-type: Notification",
                                         "User-Agent: Amazon Simple Notification Service Agent"};
  const json receipt = publish("orders", body, headers);
  EXPECT_EQ(receipt["functions"], (json{"introspect", "moody", "noop"}));
  const json again = publish("orders", body, headers);
  EXPECT_EQ(again["duplicate"], true);
  EXPECT_EQ(again["id"], receipt["id"]);
  const json seen = result(receipt, "introspect")["output"];
  EXPECT_EQ(seen["ce_id"], "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324");
  EXPECT_EQ(seen["subject"], "My First Message");
  EXPECT_EQ(seen["data"], R"({"kind": "retail", "total": 12.50})");
  EXPECT_EQ(seen["time"], "2026-05-02T00:54:06.655Z");

  const auto confirm = [&](const std::string& url) {
    return http_
        ->post(
            "/topics/orders",
            R"({"Type":"SubscriptionConfirmation","MessageId":"1","TopicArn":"arn:x","Message":"You have …","SubscribeURL":")" +
                url + R"(","Timestamp":"2026-04-26T20:45:04.751Z"})",
            {"x-amz-sns-message-type: SubscriptionConfirmation"})
        .status;
  };
  EXPECT_EQ(confirm("https://sns.eu-north-1.amazonaws.com/?Action=ConfirmSubscription"), 202);
  EXPECT_THAT(gateway_log(),
              HasSubstr("if so, open https://sns.eu-north-1.amazonaws.com/?Action=Confirm"));
  EXPECT_EQ(confirm("http://169.254.169.254/latest"), 202);
  EXPECT_THAT(gateway_log(), HasSubstr("none of SNS: http://169.254.169.254/latest"));

  EXPECT_EQ(http_->post("/topics/orders", "Hello", headers).status, 400);
  EXPECT_EQ(http_->post("/topics/orders", "x", {"Fanfare-Attributes: 7"}).status, 400);
  EXPECT_EQ(http_->post("/topics/orders", "x", {"Fanfare-Priority: 11"}).status, 400);
  const auto metrics = http_->get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("topics_refused_total{reason=\"malformed\"} 3"));
  EXPECT_THAT(metrics, HasSubstr("topics_refused_total{reason=\"confirmation\"} 2"));
}

TEST_F(Topics, AreMadeAndChangedByTheirVerbs) {
  const auto unknown = http_->post("/topics/letters", "x");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("`fanfare topic add`"));
  EXPECT_EQ(run_json({"topic", "add", "letters"})["outcome"], "added");
  EXPECT_EQ(run_json({"topic", "add", "letters"})["outcome"], "unchanged");
  EXPECT_THAT(publish("letters", "x")["functions"], IsEmpty());
  EXPECT_THAT(run({"topic", "list"}).output, HasSubstr("(nobody)"));
  EXPECT_THAT(run({"topic", "subscribe", "letters", "noop"}).output,
              HasSubstr("noop subscribes to letters"));
  EXPECT_EQ(publish("letters", "x")["functions"], json{"noop"});
  EXPECT_EQ(run_json({"topic", "subscribe", "letters", "noop", "--filter-scope", "body", "--filter",
                      R"({"a":["b"]})"})["outcome"],
            "replaced");
  EXPECT_EQ(subscription("letters", "noop")["filter_scope"], "body");
  EXPECT_EQ(subscription("letters", "noop")["state"], "active");
  EXPECT_THAT(publish("letters", "x")["functions"], IsEmpty());
  const json published =
      run_json({"topic", "publish", "letters", "--data", R"({"a":"b"})", "--wait"});
  EXPECT_EQ(published["deliveries"][0]["function"], "noop");
  EXPECT_EQ(published["results"][0]["status"], "succeeded");
  std::ofstream{installation_.file("letter.json")} << R"({"a":"b"})";
  EXPECT_EQ(run_json({"topic", "publish", "letters", "--data-file",
                      installation_.file("letter.json")})["deliveries"]
                .size(),
            1u);
  run_json({"topic", "subscribe", "letters", "noop", "--filter", kPolicy});
  EXPECT_EQ(run_json({"topic", "publish", "letters", "x", "--attribute", "store=berlin",
                      "--attribute", "price=100"})["deliveries"]
                .size(),
            1u);

  const auto refused = [&](std::vector<std::string> words, int code = cli::kRefused) {
    const auto ran = run(std::move(words));
    EXPECT_EQ(ran.exit_code, code) << ran.output;
    return ran.output;
  };
  EXPECT_THAT(refused({"functions", "remove", "noop"}),
              HasSubstr("`fanfare topic unsubscribe letters noop`"));
  EXPECT_THAT(refused({"topic", "show", "leters"}), HasSubstr("did you mean letters?"));
  EXPECT_THAT(refused({"topic", "publish", "leters", "x"}), HasSubstr("did you mean letters?"));
  EXPECT_THAT(refused({"topic", "subscribe", "leters", "noop"}),
              HasSubstr("error: invalid: no topic is named 'leters'; did you mean letters?"));
  EXPECT_THAT(run({"topic", "subscribe", "letters", "nope"}).output,
              HasSubstr("no function is named 'nope'; once one is deployed, it gets what is "
                        "published from then on; did you mean noop?"));
  EXPECT_EQ(run_json({"topic", "unsubscribe", "letters", "nope"})["outcome"], "unsubscribed");
  EXPECT_THAT(refused({"topic", "unsubscribe", "orders", "introspect"}),
              HasSubstr("triggers.toml: change it there"));
  EXPECT_THAT(
      refused({"topic", "subscribe", "letters", "noop", "--filter", R"({"a":1})"}, cli::kUsage),
      HasSubstr("--filter: filter policy field 'a'"));
  EXPECT_THAT(
      refused({"topic", "subscribe", "letters", "noop", "--filter", "@/dev/null"}, cli::kUsage),
      HasSubstr("there is nothing in it"));
  EXPECT_THAT(run({"topic", "list"}).output, Not(HasSubstr("\n\n")));
  EXPECT_THAT(
      refused({"topic", "subscribe", "letters", "noop", "--filter-scope", "body"}, cli::kUsage),
      HasSubstr("--filter is about, which is missing"));
  EXPECT_THAT(refused({"topic", "publish", "letters", "x", "--attribute", "=1"}, cli::kUsage),
              HasSubstr("NAME=VALUE"));

  EXPECT_THAT(refused({"topic", "unsubscribe", "leters", "noop"}),
              HasSubstr("did you mean letters?"));
  EXPECT_THAT(refused({"topic", "unsubscribe", "letters", "nop"}), HasSubstr("did you mean noop?"));
  EXPECT_THAT(refused({"topic", "remove", "leters"}), HasSubstr("did you mean letters?"));
  EXPECT_EQ(run_json({"topic", "unsubscribe", "letters", "introspect"})["outcome"], "unchanged");
  EXPECT_EQ(run_json({"topic", "unsubscribe", "letters", "noop"})["outcome"], "unsubscribed");
  EXPECT_EQ(run_json({"topic", "unsubscribe", "letters", "noop"})["outcome"], "unchanged");
  EXPECT_EQ(run({"functions", "remove", "noop"}).exit_code, cli::kDone);
  EXPECT_THAT(run({"topic", "remove", "letters"}).output, HasSubstr("letters removed"));
  EXPECT_EQ(run_json({"topic", "remove", "letters"})["outcome"], "unchanged");
  EXPECT_EQ(run_json({"topic", "list"}).size(), 1u);
}

}  // namespace
}  // namespace fanfare::test
