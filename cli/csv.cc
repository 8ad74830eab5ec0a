#include "cli/csv.h"

namespace fanfare::cli {
namespace {

bool is_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789.eE") == std::string_view::npos;
}

}  // namespace

std::string csv_cell(std::string_view text, bool guard_formulas) {
  constexpr std::string_view kFormula = "=+-@\t\r";
  std::string content{text};
  if (guard_formulas && !text.empty() && kFormula.find(text.front()) != std::string_view::npos &&
      !is_number(text)) {
    content.insert(0, 1, '\'');
  }
  const bool plain = content.find_first_of(",\"\r\n") == std::string::npos &&
                     !content.starts_with(' ') && !content.ends_with(' ');
  if (plain) return content;
  std::string quoted = "\"";
  for (const char c : content) quoted.append(c == '"' ? 2 : 1, c);
  return quoted += '"';
}

}  // namespace fanfare::cli
