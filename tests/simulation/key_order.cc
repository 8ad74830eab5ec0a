#include "tests/simulation/key_order.h"

#include "protocol/event.h"

namespace fanfare::simulation {

void KeyOrder::on_journaled(std::size_t function, const protocol::EventId& id,
                            std::string_view packed_event) {
  const auto event = protocol::view_event(packed_event);
  if (!event || event->packed_options.empty()) return;
  const auto options = protocol::unpack_options(event->packed_options);
  if (!options || options->ordering_key.empty()) return;
  const Name name{function, options->ordering_key};
  names_[{function, id}] = name;
  Open& open = open_[name];
  open.all.insert(id);
  if (!options->delay && !options->deliver_at) open.at_once.insert(id);
}

const std::set<protocol::EventId>* KeyOrder::rivals(std::size_t function,
                                                    const protocol::EventId& id) const {
  const auto name = names_.find({function, id});
  return name == names_.end() ? nullptr : &open_.at(name->second).all;
}

std::optional<protocol::EventId> KeyOrder::on_ended(std::size_t function,
                                                    const protocol::EventId& id) {
  const auto name = names_.find({function, id});
  if (name == names_.end()) return std::nullopt;
  Open& open = open_.at(name->second);
  open.all.erase(id);
  if (open.at_once.erase(id) == 0 || open.at_once.empty()) return std::nullopt;
  const protocol::EventId first = *open.at_once.begin();
  return first < id ? std::optional{first} : std::nullopt;
}

}  // namespace fanfare::simulation
