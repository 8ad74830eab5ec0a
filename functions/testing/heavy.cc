// Loads a large table before the first event, as a function with a model would.

#include <fanfare/function.h>

namespace {
std::vector<std::uint64_t> table;
}  // namespace

FANFARE_INIT {
  table.resize(std::size_t{96} << 17);  // 96 MiB
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = i * i;
}

FANFARE_FUNCTION(const fanfare::Event&) {
  return std::to_string(table[1000]);
}
