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

// A distinct set of functions that some event goes to; interned, so routes compare by address and
// live as long as their Router.
struct Route {
  std::vector<std::string> functions;  // names, ascending
};

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // Subscribes `function` to the events that match; several patterns of a function are
  // alternatives.
  void subscribe(const std::string& function, const protocol::Pattern& pattern);

  // The route of an event; its functions are empty when nothing matches.
  const Route& route(const protocol::EventView& event);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::broker
