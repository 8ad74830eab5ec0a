// Sleeps a millisecond: long enough to be killed in the middle of it, and it costs no
// processor.

#include <fanfare/function.h>

#include <chrono>
#include <thread>

FANFARE_FUNCTION(const fanfare::Event&, fanfare::Context&) {
  std::this_thread::sleep_for(std::chrono::milliseconds{1});
  return "slept";
}
