#include "triggers/function_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "triggers/fake_exchange.h"

namespace fanfare::triggers {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

const WallTime kNow{std::chrono::milliseconds{1795899607690}};

Json payload_of(const FakeExchange& exchange, const std::string& path = "/a/b") {
  return Json::parse(to_payload(exchange, {"sesame"}, "web", path, "run-1", kNow));
}

TEST(FunctionUrl, GivesFunctionsNothingThatOpensTheGateway) {
  const auto authorization = [](const std::string& value) {
    FakeExchange exchange("GET", "/functions/web",
                          {{"Authorization", value}, {"X-Fanfare-Token", "sesame"}});
    const Json headers = payload_of(exchange)["headers"];
    EXPECT_FALSE(headers.contains("x-fanfare-token"));
    return headers.value("authorization", "");
  };
  for (const std::string token :
       {"Bearer sesame", "bearer  sesame", "Basic YW55OnNlc2FtZQ==", "basic YW55OnNlc2FtZQ==",
        "AWS4-HMAC-SHA256 Credential=sesame/20261128/x/lambda/aws4_request, Signature=0"}) {
    EXPECT_EQ(authorization(token), "") << token;
  }
  for (const std::string own : {"Bearer sesam", "Basic YW55OnNlc2Ft", "Basic sesame", "sesame",
                                "Bearersesame", "Digest sesame", "Bearer "}) {
    EXPECT_EQ(authorization(own), own);
  }
}

TEST(FunctionUrl, MakesOfARequestWhatLambdaMakesOfIt) {
  FakeExchange exchange("POST", "/functions/web/a/b?x=1&y=%20&x=2",
                        {{"Host", "example.org:8080"},
                         {"X-Two", "one"},
                         {"x-two", "more"},
                         {"Cookie", "a=b; c=d"},
                         {"User-Agent", "curl/8"},
                         {"Content-Type", "application/json; charset=utf-8"}},
                        R"({"n":1})");
  exchange.from.address = "192.0.2.7";
  const Json payload = payload_of(exchange);
  const Json expected = {{"version", "2.0"},
                         {"routeKey", "$default"},
                         {"rawPath", "/a/b"},
                         {"rawQueryString", "x=1&y=%20&x=2"},
                         {"cookies", {"a=b", "c=d"}},
                         {"headers",
                          {{"host", "example.org:8080"},
                           {"x-two", "one,more"},
                           {"user-agent", "curl/8"},
                           {"content-type", "application/json; charset=utf-8"}}},
                         {"queryStringParameters", {{"x", "1,2"}, {"y", " "}}},
                         {"requestContext",
                          {{"accountId", "anonymous"},
                           {"apiId", "web"},
                           {"domainName", "example.org:8080"},
                           {"domainPrefix", "web"},
                           {"http",
                            {{"method", "POST"},
                             {"path", "/a/b"},
                             {"protocol", "HTTP/1.1"},
                             {"sourceIp", "192.0.2.7"},
                             {"userAgent", "curl/8"}}},
                           {"requestId", "run-1"},
                           {"routeKey", "$default"},
                           {"stage", "$default"},
                           {"time", "28/Nov/2026:21:00:07 +0000"},
                           {"timeEpoch", 1795899607690}}},
                         {"body", R"({"n":1})"},
                         {"isBase64Encoded", false}};
  EXPECT_EQ(payload, expected) << payload.dump(1);
}

TEST(FunctionUrl, SendsBodiesThatAreNoTextAsBase64) {
  const auto body = [](std::string type, std::string bytes) {
    const Json payload = payload_of(FakeExchange("POST", "/", {{"Content-Type", type}}, bytes));
    return payload["body"].get<std::string>() +
           (payload["isBase64Encoded"] == true ? " base64" : " text");
  };
  EXPECT_EQ(body("text/plain", "ü"), "ü text");
  EXPECT_EQ(body("application/vnd.api+json", "{}"), "{} text");
  EXPECT_EQ(body("image/png", "PNG"), "UE5H base64");
  EXPECT_EQ(body("application/x-www-form-urlencoded", "a=b"), "YT1i base64");
  EXPECT_EQ(body("text/plain", "\xff"), "/w== base64");
  const Json empty = payload_of(FakeExchange("GET", "/"));
  EXPECT_FALSE(empty.contains("body"));
  EXPECT_FALSE(empty.contains("cookies"));
  EXPECT_FALSE(empty.contains("queryStringParameters"));
}

TEST(FunctionUrl, WritesWhateverComesAsJson) {
  const Json payload =
      payload_of(FakeExchange("{\"", "/functions/web?a%22=%5C%7B&\xff",
                              {{"Host", "\"\\{"}, {"X-A", "{\x01\xff"}, {"Cookie", "a=\"{; \xfe"}}),
                 "/\xff\"");
  EXPECT_EQ(payload["rawPath"], "/\uFFFD\"");
  EXPECT_EQ(payload["rawQueryString"], "a%22=%5C%7B&\uFFFD");
  EXPECT_EQ(payload["headers"], (Json{{"host", "\"\\{"}, {"x-a", "{\x01\uFFFD"}}));
  EXPECT_EQ(payload["cookies"], (Json{"a=\"{", "\uFFFD"}));
  EXPECT_EQ(payload["requestContext"]["http"]["method"], "{\"");
  EXPECT_EQ(payload["isBase64Encoded"], false);
  const Json query = payload_of(FakeExchange("GET", "/functions/web?a%22=%5C%7B&b=c"));
  EXPECT_EQ(query["queryStringParameters"], (Json{{"a\"", "\\{"}, {"b", "c"}}));
}

Result<HttpResponse> response_to(std::string output, std::string type = "application/json") {
  protocol::ResultRecord record;
  record.output = std::move(output);
  record.content_type = std::move(type);
  return from_output(record);
}

std::string told(const Result<HttpResponse>& response) {
  if (!response) return response.error().message;
  std::string text = std::to_string(response->status);
  for (const auto& [name, value] : response->headers) text += " " + name + "=" + value;
  return text + " | " + response->body;
}

TEST(FunctionUrl, MakesTheResponseThatTheFunctionDescribes) {
  EXPECT_EQ(told(response_to(
                R"({"statusCode":201,"headers":{"X":"y","N":7},"cookies":["a=b"],"body":"text"})")),
            "201 X=y N=7 Set-Cookie=a=b Content-Type=application/json | text");
  EXPECT_EQ(told(response_to(R"({"statusCode":200,"body":"AP8=","isBase64Encoded":true,
                                 "headers":{"content-type":"image/png"}})")),
            "200 content-type=image/png | " + std::string("\0\xff", 2));
  EXPECT_EQ(told(response_to(R"({"statusCode":204})")), "204 Content-Type=application/json | ");
  EXPECT_EQ(told(response_to(R"({"statusCode":200,"body":{"a":1}})")),
            "200 Content-Type=application/json | {\"a\":1}");
}

TEST(FunctionUrl, TakesAnythingElseForTheBody) {
  EXPECT_EQ(told(response_to(R"({"a":1})")), "200 Content-Type=application/json | {\"a\":1}");
  EXPECT_EQ(told(response_to("[1]")), "200 Content-Type=application/json | [1]");
  EXPECT_EQ(told(response_to("png", "image/png")), "200 Content-Type=image/png | png");
  EXPECT_EQ(told(response_to("x", "")), "200 Content-Type=application/octet-stream | x");
}

// What a function returns goes to somebody's browser: it must not say where the response ends, nor
// add lines to its head.
TEST(FunctionUrl, RefusesAndLeavesOutWhatWouldBreakAResponse) {
  EXPECT_EQ(told(response_to(R"({"statusCode":"x"})")), "statusCode is a number from 200 to 599");
  EXPECT_EQ(told(response_to(R"({"statusCode":100})")), "statusCode is a number from 200 to 599");
  EXPECT_EQ(told(response_to(R"({"statusCode":200,"headers":["a"]})")), "headers is an object");
  EXPECT_EQ(told(response_to(R"({"statusCode":200,"headers":{"a":{}}})")),
            "a header's value is a text");
  for (const char* header : {R"("a b":"c")", R"("":"c")", R"("a":"b\r\nSet-Cookie: x=y")",
                             R"("a":"b\u0000")", R"("a\n":"b")"}) {
    EXPECT_THAT(told(response_to(std::string{R"({"statusCode":200,"headers":{)"} + header + "}}")),
                HasSubstr("cannot be sent"))
        << header;
  }
  EXPECT_EQ(told(response_to(R"({"statusCode":200,"body":"?","isBase64Encoded":true})")),
            "body is not base64");
  EXPECT_EQ(
      told(response_to(
          R"({"statusCode":200,"headers":{"Content-Length":"9","Transfer-Encoding":"chunked"}})")),
      "200 Content-Type=application/json | ");
}

}  // namespace
}  // namespace fanfare::triggers
