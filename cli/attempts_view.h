// The ledger of a delivery for people.
#pragma once

#include <span>
#include <string>

#include "protocol/record.h"

namespace fanfare::cli {

// A table with a line per attempt and per redrive; empty if there are none.
std::string format_attempts(std::span<const protocol::AttemptRow> rows, bool colour);

// "queued 3 ms, 12 ms in all, billed 5 ms, 0.00125 GB-seconds"
std::string format_totals(const protocol::ResultTotals& totals);

}  // namespace fanfare::cli
