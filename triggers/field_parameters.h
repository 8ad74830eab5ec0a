// The parameters of a header field: `form-data; name="a"; filename="b c.txt"`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fanfare::triggers {

// What follows the first ";", names in lower case, values without their quotes. A backslash stands
// for the quote or the backslash that follows it, and otherwise for itself: there are clients that
// send the paths of Windows as they are. Nothing if a quote is not closed or a name is missing.
std::optional<std::vector<std::pair<std::string, std::string>>> field_parameters(
    std::string_view field);

}  // namespace fanfare::triggers
