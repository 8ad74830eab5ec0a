// Counts lines, words and bytes, like wc.

#include <fanfare/function.h>

FANFARE_FUNCTION(const fanfare::Event& event) {
  std::size_t lines = 0, words = 0;
  bool in_word = false;
  for (const char c : event.data) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    lines += c == '\n';
    words += !space && !in_word;
    in_word = !space;
  }
  return fanfare::Output::object(
      {{"lines", lines}, {"words", words}, {"bytes", event.data.size()}});
}
