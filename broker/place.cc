#include "broker/place.h"

#include <algorithm>
#include <functional>

namespace fanfare::broker {
namespace {

constexpr std::uint8_t kOrderedPriority = 4;

}  // namespace

std::uint64_t flow_of(std::string_view name) {
  if (name.empty()) return 0;
  return std::max<std::uint64_t>(1, std::hash<std::string_view>{}(name));
}

Place place_of(const protocol::PublishOptions& options) {
  const bool ordered = !options.ordering_key.empty();
  const std::string& name = ordered ? options.ordering_key : options.tenant;
  return {.lane = protocol::lane_of(ordered ? kOrderedPriority : options.priority, name),
          .flow = flow_of(name),
          .ordered = ordered};
}

}  // namespace fanfare::broker
