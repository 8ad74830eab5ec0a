#include <csignal>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  // A reader that went away (`fanfare … | head`) shows as a failed write.
  std::signal(SIGPIPE, SIG_IGN);
  return fanfare::cli::run_command_line(argc, argv);
}
