// What a load_publisher has written down: line by line "sent N", "acknowledged ID", "unknown",
// "refused REASON".
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "protocol/ids.h"

namespace fanfare::test {

struct LoadLog {
  std::size_t sent = 0;  // handed to the client, at most
  std::vector<protocol::EventId> acknowledged;
  std::vector<std::string> refused;

  // Sent, and neither acknowledged nor refused.
  std::size_t unknown() const { return sent - acknowledged.size() - refused.size(); }
};

// A last line without its end, of a publisher that was killed, does not count.
LoadLog read_load_log(const std::string& file);

}  // namespace fanfare::test
