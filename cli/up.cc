// fanfare up: a whole installation in the foreground.
#include "cli/supervisor.h"
#include "cli/verbs.h"

namespace fanfare::cli {

int run_up(const Common& common, const UpCommand& command) {
  Supervisor supervisor(common, command);
  return supervisor.run();
}

}  // namespace fanfare::cli
