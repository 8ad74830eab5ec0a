#include "tests/integration/command_fixture.h"

#include "cli/exit_code.h"

namespace fanfare::test {

cli::ChildOutput CommandFixture::run(std::vector<std::string> words) {
  std::vector<std::string> all{FANFARE_BIN_DIR "/fanfare", "--broker", installation_.endpoint(),
                               "--redis", "unix://" + installation_.redis().socket_path()};
  all.insert(all.end(), words.begin(), words.end());
  auto ran = cli::run_and_capture(all, std::chrono::seconds{60});
  EXPECT_TRUE(ran) << ran.error().message;
  return ran ? *ran : cli::ChildOutput{};
}

nlohmann::json CommandFixture::run_json(std::vector<std::string> words) {
  words.emplace_back("--json");
  const auto ran = run(words);
  EXPECT_EQ(ran.exit_code, cli::kDone) << ran.output;
  const auto from = ran.output.find_first_of("{[");
  if (from == ran.output.npos) return {};
  return nlohmann::json::parse(ran.output.substr(from, ran.output.find('\n', from) - from), nullptr,
                               false);
}

}  // namespace fanfare::test
