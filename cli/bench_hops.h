// How long each hop of an event's way takes, from the instants that all processes on it noted.
#pragma once

#include <string>
#include <vector>

#include "base/trace_file.h"
#include "cli/bench.h"
#include "protocol/tracepoint.h"

namespace fanfare::cli {

// Of the events that the publisher's records name; others are none of this run's. Of several
// instants of one point (a chunk of several events, a second attempt) the first counts.
std::vector<HopRow> hop_rows(const std::vector<TraceFile::Record>& of_publisher,
                             const std::vector<TraceFile::Record>& of_installation);

}  // namespace fanfare::cli
