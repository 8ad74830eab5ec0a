// What the checker knows of ordering keys: which deliveries of each are open, in the order in which
// they were accepted.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "protocol/ids.h"

namespace fanfare::simulation {

class KeyOrder {
 public:
  // Events with an ordering key are taken down, others are not looked at.
  void on_journaled(std::size_t function, const protocol::EventId& id,
                    std::string_view packed_event);
  // Open deliveries of the key of `id`, itself among them; null if it has none.
  const std::set<protocol::EventId>* rivals(std::size_t function,
                                            const protocol::EventId& id) const;
  // It has ended. The one that should have ended before it and has not, if there is one: a delayed
  // event has no place before it is due, and is in nobody's way.
  std::optional<protocol::EventId> on_ended(std::size_t function, const protocol::EventId& id);

 private:
  using Name = std::pair<std::size_t, std::string>;
  using Delivery = std::pair<std::size_t, protocol::EventId>;
  struct Open {
    std::set<protocol::EventId> all, at_once;  // the second: not delayed
  };
  std::map<Name, Open> open_;
  std::map<Delivery, Name> names_;
};

}  // namespace fanfare::simulation
