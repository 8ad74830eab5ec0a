// Cells of CSV, RFC 4180.
#pragma once

#include <string>
#include <string_view>

namespace fanfare::cli {

// Quoted where that is needed. `guard_formulas`: what a spreadsheet would run as a formula (it
// begins with = + - @, a tab or a carriage return, and is no number) gets an apostrophe in front.
std::string csv_cell(std::string_view text, bool guard_formulas);

}  // namespace fanfare::cli
