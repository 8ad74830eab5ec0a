#include "tests/integration/load_log.h"

#include <fstream>
#include <stdexcept>

namespace fanfare::test {

LoadLog read_load_log(const std::string& file) {
  LoadLog log;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const std::size_t space = line.find(' ');
    const std::string kind = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (kind == "sent") log.sent += std::stoul(rest);
    if (kind == "refused") log.refused.push_back(rest);
    if (kind == "acknowledged") {
      const auto id = protocol::parse_event_id(rest);
      if (!id) throw std::runtime_error(id.error().message);
      log.acknowledged.push_back(*id);
    }
  }
  return log;
}

}  // namespace fanfare::test
