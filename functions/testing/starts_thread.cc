// Starts a thread where it must not.

#include <fanfare/function.h>

#include <chrono>
#include <thread>

FANFARE_INIT {
  std::thread([] { std::this_thread::sleep_for(std::chrono::hours(1)); }).detach();
}

FANFARE_FUNCTION(const fanfare::Event&) {
  return "never reached";
}
