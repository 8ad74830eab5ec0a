// Headers and payloads that follow each other in shared memory or in a frame start at multiples of
// eight bytes, so that a header can be read where it lies.
#pragma once

#include <cstddef>

namespace fanfare::worker {

constexpr std::size_t padded(std::size_t size) {
  return (size + 7) & ~std::size_t{7};
}

}  // namespace fanfare::worker
