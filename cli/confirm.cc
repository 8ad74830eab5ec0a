#include "cli/confirm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

namespace fanfare::cli {

Result<bool> confirm(const std::string& question) {
  if (::isatty(STDIN_FILENO) == 0) {
    return fatal("nobody can be asked here, and this cannot be undone; say --yes if you mean it");
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace fanfare::cli
