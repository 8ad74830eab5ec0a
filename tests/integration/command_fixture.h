// What people do at the command line, on an installation of real processes: the base of tests.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/child_output.h"
#include "tests/integration/installation.h"

namespace fanfare::test {

class CommandFixture : public ::testing::Test {
 protected:
  // `fanfare WORDS…`, told where broker and Redis are; a minute at most.
  cli::ChildOutput run(std::vector<std::string> words);
  // What it prints with --json; it must succeed. Notes, which it prints beside that, have no
  // braces.
  nlohmann::json run_json(std::vector<std::string> words);

  Installation installation_;
};

}  // namespace fanfare::test
