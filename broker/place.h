// Where a delivery stands among the others of its function, as its publisher wished: in which lane
// of the journal it lies, and with whom it takes turns.
//
// A tenant takes turns with other tenants of its priority. An ordering key sets priority and tenant
// aside: all its events lie in one lane of priority 4, so that the journal has them in the order in
// which they were accepted.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/event.h"
#include "protocol/ids.h"

namespace fanfare::broker {

struct Place {
  protocol::Lane lane;
  // The tenant or the ordering key, hashed; 0 = neither. Two names of one hash (one pair among
  // 2^32 names) take their turns together, or wait for each other: neither loses anything.
  std::uint64_t flow = 0;
  bool ordered = false;  // `flow` is an ordering key
};

std::uint64_t flow_of(std::string_view tenant_or_ordering_key);
Place place_of(const protocol::PublishOptions& options);

}  // namespace fanfare::broker
