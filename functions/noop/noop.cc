// The cheapest function there is: what remains is the cost of the way. Answers 64 bytes that begin
// with the time it was entered (CLOCK_MONOTONIC in nanoseconds, little end first).

#include <fanfare/function.h>
#include <time.h>

#include <cstring>

FANFARE_FUNCTION(const fanfare::Event&) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t entered_ns = now.tv_sec * 1'000'000'000LL + now.tv_nsec;
  std::string answer(64, 'x');
  std::memcpy(answer.data(), &entered_ns, sizeof entered_ns);
  return fanfare::Output::bytes(std::move(answer), "application/octet-stream");
}
