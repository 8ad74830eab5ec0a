// What somebody probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fanfare {

// The one of `known` with the fewest insertions, deletions, replacements and swaps of neighbours to
// `text`; empty if even that one differs in more than a third of its letters (at least 2).
std::string nearest(std::string_view text, const std::vector<std::string>& known);

}  // namespace fanfare
