// Publishes what its event asks for: "N" so many events of the type "made", "again" one like its
// own event, "large N" one of N bytes, "fail" one before it fails, "odd" one that is no event.

#include <fanfare/function.h>

#include <charconv>

namespace {

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  using namespace std::chrono_literals;
  if (event.data == "again") {
    context.publish({.type = std::string(event.type), .data = "again"});
  } else if (event.data == "fail") {
    context.publish({.type = "made", .data = "too early"});
    throw fanfare::Failure{"Asked", "as the event said"}.retryable(false);
  } else if (event.data == "odd") {
    context.publish({.type = ""});
  } else if (event.data.starts_with("large ")) {
    context.publish({.type = "made", .data = std::string(number(event.data.substr(6)), 'x')});
  } else {
    for (std::size_t i = 0; i < number(event.data); ++i) {
      context.publish({.type = "made",
                       .data = "{\"n\":" + std::to_string(i) + "}",
                       .content_type = "application/json",
                       .subject = std::string(event.id),
                       .extensions = {{"traceparent", "00-1"}},
                       .delay = i == 1 ? 5ms : 0ms});
    }
  }
  return "published";
}
