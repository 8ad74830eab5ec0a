#include "tests/chaos/scenario.h"

namespace fanfare::chaos {

std::vector<Scenario> scenarios() {
  return {broker_crash(), worker_storm()};
}

}  // namespace fanfare::chaos
