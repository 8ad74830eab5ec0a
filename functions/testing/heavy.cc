// Loads a large table before the first event, as a function with a model would: of 96 MiB, or as
// many as HEAVY_MIB says.

#include <fanfare/function.h>

#include <cstdlib>

namespace {
std::vector<std::uint64_t> table;
}  // namespace

FANFARE_INIT {
  const char* mebibytes = std::getenv("HEAVY_MIB");
  table.resize((mebibytes ? std::strtoul(mebibytes, nullptr, 10) : 96) << 17);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = i * i;
}

FANFARE_FUNCTION(const fanfare::Event&) {
  return std::to_string(table[1000]);
}
