// What the `fanfare` command says when its command line makes no sense: which word, and what was
// probably meant.
#pragma once

#include <string>
#include <vector>

#include "cli/output.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace fanfare::cli {

// Says on standard error why `arguments` could not be read, with the nearest verb or option there
// is; prints help and version, which CLI11 reports as errors too. Returns the exit code.
int explain(const CLI::App& app, const CLI::ParseError& error,
            const std::vector<std::string>& arguments, const Output& output);

// A word after --wait that was meant as its duration, which must be written into the option
// (--wait=5s); empty if there is none.
std::string duration_after_wait(int argc, char** argv);

}  // namespace fanfare::cli
