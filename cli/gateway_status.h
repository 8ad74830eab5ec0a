// Whether the gateway of a local installation answers.
#pragma once

#include <optional>
#include <string>

#include "cli/installation.h"

namespace fanfare::cli {

struct GatewayStatus {
  std::string url;
  bool up = false;
  std::string trouble;  // why not: "no answer within 1s"
};

// Of the gateway that `up` has started, by its file run/gateway.url; nothing if the address names a
// broker instead, or the installation has no gateway. Asks it, for a second at most, for /healthz;
// of one that speaks TLS it is looked whether it takes connections.
std::optional<GatewayStatus> gateway_status(const Address& address);

}  // namespace fanfare::cli
