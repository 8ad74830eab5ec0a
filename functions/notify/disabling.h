// A webhook that is switched off: a row of the function's own store says so. The receiver does that
// by answering 410, people with `fanfare webhook disable` and `enable` (cli/webhook_state.h, which
// knows this row, too).
#pragma once

#include <fanfare/function.h>

#include <optional>
#include <string>
#include <string_view>

namespace notify {

inline constexpr std::string_view kDisabledKey = "disabled";

// The row: {"since": an instant, "why": a text, "url_sha256": of the URL that it is about, as hex
// digits; none: any}. Not the URL, which may hold secrets. Rows of before have it, as "url", and
// are understood.
struct Disabled {
  std::string since, why;
};

// Nothing if it is not, or if the row is about another URL, which it had before.
std::optional<Disabled> disabled(fanfare::Store store, std::string_view url);

// From the result of this attempt on.
void disable(fanfare::Store store, std::string_view url, std::string_view why);

}  // namespace notify
