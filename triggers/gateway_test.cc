#include "triggers/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "protocol/base64.h"
#include "tests/support/temp_dir.h"
#include "triggers/cloudevents_http.h"
#include "triggers/config.h"
#include "triggers/definitions.h"
#include "triggers/fake_exchange.h"
#include "triggers/form_fields.h"
#include "triggers/health_route.h"
#include "triggers/invoke_route.h"
#include "triggers/problem.h"
#include "triggers/publishing.h"
#include "triggers/visits.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

const std::string kToken = "0123456789abcdef";
const AccessOptions kAccess{.tokens = {kToken, "another of sixteen"}, .trust_loopback = true};

unsigned status_for(std::vector<HttpHeader> headers, const HttpPeer& peer = {"127.0.0.1", true},
                    const AccessOptions& access = kAccess) {
  FakeExchange exchange("POST", "/events", std::move(headers));
  exchange.from = peer;
  const auto refusal = refusal_of(access, exchange);
  return refusal ? refusal->status : 200;
}

TEST(Access, IsForTokensAndForThisMachine) {
  const HttpPeer far{.address = "192.0.2.1", .loopback = false, .encrypted = true};
  EXPECT_EQ(status_for({{"Host", "localhost:8080"}}), 200u);
  EXPECT_EQ(status_for({{"Host", "[::1]:8080"}}), 200u);
  EXPECT_EQ(status_for({{"Host", "example.org"}}, far), 401u);
  EXPECT_EQ(status_for({{"Authorization", "Bearer " + kToken}}, far), 200u);
  EXPECT_EQ(status_for({{"authorization", "bearer another of sixteen"}}, far), 200u);
  EXPECT_EQ(status_for({{"X-Fanfare-Token", kToken}}, far), 200u);
  EXPECT_EQ(status_for({{"Authorization", "AWS4-HMAC-SHA256 Credential=" + kToken +
                                              "/20261128/us-east-1/lambda/aws4_request, "
                                              "SignedHeaders=host, Signature=00"}},
                       far),
            200u);
  const auto basic = [](const std::string& text) { return "Basic " + protocol::to_base64(text); };
  EXPECT_EQ(status_for({{"Authorization", basic("sns:" + kToken)}}, far), 200u);
  EXPECT_EQ(status_for({{"authorization", "basic " + basic(":" + kToken).substr(6)}}, far), 200u);
  EXPECT_EQ(status_for({{"Authorization", basic("sns:" + kToken)},
                        {"Origin", "https://example.org"},
                        {"Host", "events.example.org"}},
                       far),
            401u)
      << "a browser's password is not another page's";
  for (const std::string& wrong : {basic(kToken + ":"), basic("sns:x" + kToken), basic(kToken),
                                   basic("sns:"), std::string{"Basic !"}, std::string{"Basic "}}) {
    EXPECT_EQ(status_for({{"Authorization", wrong}}, far), 401u) << wrong;
  }
  for (const char* wrong : {"Bearer 0123456789abcdeF", "Bearer ", "Bearer 0123456789abcdef0",
                            "Basic MDEyMzQ1Njc4OWFiY2RlZg==", "0123456789abcdef"}) {
    EXPECT_EQ(status_for({{"Authorization", wrong}}, far), 401u) << wrong;
  }
  EXPECT_EQ(status_for({{"Host", "localhost"}}, {"127.0.0.1", true}, {{}, false}), 401u);
}

// SNS sends its password only once it has been asked for it; a browser would ask a person.
TEST(Access, AsksForAPasswordOfSnsOnly) {
  const auto asked = [](std::vector<HttpHeader> headers) {
    FakeExchange exchange("POST", "/topics/orders", std::move(headers));
    exchange.from = {.address = "192.0.2.1", .loopback = false, .encrypted = true};
    const auto refusal = refusal_of(kAccess, exchange);
    std::vector<std::string> challenges;
    for (const HttpHeader& header : refusal->headers) {
      if (header.name == "WWW-Authenticate") challenges.push_back(header.value);
    }
    return challenges;
  };
  EXPECT_THAT(asked({}), ElementsAre("Bearer"));
  EXPECT_THAT(asked({{"x-amz-sns-message-type", "Notification"}}),
              ElementsAre("Bearer", "Basic realm=\"fanfare\""));
}

// A page may ask a browser for anything on its own machine; a proxy may ask for anybody.
TEST(Access, IsNotLentByThisMachinesBrowserOrProxy) {
  EXPECT_EQ(status_for({{"Host", "rebound.example.org"}}), 401u);
  EXPECT_EQ(status_for({{"Host", "localhost:8080"}, {"Origin", "https://example.org"}}), 403u);
  EXPECT_EQ(status_for({{"Host", "localhost:8080"}, {"Origin", "null"}}), 403u);
  EXPECT_EQ(status_for({{"Host", "localhost:8080"}, {"Origin", "http://localhost:8080"}}), 200u);
  EXPECT_EQ(status_for({{"Host", "127.0.0.1:8080"}, {"X-Forwarded-For", "192.0.2.1"}}), 401u);
  EXPECT_EQ(status_for({{"Host", "127.0.0.1:8080"}, {"Forwarded", "for=192.0.2.1"}}), 401u);
  for (const char* host : {"127.0.0.1.evil.org", "127.evil.org:8080", "localhost.evil.org", ""}) {
    EXPECT_EQ(status_for({{"Host", host}, {"Origin", std::string{"http://"} + host}}), 401u)
        << host;
  }
  EXPECT_EQ(status_for({{"Host", "127.0.0.1"}, {"X-Forwarded-For", ""}}), 401u);
  EXPECT_EQ(status_for({{"Host", "127.0.0.1"}, {"Via", "1.1 proxy"}}), 401u);
  EXPECT_EQ(status_for({{"Host", "localhost"}, {"Sec-Fetch-Site", "cross-site"}}), 403u);
  EXPECT_EQ(status_for({{"Host", "localhost"}, {"Sec-Fetch-Site", "same-site"}}), 403u);
  EXPECT_EQ(status_for({{"Host", "localhost"}, {"Sec-Fetch-Site", "none"}}), 200u);
}

TEST(Gateway, CountsAnswersByRouteAndStatus) {
  using namespace std::chrono_literals;
  Gateway gateway(kAccess);
  gateway.add("healthz", std::make_unique<HealthRoute>(true, [] { return HealthRoute::Word{}; }));
  const auto answered = [&](const char* target, unsigned status) {
    const FakeExchange exchange("GET", target);
    gateway.on_answered(&exchange, status, 30ms);
  };
  answered("/healthz", 200);
  answered("/healthz?x=/y", 200);
  answered("/healthz/z", 404);
  answered("/a-path-that-somebody-made-up", 404);
  answered("", 400);
  gateway.on_answered(nullptr, 400, 1ms);  // no head was read
  const auto& measures = gateway.measures();
  ASSERT_EQ(measures.size(), 2u) << "what clients make up is no label";
  EXPECT_EQ(measures.at("healthz").by_status,
            (std::map<unsigned, std::uint64_t>{{200, 2}, {404, 1}}));
  EXPECT_EQ(measures.at("none").by_status, (std::map<unsigned, std::uint64_t>{{400, 2}, {404, 1}}));
  EXPECT_DOUBLE_EQ(measures.at("healthz").time.sum(), 0.09);
}

TEST(Gateway, FindsTheRouteAndNamesWhatThereIs) {
  Gateway gateway(kAccess);
  gateway.add("healthz", std::make_unique<HealthRoute>(
                             true, [] { return HealthRoute::Word{.text = "ok\n"}; }));
  gateway.add("metrics", std::make_unique<HealthRoute>(
                             false, [] { return HealthRoute::Word{.good = false}; }));
  const auto status = [&](const char* method, const char* target) {
    const auto exchange =
        std::make_shared<FakeExchange>(method, target, std::vector<HttpHeader>{{"Host", "::1"}});
    exchange->from.loopback = false;
    const auto plan = gateway.on_head(*exchange);
    if (plan.refusal) return plan.refusal->status;
    gateway.on_request(exchange);
    return exchange->said->status;
  };
  EXPECT_EQ(status("GET", "/healthz"), 200u);
  EXPECT_EQ(status("GET", "/healthz?x"), 200u);
  EXPECT_EQ(status("POST", "/healthz"), 405u);
  EXPECT_EQ(status("GET", "/healthz/x"), 404u);
  EXPECT_EQ(status("GET", "/metrics"), 401u);
  EXPECT_EQ(status("GET", "/"), 404u);
  for (const char* unreadable : {"/%zz", "/healthz/%ff", "/healthz/\xff", "/%00", "/../healthz"}) {
    EXPECT_EQ(status("GET", unreadable), 400u) << unreadable;
  }
  EXPECT_EQ(gateway.counters().unknown_path, 6u);
  EXPECT_EQ(gateway.counters().unauthorised, 1u);
  const auto plan = gateway.on_head(FakeExchange("GET", "/nowhere"));
  EXPECT_EQ(plan.refusal->body,
            "{\"title\":\"Not Found\",\"status\":404,\"detail\":\"nothing is here; there are "
            "/healthz /metrics\"}\n");
}

TEST(Problem, SaysWhatMayBeDoneAboutAnError) {
  EXPECT_EQ(problem_of(reject("too_large: 7 bytes")).status, 413u);
  EXPECT_EQ(problem_of(reject("malformed: no")).status, 400u);
  const auto full = problem_of(retry_later("queue_full: f has 10"));
  EXPECT_EQ(full.status, 429u);
  EXPECT_EQ(full.headers.back().name, "Retry-After");
  EXPECT_EQ(problem_of(retry_later("unavailable")).status, 503u);
  EXPECT_EQ(problem_of(reconnect("no broker")).status, 503u);
  EXPECT_EQ(problem(400, "\"\xff\n").body,
            "{\"title\":\"Bad Request\",\"status\":400,\"detail\":\"\\\"\xEF\xBF\xBD\\u000a\"}\n");
}

TEST(FormRoute, CountsVisitsOfAllFormsThatHaveOneDefinitionTogether) {
  Loop loop;
  ZmqContext zmq;
  const auto client = client::Client::open(loop, zmq, {.broker = "ipc:///nowhere/broker.ipc"});
  ASSERT_TRUE(client);
  PublishCounters published;
  FormRoute route(loop, **client, published,
                  {{"*", {.per_minute_max = 2}}, {"contact", {.per_minute_max = 1}}});
  const auto status = [&](const std::string& form) {
    FakeExchange exchange("POST", "/forms/" + form,
                          {{"Content-Type", "application/x-www-form-urlencoded"}});
    const auto plan = route.plan(exchange, {"forms", form});
    return plan.refusal ? plan.refusal->status : 202u;
  };
  EXPECT_EQ(status("one"), 202u);
  EXPECT_EQ(status("two"), 202u);
  EXPECT_EQ(status("three"), 429u) << "another name is not another visitor";
  EXPECT_EQ(status("contact"), 202u);
  EXPECT_EQ(status(std::string(65, 'x')), 404u);
  EXPECT_EQ(route.counters().too_many, 1u);
  EXPECT_EQ(route.counters().unknown, 1u);
}

TEST(FormRoute, SaysWhatIsWrongWithAMistakenSubmission) {
  Loop loop;
  ZmqContext zmq;
  const auto client = client::Client::open(loop, zmq, {.broker = "ipc:///nowhere/broker.ipc"});
  ASSERT_TRUE(client);
  PublishCounters published;
  FormRoute route(
      loop, **client, published,
      {{"contact", {.bytes_max = 2048, .per_minute_max = 0, .origins = {"https://a"}}}});
  const auto said = [&](const std::string& type, const std::string& body) {
    const auto exchange = std::make_shared<FakeExchange>(
        "POST", "/forms/contact",
        std::vector<HttpHeader>{{"Content-Type", type}, {"Origin", "https://a"}}, body);
    const Path path{"forms", "contact"};
    const auto plan = route.plan(*exchange, path);
    const auto too_long = plan.too_long();
    EXPECT_THAT(too_long.body, HasSubstr("may have 2KiB (max_bytes)"));
    EXPECT_EQ(too_long.headers.back().name, "Vary") << "its page may read it";
    route.handle(exchange, path);
    return exchange->said ? std::to_string(exchange->said->status) + " " + exchange->said->body
                          : "published";
  };
  const std::string urlencoded = "application/x-www-form-urlencoded";
  const auto as_curl = said(urlencoded, R"({"a":"b=c&d"})");
  EXPECT_THAT(as_curl, StartsWith("400 "));
  EXPECT_THAT(as_curl, HasSubstr("send Content-Type: application/json"));
  EXPECT_EQ(said(urlencoded, "{a}=b"), "published") << "a name may begin so";
  EXPECT_EQ(said(urlencoded, "%7B%22a%22:1%7D"), "published") << "as a browser writes a name";
  EXPECT_THAT(said(urlencoded, "a=%ff"), HasSubstr("the field 'a' is not UTF-8"));
  EXPECT_THAT(said("application/json", "{\"a\": 1,}"), HasSubstr("line 1, column 9: "));
  EXPECT_THAT(said("application/json", "[]"), HasSubstr("an object of its fields"));
  EXPECT_EQ(route.counters().malformed, 4u);
}

TEST(FormRoute, GivesUpADiskThatDoesNotPutFilesIntoPlace) {
  struct Uploading : FakeExchange {
    using FakeExchange::FakeExchange;
    BodySink* sink() const override { return body.get(); }
    std::unique_ptr<BodySink> body;
  };
  test::TempDir dir;
  Loop loop;
  ZmqContext zmq;
  const auto client = client::Client::open(loop, zmq, {.broker = "ipc:///nowhere/broker.ipc"});
  ASSERT_TRUE(client);
  const auto disk = std::make_shared<DiskThreads>(loop, 1);
  std::promise<void> go_on;
  disk->run(disk->new_lane(), [waits = go_on.get_future().share()] { waits.wait(); });
  PublishCounters published;
  FormRoute route(
      loop, **client, published, {{"contact", {.bucket = "b"}}},
      {{"b", {.disk = disk, .folder = std::make_shared<UploadFolder>("b", dir.path().string())}}},
      50ms);
  auto exchange = std::make_shared<Uploading>(
      "POST", "/forms/contact",
      std::vector<HttpHeader>{{"Content-Type", "multipart/form-data; boundary=b"}});
  const Path path{"forms", "contact"};
  exchange->body = route.plan(*exchange, path).sink;
  ASSERT_FALSE(exchange->body->take(
      "--b\r\nContent-Disposition: form-data; name=a; filename=a\r\n\r\nx\r\n--b--\r\n"));
  route.handle(exchange, path);
  EXPECT_TRUE(loop.run_until([&] { return exchange->said.has_value(); }, 10s));
  EXPECT_EQ(exchange->said->status, 503u);
  EXPECT_EQ(route.counters().files.disk, 1u);
  exchange.reset();
  go_on.set_value();
  disk->stop();
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "contact"));
}

TEST(FormFields, AreReadAsTheUrlStandardHasIt) {
  const auto fields = urlencoded_fields("a=1&b=x+y%21&&c&a=2&d=%&e=%zz&f=a=b&%C3%BC=%E2%82%AC");
  ASSERT_TRUE(fields);
  EXPECT_THAT(*fields,
              ElementsAre(Pair("a", "1"), Pair("b", "x y!"), Pair("c", ""), Pair("a", "2"),
                          Pair("d", "%"), Pair("e", "%zz"), Pair("f", "a=b"), Pair("ü", "€")));
  EXPECT_EQ(to_json(*fields),
            "{\"a\":[\"1\",\"2\"],\"b\":\"x y!\",\"c\":\"\",\"d\":\"%\",\"e\":\"%zz\","
            "\"f\":\"a=b\",\"ü\":\"€\"}");
  EXPECT_EQ(to_json({{"_next", "x"}, {"a", "\"\n"}}), "{\"a\":\"\\\"\\u000a\"}");
  EXPECT_EQ(to_json({{"a", "1"}, {"b", "2"}}, "b", {{"a", "{}"}, {"_c", "{}"}, {"d", "{}"}}),
            "{\"a\":[\"1\",{}],\"d\":{}}");
  EXPECT_FALSE(urlencoded_fields("a=%ff"));
  std::string many;
  for (std::size_t i = 0; i <= kFormFieldsMax; ++i) many += "a&";
  EXPECT_FALSE(urlencoded_fields(many));
}

TEST(CloudEventsOverHttp, ComeInBinaryModeWithTheirAttributesAsFields) {
  const FakeExchange exchange("POST", "/events",
                              {{"ce-specversion", "1.0"},
                               {"CE-Id", "7"},
                               {"ce-source", "/shop"},
                               {"ce-type", "order.placed"},
                               {"ce-subject", "%E2%82%AC%20and%20more"},
                               {"ce-region", "\"no\\\"rth\""},
                               {"Content-Type", "application/json"},
                               {"Host", "x"}},
                              "{\"a\":1}");
  ASSERT_TRUE(is_cloud_event(exchange));
  const auto read = cloud_events_of(exchange);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->events.size(), 1u);
  const auto& event = read->events[0];
  EXPECT_EQ(event.id, "7");
  EXPECT_EQ(event.source, "/shop");
  EXPECT_EQ(event.type, "order.placed");
  EXPECT_EQ(event.subject, "€ and more");
  EXPECT_THAT(event.extensions, ElementsAre(Pair("region", "no\"rth")));
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(event.data, "{\"a\":1}");

  const auto back = to_binary(event);
  EXPECT_EQ(back.body, event.data);
  std::vector<HttpHeader> headers = back.headers;
  const auto again = cloud_events_of(FakeExchange("POST", "/", headers, back.body));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->events[0], event);
}

TEST(CloudEventsOverHttp, ComeStructuredAndInBatches) {
  const std::string one =
      R"({"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":1}})";
  const auto structured = cloud_events_of(FakeExchange(
      "POST", "/events", {{"Content-Type", "application/cloudevents+json; charset=utf-8"}}, one));
  ASSERT_TRUE(structured);
  EXPECT_FALSE(structured->batch);
  EXPECT_EQ(structured->events[0].data, "{\"n\":1}");
  const auto batch = cloud_events_of(
      FakeExchange("POST", "/events", {{"Content-Type", "application/cloudevents-batch+json"}},
                   "[" + one + "," + one + "]"));
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->batch);
  EXPECT_EQ(batch->events.size(), 2u);
}

TEST(CloudEventsOverHttp, AreRefusedWithWhatIsMissing) {
  const auto complaint = [](std::string type, std::string body, std::vector<HttpHeader> more = {}) {
    more.push_back({"Content-Type", std::move(type)});
    const auto read = cloud_events_of(FakeExchange("POST", "/events", std::move(more), body));
    return read ? "" : read.error().message;
  };
  const std::string structured = "application/cloudevents+json";
  EXPECT_EQ(complaint(structured, R"({"specversion":"1.0","source":"/s","type":"t"})"),
            "CloudEvents: id is missing");
  EXPECT_THAT(complaint(structured, "7"), HasSubstr("not a JSON object"));
  EXPECT_THAT(complaint(structured, "[]"), HasSubstr("cloudevents-batch+json"));
  EXPECT_THAT(complaint(structured, "{\"id\":}"), HasSubstr("line 1, column 7: "));
  EXPECT_THAT(complaint("application/cloudevents-batch+json", "{}"), HasSubstr("is a JSON array"));
  EXPECT_THAT(complaint("application/cloudevents-batch+json", "[{]"), HasSubstr("column 3: "));
  EXPECT_THAT(complaint("application/cloudevents-batch+json", "[{}]"), StartsWith("event 0: "));
  EXPECT_THAT(complaint("application/cloudevents+avro", ""), HasSubstr("JSON is understood here"));
  EXPECT_EQ(complaint("text/plain", "", {{"ce-specversion", "1.0"}, {"ce-id", "1"}}),
            "CloudEvents: the header field ce-source is missing");
  EXPECT_EQ(complaint("text/plain", "", {{"ce-id", "1"}, {"ce-type", "t"}}),
            "CloudEvents: the header field ce-specversion is missing; it must be 1.0");
  EXPECT_EQ(complaint("text/plain", "", {{"ce-specversion", "0.3"}}),
            "CloudEvents: ce-specversion must be 1.0, not 0.3");
  EXPECT_THAT(complaint("text/plain", "",
                        {{"ce-specversion", "1.0"},
                         {"ce-id", "1"},
                         {"ce-source", "/"},
                         {"ce-type", "t"},
                         {"ce-my-zone", "x"}}),
              HasSubstr("extension 'my-zone': extension names are"));
  EXPECT_NE(complaint("text/plain", "",
                      {{"ce-specversion", "1.0"},
                       {"ce-id", "1"},
                       {"ce-source", "/"},
                       {"ce-type", "t"},
                       {"ce-data", "x"}}),
            "");
}

TEST(LambdaInvoke, KnowsAFunctionByItsNameOrItsArn) {
  EXPECT_EQ(function_of("wordcount"), "wordcount");
  EXPECT_EQ(function_of("wordcount:$LATEST"), "wordcount");
  EXPECT_EQ(function_of("arn:aws:lambda:eu-north-1:000000000000:function:wordcount"), "wordcount");
  EXPECT_FALSE(function_of("wordcount:7"));
  EXPECT_FALSE(function_of("a/b"));
  EXPECT_FALSE(function_of(""));
}

TEST(LambdaInvoke, TypesItsErrorsAsTheSdksKnowThem) {
  const auto type = [](const Error& error) {
    const auto response = lambda_error(error, "f");
    return std::to_string(response.status) + " " + response.headers.at(1).value;
  };
  EXPECT_EQ(type(reject("no_such_function: f")), "404 ResourceNotFoundException");
  EXPECT_EQ(type(reject("too_large: no")), "413 RequestTooLargeException");
  EXPECT_EQ(type(retry_later("queue_full: f")), "429 TooManyRequestsException");
  EXPECT_EQ(type(retry_later("unavailable: x")), "503 ServiceException");
  EXPECT_EQ(type(reject("invalid: x")), "400 InvalidRequestContentException");
  EXPECT_EQ(lambda_error(retry_later("queue_full: f"), "f").headers.at(2).name, "Retry-After");
}

TEST(LambdaInvoke, RefusesTheSdksAsAwsDoesAndOthersAsUsual) {
  Loop loop;
  ZmqContext zmq;
  const auto client = client::Client::open(loop, zmq, {.broker = "ipc:///nowhere"});
  ASSERT_TRUE(client) << client.error().message;
  PublishCounters published;
  Gateway gateway(kAccess);
  store::Reads reads(loop, RedisOptions{});
  gateway.add("2015-03-31", std::make_unique<InvokeRoute>(reads, **client, published, 1024));
  const auto told = [&](std::vector<HttpHeader> headers) {
    FakeExchange exchange("POST", "/2015-03-31/functions/f/invocations", std::move(headers));
    exchange.from.loopback = false;
    const auto plan = gateway.on_head(exchange);
    if (!plan.refusal) return std::string{"may"};
    return std::to_string(plan.refusal->status) + " " + plan.refusal->headers.at(1).value;
  };
  const auto by_sdk = [](const std::string& key) {
    return std::vector<HttpHeader>{{"Authorization", "AWS4-HMAC-SHA256 Credential=" + key +
                                                         "/20261128/us-east-1/lambda/aws4_request, "
                                                         "SignedHeaders=host, Signature=00"}};
  };
  EXPECT_EQ(told(by_sdk(kToken)), "may");
  EXPECT_EQ(told(by_sdk("AKIAIOSFODNN7EXAMPLE")), "403 UnrecognizedClientException");
  EXPECT_EQ(told({{"Authorization", "Bearer wrong"}}), "401 Bearer");
  EXPECT_EQ(gateway.counters().unauthorised, 2u);
}

TEST(Publishing, GivesAnEventTheTraceOfItsRequest) {
  constexpr std::string_view kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto traced = [](std::string_view parent, protocol::Event event = {},
                         const std::string& state = "a=1") {
    const FakeExchange exchange("POST", "/events",
                                {{"Traceparent", std::string{parent}}, {"Tracestate", state}});
    inherit_trace(exchange, event);
    std::string all;
    for (const auto& [name, value] : event.extensions) all += name + "=" + value + ";";
    return all;
  };
  EXPECT_EQ(traced(kParent), "traceparent=" + std::string{kParent} + ";tracestate=a=1;");
  for (const char* malformed :
       {"", "00-1", "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-"}) {
    EXPECT_EQ(traced(malformed), "") << malformed;
  }
  EXPECT_EQ(traced(kParent, {}, "a=\xff"), "traceparent=" + std::string{kParent} + ";")
      << "no event can have it, and none is refused for it";
  protocol::Event own;
  own.extensions = {{"traceparent", "00-own"}};
  EXPECT_EQ(traced(kParent, own), "traceparent=00-own;") << "CloudEvents bring their own";
}

TEST(Visits, FillUpAgainEvenlyAndAreCountedByName) {
  Visits visits;
  TimePoint now{};
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(visits.admit("a", 60, now)) << i;
  EXPECT_FALSE(visits.admit("a", 60, now));
  EXPECT_TRUE(visits.admit("b", 60, now));
  EXPECT_FALSE(visits.admit("a", 60, now += 900ms));
  EXPECT_TRUE(visits.admit("a", 60, now += 200ms));
  EXPECT_FALSE(visits.admit("a", 60, now));
  now += 1h;
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(visits.admit("a", 60, now)) << i;
  EXPECT_FALSE(visits.admit("a", 60, now));
}

TEST(Visits, AreBounded) {
  Visits visits;
  for (std::size_t i = 0; i < Visits::kNamesMax + 10; ++i) {
    EXPECT_TRUE(visits.admit(std::to_string(i), 1, TimePoint{}));
  }
  EXPECT_TRUE(visits.admit("0", 1, TimePoint{})) << "it was forgotten";
  EXPECT_FALSE(visits.admit("100009", 1, TimePoint{}));
}

TEST(Definitions, TheSampleIsTheDefaults) {
  const auto sample = parse_definitions(sample_definitions(), "sample");
  ASSERT_TRUE(sample) << sample.error().message;
  ASSERT_TRUE(sample->forms.contains("contact"));
  const auto& form = sample->forms.at("contact");
  const FormDefinition by_default;
  EXPECT_EQ(form.bytes_max, by_default.bytes_max);
  EXPECT_EQ(form.per_minute_max, by_default.per_minute_max);
  EXPECT_EQ(form.origins, by_default.origins);
  EXPECT_EQ(form.next, by_default.next);
  EXPECT_EQ(form.honeypot, by_default.honeypot);
  EXPECT_EQ(form.tenant, by_default.tenant);
  EXPECT_EQ(form.bucket, by_default.bucket);
  EXPECT_EQ(form.files_max, by_default.files_max);
  EXPECT_EQ(form.file_bytes_max, by_default.file_bytes_max);
  EXPECT_EQ(form.files_bytes_max, by_default.files_bytes_max);
}

TEST(Definitions, HideFilesThatAreNotWholeFromTheWatcherOfABucket) {
  const auto read = parse_definitions(
      "[forms.a]\nbucket = \"b\"\n[buckets.b]\ndirectory = \"/b\"\nignore = []\n", "t.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->buckets.at("b").watched);
  EXPECT_THAT(read->buckets.at("b").ignore, ElementsAre(".fanfare-uploads"));
}

TEST(Definitions, SayWhereTheyAreWrong) {
  const auto complaint = [](const char* toml) {
    const auto read = parse_definitions(toml, "t.toml");
    return read ? "" : read.error().message;
  };
  EXPECT_EQ(complaint("[form.a]\n"), "t.toml:1:2: unknown key form; did you mean forms?");
  EXPECT_EQ(complaint("[forms.a]\norigin = []\n"),
            "t.toml:2:1: unknown key origin; did you mean origins?");
  EXPECT_EQ(complaint("[forms.a]\norigins = [1]\n"),
            "t.toml:2:11: origins must be a list of texts");
  EXPECT_THAT(complaint("[forms.a]\nmax_bytes = \"7 parsec\"\n"), StartsWith("t.toml:2:13: "));
  EXPECT_EQ(complaint("[forms.a]\nmax_bytes = \"1GiB\"\n"),
            "t.toml:2:13: max_bytes must be from 1 to 6MiB");
  EXPECT_THAT(complaint("[forms.\"a b\"]\n"), HasSubstr("must be 1 to 64 of"));
  EXPECT_THAT(complaint("[forms.a]\nnext = [\"https://example.org\"]\n"),
              HasSubstr("next must be addresses up to a slash"));
  EXPECT_THAT(complaint("[forms\n"), StartsWith("t.toml:1:"));
  EXPECT_EQ(complaint("[forms.a]\nbucket = \"b\"\n"),
            "t.toml:2:10: bucket b is not defined; write [buckets.b] with its directory");
  EXPECT_THAT(complaint("[forms.a]\nbucket = \"b\"\n[buckets.b]\ndirectory = \"b\"\n"),
              HasSubstr("bucket b needs a directory, an absolute path"));
  EXPECT_THAT(complaint("[forms.a]\nmax_files = 1001\n"), HasSubstr("from 0 to 1000"));
}

TEST(Definitions, DeclareSchedules) {
  const auto read = parse_definitions(
      "[schedules.nightly]\nexpression = \"cron(0 3 * * ? *)\"\nzone = \"Europe/Berlin\"\n"
      "start = 2026-12-01T00:00:00Z\njitter = \"5m\"\nmissed = \"catch_up\"\ncatch_up_max = 3\n"
      "overlap = \"skip\"\ndata = '{\"a\":1}'\nattributes = { region = \"north\" }\n"
      "enabled = false\n",
      "t.toml");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->schedules.size(), 1u);
  const Schedule& nightly = read->schedules[0];
  EXPECT_EQ(nightly.name, "nightly");
  EXPECT_EQ(nightly.expression.text(), "cron(0 3 * * ? *)");
  EXPECT_EQ(nightly.zone.name(), "Europe/Berlin");
  EXPECT_EQ(nightly.start, parse_wall_time("2026-12-01T00:00:00Z").value());
  EXPECT_EQ(nightly.jitter, std::chrono::minutes{5});
  EXPECT_EQ(nightly.missed, Missed::kCatchUp);
  EXPECT_EQ(nightly.catch_up_max, 3u);
  EXPECT_EQ(nightly.overlap, Overlap::kSkip);
  EXPECT_EQ(nightly.data, "{\"a\":1}");
  EXPECT_EQ(nightly.attributes.at(0).second, "north");
  EXPECT_FALSE(nightly.enabled);

  const auto complaint = [](const char* toml) {
    const auto wrong = parse_definitions(toml, "t.toml");
    return wrong ? "" : wrong.error().message;
  };
  EXPECT_EQ(complaint("[schedules.a]\nexpresion = \"x\"\n"),
            "t.toml:2:1: unknown key expresion; did you mean expression?");
  EXPECT_THAT(complaint("[schedules.a]\nzone = \"UTC\"\n"), StartsWith("t.toml:1:1: a: "));
  EXPECT_THAT(complaint("[schedules.a]\nexpression = \"rate(1 hour)\"\nmissed = \"all\"\n"),
              HasSubstr("missed takes skip, fire_once or catch_up"));
  EXPECT_THAT(complaint("[schedules.a]\nexpression = \"rate(1 hour)\"\njitter = \"2h\"\n"),
              HasSubstr("jitter is at most the schedule's period"));
}

TEST(Exposure, BeyondThisMachineTakesTlsAndTokens) {
  Config config;
  config.listen = "127.0.0.1:80";
  EXPECT_TRUE(check_exposure(config));
  config.listen = "[::1]:80";
  EXPECT_TRUE(check_exposure(config));
  for (const char* listen : {"0.0.0.0:80", "[::]:80", "192.0.2.1:80"}) {
    config.listen = listen;
    EXPECT_THAT(check_exposure(config).error().message,
                HasSubstr("set a certificate and tls_key, and tokens, or public = true"));
  }
  config.tokens = {kToken};
  EXPECT_THAT(check_exposure(config).error().message,
              HasSubstr("set a certificate and tls_key, or"));
  config.certificate = config.tls_key = "x.pem";
  EXPECT_TRUE(check_exposure(config));
  config.tokens.clear();
  EXPECT_THAT(check_exposure(config).error().message, HasSubstr("set tokens, or"));
  config.is_public = true;
  EXPECT_TRUE(check_exposure(config));
  config.tokens = {"short"};
  EXPECT_FALSE(check_exposure(config));
}

TEST(Bounds, ConnectionsLeaveFilesForOtherThings) {
  EXPECT_EQ(connections_that_fit(20'000), 19'744u);
  EXPECT_EQ(connections_that_fit(1024), 768u);
  EXPECT_EQ(connections_that_fit(512), 256u);
  EXPECT_EQ(connections_that_fit(100), 50u);
  EXPECT_EQ(connections_that_fit(0), 1u);
}

TEST(Bounds, OneBodyFitsIntoWhatAllMayHave) {
  Config config;
  config.max_body_bytes = config.max_body_bytes_total = 1000;
  EXPECT_TRUE(check_bounds(config));
  config.max_body_bytes = 1001;
  EXPECT_THAT(check_bounds(config).error().message, HasSubstr("max_body_bytes_total: must be"));
}

}  // namespace
}  // namespace fanfare::triggers
