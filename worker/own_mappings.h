// What lies where in this process' memory, as /proc/self/maps has it.
#pragma once

#include <cstdint>
#include <vector>

namespace fanfare::worker {

struct Mapping {
  std::uintptr_t from = 0, to = 0;  // to is one past its end; both are multiples of a page
  bool writable = false;
  bool shared = false;   // with whoever maps the same, writes included
  bool of_file = false;  // else anonymous: heap, stack and such
};

// In the order of addresses; empty where /proc is not there.
std::vector<Mapping> own_mappings();

}  // namespace fanfare::worker
