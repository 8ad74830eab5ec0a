// One event on its way to the broker, and what is said of it: for the verbs that publish.
#pragma once

#include <optional>

#include "cli/verbs.h"
#include "client/blocking_client.h"
#include "protocol/event.h"

namespace fanfare::cli {

// Publishes it and prints the receipt; with `wait`, what became of its deliveries as well, for so
// long. Returns the ExitCode.
int publish_event(const Common& common, client::BlockingClient& broker,
                  const protocol::Event& event, std::optional<Duration> wait);

}  // namespace fanfare::cli
