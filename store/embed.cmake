# cmake -DIN="a.lua;b.lua" -DOUT=library_source.cc -P embed.cmake: text files, one after another, as a
# C++ constant.
set(text "")
foreach(part ${IN})
  file(READ ${part} more)
  string(APPEND text "${more}")
endforeach()
file(WRITE ${OUT} "#include <string_view>

namespace fanfare::store {
extern const std::string_view kLibrarySource;
const std::string_view kLibrarySource = R\"__lua__(${text})__lua__\";
}  // namespace fanfare::store
")
