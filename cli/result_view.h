// Result records for people.
#pragma once

#include <string>

#include "cli/results.h"

namespace fanfare::cli {

// A heading ("wordcount succeeded in 12 ms, attempt 1"), the output or the error, the log if there
// is one.
std::string format_result(const std::string& function, const protocol::ResultRecord& record,
                          bool colour);

// The results as a JSON array of full records, ordered by function.
std::string results_json(const Results& results, const protocol::EventId& id);

}  // namespace fanfare::cli
