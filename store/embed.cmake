# cmake -DPARTS="a.lua;b.lua" -DBLOCKS="c.lua" -DOUT=library_source.cc -P embed.cmake: text files, one
# after another, as a C++ constant; those of BLOCKS each as a Lua block.
set(text "")
foreach(part ${PARTS})
  file(READ ${part} more)
  string(APPEND text "${more}")
endforeach()
foreach(part ${BLOCKS})
  file(READ ${part} more)
  string(APPEND text "\ndo${more}end\n")
endforeach()
file(WRITE ${OUT} "#include <string_view>

namespace fanfare::store {
extern const std::string_view kLibrarySource;
const std::string_view kLibrarySource = R\"__lua__(${text})__lua__\";
}  // namespace fanfare::store
")
