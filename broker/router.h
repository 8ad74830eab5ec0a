// Which functions get an event.
//
// All subscriptions are one matcher (protocol/matcher.h): what an event costs grows with the event
// and with the functions that get it, not with the number of subscriptions. Where the type alone
// decides, the answer for a type is remembered. An event's data is parsed once, and only if its
// attributes leave a subscription that looks at it.
//
// No I/O; not thread-safe: lives with the broker's core.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/event.h"
#include "protocol/pattern.h"

namespace fanfare::broker {

// A distinct set of functions that some event goes to; interned, so routes compare by address until
// their Router forgets them.
struct Route {
  std::vector<std::string> functions;  // names, ascending
};

class Router {
 public:
  // Publishers decide by what they send which routes there are: of n subscriptions that look at
  // different fields there can be 2^n. When they name more functions than `names_max` together, a
  // route counting as one more, all are forgotten.
  static constexpr std::size_t kNamesMax = 1 << 20;
  explicit Router(std::size_t names_max = kNamesMax);
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // Subscribes `function` to the events that match; several patterns of a function are
  // alternatives.
  void subscribe(const std::string& function, const protocol::Pattern& pattern);

  // The route of an event; its functions are empty when nothing matches.
  // Valid until the next call.
  const Route& route(const protocol::EventView& event);
  // How often routes were forgotten: another number, and no address from before means anything.
  std::uint64_t forgotten() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::broker
