// fanfare-triggers as its users have it: real clients, a real broker, real Redis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <thread>

#include "cli/up_fixture.h"
#include "tests/integration/audit.h"
#include "tests/integration/gateway_process.h"
#include "tests/integration/http_client.h"
#include "tests/integration/raw_connection.h"
#include "triggers/webhook_signature.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Json = nlohmann::json;

const std::string kForms =
    "[[on]]\npattern = '{\"type\": [\"form.submitted\", \"order.placed\"]}'\n";
const std::vector<std::string> kUrlencoded{"Content-Type: application/x-www-form-urlencoded"};

TEST(Gateway, AFormReachesItsFunctionAndItsResultIsThere) {
  Gateway gateway;
  gateway.installation.deploy("functions-testing/introspect", kForms);
  HttpClient client(gateway.url);
  const auto accepted =
      client.post("/forms/contact", "name=Ada+L&tag=a&tag=b&_next=x", kUrlencoded);
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const Json receipt = Json::parse(accepted.body);
  EXPECT_EQ(receipt["functions"], Json{"introspect"});
  const std::string id = receipt["id"];
  const auto result = client.get("/results/" + id + "/introspect?wait=20s");
  ASSERT_EQ(result.status, 200) << result.body;
  const Json record = Json::parse(result.body);
  EXPECT_EQ(record["status"], "succeeded");
  EXPECT_EQ(record["output"]["type"], "form.submitted");
  EXPECT_EQ(record["output"]["source"], "/forms/contact");
  EXPECT_EQ(record["output"]["content_type"], "application/json");
  EXPECT_EQ(Json::parse(std::string{record["output"]["data"]}),
            (Json{{"name", "Ada L"}, {"tag", {"a", "b"}}}));
  EXPECT_EQ(Json::parse(client.get("/results/" + id).body).size(), 1u);
  EXPECT_EQ(Json::parse(client.get("/results/" + id + "?wait=10s").body).size(), 1u);

  const auto as_json = client.post("/forms/other", R"({"name":"Zoë","n":7,"_gotcha":""})",
                                   {"Content-Type: application/json"});
  ASSERT_EQ(as_json.status, 202) << as_json.body;
  const std::string second = Json::parse(as_json.body)["id"];
  const Json other =
      Json::parse(client.get("/results/" + second + "/introspect?wait=20s").body)["output"];
  EXPECT_EQ(Json::parse(std::string{other["data"]}), (Json{{"name", "Zoë"}, {"n", 7}}));
}

TEST(Gateway, AFormsOwnBoundsHold) {
  Gateway gateway({}, R"(
[forms.contact]
max_bytes = "1KiB"
per_minute = 5
origins = ["https://example.org"]
next = ["https://example.org/"]
)");
  gateway.installation.deploy("functions-testing/introspect", kForms);
  HttpClient client(gateway.url);
  const auto from = [](const std::string& origin) {
    return std::vector<std::string>{kUrlencoded[0], "Origin: " + origin};
  };
  EXPECT_EQ(client.post("/forms/unknown", "a=b", kUrlencoded).status, 404);
  EXPECT_EQ(client.post("/forms/contact", "a=b", from("https://elsewhere.org")).status, 403);
  EXPECT_EQ(client.post("/forms/contact", "a=b", {"Content-Type: text/plain"}).status, 415);
  const auto preflight =
      client.send("OPTIONS", "/forms/contact", nullptr, from("https://example.org"));
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-origin"), "https://example.org");
  EXPECT_EQ(client.post("/forms/contact", std::string(1100, 'a'), kUrlencoded).status, 413);

  const auto read = client.post("/forms/contact", "a=b", from("https://example.org"));
  EXPECT_EQ(read.status, 202);
  EXPECT_EQ(read.headers.at("access-control-allow-origin"), "https://example.org");
  const auto next =
      client.post("/forms/contact", "a=b&_next=https%3A%2F%2Fexample.org%2Fthanks", kUrlencoded);
  EXPECT_EQ(next.status, 303);
  EXPECT_EQ(next.headers.at("location"), "https://example.org/thanks");
  // Five in a minute: a body of the wrong type and one that was too long have counted.
  EXPECT_EQ(
      client.post("/forms/contact", "a=b&_next=https%3A%2F%2Fevil.org%2F", kUrlencoded).status,
      202);
  const auto too_many = client.post("/forms/contact", "a=b", kUrlencoded);
  EXPECT_EQ(too_many.status, 429);
  EXPECT_EQ(too_many.headers.at("content-type"), "application/problem+json");
  const auto counts = audit(gateway.installation.redis().options(), "introspect", {}).counts;
  EXPECT_EQ(counts.at("accepted"), 3);
}

TEST(Gateway, WhoFillsInTheHoneypotIsAnsweredAndNothingIsPublished) {
  Gateway gateway;
  gateway.installation.deploy("functions-testing/introspect", kForms);
  HttpClient client(gateway.url);
  EXPECT_EQ(client.post("/forms/contact", "a=b&_gotcha=spam", kUrlencoded).status, 202);
  EXPECT_THAT(client.get("/metrics").body,
              HasSubstr("fanfare_triggers_forms_refused_total{reason=\"honeypot\"} 1\n"));
  EXPECT_THAT(client.get("/metrics").body,
              HasSubstr("fanfare_triggers_events_total{trigger=\"form\",result=\"accepted\"} 0\n"));
}

std::string form_part(const std::string& parameters, const std::string& content) {
  return "--b\r\nContent-Disposition: form-data; " + parameters + "\r\n\r\n" + content + "\r\n";
}
const std::vector<std::string> kMultipart{"Content-Type: multipart/form-data; boundary=b"};

// A connection on which a part of a request was sent.
struct HalfRequest : RawConnection {
  HalfRequest(const std::string& url, const std::string& bytes)
      : RawConnection(url), sent(send(bytes)) {}
  bool sent;
};

TEST(Gateway, FilesOfAFormAreInTheirBucketBeforeItsEventIsPublished) {
  TempDir dir;
  const std::string uploads = dir.file("uploads"), photos = dir.file("photos");
  for (const auto& each : {uploads, photos, dir.file("state")}) {
    std::filesystem::create_directory(each);
  }
  Gateway gateway({{"FANFARE_TRIGGERS_STATE", dir.file("state")}},
                  "[forms.contact]\nbucket = \"uploads\"\nmax_bytes = \"2MiB\"\nper_minute = 0\n"
                  "[forms.album]\nbucket = \"photos\"\n[forms.plain]\n"
                  "[buckets.uploads]\nwatch = false\ndirectory = \"" +
                      uploads + "\"\n[buckets.photos]\ndirectory = \"" + photos + "\"\n");
  gateway.installation.deploy("functions-testing/introspect", kForms);
  HttpClient client(gateway.url);
  const std::string cat = std::string(300'000, '\x89') + "\r\n--\r\n";
  const auto with_cat = [&](const std::string& content) {
    return form_part("name=\"name\"", "Ada") +
           form_part("name=\"photo\"; filename=\"../my cat.png\"\r\nContent-Type: image/png",
                     content) +
           "--b--\r\n";
  };
  const auto accepted = client.post("/forms/contact", with_cat(cat), kMultipart);
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const std::string id = Json::parse(accepted.body)["id"];
  const Json record = Json::parse(client.get("/results/" + id + "/introspect?wait=20s").body);
  const Json data = Json::parse(std::string{record["output"]["data"]});
  EXPECT_EQ(data["name"], "Ada");
  const Json& photo = data["photo"];
  EXPECT_EQ(photo["name"], "my cat.png");
  EXPECT_EQ(photo["bucket"], "uploads");
  EXPECT_EQ(photo["size"], cat.size());
  EXPECT_EQ(photo["type"], "image/png");
  EXPECT_TRUE(content_of(uploads + "/" + std::string{photo["key"]}) == cat);
  EXPECT_EQ(photo["path"], uploads + "/" + std::string{photo["key"]});

  std::vector<std::string> keyed{kMultipart[0], "Idempotency-Key: 7"};
  const auto once = client.post("/forms/contact", with_cat("7"), keyed);
  ASSERT_EQ(once.status, 202) << once.body;
  const Json again = Json::parse(client.post("/forms/contact", with_cat("7"), keyed).body);
  EXPECT_EQ(again["id"], Json::parse(once.body)["id"]);
  EXPECT_EQ(again["duplicate"], true);
  EXPECT_GE(client.post("/forms/contact", with_cat("8"), keyed).status, 400);
  const auto large = client.post(
      "/forms/contact", form_part("name=\"text\"", std::string(1'500'000, 'x')) + with_cat("9"),
      kMultipart);
  EXPECT_EQ(large.status, 413) << "the broker takes events of 1 MiB";
  const std::string spam = form_part("name=\"_gotcha\"", "spam") + with_cat("spam");
  EXPECT_EQ(client.post("/forms/contact", spam, kMultipart).status, 202);
  // The first one's, and the two of the key; of those nobody knows who else refers to them.
  EXPECT_TRUE(eventually([&] { return files_below(uploads) == 3; })) << files_below(uploads);

  EXPECT_EQ(client.post("/forms/plain", form_part("name=a", "b") + "--b--", kMultipart).status,
            202);
  const auto unwanted = client.post("/forms/plain", with_cat("x"), kMultipart);
  EXPECT_EQ(unwanted.status, 415);
  EXPECT_THAT(unwanted.body, HasSubstr("takes no files"));
  EXPECT_EQ(HttpClient(gateway.url)
                .post("/forms/plain", "", {"Content-Type: multipart/form-data"})
                .status,
            400);
  // Whoever watches the bucket hears of it as well.
  EXPECT_EQ(HttpClient(gateway.url).post("/forms/album", with_cat(cat), kMultipart).status, 202);
  EXPECT_TRUE(eventually([&] {
    return HttpClient(gateway.url)
               .get("/metrics")
               .body.find(
                   "storage_announcements_total{bucket=\"photos\",change=\"created\"} 1\n") !=
           std::string::npos;
  }));
  EXPECT_THAT(HttpClient(gateway.url).get("/metrics").body,
              AllOf(HasSubstr("fanfare_triggers_forms_refused_total{reason=\"unwanted_file\"} 1\n"),
                    Not(HasSubstr("bucket=\"uploads\""))));
}

TEST(Gateway, LeavesNothingOfFilesWhoseRequestsCameToNoEnd) {
  TempDir dir;
  const std::string uploads = dir.file("uploads");
  std::filesystem::create_directory(uploads);
  Gateway gateway({{"FANFARE_TRIGGERS_REQUEST_TIMEOUT", "1s"}},
                  "[forms.\"*\"]\nbucket = \"uploads\"\n[buckets.uploads]\nwatch = false\n"
                  "directory = \"" +
                      uploads + "\"\n");
  const std::string half =
      "POST /forms/contact HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n" + kMultipart[0] +
      "\r\n\r\n" + form_part("name=a; filename=a.txt", std::string(200'000, 'x'));
  const auto is_under_way = [&] { return files_below(uploads) == 1; };
  const auto is_gone = [&] { return files_below(uploads) == 0; };
  {
    HalfRequest left(gateway.url, half);
    EXPECT_TRUE(left.sent && eventually(is_under_way));
  }
  EXPECT_TRUE(eventually(is_gone));
  {
    HalfRequest too_slow(gateway.url, half);
    EXPECT_TRUE(too_slow.sent && eventually(is_under_way));
    EXPECT_TRUE(eventually(is_gone));
  }
  HalfRequest killed(gateway.url, half);
  EXPECT_TRUE(killed.sent && eventually(is_under_way));
  gateway.process->kill_hard();
  EXPECT_TRUE(is_under_way()) << "it had no time to remove it";
  EXPECT_FALSE(std::filesystem::exists(uploads + "/contact"));
  gateway.start();
  EXPECT_TRUE(eventually(is_gone));

  HalfRequest stopped(gateway.url, half);
  EXPECT_TRUE(stopped.sent && eventually(is_under_way));
  ::kill(gateway.process->pid(), SIGTERM);
  EXPECT_EQ(gateway.process->wait_end(20s), 0);
  EXPECT_TRUE(is_gone());
}

TEST(Gateway, CloudEventsComeInAllTheirFormsAndOnceEach) {
  Gateway gateway;
  gateway.installation.deploy("functions-testing/introspect", kForms);
  HttpClient client(gateway.url);
  const std::vector<std::string> binary{"ce-specversion: 1.0",   "ce-id: 1",
                                        "ce-source: /shop",      "ce-type: order.placed",
                                        "ce-subject: caf%C3%A9", "Content-Type: text/plain"};
  const auto first = client.post("/events", "seven", binary);
  ASSERT_EQ(first.status, 202) << first.body;
  const std::string id = Json::parse(first.body)["id"];
  const Json output =
      Json::parse(client.get("/results/" + id + "/introspect?wait=20s").body)["output"];
  EXPECT_EQ(output["ce_id"], "1");
  EXPECT_EQ(output["subject"], "café");
  EXPECT_EQ(output["data"], "seven");
  const Json again = Json::parse(client.post("/events", "seven", binary).body);
  EXPECT_EQ(again["id"], id);
  EXPECT_EQ(again["duplicate"], true);

  const auto batch = client.post(
      "/events",
      R"([{"specversion":"1.0","id":"2","source":"/shop","type":"order.placed","data":{"n":2}},
          {"specversion":"1.0","id":"1","source":"/shop","type":"order.placed","data":"seven"}])",
      {"Content-Type: application/cloudevents-batch+json"});
  ASSERT_EQ(batch.status, 202) << batch.body;
  const Json receipts = Json::parse(batch.body);
  ASSERT_EQ(receipts.size(), 2u);
  EXPECT_FALSE(receipts[0].contains("duplicate"));
  EXPECT_EQ(receipts[1]["id"], id);
  const auto delayed = client.post("/events", "later",
                                   {"ce-specversion: 1.0", "ce-id: 3", "ce-source: /shop",
                                    "ce-type: order.placed", "Fanfare-Delay: 300ms"});
  ASSERT_EQ(delayed.status, 202);
  const Json record = Json::parse(
      client
          .get("/results/" + std::string{Json::parse(delayed.body)["id"]} + "/introspect?wait=20s")
          .body);
  EXPECT_GE(record["total_ms"], 300);

  EXPECT_EQ(client.post("/events", "{}", {"Content-Type: application/json"}).status, 415);
  EXPECT_EQ(client.post("/events", "{}", {"Content-Type: application/cloudevents+json"}).status,
            400);
  EXPECT_EQ(client.get("/events").status, 405);
  EXPECT_EQ(client.get("/results/nonsense").status, 400);
  EXPECT_EQ(client.get("/results/" + id + "/introspect?wait=soon").status, 400);
  EXPECT_EQ(client.get("/results/1795444620000-9.9?wait=1s").body, "[]\n");
}

TEST(Gateway, BotoInvokesFunctionsAsItDoesAtAws) {
  if (std::system("python3 -c 'import boto3' 2>/dev/null") != 0) GTEST_SKIP() << "boto3 is missing";
  Gateway gateway;
  for (const char* function : {"calls", "chatty", "crash"}) {
    gateway.installation.deploy(std::string{"functions-testing/"} + function,
                                "[retry]\nprofile = \"none\"\n");
  }
  const auto [printed, code] =
      run(gateway, {"/usr/bin/env", "python3", FANFARE_SOURCE_DIR "/tests/clients/lambda_boto3.py",
                    gateway.url});
  ASSERT_EQ(code, 0) << printed << gateway.log();
  const std::string id = printed.substr(0, printed.find('\n'));
  HttpClient client(gateway.url);
  const Json record = Json::parse(client.get("/results/" + id + "/calls?wait=20s").body);
  EXPECT_EQ(record["output"], "later");
}

TEST(Gateway, TheAwsCommandLineInvokesFunctions) {
  if (std::system("aws --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "aws is missing";
  Gateway gateway;
  gateway.installation.deploy("functions-testing/calls");
  const std::string out = gateway.installation.file("out");
  const auto [printed, code] =
      run(gateway, {"/usr/bin/env", "aws", "--endpoint-url", gateway.url, "lambda", "invoke",
                    "--function-name", "calls", "--payload", "echo hello", "--cli-binary-format",
                    "raw-in-base64-out", out});
  ASSERT_TRUE(code == 0 || printed.find("cli-binary-format") != printed.npos) << printed;
  if (code != 0) {  // version 1 takes a payload as it is
    const auto [older, rc] =
        run(gateway, {"/usr/bin/env", "aws", "--endpoint-url", gateway.url, "lambda", "invoke",
                      "--function-name", "calls", "--payload", "echo hello", out});
    ASSERT_EQ(rc, 0) << older;
  }
  EXPECT_EQ(content_of(out), "hello");
}

TEST(Gateway, AFunctionAnswersAtItsUrl) {
  Gateway gateway({}, "[urls.web]\norigins = [\"https://example.org\"]\n");
  gateway.installation.deploy("functions-testing/web", "[retry]\nprofile = \"none\"\n");
  HttpClient client(gateway.url);
  const auto echo = client.post("/functions/web/a/b?c=d", "\xff", {"Cookie: x=y"});
  ASSERT_EQ(echo.status, 200) << echo.body;
  const Json payload = Json::parse(echo.body);
  EXPECT_EQ(payload["rawPath"], "/a/b");
  EXPECT_EQ(payload["queryStringParameters"]["c"], "d");
  EXPECT_EQ(payload["cookies"], Json{"x=y"});
  EXPECT_EQ(payload["body"], "/w==");
  EXPECT_EQ(payload["requestContext"]["http"]["sourceIp"], "127.0.0.1");
  const auto teapot = client.get("/functions/web/teapot");
  EXPECT_EQ(teapot.status, 418);
  EXPECT_EQ(teapot.body, "short");
  EXPECT_EQ(teapot.headers.at("x-pot"), "tea");
  EXPECT_EQ(teapot.headers.at("set-cookie"), "c=d; Secure");
  const auto bytes = client.get("/functions/web/bytes", {"Origin: https://example.org"});
  EXPECT_EQ(bytes.headers.at("content-type"), "image/png");
  EXPECT_EQ(bytes.body, "\x89PNG");
  EXPECT_EQ(bytes.headers.at("access-control-allow-origin"), "https://example.org");
  EXPECT_EQ(client.get("/functions/web/bytes", {"Origin: https://evil.org"}).status, 403);
  const auto failed = client.get("/functions/web/fail");
  EXPECT_EQ(failed.status, 502);
  EXPECT_THAT(failed.body, Not(HasSubstr("not told")));
  EXPECT_EQ(client.get("/functions/web/nonsense").status, 502);
  EXPECT_EQ(client.get("/functions/nobody").status, 404);
  EXPECT_EQ(client.get("/functions/web/slow", {"Prefer: wait=0"}).status, 429);
}

TEST(Gateway, TakesWebhooksThatAreSignedAndOnceEach) {
  Gateway gateway({}, "[webhooks.a]\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n");
  gateway.installation.deploy("functions-testing/introspect",
                              "[[on]]\npattern = '{\"type\": [\"webhook.received\"]}'\n");
  HttpClient client(gateway.url);
  const auto key = triggers::webhook_key(triggers::WebhookScheme::kStandard,
                                         "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  const std::int64_t now = std::time(nullptr);
  const auto headers = [&](const std::string& body) {
    return std::vector<std::string>{
        "Content-Type: application/json", "webhook-id: m1",
        "webhook-timestamp: " + std::to_string(now),
        "webhook-signature: " + triggers::standard_signature(*key, "m1", now, body)};
  };
  const auto accepted = client.post("/webhooks/a", "{\"paid\":1}", headers("{\"paid\":1}"));
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const Json again =
      Json::parse(client.post("/webhooks/a", "{\"paid\":1}", headers("{\"paid\":1}")).body);
  EXPECT_EQ(again["duplicate"], true);
  EXPECT_EQ(again["id"], Json::parse(accepted.body)["id"]);

  const auto forged = client.post("/webhooks/a", "{\"paid\":2}", headers("{\"paid\":1}"));
  const auto unknown = client.post("/webhooks/b", "{\"paid\":1}", headers("{\"paid\":1}"));
  EXPECT_EQ(forged.status, 401);
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(forged.body, unknown.body) << "strangers learn nothing";
  EXPECT_THAT(gateway.log(), HasSubstr("a webhook for b from 127.0.0.1 was refused: [webhooks."));
}

TEST(Gateway, TakesNotificationsOfS3AndFiresSchedules) {
  Gateway gateway;
  gateway.installation.deploy(
      "functions-testing/introspect",
      "[[on]]\npattern = '{\"type\": [{\"prefix\": \"storage.object.\"}, \"schedule.fired\"]}'\n");
  HttpClient client(gateway.url);
  EXPECT_EQ(client.get("/storage").status, 200);
  const std::string record =
      R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-11-28T12:00:00.000Z",
      "eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"photos"},
      "object":{"key":"a+b.jpg","size":7,"eTag":"e","sequencer":"0055AED6DCD90281E5"}}}]})";
  const auto accepted = client.post("/storage", record, {"Content-Type: application/json"});
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const std::string id = Json::parse(accepted.body)[0]["id"];
  const Json output =
      Json::parse(client.get("/results/" + id + "/introspect?wait=20s").body)["output"];
  EXPECT_EQ(output["type"], "storage.object.created");
  EXPECT_EQ(output["subject"], "photos/a b.jpg");
  EXPECT_EQ(Json::parse(client.post("/storage", record).body)[0]["duplicate"], true);
  EXPECT_EQ(client.post("/storage", "{}").status, 400);

  const auto [printed, code] = run(gateway, {FANFARE_BIN_DIR "/fanfare", "--redis",
                                             "unix://" + gateway.installation.redis().socket_path(),
                                             "schedule", "add", "often", "@every 1s"});
  ASSERT_EQ(code, 0) << printed;
  EXPECT_TRUE(eventually([&] {
    const auto counts = audit(gateway.installation.redis().options(), "introspect", {}).counts;
    const auto succeeded = counts.find("succeeded");
    return succeeded != counts.end() && succeeded->second >= 3;
  })) << gateway.log();
}

// A 202 is a promise: whatever is killed afterwards, the event has its end.
TEST(Gateway, WhatItHasAcceptedIsNotLostWhenBrokerAndGatewayAreKilled) {
  Gateway gateway;
  gateway.installation.deploy("functions-testing/introspect", kForms);
  std::mutex mutex;
  std::set<std::string> accepted;
  std::atomic<bool> over{false};
  std::string url = gateway.url;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      auto client = std::make_unique<HttpClient>(url);
      while (!over) {
        const auto answer = client->post("/forms/contact", "name=Ada", kUrlencoded);
        const std::lock_guard lock(mutex);
        if (answer.status == 202) {
          EXPECT_TRUE(accepted.insert(Json::parse(answer.body)["id"]).second);
        }
        if (answer.status == 0) client = std::make_unique<HttpClient>(url);
      }
    });
  }
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return accepted.size();
  };
  EXPECT_TRUE(eventually([&] { return count() > 200; }));
  gateway.installation.broker().kill_hard();
  gateway.installation.start_broker();
  const std::size_t before = count();
  EXPECT_TRUE(eventually([&] { return count() > before + 200; }));
  gateway.process->kill_hard();
  gateway.start();
  {
    const std::lock_guard lock(mutex);
    url = gateway.url;
  }
  const std::size_t between = count();
  EXPECT_TRUE(eventually([&] { return count() > between + 200; }));
  over = true;
  for (auto& client : clients) client.join();
  const auto redis = gateway.installation.redis().options();
  ASSERT_TRUE(eventually([&] { return all_ended(redis, "introspect"); }, 60s));
  std::vector<protocol::EventId> ids;
  for (const auto& id : accepted) ids.push_back(protocol::parse_event_id(id).value());
  EXPECT_THAT(audit(redis, "introspect", ids).violations, IsEmpty());
}

TEST(Gateway, TellsWhoPublishesWhileThereIsNoBroker) {
  Gateway gateway;
  HttpClient client(gateway.url);
  gateway.installation.broker().kill_hard();
  EXPECT_TRUE(eventually([&] { return client.get("/readyz").status == 503; }));
  EXPECT_EQ(client.get("/healthz").status, 200);
  const auto invoked =
      client.post("/2015-03-31/functions/calls/invocations", "x", {"Content-Type: text/plain"});
  EXPECT_EQ(invoked.status, 503) << invoked.body;
}

TEST(Gateway, EndsWhatIsUnderWayBeforeItEnds) {
  Gateway gateway;
  gateway.installation.deploy("functions-testing/sleepy");
  HttpAnswer answer;
  std::thread client([&] {
    answer = HttpClient(gateway.url).post("/2015-03-31/functions/sleepy/invocations", "800");
  });
  std::this_thread::sleep_for(300ms);
  ::kill(gateway.process->pid(), SIGTERM);
  client.join();
  EXPECT_EQ(answer.body, "slept 800 ms") << answer.error;
  EXPECT_EQ(gateway.process->wait_end(5s), 0);
}

TEST(Gateway, SpeaksTlsAndAsksForATokenBeyondThisMachine) {
  TempDir dir;
  const std::string key = dir.file("key.pem"), certificate = dir.file("certificate.pem");
  const std::string make =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
      "-nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
      "-keyout " +
      key + " -out " + certificate + " 2>/dev/null";
  ASSERT_EQ(std::system(make.c_str()), 0);
  Gateway gateway({{"FANFARE_TRIGGERS_LISTEN", "0.0.0.0:0"},
                   {"FANFARE_TRIGGERS_CERTIFICATE", certificate},
                   {"FANFARE_TRIGGERS_TLS_KEY", key},
                   {"FANFARE_TRIGGERS_TRUST_LOOPBACK", "false"},
                   {"FANFARE_TRIGGERS_TOKENS", "a token of this test"}});
  ASSERT_THAT(gateway.url, StartsWith("https://0.0.0.0:"));
  HttpClient client("https://127.0.0.1" + gateway.url.substr(15));
  EXPECT_EQ(client.get("/healthz").status, 0) << "nobody has signed it";
  client.trust(certificate);
  EXPECT_EQ(client.get("/healthz").status, 200);
  EXPECT_EQ(client.get("/metrics").status, 401);
  EXPECT_EQ(client.get("/metrics", {"Authorization: Bearer a token of this test"}).status, 200);
  EXPECT_EQ(client.get("/metrics", {"Authorization: Bearer a token of that test"}).status, 401);
  EXPECT_EQ(HttpClient("http://127.0.0.1" + gateway.url.substr(15)).get("/healthz").status, 0);
}

TEST(Gateway, IsPartOfAnInstallation) {
  TempDir dir;
  cli::Up up(dir.file("data"));
  const std::string log = content_of(dir.file("data") + "/log/triggers.log");
  const std::regex listening{"listening on (http://[^ \n]*)"};
  std::smatch found;
  ASSERT_TRUE(std::regex_search(log, found, listening)) << up.log();
  EXPECT_EQ(content_of(dir.file("data") + "/run/gateway.url"), found[1].str() + "\n");
  HttpClient client(found[1]);
  const auto accepted =
      client.post("/forms/contact", "name=Ada&email=ada%40example.org&message=Hello", kUrlencoded);
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const std::string id = Json::parse(accepted.body)["id"];
  const Json record = Json::parse(client.get("/results/" + id + "/store-form?wait=20s").body);
  EXPECT_EQ(record["output"]["email"], "ada@example.org");
  EXPECT_EQ(Json::parse(up.run({"status", "--json"}).output)["gateway"],
            (Json{{"url", found[1].str()}, {"up", true}}));
  EXPECT_THAT(up.run({"status"}).output, HasSubstr("gateway  " + found[1].str() + ", answers\n"));
  ASSERT_EQ(::kill(up.pid_of("fanfare-triggers"), SIGKILL), 0);
  EXPECT_TRUE(eventually([&] { return HttpClient(found[1]).get("/readyz").status == 200; }))
      << "it is started again, and listens where it did: " << up.log();
  EXPECT_EQ(up.stop(), 0) << up.log();
  EXPECT_TRUE(up.processes().empty());

  // Its log still has the address of the first time.
  cli::Up again(dir.file("data"));
  const std::string url = content_of(dir.file("data") + "/run/gateway.url");
  EXPECT_EQ(HttpClient(url.substr(0, url.size() - 1)).get("/readyz").status, 200) << url;
  EXPECT_EQ(again.stop(), 0) << again.log();
}

TEST(Gateway, RefusesToServeTheWorldWithoutTlsAndTokens) {
  const Process::Environment everywhere{{"FANFARE_TRIGGERS_LISTEN", "0.0.0.0:0"}};
  EXPECT_THROW(Gateway{everywhere}, std::runtime_error);
}

}  // namespace
}  // namespace fanfare::test
