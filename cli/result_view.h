// Result records for people.
#pragma once

#include <optional>
#include <string>

#include "cli/results.h"

namespace fanfare::cli {

// A heading ("wordcount succeeded in 12 ms, attempt 1"), the output or the error, the log if there
// is one. `letter_id`: of the event, where a dead letter is to be pointed to.
std::string format_result(const std::string& function, const protocol::ResultRecord& record,
                          bool colour, std::optional<protocol::EventId> letter_id);

// The same, and what `fanfare result` tells beyond: the log of a success, too, the attempts, and
// what they took.
std::string format_whole_result(const std::string& function, const protocol::ResultRecord& record,
                                bool colour, std::optional<protocol::EventId> letter_id);

// The results as a JSON array of full records, ordered by function.
std::string results_json(const Results& results, const protocol::EventId& id);

}  // namespace fanfare::cli
