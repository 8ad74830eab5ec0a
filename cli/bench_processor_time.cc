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
  std::string program;           // its first 15 bytes, as the kernel keeps them
  double own = 0, children = 0;  // ticks; of children that have ended
};

// Nothing if it has ended.
Seen look_at(const std::filesystem::path& process) {
  std::ifstream file(process / "stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name = line.find('('), name_end = line.rfind(')');  // it may hold anything
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  const std::vector<std::string> words{std::istream_iterator<std::string>(fields), {}};
  // proc(5) counts from 1, and the state, the first word here, is its third field.
  constexpr std::size_t kParent = 4 - 3, kUser = 14 - 3, kChildrensKernel = 17 - 3;
  if (words.size() <= kChildrensKernel) return {};
  const auto ticks = [&words](std::size_t field) { return std::atof(words[field].c_str()); };
  return {.parent = std::atoi(words[kParent].c_str()),
          .program = line.substr(name + 1, name_end - name - 1),
          .own = ticks(kUser) + ticks(kUser + 1),
          .children = ticks(kUser + 2) + ticks(kChildrensKernel)};
}

// Whose time it is; of a worker's children that have ended it is the instances'.
double& share_of(const Seen& process, bool ended_children, ProcessorTime& time) {
  if (process.program == "fanfare-broker") return time.broker_s;
  if (process.program == "fanfare-worker") {
    return ended_children ? time.instances_s : time.worker_s;
  }
  if (process.program.starts_with("fanfare-instan")) return time.instances_s;
  if (process.program == "redis-server") return time.redis_s;
  return time.publishers_s;
}

}  // namespace

ProcessorTime processor_time(pid_t root) {
  std::map<pid_t, Seen> processes;
  std::multimap<pid_t, pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    Seen seen = look_at(entry.path());
    children.emplace(seen.parent, pid);
    processes[pid] = std::move(seen);
  }
  ProcessorTime time;
  const double tick_s = 1 / static_cast<double>(sysconf(_SC_CLK_TCK));
  std::vector<pid_t> next{root};
  while (!next.empty()) {
    const pid_t pid = next.back();
    next.pop_back();
    const Seen& process = processes[pid];
    share_of(process, false, time) += process.own * tick_s;
    share_of(process, true, time) += process.children * tick_s;
    const auto [begin, end] = children.equal_range(pid);
    for (auto child = begin; child != end; ++child) next.push_back(child->second);
  }
  return time;
}

ProcessorTime ProcessorTime::since(const ProcessorTime& before) const {
  return {.publishers_s = publishers_s - before.publishers_s,
          .broker_s = broker_s - before.broker_s,
          .worker_s = worker_s - before.worker_s,
          .instances_s = instances_s - before.instances_s,
          .redis_s = redis_s - before.redis_s};
}

}  // namespace fanfare::cli
