// Sleeps as many milliseconds as its data says, reporting how far it is; "forever" ignores SIGTERM
// too.

#include <fanfare/function.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <thread>

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  using namespace std::chrono_literals;
  int milliseconds = 0;
  if (event.data == "forever") {
    std::signal(SIGTERM, SIG_IGN);
    milliseconds = 1'000'000'000;
  }
  std::from_chars(event.data.data(), event.data.data() + event.data.size(), milliseconds);
  for (int slept = 0; slept < milliseconds; slept += 10) {
    context.progress(static_cast<double>(slept) / milliseconds, "asleep");
    std::this_thread::sleep_for(std::min(10, milliseconds - slept) * 1ms);
  }
  return "slept " + std::to_string(milliseconds) + " ms";
}
