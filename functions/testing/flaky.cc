// Fails until the attempt that its data names; "never" fails for good.

#include <fanfare/function.h>

#include <charconv>

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  using namespace std::chrono_literals;
  if (event.data == "never") {
    return fanfare::Failure{"Hopeless", "this will never do"}.retryable(false);
  }
  std::uint32_t wanted = 1;
  std::from_chars(event.data.data(), event.data.data() + event.data.size(), wanted);
  if (context.attempt() < wanted) {
    throw fanfare::Failure{
        "NotYet", "attempt " + std::to_string(context.attempt()) + " of " + std::to_string(wanted)}
        .retry_after(250ms);
  }
  return "done in attempt " + std::to_string(context.attempt());
}
