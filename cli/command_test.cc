// The `fanfare` program as a shell sees it: exit codes, and errors that say what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cli/child_output.h"
#include "cli/exit_code.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kNowhere = "/tmp/fanfare-nowhere";

ChildOutput fanfare(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), FANFARE_BIN_DIR "/fanfare");
  auto ended = run_and_capture(arguments, 30s);
  EXPECT_TRUE(ended);
  return *std::move(ended);
}

TEST(Command, SuggestsTheVerbThatWasMeant) {
  const auto top = fanfare({"pubish", "--type", "x"});
  EXPECT_EQ(top.exit_code, kUsage);
  EXPECT_THAT(top.output, HasSubstr("Did you mean `publish`?"));
  const auto nested = fanfare({"functions", "lst"});
  EXPECT_EQ(nested.exit_code, kUsage);
  EXPECT_THAT(nested.output, HasSubstr("Did you mean `list`?"));
  EXPECT_THAT(fanfare({"schedule", "add", "x"}).output,
              HasSubstr("See `fanfare schedule add --help`"));
}

TEST(Command, SaysWhichFlagIsMissingOrWrong) {
  const auto missing = fanfare({"publish"});
  EXPECT_EQ(missing.exit_code, kUsage);
  EXPECT_THAT(missing.output, HasSubstr("--type"));
  const auto unknown = fanfare({"status", "--wach"});
  EXPECT_EQ(unknown.exit_code, kUsage);
  EXPECT_THAT(unknown.output, HasSubstr("--wach"));
  const auto range = fanfare({"publish", "--type", "t", "--priority", "12"});
  EXPECT_EQ(range.exit_code, kUsage);
  const auto duration = fanfare({"result", "1-1.1", "--wait=soon"});
  EXPECT_EQ(duration.exit_code, kUsage);
  EXPECT_THAT(duration.output, HasSubstr("soon"));
}

TEST(Command, SuggestsTheOptionThatWasMeant) {
  EXPECT_THAT(fanfare({"publish", "--typ", "x"}).output, HasSubstr("Did you mean `--type`?"));
  EXPECT_THAT(fanfare({"publish", "--type", "x", "--dat", "y"}).output,
              HasSubstr("Did you mean `--data`?"));
  EXPECT_THAT(fanfare({"status", "--jsn"}).output, HasSubstr("Did you mean `--json`?"));
}

// Whoever lists processes sees what stands in a command line, so a URL need not.
TEST(Command, TakesAWebhooksUrlFromAFileOrStandardInputAndShowsNothingOfIt) {
  const auto add = [](const std::string& begin, const std::string& url) {
    auto ended = run_and_capture({"/bin/sh", "-c",
                                  begin + FANFARE_BIN_DIR "/fanfare --broker ipc://" + kNowhere +
                                      " webhook add x --unsigned --url " + url},
                                 30s);
    EXPECT_TRUE(ended);
    return *std::move(ended);
  };
  EXPECT_EQ(add("echo https://example.org/hooks | ", "-").exit_code, kUnreachable) << "it is good";
  for (const char* wrong : {"abc-secret", "https://u:abc/secret@h", "'https://h/abc-secret x'"}) {
    const auto ended = add(std::string("echo ") + wrong + " | ", "-");
    EXPECT_EQ(ended.exit_code, kUsage);
    EXPECT_THAT(ended.output, HasSubstr("--url"));
    EXPECT_THAT(ended.output, Not(HasSubstr("secret")));
  }
  EXPECT_THAT(add("", "@/dev/null").output, HasSubstr("there is nothing in it"));
  const auto missing = add("", "@" + kNowhere);
  EXPECT_EQ(missing.exit_code, kUsage);
  EXPECT_THAT(missing.output, HasSubstr("cannot read --url file '" + kNowhere));
}

TEST(Command, MakesNoSecretForAFileOfSecrets) {
  const auto ended =
      fanfare({"webhook", "add", "x", "--url", "https://h", "--new-secret", "--secret-file", "/f"});
  EXPECT_EQ(ended.exit_code, kUsage);
  EXPECT_THAT(ended.output, HasSubstr("A secret for /f is made with `echo whsec_"));
}

TEST(Command, SaysHowTheDurationOfWaitIsWritten) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"publish", "--type", "t", "--wait", "5s"},
        {"result", "1-1.1", "--wait", "5s"}}) {
    const auto ended = fanfare(words);
    EXPECT_EQ(ended.exit_code, kUsage);
    EXPECT_THAT(ended.output, HasSubstr("Write --wait=5s"));
  }
}

TEST(Command, NamesBoundsInPlainWords) {
  EXPECT_THAT(fanfare({"publish", "--type", "t", "--lines", "--rate", "0"}).output,
              HasSubstr("'0' is not a number above 0"));
  EXPECT_THAT(fanfare({"bench", "--events", "x"}).output,
              HasSubstr("'x' is not a whole number above 0"));
  const auto rate = fanfare({"publish", "--type", "t", "--rate", "5"});
  EXPECT_EQ(rate.exit_code, kUsage);
  EXPECT_THAT(rate.output, HasSubstr("--rate paces --lines"));
}

TEST(Command, ListsItsVerbsWhenNoneIsGiven) {
  const auto top = fanfare({});
  EXPECT_EQ(top.exit_code, kUsage);
  EXPECT_THAT(top.output, ContainsRegex("  publish +Publish an event\n"));
  EXPECT_THAT(fanfare({"functions"}).output, HasSubstr("  deploy    "));
}

TEST(Command, PrintsHelpAndVersionAsSuccess) {
  const auto help = fanfare({"publish", "--help"});
  EXPECT_EQ(help.exit_code, kDone);
  EXPECT_THAT(help.output, HasSubstr("--ordering-key"));
  const auto version = fanfare({"--version"});
  EXPECT_EQ(version.exit_code, kDone);
  EXPECT_THAT(version.output, HasSubstr("fanfare " FANFARE_VERSION));
}

TEST(Command, SaysWhatToStartWhenNothingRuns) {
  for (const std::vector<std::string>& verb : {std::vector<std::string>{"publish", "--type", "t"},
                                               {"invoke", "f"},
                                               {"status"},
                                               {"functions", "list"},
                                               {"result", "1-1.1"},
                                               {"dlq", "list", "f"},
                                               {"cancel", "1-0.0"},
                                               {"workers", "list"},
                                               {"functions", "purge", "f", "--yes"}}) {
    std::vector<std::string> arguments{"--data", kNowhere};
    arguments.insert(arguments.end(), verb.begin(), verb.end());
    const auto ended = fanfare(arguments);
    EXPECT_EQ(ended.exit_code, kUnreachable) << verb.front();
    EXPECT_THAT(ended.output, HasSubstr("fanfare up")) << verb.front();
    EXPECT_THAT(ended.output, HasSubstr(kNowhere)) << verb.front();
  }
}

TEST(Command, TakesDataThatLooksLikeAListAsItIs) {
  // The list must not be torn apart into several values: the broker's absence is then the error.
  const auto ended = fanfare({"--data", kNowhere, "publish", "--type", "t", "--data", "[1, 2]"});
  EXPECT_EQ(ended.exit_code, kUnreachable) << ended.output;
}

TEST(Command, TakesDataFromAWordAFlagOrAFileAndOnce) {
  const auto said = [](std::vector<std::string> words, int code) {
    words.insert(words.begin(), {"--data", kNowhere});
    const auto ended = fanfare(words);
    EXPECT_EQ(ended.exit_code, code) << ended.output;
    return ended.output;
  };
  for (const std::vector<std::string>& message :
       {std::vector<std::string>{"[1, 2]"}, {"--data", "[1, 2]"}, {"--data-file", "/dev/null"}}) {
    std::vector<std::string> words{"topic", "publish", "orders"};
    words.insert(words.end(), message.begin(), message.end());
    words.emplace_back("--wait");
    said(words, kUnreachable);
  }
  said({"publish", "--type", "t", "--data-file", "/dev/null"}, kUnreachable);
  EXPECT_THAT(said({"publish", "--type", "t", "--data-file", "/nothing/there"}, kUsage),
              HasSubstr("cannot read --data file '/nothing/there'"));
  EXPECT_THAT(said({"publish", "--type", "t", "--data", "x", "--data-file", "y"}, kUsage),
              HasSubstr("excludes"));
  EXPECT_THAT(said({"topic", "publish", "orders"}, kUsage), HasSubstr("the message is missing"));
  EXPECT_THAT(said({"topic", "publish", "orders", "x", "--data", "y"}, kUsage),
              HasSubstr("the message is there twice"));
  EXPECT_THAT(fanfare({"topic", "publish", "--help"}).output,
              HasSubstr("fanfare topic publish orders --data-file order.json --wait"));
}

TEST(Command, RefusesNamesAndIdsThatCannotBe) {
  const auto id = fanfare({"--data", kNowhere, "result", "yesterday"});
  EXPECT_EQ(id.exit_code, kUsage);
  EXPECT_THAT(id.output, HasSubstr("yesterday"));
}

TEST(Command, RefusesInstantsThatAreNoneAndAsksBeforeItPurges) {
  const auto instant = fanfare({"publish", "--type", "t", "--expires-at", "tomorrow"});
  EXPECT_EQ(instant.exit_code, kUsage);
  EXPECT_THAT(instant.output, HasSubstr("'tomorrow' is not an instant"));
  const auto id = fanfare({"--data", kNowhere, "cancel", "yesterday"});
  EXPECT_EQ(id.exit_code, kUsage);
  EXPECT_THAT(id.output, HasSubstr("yesterday"));
  const auto purge = fanfare({"--data", kNowhere, "functions", "purge", "f"});
  EXPECT_EQ(purge.exit_code, kUsage);
  EXPECT_THAT(purge.output, HasSubstr("--yes"));
  const auto pattern =
      fanfare({"--data", kNowhere, "deliveries", "list", "f", "--where", R"({"type":"t"})"});
  EXPECT_EQ(pattern.exit_code, kUsage);
  EXPECT_THAT(pattern.output, HasSubstr("--where"));
  const auto state = fanfare({"deliveries", "list", "f", "--state", "lost"});
  EXPECT_EQ(state.exit_code, kUsage);
}

TEST(Command, SaysWhatNamesTheInstallationWhoseDurabilityBenchShouldChange) {
  const auto flag = fanfare({"--data", kNowhere, "bench", "--durability", "fsync"});
  EXPECT_EQ(flag.exit_code, kUsage);
  EXPECT_THAT(flag.output, HasSubstr("--data names one"));
  setenv("FANFARE_DATA", kNowhere.c_str(), 1);
  const auto variable = fanfare({"bench", "--durability", "fsync"});
  unsetenv("FANFARE_DATA");
  EXPECT_EQ(variable.exit_code, kUsage);
  EXPECT_THAT(variable.output, HasSubstr("env -u FANFARE_DATA fanfare bench"));
}

TEST(Command, BenchChangesNothingOfAnInstallationThatIsNamed) {
  for (const std::string option : {"--queued", "--workers"}) {
    const auto refused = fanfare({"--data", kNowhere, "bench", option, "5"});
    EXPECT_EQ(refused.exit_code, kUsage);
    EXPECT_THAT(refused.output, HasSubstr("for a temporary installation"));
  }
}

TEST(Command, BenchMeasuresSeveralFunctionsAtFullLoadOnly) {
  const auto refused = fanfare({"bench", "latency", "--functions", "2"});
  EXPECT_EQ(refused.exit_code, kUsage);
  EXPECT_THAT(refused.output, HasSubstr("--functions is for `bench throughput`"));
}

TEST(Command, BenchTellsHopsOfALatencyThatItMeasuresByItself) {
  EXPECT_THAT(fanfare({"bench", "invoke", "--hops"}).output,
              HasSubstr("--hops is for `bench latency`"));
  EXPECT_THAT(fanfare({"--data", kNowhere, "bench", "latency", "--hops"}).output,
              HasSubstr("for a temporary installation"));
}

TEST(Command, SaysThatADataDirectoryCannotBeWritten) {
  const auto ended = fanfare({"--data", "/proc/fanfare", "up"});
  EXPECT_EQ(ended.exit_code, kUsage);
  EXPECT_THAT(ended.output, HasSubstr("/proc/fanfare"));
  EXPECT_THAT(ended.output, HasSubstr("--data"));
}

TEST(Command, SaysThatADataDirectoryIsTooDeepForSockets) {
  const auto ended = fanfare({"--data", "/tmp/" + std::string(100, 'x'), "up"});
  EXPECT_EQ(ended.exit_code, kUsage);
  EXPECT_THAT(ended.output, HasSubstr("too long"));
}

TEST(Command, RefusesToDeployWhatCouldNotRun) {
  const auto nothing = fanfare({"functions", "deploy", "/tmp/fanfare-no-such-folder"});
  EXPECT_EQ(nothing.exit_code, kRefused);
  EXPECT_THAT(nothing.output, HasSubstr("not a folder"));
  const auto sources = fanfare({"functions", "deploy", FANFARE_SOURCE_DIR "/functions/wordcount"});
  EXPECT_EQ(sources.exit_code, kRefused);
  EXPECT_THAT(sources.output, HasSubstr("build them first"));
  const auto abi =
      fanfare({"functions", "deploy", FANFARE_BINARY_DIR "/functions-testing/bad-abi"});
  EXPECT_EQ(abi.exit_code, kRefused);
  EXPECT_THAT(abi.output, HasSubstr("AbiMismatch"));
  const auto symbol =
      fanfare({"functions", "deploy", FANFARE_BINARY_DIR "/functions-testing/no-symbol"});
  EXPECT_EQ(symbol.exit_code, kRefused);
  EXPECT_THAT(symbol.output, HasSubstr("no-symbol.so"));
}

TEST(Command, KeepsColoursAwayFromPipes) {
  const auto ended = fanfare({"--data", kNowhere, "status"});
  EXPECT_THAT(ended.output, Not(HasSubstr("\x1b[")));
}

}  // namespace
}  // namespace fanfare::cli
