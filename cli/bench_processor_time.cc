#include "cli/bench_processor_time.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace fanfare::cli {
namespace {

struct Seen {
  pid_t parent = 0;
  double ticks = 0;
};

// Nothing if it has ended.
Seen look_at(const std::filesystem::path& process) {
  std::ifstream file(process / "stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');  // a name may hold anything
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  const std::vector<std::string> words{std::istream_iterator<std::string>(fields), {}};
  // proc(5) counts from 1, and the state, the first word here, is its third field.
  constexpr std::size_t kParent = 4 - 3, kUser = 14 - 3, kChildrensKernel = 17 - 3;
  if (words.size() <= kChildrensKernel) return {};
  Seen seen{.parent = std::atoi(words[kParent].c_str())};
  for (std::size_t i = kUser; i <= kChildrensKernel; ++i) seen.ticks += std::atof(words[i].c_str());
  return seen;
}

}  // namespace

double processor_s(pid_t root) {
  std::map<pid_t, double> ticks;
  std::multimap<pid_t, pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const Seen seen = look_at(entry.path());
    ticks[pid] = seen.ticks;
    children.emplace(seen.parent, pid);
  }
  double sum = 0;
  std::vector<pid_t> next{root};
  while (!next.empty()) {
    const pid_t pid = next.back();
    next.pop_back();
    sum += ticks[pid];
    const auto [begin, end] = children.equal_range(pid);
    for (auto child = begin; child != end; ++child) next.push_back(child->second);
  }
  return sum / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace fanfare::cli
