// The events and patterns of tests/perf/patterns, see `generate` there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/matcher.h"

namespace fanfare::perf {

// Packed. Ends the program if the files are not there: `folder` is that of the sources.
std::vector<std::string> corpus_events(const std::string& folder);
// The first `count` patterns; each has its number as subscriber. Ends the program if they are not
// there, or do not compile.
protocol::Matcher corpus_matcher(const std::string& folder, std::size_t count);

// Matches each of the events once; how many subscribers they had together.
std::size_t match_all(protocol::Matcher& matcher, const std::vector<protocol::EventView>& events);

}  // namespace fanfare::perf
