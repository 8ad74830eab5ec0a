// The Redis function library: what it is called, its text, and which version of it this is.
#pragma once

#include <string>
#include <string_view>

namespace fanfare::store {

// The number is the library's version, which the names of its functions have as well (fanfare2_…).
// A change of what a function takes, answers or does to keys that older programs know wants the
// next one: while an installation is upgraded, programs of two versions call their own library on
// the same keys, and neither may load its own over the other's. Within a version any build's will
// do.
inline constexpr std::string_view kLibraryName = "fanfare_v2";

// store/library/ as it was built in.
std::string_view library_source();
// SHA-256 of library_source(), in hex: what `FCALL_RO fanfare2_digest 0` answers on a server that
// has this very version.
const std::string& library_digest();
// What FUNCTION LOAD takes: the source with its digest filled in.
std::string library_text();

}  // namespace fanfare::store
