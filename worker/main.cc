#include "worker/daemon.h"

int main(int argc, char** argv) {
  return fanfare::worker::run_daemon(argc, argv);
}
