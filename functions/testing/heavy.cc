// Loads a large table before the first event, as a function with a model would: of 96 MiB, or as
// many as HEAVY_MIB says. Writes to as many pages of it as the event's data says, if it has any,
// and answers with how many page faults that took.

#include <fanfare/function.h>
#include <sys/resource.h>

#include <cstdlib>

namespace {
std::vector<std::uint64_t> table;

long page_faults() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return used.ru_minflt;
}

}  // namespace

FANFARE_INIT {
  const char* mebibytes = std::getenv("HEAVY_MIB");
  table.resize((mebibytes ? std::strtoul(mebibytes, nullptr, 10) : 96) << 17);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = i * i;
}

FANFARE_FUNCTION(const fanfare::Event& event) {
  if (event.data.empty()) return std::to_string(table[1000]);
  const std::size_t pages = std::strtoul(std::string(event.data).c_str(), nullptr, 10);
  const long before = page_faults();
  for (std::size_t i = 0; i < pages && i * 512 < table.size(); ++i) table[i * 512] = i;
  return std::to_string(page_faults() - before);
}
