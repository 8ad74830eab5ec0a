#include "base/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

struct Options {
  std::string endpoint, durability;
  std::int64_t offset = 0;
  std::uint32_t slots = 0;
  bool drain = false;
  Duration lease{};
  std::uint64_t event_bytes_max = 0;
  std::vector<std::string> peers;
};

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    spec_.describe_section("broker", "Accepts and routes events.");
    spec_.text("broker", "endpoint", &options_.endpoint, "ipc:///run/\"x\".ipc",
               "Where it listens.");
    spec_.choice("broker", "durability", &options_.durability, "fsync", "What an answer promises.",
                 {"fsync", "everysec", "memory"});
    spec_.duration("broker", "lease", &options_.lease, "30s", "How long.\nIn two lines.",
                   {.min = 1s, .max = 1h});
    spec_.size("broker", "max-event-bytes", &options_.event_bytes_max, "1MiB", "How much.",
               {.max = 16u << 20});
    spec_.list("broker", "peers", &options_.peers, "a, b", "Who.");
    spec_.integer("worker", "slots", &options_.slots, 4u, "How many.", {.min = 1, .max = 1000});
    spec_.integer("worker", "offset", &options_.offset, std::int64_t{-3}, "By how much.",
                  {.min = -10});
    spec_.flag("worker", "drain", &options_.drain, true, "Whether.");
    source_.file = "fanfare.toml";
    source_.other_sections = {"triggers", "broker_two"};
  }

  Result<std::vector<ConfigSetting>> load(std::string_view toml) {
    return load_config_text(spec_, source_, toml);
  }
  std::string error(std::string_view toml) {
    const auto loaded = load(toml);
    return loaded ? std::string("no error") : loaded.error().message;
  }

  Options options_;
  ConfigSpec spec_;
  ConfigSource source_;
};

TEST_F(ConfigTest, StartsFromTheDefaults) {
  const auto settings = load("");
  ASSERT_TRUE(settings);
  EXPECT_EQ(options_.endpoint, "ipc:///run/\"x\".ipc");
  EXPECT_EQ(options_.lease, 30s);
  EXPECT_EQ(options_.event_bytes_max, 1u << 20);
  EXPECT_THAT(options_.peers, ElementsAre("a", "b"));
  EXPECT_EQ(options_.slots, 4u);
  EXPECT_EQ(options_.offset, -3);
  EXPECT_TRUE(options_.drain);
  for (const ConfigSetting& setting : *settings) EXPECT_EQ(setting.origin, "default");
}

TEST_F(ConfigTest, TakesTheFileOverTheDefaultsAndTheEnvironmentOverTheFile) {
  source_.environment = {
      {"FANFARE_WORKER_SLOTS", "9"}, {"FANFARE_BROKER_PEERS", "x,y, z"}, {"HOME", "/"}};
  const auto settings = load(R"(
[broker]
lease = "45s"
max-event-bytes = 4096
peers = ["c"]
[worker]
slots = 8
drain = false
)");
  ASSERT_TRUE(settings);
  EXPECT_EQ(options_.lease, 45s);
  EXPECT_EQ(options_.event_bytes_max, 4096u);
  EXPECT_THAT(options_.peers, ElementsAre("x", "y", "z"));
  EXPECT_EQ(options_.slots, 9u);
  EXPECT_FALSE(options_.drain);

  std::map<std::string, std::string> origins;
  for (const ConfigSetting& setting : *settings)
    origins[setting.key] = setting.value + " from " + setting.origin;
  EXPECT_EQ(origins["durability"], "fsync from default");
  EXPECT_EQ(origins["lease"], "45s from fanfare.toml:3");
  EXPECT_EQ(origins["slots"], "9 from environment");
}

TEST_F(ConfigTest, NamesAnUnknownKeyItsPlaceAndTheNearestKnownOne) {
  EXPECT_EQ(error("[broker]\nlaese = \"1s\"\n"),
            "fanfare.toml:2:1: unknown key 'laese' in section 'broker'; did you mean 'lease'?");
  EXPECT_EQ(error("[broker]\nzzzzzzzz = 1\n"),
            "fanfare.toml:2:1: unknown key 'zzzzzzzz' in section 'broker'");
}

TEST_F(ConfigTest, NamesAnUnknownSection) {
  EXPECT_EQ(error("[workers]\n"),
            "fanfare.toml:1:2: unknown section 'workers'; did you mean 'worker'?");
  EXPECT_THAT(error("lease = 1\n"), HasSubstr("fanfare.toml:1:1: unknown key 'lease'"));
  EXPECT_THAT(error("broker = 1\n"), HasSubstr("write [broker]"));
}

TEST_F(ConfigTest, LeavesSectionsOfOtherProgramsAlone) {
  source_.environment = {{"FANFARE_TRIGGERS_PORT", "1"}, {"FANFARE_BROKER_TWO_KEY", "1"}};
  EXPECT_TRUE(load("[triggers]\nport = 8080\n"));
}

TEST_F(ConfigTest, RefusesWrongTypesAndSaysWhichIsRight) {
  EXPECT_EQ(error("[worker]\nslots = \"8\"\n"),
            "fanfare.toml:2:9: worker.slots must be a whole number");
  EXPECT_THAT(error("[worker]\nslots = 8.5\n"), HasSubstr("a whole number"));
  EXPECT_THAT(error("[worker]\ndrain = 1\n"), HasSubstr("true or false"));
  EXPECT_THAT(error("[broker]\nendpoint = 1\n"), HasSubstr("a string"));
  EXPECT_THAT(error("[broker]\nlease = true\n"), HasSubstr("a duration"));
  EXPECT_THAT(error("[broker]\npeers = \"a\"\n"), HasSubstr("an array of strings"));
  EXPECT_THAT(error("[broker]\npeers = [1]\n"), HasSubstr("an array of strings"));
}

TEST_F(ConfigTest, RefusesValuesOutOfTheirRange) {
  EXPECT_EQ(error("[worker]\nslots = 0\n"),
            "fanfare.toml:2:9: worker.slots: 0 is not between 1 and 1000");
  EXPECT_THAT(error("[broker]\nlease = \"2h\"\n"), HasSubstr("2h is not between 1s and 1h"));
  EXPECT_THAT(error("[broker]\nlease = \"soon\"\n"), HasSubstr("'soon' is not a duration"));
  EXPECT_THAT(error("[broker]\nmax-event-bytes = \"1GiB\"\n"),
              HasSubstr("is not between 0 and 16MiB"));
  EXPECT_THAT(error("[broker]\nmax-event-bytes = -1\n"), HasSubstr("'-1' is not a size"));
  EXPECT_THAT(error("[broker]\ndurability = \"maybe\"\n"),
              HasSubstr("not one of fsync, everysec, memory"));
}

TEST_F(ConfigTest, SaysWhereTomlIsBroken) {
  EXPECT_THAT(error("[broker\n"), HasSubstr("fanfare.toml:1:"));
  EXPECT_THAT(error("[broker]\nlease = \"1s\"\nlease = \"2s\"\n"), HasSubstr("fanfare.toml:3:"));
}

TEST_F(ConfigTest, RefusesVariablesOfItsSectionsThatItDoesNotKnow) {
  source_.environment = {{"FANFARE_WORKER_SLOT", "8"}};
  EXPECT_EQ(error(""),
            "unknown variable FANFARE_WORKER_SLOT; did you mean 'FANFARE_WORKER_SLOTS'?");
  source_.environment = {{"FANFARE_WORKER_SLOTS", "many"}};
  EXPECT_EQ(error(""), "FANFARE_WORKER_SLOTS: 'many' is not a whole number");
  source_.environment = {{"FANFARE_BROKER_MAX_EVENT_BYTES", "2MiB"}};
  EXPECT_EQ(error(""), "no error");
  EXPECT_EQ(options_.event_bytes_max, 2u << 20);
}

TEST_F(ConfigTest, ReadsAFileAndNamesOneItCannotRead) {
  const test::TempDir dir;
  source_.file = dir.file("fanfare.toml");
  const auto missing = load_config(spec_, source_);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("cannot read " + source_.file + ": No such file"));
  std::ofstream(source_.file) << "[worker]\nslots = 7\n";
  ASSERT_TRUE(load_config(spec_, source_));
  EXPECT_EQ(options_.slots, 7u);
}

TEST_F(ConfigTest, PrintsASampleThatLoadsToExactlyTheDefaults) {
  ASSERT_TRUE(load(""));
  const Options defaults = options_;
  const std::string sample = sample_config(spec_);
  options_ = {};
  const auto settings = load(sample);
  ASSERT_TRUE(settings) << settings.error().message << "\n" << sample;
  for (const ConfigSetting& setting : *settings)
    EXPECT_THAT(setting.origin, HasSubstr("fanfare.toml:"));
  EXPECT_EQ(options_.endpoint, defaults.endpoint);
  EXPECT_EQ(options_.durability, defaults.durability);
  EXPECT_EQ(options_.lease, defaults.lease);
  EXPECT_EQ(options_.event_bytes_max, defaults.event_bytes_max);
  EXPECT_EQ(options_.peers, defaults.peers);
  EXPECT_EQ(options_.slots, defaults.slots);
  EXPECT_EQ(options_.offset, defaults.offset);
  EXPECT_EQ(options_.drain, defaults.drain);
  EXPECT_THAT(sample, HasSubstr("# Accepts and routes events.\n[broker]\n"));
  EXPECT_THAT(sample, HasSubstr("# How long.\n# In two lines.\nlease = \"30s\"\n"));
}

TEST(CurrentEnvironment, HoldsWhatIsSet) {
  setenv("FANFARE_TEST_VARIABLE", "a=b", 1);
  EXPECT_EQ(current_environment()["FANFARE_TEST_VARIABLE"], "a=b");
  unsetenv("FANFARE_TEST_VARIABLE");
}

TEST(ConfigSecrets, AreNotShown) {
  const auto shown = [](const std::string& key, const std::string& value) {
    return shown_value({"broker", key, value, "default"});
  };
  EXPECT_EQ(shown("redis", "redis://user:hunter2@host:6379"), "redis://user:***@host:6379");
  EXPECT_EQ(shown("redis", "redis://:p@ss@host"), "redis://:***@host");
  EXPECT_EQ(shown("redis", "redis://host:6379"), "redis://host:6379");
  EXPECT_EQ(shown("redis", "unix:///run/redis.sock"), "unix:///run/redis.sock");
  EXPECT_EQ(shown("peers", "a://x:1@h, b://y:2@h/p"), "a://x:***@h, b://y:***@h/p");
  EXPECT_EQ(shown("webhook_secret", "abc"), "***");
  EXPECT_EQ(shown("token", "abc"), "***");
  EXPECT_EQ(shown("token", ""), "");
  EXPECT_EQ(shown("key_file", "/etc/key"), "/etc/key");
}

}  // namespace
}  // namespace fanfare
