#include "triggers/daemon.h"

int main(int argc, char** argv) {
  return fanfare::triggers::run_daemon(argc, argv);
}
