#include "autoscaler/daemon.h"

int main(int argc, char** argv) {
  return fanfare::autoscaler::run_daemon(argc, argv);
}
