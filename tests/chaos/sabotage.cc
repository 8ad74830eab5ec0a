#include "tests/chaos/sabotage.h"

#include <stdexcept>

namespace fanfare::chaos {

std::string sabotaged(std::string library, const Sabotage& sabotage) {
  for (const auto& [right, wrong] : sabotage) {
    const std::size_t at = library.find(right);
    if (at == std::string::npos || library.find(right, at + 1) != std::string::npos) {
      throw std::runtime_error("the library has not exactly one '" + right + "'");
    }
    library.replace(at, right.size(), wrong);
  }
  return library;
}

}  // namespace fanfare::chaos
