// Texts without their case, for comparisons that ignore it: each character alone, as Unicode's
// simple folding of the C library's locale C.UTF-8 has it ("Ä" is "ä", "ß" is not "ss").
#pragma once

#include <string>
#include <string_view>

namespace fanfare::protocol {

// Bytes that are no UTF-8 stay what they are.
std::string fold_case(std::string_view text);

}  // namespace fanfare::protocol
