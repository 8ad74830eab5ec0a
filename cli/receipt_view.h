// What the broker said of an event, for people and for scripts.
#pragma once

#include <string>

#include "client/publish_queue.h"

namespace fanfare::cli {

std::string format_receipt(const client::Receipt& receipt, const std::string& type, bool colour);

// {"id","deliveries":[{"function","id"}],"unmatched"}, and "duplicate" when it was one; one line.
std::string receipt_json(const client::Receipt& receipt);

}  // namespace fanfare::cli
