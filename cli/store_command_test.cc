// `fanfare store …` against a Redis, as a shell sees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "store/library.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class StoreCommands : public ::testing::Test {
 protected:
  StoreCommands() {
    redis.command({"FUNCTION", "LOAD", "REPLACE", store::library_text()});
    redis.command({"HSET", "fanfare:functions", "forms",
                   "1 active 00\n[store]\nmax_rows = 3\nmax_bytes = \"1KiB\"\n"});
  }
  ChildOutput run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {FANFARE_BIN_DIR "/fanfare", "--redis",
                                         "unix://" + redis.socket_path(), "store"});
    auto ended = run_and_capture(arguments, 30s);
    EXPECT_TRUE(ended);
    return *std::move(ended);
  }
  std::string said(std::vector<std::string> arguments) {
    const auto ended = run(std::move(arguments));
    EXPECT_EQ(ended.exit_code, kDone) << ended.output;
    return ended.output;
  }
  fanfare::test::RedisServer redis{{.append_only = false}};
};

TEST_F(StoreCommands, WriteReadListAndDeleteRows) {
  EXPECT_EQ(said({"put", "forms", "b", R"({"name":"Bo"})"}), "b of forms has 13 bytes now\n");
  said({"put", "forms", "a/1", "one"});
  EXPECT_EQ(said({"get", "forms", "a/1"}), "one");
  EXPECT_THAT(said({"list", "forms"}), HasSubstr("a/1  3               one\n"));
  const auto json = nlohmann::json::parse(said({"list", "forms", "--json", "--limit", "1"}));
  EXPECT_EQ(json["rows"][0]["key"], "a/1");
  EXPECT_EQ(json["rows"][0]["value"], "one");
  EXPECT_TRUE(json["rows"][0]["expires"].is_null());
  EXPECT_EQ(json["next"], "a/1");
  EXPECT_EQ(said({"list", "forms", "--after", "a/1", "--prefix", "a/"}),
            "no rows of forms with this prefix\n");
  EXPECT_EQ(said({"export", "forms"}), "key,value,name\r\na/1,one,\r\nb,,Bo\r\n");
  EXPECT_EQ(said({"export", "forms", "--format", "jsonl", "--prefix", "b"}),
            "{\"key\":\"b\",\"value\":{\"name\":\"Bo\"}}\n");
  EXPECT_EQ(said({"delete", "forms", "b", "none"}), "1 row of forms deleted\n");
  const auto gone = run({"get", "forms", "b"});
  EXPECT_EQ(gone.exit_code, kRefused);
  EXPECT_THAT(gone.output, HasSubstr("not_found"));
}

TEST_F(StoreCommands, DeleteManyOnlyWhenTheyAreToldTo) {
  said({"put", "forms", "a/1", "x"});
  said({"put", "forms", "a/2", "x"});
  said({"put", "forms", "b", "x"});
  EXPECT_EQ(run({"delete", "forms", "--prefix", "a/"}).exit_code, kUsage);
  EXPECT_EQ(run({"delete", "forms", "--all"}).exit_code, kUsage);
  EXPECT_EQ(run({"delete", "forms"}).exit_code, kUsage);
  EXPECT_EQ(said({"delete", "forms", "--prefix", "a/", "--yes"}), "2 rows of forms deleted\n");
  EXPECT_EQ(said({"delete", "forms", "--all", "--yes", "--json"}),
            "{\"function\":\"forms\",\"deleted\":1}\n");
  EXPECT_EQ(redis.command({"EXISTS", "fanfare:{forms}:store"}), "0");
}

TEST_F(StoreCommands, KeepTheFunctionsLimits) {
  for (const char* key : {"a", "b", "c"}) said({"put", "forms", key, "x"});
  const auto full = run({"put", "forms", "d", "x"});
  EXPECT_EQ(full.exit_code, kRefused);
  EXPECT_THAT(full.output, HasSubstr("3 rows and 1KiB"));
  EXPECT_THAT(full.output, HasSubstr("store.max_rows"));
  EXPECT_EQ(run({"put", "forms", "a", std::string(2000, 'x')}).exit_code, kRefused);
  said({"put", "forms", "a", "y"});
}

TEST_F(StoreCommands, TakeValuesFromFilesAndLetThemExpire) {
  fanfare::test::TempDir dir;
  std::ofstream(dir.file("value")) << "from a file";
  said({"put", "forms", "k", "@" + dir.file("value"), "--ttl", "1h"});
  const auto row = nlohmann::json::parse(said({"get", "forms", "k", "--json"}));
  EXPECT_EQ(row["value"], "from a file");
  EXPECT_TRUE(row["expires"].is_string());
  said({"put", "forms", "short", "x", "--ttl", "1ms"});
  EXPECT_EQ(run({"put", "forms", "k", "@/tmp/fanfare-no-such-file"}).exit_code, kUsage);
  EXPECT_EQ(run({"put", "forms", "k", "x", "--ttl", "soon"}).exit_code, kUsage);
}

TEST_F(StoreCommands, DoNotCallAnExportDoneThatWasCutShort) {
  said({"put", "forms", "a", "1"});
  for (const std::string format : {"csv", "jsonl"}) {
    const auto cut =
        run_and_capture({"/bin/sh", "-c",
                         FANFARE_BIN_DIR "/fanfare --redis unix://" + redis.socket_path() +
                             " store export forms --format " + format + " >/dev/full"},
                        30s);
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->exit_code, kRefused) << format;
    EXPECT_THAT(cut->output, HasSubstr("cut short: No space left on device"));
  }
}

TEST_F(StoreCommands, CountAndTakeRowsThatHaveExpired) {
  said({"put", "forms", "a", "x"});
  said({"put", "forms", "gone", "x", "--ttl", "1ms"});
  while (run({"get", "forms", "gone"}).exit_code == kDone) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(redis.command({"HLEN", "fanfare:{forms}:store"}), "2");
  EXPECT_EQ(said({"delete", "forms", "gone"}), "0 rows of forms deleted\n");
  EXPECT_EQ(said({"delete", "forms", "--all", "--yes"}), "1 row of forms deleted\n");
  EXPECT_EQ(redis.command({"EXISTS", "fanfare:{forms}:store:expiries"}), "0");
}

TEST_F(StoreCommands, SayWhatIsWrongWithKeysAndNames) {
  const auto unknown = run({"list", "form"});
  EXPECT_EQ(unknown.exit_code, kRefused);
  EXPECT_THAT(unknown.output, HasSubstr("did you mean forms?"));
  const auto key = run({"put", "forms", "a\nb", "x"});
  EXPECT_EQ(key.exit_code, kUsage);
  EXPECT_THAT(key.output, HasSubstr("control character"));
  EXPECT_EQ(run({"get", "forms", std::string(513, 'k')}).exit_code, kUsage);
  redis.command({"FUNCTION", "FLUSH"});
  const auto library = run({"list", "forms"});
  EXPECT_EQ(library.exit_code, kRefused);
  EXPECT_THAT(library.output, HasSubstr("start the installation once"));
}

TEST_F(StoreCommands, ReachTheRowsOfAFunctionThatWasRemoved) {
  said({"put", "forms", "a", "x"});
  redis.command({"HDEL", "fanfare:functions", "forms"});
  EXPECT_EQ(said({"get", "forms", "a"}), "x");
  EXPECT_EQ(said({"delete", "forms", "--all", "--yes"}), "1 row of forms deleted\n");
  EXPECT_EQ(run({"list", "forms"}).exit_code, kRefused);
}

}  // namespace
}  // namespace fanfare::cli
