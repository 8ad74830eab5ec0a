// What a delivery's ledger says of its past. Only what comes from `later` or fails is asked: the
// way of an ordinary delivery never unpacks a ledger.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/record.h"

namespace fanfare::broker {

struct History {
  std::uint16_t worker_losses = 0;  // since the latest redrive
  bool redriven = false;            // an operator has taken it out of the dead letters
};
History history_of(std::string_view packed_ledger);

// Adds a mark that the delivery was redriven. A letter may be redriven for ever: of a ledger that
// has grown beyond 64 KiB only the newest 32 rows go on.
void mark_redriven(std::string& packed_ledger, std::int64_t now_ms);

// Adds an attempt that ended through nobody's fault (drained, throttled). A worker that cannot be
// used hands back whatever it is sent, again and again: a ledger keeps the first 16 of these rows,
// metrics count all.
void note_unhurt(std::string& packed_ledger, const protocol::AttemptRow& row);

// Why a delivery that was not done in time was not.
std::string expiry_message(std::string_view packed_ledger);

}  // namespace fanfare::broker
