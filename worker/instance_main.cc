// fanfare-instance: what a worker starts to run one function. Not for people.

#include <cstdio>
#include <cstring>
#include <variant>

#include "worker/loaded_function.h"
#include "worker/zygote.h"
#include "worker/zygote_wire.h"

namespace {

// Whether a handler can be loaded at all: its libraries, its symbol, its ABI. Init is not run.
int check_handler(const char* path) {
  const auto loaded = fanfare::worker::LoadedFunction::load(path);
  const auto* failure = std::get_if<fanfare::protocol::Failure>(&loaded);
  if (failure) std::fprintf(stderr, "%s: %s\n", failure->type.c_str(), failure->message.c_str());
  return failure ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--zygote") == 0) {
    return fanfare::worker::run_zygote(fanfare::worker::kZygoteControlFd);
  }
  if (argc == 3 && std::strcmp(argv[1], "--check") == 0) return check_handler(argv[2]);
  std::fprintf(stderr,
               "fanfare-instance runs functions for fanfare-worker, which starts it by itself.\n");
  return 2;
}
