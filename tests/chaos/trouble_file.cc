#include "tests/chaos/trouble_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <stdexcept>

namespace fanfare::chaos {

Trouble::Trouble() {
  const int fd = open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(TroubleOrders)) != 0) {
    throw std::runtime_error("cannot make " + file_);
  }
  void* const shared =
      mmap(nullptr, sizeof(TroubleOrders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (shared == MAP_FAILED) throw std::runtime_error("cannot share " + file_);
  orders_ = new (shared) TroubleOrders{};
}

Trouble::~Trouble() {
  munmap(orders_, sizeof(TroubleOrders));
}

std::vector<std::pair<std::string, std::string>> Trouble::variables() const {
  return {{"LD_PRELOAD", FANFARE_BINARY_DIR "/tests/trouble.so"}, {kTroubleVariable, file_}};
}

std::vector<std::string> Trouble::environment() const {
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables()) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace fanfare::chaos
