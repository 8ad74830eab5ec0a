// Which functions get an event.
//
// All subscriptions are indexed together: by the exact types they name, those with other
// rules for the type, and those that say nothing of it. What an event costs depends on the few
// candidates its type leaves, not on the number of subscriptions; where no candidate looks past the
// type, the answer for a type is remembered. An event's data is parsed once, and only if a
// candidate tests a field of it.
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
  void subscribe(const std::string& function, protocol::Pattern pattern);

  // The route of an event; its functions are empty when nothing matches.
  const Route& route(const protocol::EventView& event);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::broker
