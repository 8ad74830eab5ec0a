#include "tests/support/temp_dir.h"

#include <stdlib.h>

#include <system_error>

namespace fanfare::test {

TempDir::TempDir() {
  std::string pattern = "/tmp/fanfare-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "making a directory in /tmp");
  }
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace fanfare::test
