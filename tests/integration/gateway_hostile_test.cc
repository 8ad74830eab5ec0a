// fanfare-triggers among clients that mean it no good: whatever they send, it is one event or none,
// what they say stays where it belongs, and everybody else is served meanwhile and afterwards.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "protocol/base64.h"
#include "tests/integration/audit.h"
#include "tests/integration/gateway_process.h"
#include "tests/integration/http_client.h"
#include "tests/integration/raw_connection.h"
#include "tests/support/file_limit.h"

namespace fanfare::test::hostile {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;
namespace fs = std::filesystem;

const std::string kUrlencoded = "Content-Type: application/x-www-form-urlencoded";
const std::string kMultipart = "Content-Type: multipart/form-data; boundary=b";
const std::string kJson = "Content-Type: application/json";
const std::string kClose = "Connection: close";

std::size_t open_files(pid_t pid) {
  std::error_code none;
  std::size_t files = 0;
  for (auto at = fs::directory_iterator(fmt::format("/proc/{}/fd", pid), none);
       at != fs::directory_iterator(); at.increment(none)) {
    ++files;
  }
  return files;
}

std::size_t resident_bytes(pid_t pid) {
  const std::string status = content_of(fmt::format("/proc/{}/status", pid));
  const std::size_t at = status.find("VmRSS:");
  return at == status.npos ? 0 : std::stoul(status.substr(at + 6)) * 1024;
}

std::string request(const std::string& line, const std::vector<std::string>& fields,
                    const std::string& body = {}) {
  std::string text = line + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const std::string& field : fields) text += field + "\r\n";
  if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
  return text + "\r\n" + body;
}

std::size_t times_in(const std::string& text, const std::string& what) {
  std::size_t times = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++times;
  return times;
}

std::string status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") ? answer.substr(9, 3) : "no answer: " + answer;
}

std::string body_of(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  return end == answer.npos ? "" : answer.substr(end + 4);
}

// ---- ten thousand who say nothing

// Made within the minute after which the gateway ends idle ones; sanitizers slow both ends down.
#if defined(FANFARE_SANITIZED)
constexpr std::size_t kIdle = 2'000;
#else
constexpr std::size_t kIdle = 10'000;
#endif

TEST(GatewayHostile, TenThousandIdleConnectionsHoldNobodyUp) {
  const FileLimit limit(1024);
  Gateway gateway(Process::Environment{{"FANFARE_TRIGGERS_CONNECTIONS_MAX", "12000"}});
  const rlim_t files = limit.raise();
  const std::size_t count = std::min<rlim_t>(kIdle, files - std::min<rlim_t>(files, 512));
  EXPECT_EQ(times_in(gateway.log(), "12000 does not fit"), files < 12'256 ? 1u : 0u);
  const pid_t pid = gateway.process->pid();
  const std::size_t files_before = open_files(pid);
  const auto connect_all = [&] {
    std::vector<std::unique_ptr<RawConnection>> all;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& one = all.emplace_back(std::make_unique<RawConnection>(gateway.url));
      one->reset_at_end();
      if (!one->send(request("GET /healthz", {})) || status_of(one->some()) != "200") break;
    }
    return all;
  };
  {
    const RawConnection first(gateway.url);
  }
  const std::size_t before = resident_bytes(pid);
  auto idle = connect_all();
  ASSERT_EQ(idle.size(), count) << gateway.log();
  EXPECT_EQ(idle.back()->send(request("GET /healthz", {})), true);
  EXPECT_EQ(status_of(idle.back()->some()), "200");
  EXPECT_GE(open_files(pid), count);
  const std::size_t each = (resident_bytes(pid) - before) / count;
  fmt::print("{} idle connections, {} bytes of memory each\n", count, each);
#if !defined(FANFARE_SANITIZED)
  EXPECT_LT(each, 4096u);
#endif
  for (int i = 0; i < 20; ++i) {
    const auto begun = Clock::now();
    const auto answer = HttpClient(gateway.url).post("/forms/contact", "a=b", {kUrlencoded});
    EXPECT_EQ(answer.status, 202) << answer.error;
    EXPECT_LT(Clock::now() - begun, 1s);
  }
  [[maybe_unused]] const std::size_t most = resident_bytes(pid);
  idle.clear();
  EXPECT_TRUE(eventually([&] { return open_files(pid) <= files_before; }, 10s))
      << open_files(pid) << " of " << files_before;
  // The allocator keeps the memory, for those who come next.
  ASSERT_EQ(connect_all().size(), count);
#if !defined(FANFARE_SANITIZED)
  EXPECT_LT(resident_bytes(pid), most + (1u << 20));
#endif
  EXPECT_TRUE(eventually([&] { return open_files(pid) <= files_before; }, 10s));
}

// ---- those who say too much

class Besieged {
 public:
  Besieged() {
    fs::create_directory(uploads);
    start_files_ = 0;
    gateway = std::make_unique<Gateway>(
        Process::Environment{},
        "[forms.\"*\"]\nbucket = \"uploads\"\nper_minute = 0\nmax_bytes = \"64KiB\"\n"
        "next = [\"https://example.org/\"]\nmax_files = 30\nmax_file_bytes = \"1MiB\"\n"
        "[topics.news]\n[buckets.uploads]\nwatch = false\ndirectory = \"" +
            uploads + "\"\n");
    gateway->installation.deploy(
        "functions-testing/introspect",
        "[[on]]\npattern = '{\"type\": [\"form.submitted\", \"order.placed\", "
        "{\"prefix\": \"storage.\"}]}'\n");
    gateway->installation.deploy("functions-testing/calls",
                                 "[[on]]\npattern = '{\"source\": [\"/topics/news\"]}'\n");
    gateway->installation.deploy("builtin/noop",
                                 "[[on]]\npattern = '{\"source\": [\"/forms/inner\"]}'\n");
    gateway->installation.deploy("functions-testing/web");
    // It connects to the worker's own socket when it first invokes a function.
    const fs::path local = gateway->installation.file("local");
    EXPECT_TRUE(eventually([&] { return fs::exists(local) && !fs::is_empty(local); }));
    EXPECT_EQ(HttpClient(gateway->url).post("/functions/web/a", "1", {kJson}).status, 200);
    expect_to_serve();
    start_files_ = open_files(gateway->process->pid());
  }

  // Each request on a connection of its own, all at a time; what has come when the gateway has
  // closed it, or has had time to.
  std::vector<std::string> answers(const std::vector<std::string>& requests,
                                   Duration at_most = 5s) const {
    std::vector<std::unique_ptr<RawConnection>> connections;
    for (const std::string& each : requests) {
      connections.push_back(std::make_unique<RawConnection>(gateway->url));
      connections.back()->send(each);
    }
    const auto until = Clock::now() + at_most;
    std::vector<std::string> all;
    for (const auto& each : connections) {
      all.push_back(each->rest(std::max<Duration>(until - Clock::now(), 1ms)));
    }
    return all;
  }
  std::string answer(const std::string& one) const { return answers({one}).front(); }

  std::int64_t number(const std::string& metric) const {
    const std::string all = HttpClient(gateway->url).get("/metrics").body;
    const std::size_t at = all.find("\n" + metric + " ");
    return at == all.npos ? -1 : std::stoll(all.substr(at + metric.size() + 2));
  }
  // Accepted ones, of all triggers.
  std::int64_t events() const {
    std::int64_t sum = 0;
    for (const char* trigger : {"event", "form", "invoke", "webhook", "topic", "s3"}) {
      sum += number(std::string{"fanfare_triggers_events_total{trigger=\""} + trigger +
                    "\",result=\"accepted\"}");
    }
    return sum;
  }

  // The result of an event that was answered with a receipt.
  Json result_of(const std::string& answered, const std::string& function) const {
    const Json receipt = Json::parse(body_of(answered), nullptr, false);
    if (!receipt.is_object() || !receipt.contains("id")) {
      ADD_FAILURE() << "no receipt: " << answered;
      return {};
    }
    const std::string id = receipt["id"];
    return Json::parse(HttpClient(gateway->url)
                           .get(fmt::format("/results/{}/{}?wait=10s", id, function))
                           .body)["output"];
  }
  Json fields_of(const std::string& answered) const {
    return Json::parse(std::string{result_of(answered, "introspect")["data"]});
  }

  void expect_to_serve() const {
    EXPECT_EQ(HttpClient(gateway->url).post("/forms/contact", "a=b", {kUrlencoded}).status, 202);
  }
  void expect_nothing_left() const {
    EXPECT_TRUE(eventually([&] { return files_below(uploads + "/.fanfare-uploads") == 0; }));
    EXPECT_TRUE(eventually([&] { return open_files(gateway->process->pid()) <= start_files_; }))
        << open_files(gateway->process->pid()) << " of " << start_files_;
    EXPECT_EQ(number("fanfare_triggers_body_bytes"), 0);
  }

  TempDir dir;
  const std::string uploads = dir.file("uploads");
  std::unique_ptr<Gateway> gateway;

 private:
  std::size_t start_files_ = 0;
};

// Two requests that a proxy would take for one, or the other way round.
void smuggle(const Besieged& besieged) {
  const std::string inner = request("POST /forms/inner", {kUrlencoded}, "a=b");
  const std::string length = fmt::format("Content-Length: {}", inner.size() + 5);
  const std::string chunked = "Transfer-Encoding: chunked", last = "0\r\n\r\n";
  const auto outer = [](const std::vector<std::string>& fields, const std::string& rest) {
    std::vector<std::string> all{kUrlencoded};
    all.insert(all.end(), fields.begin(), fields.end());
    return request("POST /forms/outer", all) + rest;
  };
  const auto in_chunks = [&](const std::string& chunks) { return outer({chunked}, chunks); };
  std::vector<std::string> refused{
      outer({length, chunked}, last + inner),
      outer({chunked, length}, last + inner),
      outer({"Content-Length: 0", length}, last + inner),
      outer({length, "Content-Length: 0"}, last + inner),
      outer({"Content-Length: 0, 4"}, last + inner),
      outer({"Content-Length: 0\r\n 4"}, last + inner),
      outer({chunked, chunked}, last + inner),
      outer({chunked, "Transfer-Encoding: identity"}, last + inner),
      outer({"Content-Length: 0\n" + length}, last + inner),
      outer({"Content-Length: 0\r" + length}, last + inner),
      "POST /forms/outer HTTP/1.1\nHost: localhost\n" + length + "\n\n" + last + inner,
      "POST /forms/outer HTTP/1.0\r\n" + kUrlencoded + "\r\n" + chunked + "\r\n\r\n" + last + inner,
      request("GET /healthz", {length}) + last + inner,
      request("POST /nowhere", {chunked}) + fmt::format("{:x}\r\n", inner.size()) + inner + "\r\n",
      "POST /forms/outer HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + inner,
      "POST /forms/outer HTTP/1.1\r\n\r\n" + inner,
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
      "POST /forms/outer\r\n\r\n" + inner,
      outer({kClose, "X: y\r\n " + chunked}, last + inner),
      outer({kClose, "Transfer-Encoding:\r\n chunked"}, last + inner),
      outer({kClose, "X: y\r\n\t" + chunked}, last + inner),
      outer({"Content-Length: 4", "Content-Length: 4"}, "a=b&" + inner),
  };
  for (const char* value : {"chunked, chunked", "identity, chunked", "chunked, identity",
                            "xchunked", "chunkedx", "\"chunked\"",
                            "\x0b"
                            "chunked",
                            "gzip, chunked", "chunked;q=1", "identity", "", ","}) {
    refused.push_back(outer({std::string{"Transfer-Encoding: "} + value}, last + inner));
  }
  for (const char* name : {"Transfer-Encoding ", " Transfer-Encoding", "Transfer-Encoding\t",
                           "Transfer\x01-Encoding", "Transfer Encoding"}) {
    refused.push_back(outer({std::string{name} + ": chunked"}, last + inner));
  }
  for (const char* value : {"+4", "-4", "0x4", "4;", "4 4", "4e0", "", "18446744073709551620",
                            "99999999999999999999", "four", "4,4"}) {
    refused.push_back(outer({std::string{"Content-Length: "} + value}, "a=b&" + inner));
  }
  for (const char* chunks :
       {"0x3\r\na=b\r\n", "+3\r\na=b\r\n", "-3\r\na=b\r\n", " 3\r\na=b\r\n", "3\na=b\n0\n\n",
        "3\r\na=b\n0\r\n\r\n", "3\r\na=bX0\r\n\r\n", "3\r\na=b0\r\n\r\n", "\r\n3\r\na=b\r\n",
        "10000000000000003\r\na=b\r\n", "fffffffffffffffff\r\na=b\r\n", "3\r\na=b\r\n-0\r\n\r\n",
        "g\r\na=b\r\n", "3\rX\na=b\r\n", "3 a\r\na=b\r\n"}) {
    refused.push_back(in_chunks(chunks + inner));
  }
  refused.push_back(in_chunks("3;x=" + std::string(20'000, 'y') + "\r\na=b\r\n" + last + inner));
  refused.push_back(in_chunks("0\r\n" + std::string(20'000, 'y') + ": z\r\n\r\n" + inner));
  const auto before = besieged.events();
  const auto said = besieged.answers(refused, 3s);
  for (std::size_t i = 0; i < refused.size(); ++i) {
    EXPECT_THAT(status_of(said[i]), AnyOf(StartsWith("4"), StartsWith("5"))) << refused[i];
    EXPECT_EQ(times_in(said[i], "\r\nDate: "), 1u) << refused[i] << "\n" << said[i];
  }
  EXPECT_EQ(besieged.events(), before) << "each of them is refused";

  // What is one request in any reading: nothing behind it is another one.
  const std::vector<std::string> taken{
      outer({kClose, chunked}, "3;a=\"b\"\r\na=b\r\n" + last + inner),
      outer({kClose, chunked}, "0003\r\na=b\r\n000\r\nContent-Length: 9\r\n\r\n" + inner),
      outer({kClose, "Transfer-Encoding: CHUNKED"}, "3\r\na=b\r\n" + last + inner),
      outer({kClose, "Content-Length: 3"}, "a=b" + inner),
      outer({"Transfer_Encoding: chunked"}, last + inner)};
  const auto taken_said = besieged.answers(taken, 3s);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const bool one = times_in(taken_said[i], "HTTP/1.1 202 ") <= 1;
    EXPECT_TRUE(one && taken_said[i].starts_with("HTTP/1.1 ")) << taken[i] << "\n" << taken_said[i];
  }
  EXPECT_LE(besieged.events(), before + std::ssize(taken));
  const auto redis = besieged.gateway->installation.redis().options();
  EXPECT_EQ(audit(redis, "noop", {}).counts["accepted"], 0) << "no inner request was taken for one";
  const auto pipelined = besieged.answer(outer(
      {"Content-Length: 3"}, "a=b" + request("POST /forms/inner", {kUrlencoded, kClose}, "a=b")));
  EXPECT_EQ(times_in(pipelined, "HTTP/1.1 202 "), 2u) << "the control: it would be seen";
  EXPECT_EQ(audit(redis, "noop", {}).counts["accepted"], 1);
}

std::string part(const std::string& parameters, const std::string& content,
                 const std::string& fields = {}) {
  return "--b\r\nContent-Disposition: form-data; " + parameters + "\r\n" + fields + "\r\n" +
         content + "\r\n";
}

// Line ends wherever a client may say something that is passed on.
void inject_headers(const Besieged& besieged) {
  const std::string evil = "\\r\\nX-Evil: 1", escaped = "%0d%0aX-Evil:%201";
  const auto post = [](const std::string& target, const std::string& type, const std::string& body,
                       std::vector<std::string> more = {}) {
    more.insert(more.begin(), {kClose, type});
    return request("POST " + target, more, body);
  };
  const std::string event = R"({"specversion":"1.0","id":"1)" + evil + R"(","source":"/s)" + evil +
                            R"(","type":"order.placed","subject":")" + evil +
                            R"(","datacontenttype":"text/plain)" + evil + R"(","zone":")" + evil +
                            R"(","data":"x"})";
  const std::string confirm =
      R"({"Type":"SubscriptionConfirmation","MessageId":"1","TopicArn":"arn)" + evil +
      R"(","SubscribeURL":"https://sns.eu-north-1.amazonaws.com/)" + evil + R"("})";
  const std::vector<std::pair<std::string, std::string>> tries{
      {"202", post("/forms/a", kUrlencoded,
                   "a=" + escaped + "&" + escaped + "=1&_next=https://example.org/" + escaped)},
      {"202", post("/forms/a", kJson, R"({"_next":"https://example.org/)" + evil + R"("})")},
      {"202",
       post("/forms/a", kUrlencoded, "a=b", {"Origin: http://" + escaped, "Accept: text/html"})},
      {"202", post("/forms/a", kMultipart,
                   part("name=\"" + escaped + "\"; filename=\"" + escaped + "\"", "x") +
                       part("name=f; filename*=UTF-8''" + escaped, "x") +
                       part("name=_next", "https://example.org/\r\nX-Evil: 1") + "--b--\r\n")},
      {"400", post("/forms/a" + escaped, kUrlencoded, "a=b")},
      {"400", post("/topics/a" + escaped, kJson, "1")},
      {"400", post("/functions/a" + escaped, kJson, "1")},
      {"400", post("/webhooks/" + escaped, kJson, "1")},
      {"400", request("GET /results/1-1.1/a" + escaped, {kClose})},
      {"404", request("GET /results/1-1.1/a?wait=0s&" + escaped, {kClose})},
      {"200", post("/functions/web/a?" + escaped, kJson, "1", {"Cookie: " + escaped})},
      {"202",
       post("/topics/news", "Content-Type: text/plain", "echo x",
            {"Fanfare-Attributes: {\"a\": \"" + evil + "\"}", "Fanfare-Subject: " + escaped})},
      {"202",
       post("/topics/news", kJson, confirm, {"x-amz-sns-message-type: SubscriptionConfirmation"})},
      {"200", post("/storage", kJson, confirm)},
      {"202", post("/events", "Content-Type: application/cloudevents+json", event)},
      {"202", post("/events", "Content-Type: text/plain", "x",
                   {"ce-specversion: 1.0", "ce-id: 2", "ce-source: /s" + escaped,
                    "ce-type: order.placed", "ce-subject: \"" + escaped + "\""})}};
  const auto before = besieged.events();
  std::int64_t published = 0;
  for (const auto& [status, bytes] : tries) {
    const bool confirms = bytes.find("SubscriptionConfirmation") != bytes.npos;
    published += status == "202" && !confirms ? 1 : 0;
    const std::string said = besieged.answer(bytes);
    EXPECT_EQ(status_of(said), status) << bytes << "\n" << said;
    EXPECT_THAT(said.substr(0, said.find("\r\n\r\n")), Not(HasSubstr("X-Evil: 1"))) << bytes;
    EXPECT_THAT(said, Not(HasSubstr("\nX-Evil"))) << bytes;
    if (!bytes.starts_with("POST /events") || status != "202") continue;
    const std::string id = Json::parse(body_of(said))["id"];
    const auto result =
        besieged.answer(request("GET /results/" + id + "/introspect?wait=10s", {kClose}));
    EXPECT_EQ(status_of(result), "200");
    EXPECT_THAT(result, Not(HasSubstr("\nX-Evil")));
  }
  EXPECT_EQ(besieged.events(), before + published);
  EXPECT_THAT(besieged.gateway->log(), HasSubstr("X-Evil")) << "the control: some of it is logged";
  EXPECT_THAT(besieged.gateway->log(), Not(HasSubstr("\nX-Evil")));
}

// Names that lead elsewhere.
void leave_the_bucket(const Besieged& besieged) {
  const std::string overlong =
                        "\xc0\xae\xc0\xae\xc0\xaf"
                        "evil",
                    nul = std::string{"ev\0il", 5};
  const std::vector<std::string> names{"../../evil",
                                       "..\\..\\evil",
                                       "/etc/evil",
                                       "C:\\evil",
                                       nul,
                                       "%2e%2e%2fevil",
                                       "..",
                                       ".",
                                       "...",
                                       overlong,
                                       std::string(4000, 'e'),
                                       ".fanfare-uploads",
                                       "-rf",
                                       "a/../../evil",
                                       " ",
                                       "ev\til",
                                       "\xe2\x80\xae"
                                       "live",
                                       "evil/",
                                       "~root",
                                       "\xff\xfe",
                                       "evil;rm -rf",
                                       "*",
                                       "gate.txt"};
  std::string body;
  for (std::size_t i = 0; i < names.size(); ++i) {
    body += part("name=f; filename=\"" + names[i] + "\"", fmt::format("content {}", i));
  }
  const std::vector<std::string> encoded{"..%2F..%2Fevil", "%00%2e%2e", "%2e%2e", "%c0%ae%c0%ae"};
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    body +=
        part("name=f; filename=g; filename*=UTF-8''" + encoded[i], fmt::format("encoded {}", i));
  }
  const std::size_t before = files_below(besieged.uploads);
  const auto events_before = besieged.events();
  const std::vector<std::string> forms{"outer",  "..%2f..%2fouter", ".fanfare-uploads",
                                       "%2fetc", "a%5c..%5cb",      "%c3%bc"};
  for (const std::string& form : forms) {
    const auto said = besieged.answer(
        request("POST /forms/" + form, {kClose, kMultipart, "Idempotency-Key: ../../../evil"},
                body + "--b--\r\n"));
    EXPECT_EQ(status_of(said), "202") << form << "\n" << said;
    const Json files = besieged.fields_of(said)["f"];
    ASSERT_EQ(files.size(), names.size() + encoded.size());
    std::set<std::string> contents;
    for (const Json& file : files) {
      const std::string path = file["path"], key = file["key"];
      EXPECT_EQ(path, besieged.uploads + "/" + key);
      EXPECT_EQ(fs::weakly_canonical(path), path);
      contents.insert(content_of(path));
    }
    EXPECT_EQ(contents.size(), files.size()) << "each has a place of its own";
  }
  EXPECT_EQ(besieged.events(), events_before + std::ssize(forms));
  EXPECT_EQ(files_below(besieged.uploads), before + forms.size() * (names.size() + encoded.size()));
  for (const auto& entry : fs::recursive_directory_iterator(besieged.uploads)) {
    const fs::path below = fs::relative(entry.path(), besieged.uploads);
    if (!entry.is_regular_file() || *below.begin() == ".fanfare-uploads") continue;
    EXPECT_EQ(std::distance(below.begin(), below.end()), 3) << below << ": form, id, name";
    EXPECT_THAT(below.filename().string(), Not(AnyOf(StartsWith("."), StartsWith("-")))) << below;
    EXPECT_FALSE(entry.is_symlink());
  }
  std::vector<std::string> beside;
  for (const auto& entry : fs::directory_iterator(besieged.dir.path())) {
    beside.push_back(entry.path().filename());
  }
  EXPECT_THAT(beside, ElementsAre("uploads"));
  for (const char* form : {"..", ".", "%2e%2e", "a%00", "\xff", "%ff", "%c0%ae%c0%ae"}) {
    EXPECT_EQ(status_of(besieged.answer(
                  request(std::string{"POST /forms/"} + form, {kClose, kUrlencoded}, "a=b"))),
              "400")
        << form;
  }
  // Objects elsewhere are told of by their keys, and nobody opens them here.
  const auto tell = [&](const std::string& key) {
    return besieged.answer(request(
        "POST /storage", {kClose, kJson},
        R"({"Records":[{"eventVersion":"2.1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},)"
        R"("object":{"key":")" +
            key + R"(","path":"/etc/passwd"}}}]})"));
  };
  for (const char* key : {"../../etc/passwd", "%2e%2e%2fevil", "/etc/passwd", "a%00b", "a%0d%0ab",
                          "..%5cevil", "%c0%ae%c0%ae", "%ff"}) {
    EXPECT_EQ(status_of(tell(key)), "202") << key;
  }
  EXPECT_EQ(besieged.events(), events_before + std::ssize(forms) + 8);
  EXPECT_EQ(status_of(tell(std::string(2000, 'k'))), "400");
  EXPECT_EQ(status_of(tell("%zz")), "400");
}

// Bytes that are no text: refused, or kept as they are.
void send_bytes_for_text(const Besieged& besieged) {
  const std::string bad = "x\xff\xc3";
  const auto post = [&](const std::string& target, std::vector<std::string> fields,
                        const std::string& body) {
    fields.push_back(kClose);
    return request("POST " + target, fields, body);
  };
  const std::vector<std::string> event{"ce-specversion: 1.0", "ce-id: b1", "ce-source: /s",
                                       "ce-type: order.placed"};
  const auto event_with = [&](const std::string& field) {
    std::vector<std::string> fields = event;
    const std::string name = field.substr(0, field.find(':') + 1);
    std::erase_if(fields, [&](const std::string& each) { return each.starts_with(name); });
    fields.push_back(field);
    return post("/events", fields, "x");
  };
  const std::vector<std::string> refused{
      request("GET /results/1-1.1?wait=" + bad, {kClose}),
      request("GET /results/1-1.1?wait=%ff", {kClose}),
      request("GET /results/" + bad, {kClose}),
      request("P\xffST /healthz", {kClose}),
      request("GET /healthz", {kClose, "X\xff: y"}),
      post("/functions/" + bad, {}, "x"),
      post("/topics/" + bad, {}, "x"),
      post("/topics/news", {"Fanfare-Subject: " + bad}, "x"),
      post("/topics/news", {"Fanfare-Tenant: " + bad}, "x"),
      post("/topics/news", {"Idempotency-Key: " + bad}, "x"),
      post("/topics/news", {"Fanfare-Ordering-Key: " + bad}, "x"),
      post("/topics/news", {"Fanfare-Delay: " + bad}, "x"),
      post("/topics/news", {"Fanfare-Attributes: {\"a\":\"" + bad + "\"}"}, "x"),
      post("/topics/news", {"Content-Type: text/" + bad}, "x"),
      post("/forms/a", {kUrlencoded}, "a=" + bad),
      post("/forms/a", {kUrlencoded}, bad + "=a"),
      post("/forms/a", {kUrlencoded}, "a=%ff"),
      post("/forms/a", {kUrlencoded, "Idempotency-Key: " + bad}, "a=b"),
      post("/forms/a", {kJson}, "{\"a\":\"" + bad + "\"}"),
      post("/forms/a", {kJson}, "{\"" + bad + "\":1}"),
      post("/forms/a", {kJson}, "{\"a\":\"\\ud800\"}"),
      post("/forms/a", {kMultipart}, part("name=a", bad) + "--b--"),
      post("/forms/a", {kMultipart}, part("name=" + bad, "a") + "--b--"),
      post("/events", {"Content-Type: application/cloudevents+json"},
           R"({"specversion":"1.0","id":"1","source":")" + bad + R"(","type":"t"})"),
      post("/storage", {kJson}, "{\"Records\":[\"" + bad + "\"]}"),
      event_with("ce-id: " + bad),
      event_with("ce-source: " + bad),
      event_with("ce-type: " + bad),
      event_with("ce-subject: %ff"),
      event_with("ce-dataschema: " + bad),
      event_with("ce-zone: " + bad),
      event_with("ce-time: " + bad)};
  const auto before = besieged.events();
  const auto said = besieged.answers(refused);
  for (std::size_t i = 0; i < refused.size(); ++i) {
    EXPECT_EQ(status_of(said[i]), "400") << refused[i] << "\n" << said[i];
    EXPECT_THAT(body_of(said[i]), StartsWith("{\"title\":\"Bad Request\"")) << refused[i];
  }
  EXPECT_EQ(besieged.events(), before);

  const auto echo =
      besieged.answer(post("/topics/news",
                           {"tracestate: " + bad,
                            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
                           "echo " + bad));
  EXPECT_EQ(status_of(echo), "202") << echo;
  EXPECT_EQ(besieged.result_of(echo, "calls"), (Json{{"base64", protocol::to_base64(bad)}}));
  const auto url = besieged.answer(post(
      "/functions/web?a=" + bad, {"User-Agent: " + bad, "Cookie: " + bad, "Host2: " + bad}, bad));
  EXPECT_EQ(status_of(url), "200") << url;
  EXPECT_EQ(Json::parse(body_of(url))["body"], protocol::to_base64(bad));
  const auto invoked =
      besieged.answer(post("/2015-03-31/functions/calls/invocations", {}, "echo " + bad));
  EXPECT_EQ(body_of(invoked), bad);
  const auto file = besieged.answer(
      post("/forms/a", {kMultipart},
           part("name=f; filename=\"" + bad + ".txt\"", bad, "Content-Type: " + bad + "\r\n") +
               "--b--"));
  const Json reference = besieged.fields_of(file)["f"];
  EXPECT_EQ(reference["name"], "x__.txt");
  EXPECT_EQ(content_of(reference["path"]), bad);
}

// Forms within files, files that are no files, forms that are no forms.
void nest_and_mangle(const Besieged& besieged) {
  const auto post = [&](const std::string& type, const std::string& body) {
    return request("POST /forms/a", {kClose, type}, body);
  };
  const std::string inner =
      "--inner\r\nContent-Disposition: form-data; name=_next\r\n\r\nhttps://example.org/\r\n"
      "\r\n-- b\r\n-b\r\n--\r\n--inner\r\nContent-Disposition: form-data; name=g; "
      "filename=evil\r\n\r\nevil\r\n--inner--\r\n\r";
  const std::string zip = std::string{"PK\x03\x04\x14\0\0\0", 8} + inner +
                          std::string(70'000, '\x1a') + "\r\n--" + inner + "PK\x05\x06";
  const auto before = besieged.events();
  const auto said = besieged.answer(post(
      kMultipart,
      part("name=f; filename=form", inner, "Content-Type: multipart/mixed; boundary=inner\r\n") +
          part("name=f; filename=a.zip", zip, "Content-Type: application/zip\r\n") +
          part("name=text", inner, "Content-Type: multipart/form-data; boundary=inner\r\n") +
          "--b--\r\n" + part("name=late; filename=late", "x") + "--b--\r\n"));
  ASSERT_EQ(status_of(said), "202") << said;
  const Json data = besieged.fields_of(said);
  ASSERT_EQ(data["f"].size(), 2u);
  EXPECT_EQ(content_of(data["f"][0]["path"]), inner);
  EXPECT_EQ(content_of(data["f"][1]["path"]), zip);
  EXPECT_EQ(data["text"], inner);
  EXPECT_EQ(data.size(), 2u) << "nothing of what is within, or behind the end: " << data;
  EXPECT_EQ(besieged.events(), before + 1);

  const std::string whole = part("name=f; filename=a", "x") + "--b--\r\n";
  std::string too_many;
  for (int i = 0; i < 31; ++i) too_many += part("name=f; filename=a", "x");
  std::string too_many_parts;
  for (int i = 0; i < 1001; ++i) too_many_parts += part("name=a", "");
  const std::vector<std::pair<std::string, std::string>> mangled{
      {"413",
       post(kMultipart, part("name=f; filename=a", std::string((1 << 20) + 1, 'x')) + "--b--\r\n")},
      {"413", post(kMultipart, part("name=t", std::string(66'000, 'x')) + "--b--\r\n")},
      {"413", post(kMultipart, too_many + "--b--\r\n")},
      {"400", post(kMultipart, too_many_parts + "--b--\r\n")},
      {"400",
       post(kMultipart,
            part("name=f; filename=a", "x", "X: " + std::string(9000, 'x') + "\r\n") + "--b--")},
      {"400", post(kMultipart, whole.substr(0, whole.size() - 5))},
      {"400", post(kMultipart, "--b")},
      {"400", post(kMultipart, "no form at all")},
      {"400", post(kMultipart, "--bb\r\n\r\n--b--")},
      {"400", post(kMultipart, std::regex_replace(whole, std::regex("\r\n"), "\n"))},
      {"400", post(kMultipart, "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--")},
      {"400", post(kMultipart, part("filename=a", "x") + "--b--")},
      {"400", post(kMultipart, part("name=\"f", "x") + "--b--")},
      {"400",
       post(kMultipart,
            part("name=f; filename=a", "eA==", "Content-Transfer-Encoding: base64\r\n") + "--b--")},
      {"400", post(kMultipart,
                   part("name=f", "x", "Content-Disposition: form-data; name=g\r\n") + "--b--")},
      {"400", post(kMultipart, part("name=_next; filename=a", "x") + "--b--")},
      {"400", post("Content-Type: multipart/form-data", whole)},
      {"400", post("Content-Type: multipart/form-data; boundary=", whole)},
      {"400", post("Content-Type: multipart/form-data; boundary=\"b\r\n c\"", whole)},
      {"400", post("Content-Type: multipart/form-data; boundary=" + std::string(71, 'b'), whole)},
      {"415", post("Content-Type: multipart/mixed; boundary=b", whole)}};
  const std::size_t files = files_below(besieged.uploads);
  std::vector<std::string> requests;
  for (const auto& each : mangled) requests.push_back(each.second);
  const auto answers = besieged.answers(requests);
  for (std::size_t i = 0; i < mangled.size(); ++i) {
    EXPECT_EQ(status_of(answers[i]), mangled[i].first) << mangled[i].second.substr(0, 500) << "\n"
                                                       << answers[i];
  }
  EXPECT_EQ(besieged.events(), before + 1);
  EXPECT_TRUE(eventually([&] { return files_below(besieged.uploads) == files; }));
}

TEST(GatewayHostile, WhatStrangersSendIsOneEventOrNoneAndStaysWhereItBelongs) {
  const Besieged besieged;
  {
    SCOPED_TRACE("smuggling");
    smuggle(besieged);
  }
  {
    SCOPED_TRACE("headers");
    inject_headers(besieged);
  }
  {
    SCOPED_TRACE("paths");
    leave_the_bucket(besieged);
  }
  {
    SCOPED_TRACE("bytes");
    send_bytes_for_text(besieged);
  }
  {
    SCOPED_TRACE("multipart");
    nest_and_mangle(besieged);
  }
  besieged.expect_to_serve();
  besieged.expect_nothing_left();
  EXPECT_THAT(besieged.gateway->log(), Not(HasSubstr(" error ")));
}

// ---- a disk that is no better

TEST(GatewayHostile, ADiskThatHangsHoldsUpItsOwnBucketOnlyAndNotTheEnd) {
  TempDir dir;
  const std::string hung = dir.file("hung"), sound = dir.file("sound");
  for (const auto& each : {hung, sound}) fs::create_directory(each);
  Gateway gateway({{"LD_PRELOAD", FANFARE_BINARY_DIR "/tests/slow_disk.so"},
                   {"FANFARE_HUNG_DISK", hung},
                   {"FANFARE_TRIGGERS_DRAIN", "100ms"}},
                  "[forms.lost]\nbucket = \"hung\"\n[forms.kept]\nbucket = \"sound\"\n"
                  "[buckets.hung]\nwatch = false\ndirectory = \"" +
                      hung + "\"\n[buckets.sound]\nwatch = false\ndirectory = \"" + sound + "\"\n");
  const std::string body = part("name=f; filename=a.txt", std::string(300'000, 'x')) + "--b--\r\n";
  std::vector<std::unique_ptr<RawConnection>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::make_unique<RawConnection>(gateway.url));
    EXPECT_TRUE(waiting.back()->send(request("POST /forms/lost", {kMultipart}, body)));
  }
  for (int i = 0; i < 5; ++i) {
    const auto begun = Clock::now();
    const auto answer = HttpClient(gateway.url).post("/forms/kept", body, {kMultipart});
    EXPECT_EQ(answer.status, 202) << answer.body << answer.error;
    EXPECT_LT(Clock::now() - begun, 1s);
  }
  EXPECT_EQ(files_below(sound), 5u);
  for (const auto& each : waiting) EXPECT_EQ(each->some(1ms), "") << "the disk has not answered";

  const auto begun = Clock::now();
  ::kill(gateway.process->pid(), SIGTERM);
  EXPECT_EQ(gateway.process->wait_end(15s), 1);
  EXPECT_LT(Clock::now() - begun, 8s);
  EXPECT_THAT(gateway.log(), HasSubstr("disk has not answered for 5s"));
}

}  // namespace
}  // namespace fanfare::test::hostile
