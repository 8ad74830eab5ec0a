// The Redis function library: what it is called, its text, and which version of it this is.
#pragma once

#include <string>
#include <string_view>

namespace fanfare::store {

inline constexpr std::string_view kLibraryName = "fanfare_v1";

// store/library/ as it was built in.
std::string_view library_source();
// SHA-256 of library_source(), in hex: what `FCALL_RO fanfare_digest 0` answers on a server that
// has this very version.
const std::string& library_digest();
// What FUNCTION LOAD takes: the source with its digest filled in.
std::string library_text();

}  // namespace fanfare::store
