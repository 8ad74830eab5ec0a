// The words of the worker's log about attempts, which `fanfare logs` and other programs read.
//
//   REPORT event=1795-0.0 function=resize attempt=1 outcome=ok duration_ms=1.23 billed_ms=2
//     memory_mb=256 max_memory_mb=26 cold_start=yes init_ms=0.5          (one line)
//   OUTPUT event=1795-0.0 function=resize attempt=1: what the function printed
//   LEFT_OUT reports=0 output_lines=812 output_bytes=0: …
//
// A failed attempt's report ends with error=TYPE message="…". With log_format json the same stand
// as members beside the message: kind, event, function, attempt, outcome, duration_ms, ….
#pragma once

#include <string>

#include "worker/effects.h"

namespace fanfare::worker {

std::string report_line(const AttemptReport& report);
std::string output_line(const OutputLine& line);
std::string left_out_line(const LeftOut& left_out);

// Members of a JSON object, without its braces.
std::string report_fields(const AttemptReport& report);
std::string output_fields(const OutputLine& line);
std::string left_out_fields(const LeftOut& left_out);

}  // namespace fanfare::worker
