// Takes as many MiB as its data says and touches every page of them.

#include <fanfare/function.h>

#include <charconv>
#include <cstring>
#include <memory>

FANFARE_FUNCTION(const fanfare::Event& event) {
  std::size_t mebibytes = 0;
  std::from_chars(event.data.data(), event.data.data() + event.data.size(), mebibytes);
  const std::size_t bytes = mebibytes << 20;
  const auto memory = std::make_unique_for_overwrite<char[]>(bytes);
  std::memset(memory.get(), static_cast<int>(mebibytes | 1), bytes);
  // The compiler must believe that somebody looks.
  asm volatile("" : : "r"(memory.get()) : "memory");
  return "held " + std::to_string(mebibytes) + " MiB";
}
