#include "worker/own_mappings.h"

#include <cinttypes>
#include <cstdio>
#include <string>

namespace fanfare::worker {

std::vector<Mapping> own_mappings() {
  std::vector<Mapping> mappings;
  std::FILE* file = std::fopen("/proc/self/maps", "re");
  if (!file) return mappings;
  char line[512];
  bool at_begin = true;  // a path may be longer than the buffer: its rest is no line of its own
  while (std::fgets(line, sizeof line, file)) {
    Mapping mapping;
    char rights[5] = {};
    std::uint64_t inode = 0;
    const int read = std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %" SCNu64,
                                 &mapping.from, &mapping.to, rights, &inode);
    if (at_begin && read == 4) {
      mapping.writable = rights[1] == 'w';
      mapping.shared = rights[3] == 's';
      mapping.of_file = inode != 0;
      mappings.push_back(mapping);
    }
    at_begin = std::char_traits<char>::find(line, std::char_traits<char>::length(line), '\n');
  }
  std::fclose(file);
  return mappings;
}

}  // namespace fanfare::worker
