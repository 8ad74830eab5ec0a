// ops/keys, as an administrator runs it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/zmq_key.h"
#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

struct Ran {
  int code = 0;
  std::string said;  // both streams
};

class KeysScriptTest : public testing::Test {
 protected:
  Ran run(const std::string& words, const std::string& before = {}) const {
    const std::string command = fmt::format(
        "cd '{}' && {} FANFARE=\"${{FANFARE:-{}/fanfare}}\" '{}/ops/keys' --dir keys {} 2>&1",
        dir_.path().string(), before, FANFARE_BIN_DIR, FANFARE_SOURCE_DIR, words);
    FILE* pipe = popen(command.c_str(), "r");
    Ran ran;
    std::array<char, 4096> bytes{};
    while (const std::size_t got = fread(bytes.data(), 1, bytes.size(), pipe)) {
      ran.said.append(bytes.data(), got);
    }
    const int status = pclose(pipe);
    ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
  }
  std::string text_of(const std::string& name) const {
    std::ifstream in(dir_.file(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  unsigned mode_of(const std::string& name) const {
    struct stat status{};
    return stat(dir_.file(name).c_str(), &status) == 0 ? status.st_mode & 0777u : 0u;
  }
  std::string public_key(const std::string& file) const {
    const auto pair = KeyPair::read(dir_.file(file));
    return pair ? pair->open.text() : pair.error().message;
  }
  // Everything in the folder, to see that nothing is changed or left behind.
  std::string picture() const {
    std::string all;
    std::vector<fs::path> paths(fs::recursive_directory_iterator(dir_.path()), {});
    std::ranges::sort(paths);
    for (const auto& path : paths) {
      all += path.string() + "\n";
      if (fs::is_regular_file(path)) all += text_of(fs::relative(path, dir_.path()).string());
    }
    return all;
  }

  test::TempDir dir_;
};

TEST_F(KeysScriptTest, MakesTheBrokersPairOnceAndSaysWhatToSet) {
  const Ran first = run("init");
  ASSERT_EQ(first.code, 0) << first.said;
  EXPECT_THAT(first.said, HasSubstr("allowed_keys = \"" + fs::canonical(dir_.path()).string()));
  EXPECT_EQ(mode_of("keys/broker.key"), 0600u);
  EXPECT_EQ(text_of("keys/broker.pub"), public_key("keys/broker.key") + "\n");
  const std::string before = picture();
  EXPECT_EQ(run("init").code, 0);
  EXPECT_EQ(picture(), before);
}

TEST_F(KeysScriptTest, LetsPeersInAndOutAndNeverPrintsASecret) {
  std::string said = run("init").said;
  const Ran added = run("add web-3 --role worker");
  ASSERT_EQ(added.code, 0) << added.said;
  EXPECT_THAT(added.said, HasSubstr("keys/peers/web-3.key"));
  EXPECT_THAT(added.said, HasSubstr("keys/broker.pub"));
  EXPECT_EQ(mode_of("keys/peers/web-3.key"), 0600u);
  EXPECT_THAT(text_of("keys/allowed_keys"),
              HasSubstr(public_key("keys/peers/web-3.key") + " worker web-3\n"));
  said += added.said + run("add ada --role publisher,operator").said;
  EXPECT_THAT(run("list").said, HasSubstr("publisher,operator"));
  said += run("list").said;
  for (const char* file : {"keys/broker.key", "keys/peers/web-3.key", "keys/peers/ada.key"}) {
    EXPECT_THAT(said, Not(HasSubstr(text_of(file).substr(0, kKeyChars))));
  }

  const std::string before = picture();
  EXPECT_EQ(run("add web-3 --role worker").code, 0);
  EXPECT_EQ(picture(), before) << "again is nothing new";

  EXPECT_EQ(run("revoke web-3").code, 0);
  EXPECT_THAT(text_of("keys/allowed_keys"), Not(HasSubstr("web-3")));
  EXPECT_THAT(text_of("keys/allowed_keys"), HasSubstr("publisher,operator ada\n"));
  EXPECT_EQ(mode_of("keys/peers/web-3.key"), 0u);
  const Ran nobody = run("revoke web-3");
  EXPECT_EQ(nobody.code, 1);
  EXPECT_THAT(nobody.said, HasSubstr("ops/keys list"));
}

TEST_F(KeysScriptTest, KeysMadeElsewhereAreLetInToo) {
  run("init");
  const std::string key = KeyPair::make()->open.text();
  const Ran added = run(fmt::format("add box --role worker --public-key '{}'", key));
  ASSERT_EQ(added.code, 0) << added.said;
  EXPECT_THAT(text_of("keys/allowed_keys"), HasSubstr(key + " worker box\n"));
  EXPECT_FALSE(fs::exists(dir_.file("keys/peers/box.key")));
  // Other roles, the same key.
  EXPECT_EQ(run("add box --role worker,publisher").code, 0);
  EXPECT_THAT(text_of("keys/allowed_keys"), HasSubstr(key + " worker,publisher box\n"));
}

TEST_F(KeysScriptTest, AKeyIsOfOneNameAndOneThatIsNoneLeavesTheListAsItWas) {
  run("init");
  const std::string key = KeyPair::make()->open.text();
  ASSERT_EQ(run(fmt::format("add box --role worker --public-key '{}'", key)).code, 0);
  const std::string before = picture();
  const Ran twice = run(fmt::format("add box-2 --role worker --public-key '{}'", key));
  EXPECT_EQ(twice.code, 1);
  EXPECT_THAT(twice.said, HasSubstr("this key is that of 'box' already"));
  EXPECT_EQ(run(fmt::format("add box-2 --role worker --public-key '{}' --dry-run", key)).code, 1);
  const Ran none = run("add box-3 --role worker --public-key '" + std::string(40, '~') + "'");
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.said, HasSubstr("stays as it was"));
  EXPECT_EQ(picture(), before);
}

TEST_F(KeysScriptTest, NothingIsWrittenToAListThatTheBrokerCannotRead) {
  run("init");
  run("add web-3 --role worker");
  std::ofstream(dir_.file("keys/allowed_keys"), std::ios::app) << "half a li\n";
  const std::string before = picture();
  for (const char* words :
       {"add ada --role operator --public-key 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'",
        "revoke web-3"}) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, 1) << ran.said;
    EXPECT_THAT(ran.said, HasSubstr("a key has 40 characters, not 4"));
  }
  EXPECT_EQ(picture(), before);
}

TEST_F(KeysScriptTest, NamesThatLookLikeNumbersAreTexts) {
  run("init");
  for (const char* name : {"7", "007", "1e1", "10"}) {
    ASSERT_EQ(run(fmt::format("add {} --role worker", name)).code, 0);
  }
  EXPECT_EQ(run("revoke 7").code, 0);
  EXPECT_EQ(run("revoke 10").code, 0);
  const std::string list = text_of("keys/allowed_keys");
  EXPECT_THAT(list, HasSubstr(" worker 007\n"));
  EXPECT_THAT(list, HasSubstr(" worker 1e1\n"));
  EXPECT_THAT(list, Not(HasSubstr(" worker 7\n")));
  EXPECT_THAT(list, Not(HasSubstr(" worker 10\n")));
}

TEST_F(KeysScriptTest, AKeyThatWasGivenIsNotReplacedByAnOldOne) {
  run("init");
  run("add box --role worker");
  const std::string key = KeyPair::make()->open.text();
  ASSERT_EQ(run(fmt::format("add box --role worker --public-key '{}'", key)).code, 0);
  EXPECT_FALSE(fs::exists(dir_.file("keys/peers/box.key"))) << "of before";
  ASSERT_EQ(run("add other --role worker").code, 0);
  fs::copy(dir_.file("keys/peers/other.key"), dir_.file("keys/peers/box.key"));
  EXPECT_EQ(run("add box --role worker,publisher").code, 0);
  EXPECT_THAT(text_of("keys/allowed_keys"), HasSubstr(key + " worker,publisher box\n"));
}

TEST_F(KeysScriptTest, RotatesAPeersKeysAndTheBrokers) {
  run("init");
  run("add web-3 --role worker");
  const std::string old = public_key("keys/peers/web-3.key");
  ASSERT_EQ(run("rotate web-3").code, 0);
  const std::string next = public_key("keys/peers/web-3.key");
  EXPECT_NE(next, old);
  EXPECT_THAT(text_of("keys/allowed_keys"), HasSubstr(next + " worker web-3\n"));
  EXPECT_THAT(text_of("keys/allowed_keys"), Not(HasSubstr(old)));

  const std::string broker = public_key("keys/broker.key");
  ASSERT_EQ(run("rotate --broker").code, 0);
  EXPECT_NE(public_key("keys/broker.key"), broker);
  EXPECT_EQ(text_of("keys/broker.pub"), public_key("keys/broker.key") + "\n");
}

TEST_F(KeysScriptTest, ADryRunSaysWhatItWouldDoAndChangesNothing) {
  const std::string nothing = picture();
  EXPECT_THAT(run("init --dry-run").said, HasSubstr("would make the broker's secret key"));
  EXPECT_EQ(picture(), nothing);
  run("init");
  run("add web-3 --role worker");
  std::ofstream(dir_.file("triggers.env")) << "A=b\n";
  const std::string before = picture();
  for (const char* words :
       {"init --dry-run", "add ada --role operator --dry-run", "revoke web-3 --dry-run",
        "rotate web-3 --dry-run", "rotate --broker --dry-run",
        "token new --env-file triggers.env --dry-run"}) {
    EXPECT_EQ(run(words).code, 0) << words;
    EXPECT_EQ(picture(), before) << words;
  }
}

TEST_F(KeysScriptTest, TokensAreAddedToTheFileOfTheGatewaysEnvironment) {
  std::ofstream(dir_.file("triggers.env")) << "FANFARE_TRIGGERS_PUBLIC=true\n";
  const Ran quiet = run("token new --env-file triggers.env");
  ASSERT_EQ(quiet.code, 0) << quiet.said;
  const std::string one = text_of("triggers.env");
  EXPECT_THAT(one, HasSubstr("FANFARE_TRIGGERS_PUBLIC=true\nFANFARE_TRIGGERS_TOKENS="));
  const std::string first = one.substr(one.rfind('=') + 1, 48);
  EXPECT_THAT(quiet.said, Not(HasSubstr(first)));
  EXPECT_EQ(mode_of("triggers.env"), 0600u);

  const Ran shown = run("token new --env-file triggers.env --show");
  const std::string second = shown.said.substr(0, 48);
  EXPECT_THAT(text_of("triggers.env"), HasSubstr("TOKENS=" + first + "," + second + "\n"));
  run("token new --replace --env-file triggers.env");
  EXPECT_THAT(text_of("triggers.env"), Not(HasSubstr(second)));
  EXPECT_THAT(text_of("triggers.env"), HasSubstr("FANFARE_TRIGGERS_PUBLIC=true"));
}

TEST_F(KeysScriptTest, WrongUsageEndsWithTwo) {
  run("init");
  for (const char* words :
       {"", "conquer", "add", "add a/b --role worker", "add web-3", "add web-3 --role root",
        "add web-3 more --role worker", "--frob init", "rotate", "token old", "init --dir"}) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, 2) << words << ": " << ran.said;
    EXPECT_THAT(ran.said, HasSubstr("--help")) << words;
  }
  EXPECT_EQ(run("--help").code, 0);
  EXPECT_EQ(run("add web-3 --role worker --dir nowhere").code, 1);
}

// Killed right after each program that it runs, it leaves every file as it was or as it was to be,
// and the same command goes on from there.
TEST_F(KeysScriptTest, KilledAnywhereItCanBeRunAgain) {
  std::ofstream(dir_.file("killer"))
      << "#!/usr/bin/env bash\n"
         "'" FANFARE_BIN_DIR
         "/fanfare' \"$@\"\n"
         "echo x >>runs; [[ $(wc -l <runs) != \"$DIE_AT\" ]] || kill -9 $PPID\n";
  fs::permissions(dir_.file("killer"), fs::perms::owner_all);
  int killed = 0;
  for (const char* words : {"init", "add web-3 --role worker", "rotate web-3", "rotate --broker"}) {
    for (int at = 1;; ++at) {
      fs::remove(dir_.file("runs"));
      const Ran ran = run(words, fmt::format("DIE_AT={} FANFARE=./killer", at));
      const auto runs = text_of("runs");
      if (static_cast<int>(std::ranges::count(runs, '\n')) < at) {
        EXPECT_EQ(ran.code, 0) << words << ran.said;
        break;
      }
      ++killed;
      if (fs::exists(dir_.file("keys/broker.key"))) {
        EXPECT_EQ(public_key("keys/broker.key").size(), kKeyChars) << words << at;
      }
    }
    EXPECT_EQ(text_of("keys/broker.pub"), public_key("keys/broker.key") + "\n") << words;
  }
  EXPECT_GE(killed, 4);
  EXPECT_THAT(text_of("keys/allowed_keys"),
              HasSubstr(public_key("keys/peers/web-3.key") + " worker web-3\n"));
  for (const auto& entry : fs::recursive_directory_iterator(dir_.file("keys"))) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr(".next"))) << "left behind";
  }
}

}  // namespace
}  // namespace fanfare::cli
