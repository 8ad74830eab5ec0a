// Invokes the function that its event names ("NAME TIMES BYTES"), so many times one after the
// other, with so many bytes of data. Answers the round trips, 8 bytes of nanoseconds each, little
// end first.

#include <fanfare/function.h>

#include <chrono>
#include <cstring>
#include <sstream>

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  std::istringstream words{std::string(event.data)};
  std::string name;
  std::size_t times = 0, bytes = 0;
  words >> name >> times >> bytes;
  const std::string data(bytes, 'x');
  std::string round_trips;
  for (std::size_t i = 0; i < times; ++i) {
    const auto began = std::chrono::steady_clock::now();
    context.invoke(name, data);
    const std::int64_t took_ns = (std::chrono::steady_clock::now() - began).count();
    round_trips.append(reinterpret_cast<const char*>(&took_ns), sizeof took_ns);
  }
  return fanfare::Output::bytes(std::move(round_trips), "application/octet-stream");
}
