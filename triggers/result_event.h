// A result as a CloudEvent: what GET /results answers whoever wants one.
//
// It has the names that destinations have for the same thing: type "function.succeeded" or
// "function.failed", source "/functions/NAME", subject the id of the event that was delivered. Its
// data differ: they are the result's record, as `fanfare result --json` prints it.
#pragma once

#include <string_view>

#include "protocol/event.h"
#include "protocol/record.h"

namespace fanfare::triggers {

// Its id is the same whenever it is asked for, and another one once the delivery has ended anew, as
// a dead letter that was redriven.
protocol::Event result_event(const protocol::ResultRecord& record, const protocol::EventId& id,
                             std::string_view function);

}  // namespace fanfare::triggers
