// How long to wait before a child that died is started again.
#pragma once

#include "base/time.h"

namespace fanfare::cli {

// 100 ms, doubling with each death up to 10 s; a child that lived for 30 s starts over. Pure.
class RestartPolicy {
 public:
  // A child that lived so long has died: the pause before its next start.
  Duration next_pause(Duration lived);

 private:
  Duration pause_ = std::chrono::milliseconds{100};
};

}  // namespace fanfare::cli
