#include "broker/daemon.h"

int main(int argc, char** argv) {
  return fanfare::broker::run_daemon(argc, argv);
}
