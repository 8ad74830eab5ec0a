// How the `fanfare` command speaks: results on standard output, everything else on standard error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/exit_code.h"

namespace fanfare::cli {

enum class Colour { kNone, kRed, kGreen, kYellow, kDim, kBold };

struct Output {
  bool json = false;        // --output json
  bool colour_out = false;  // standard output is a terminal and NO_COLOR is not set
  bool colour_err = false;
  bool progress = false;  // standard error is a terminal
};
Output detect_output(bool json);

// `text` in colour, if `enabled`.
std::string paint(Colour colour, std::string_view text, bool enabled);

// Control characters as '?', so that no event can play tricks on a terminal.
std::string printable(std::string_view text);

// One line on standard error: "fanfare: error: …". Further lines of a message are indented; other
// control characters are shown as '?'.
void print_error(const Output& output, std::string_view message);
// The same, with what to do next on a line of its own.
void print_error(const Output& output, std::string_view message, std::string_view next_step);
// Prints an error with the next step that its kind calls for; returns the exit code for it.
ExitCode fail(const Output& output, const Error& error);

void print_line(std::string_view line);  // standard output

// Columns aligned, headings in bold, cells printable. Rows may be shorter than the headings.
std::string format_table(const std::vector<std::string>& headings,
                         const std::vector<std::vector<std::string>>& rows, bool colour);

// `text` as the next picture of a terminal that shows one again and again, without a flicker: what
// was there is written over, not wiped first. At most `rows` lines.
std::string repainted(std::string_view text, std::size_t rows);
// The lines that the terminal at standard output has; 24 if it does not say.
std::size_t terminal_rows();

// "1.2 s", "35 ms", "4 min": for people.
std::string human_ms(double ms);

}  // namespace fanfare::cli
