# cmake -DIN=library.lua -DOUT=library_source.cc -P embed.cmake: a text file as a C++ constant.
file(READ ${IN} text)
file(WRITE ${OUT} "#include <string_view>

namespace fanfare::store {
extern const std::string_view kLibrarySource;
const std::string_view kLibrarySource = R\"__lua__(${text})__lua__\";
}  // namespace fanfare::store
")
