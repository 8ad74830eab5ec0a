#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

#include "cli/child_output.h"
#include "cli/daemon_settings.h"
#include "cli/facts.h"
#include "store/library.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string first_line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::uint64_t> whole_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} ? std::optional(number) : std::nullopt;
}

// "always [madvise] never": the one in brackets.
std::string chosen_in(const std::string& line) {
  const auto from = line.find('['), to = line.find(']');
  return from == line.npos || to == line.npos ? std::string{}
                                              : line.substr(from + 1, to - from - 1);
}

std::optional<bool> is_clock_synchronised() {
  timex clock{};
  const int state = ::adjtimex(&clock);
  if (state < 0) return std::nullopt;
  return state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
}

std::uint64_t processes_max_of_this_cgroup() {
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) {
    if (!line.starts_with("0::")) continue;
    return whole_number(first_line_of("/sys/fs/cgroup" + line.substr(3) + "/pids.max")).value_or(0);
  }
  return 0;
}

// Of the units with that of each found by `limit`, the least; 0 if none has one.
void take_least(const std::vector<UnitFacts>& units, std::string_view of,
                std::uint64_t UnitFacts::* limit, std::uint64_t& least, std::string& whose) {
  for (const UnitFacts& unit : units) {
    if (!unit.name.starts_with(of) || unit.pid == 0 || unit.*limit == 0) continue;
    if (least != 0 && unit.*limit >= least) continue;
    least = unit.*limit;
    whose = unit.name;
  }
}

std::uint64_t memory_available() {
  std::ifstream file("/proc/meminfo");
  constexpr std::string_view kName = "MemAvailable:";
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(kName)) continue;
    const auto digits = line.find_first_of("0123456789");
    return digits == line.npos ? 0 : whole_number(line.substr(digits)).value_or(0) * 1024;
  }
  return 0;
}

// That functions become; nothing where the worker is no root, as it cannot change then.
std::string instance_user(const Installation& installation) {
  const auto program = find_program("fanfare-worker");
  std::error_code none;
  if (!program || (!installation.is_system && ::geteuid() != 0)) return {};
  const std::string file = installation.config_file();
  const auto settings = daemon_settings(*program, fs::exists(file, none) ? file : std::string{});
  if (!settings) return {};
  for (const DaemonSetting& one : *settings) {
    if (one.section != "worker" || one.key != "run_as") continue;
    std::string user = one.value;
    std::erase(user, '"');
    return user;
  }
  return {};
}

// What workers said when they started.
std::string memory_limited_by(const Installation& installation) {
  constexpr std::string_view kSaid = "memory limited by ";
  std::string text;
  if (installation.is_system) {
    const auto journal = run_and_capture(
        {"journalctl", "-u", "fanfare-worker@*", "-b", "-n", "1", "-o", "cat", "-g", kSaid.data()},
        10s);
    if (journal) text = journal->output;
  } else {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(installation.log_dir(), none)) {
      if (!entry.path().filename().string().starts_with("worker")) continue;
      std::ifstream log(entry.path());
      for (std::string line; std::getline(log, line);) {
        if (line.find(kSaid) != line.npos) text = line;
      }
    }
  }
  const auto at = text.rfind(kSaid);
  if (at == text.npos) return {};
  const auto from = at + kSaid.size();
  return text.substr(from, text.find_first_of("\"\n", from) - from);
}

bool others_reach(const fs::path& path) {
  for (fs::path at = path.parent_path();; at = at.parent_path()) {
    struct stat status{};
    if (::stat(at.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
    if (at == at.parent_path()) return true;
  }
}

void add_path(Facts& facts, PathFacts::Kind kind, const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return;  // not there, or not for this user to see
  facts.paths.push_back({kind, path, status.st_mode & 07777, others_reach(path)});
}

}  // namespace

std::uint64_t open_files_in(std::string_view limits) {
  // "Max open files            1024                 524288               files": what daemons raise
  // theirs to is the second.
  constexpr std::string_view kName = "Max open files";
  const auto at = limits.find(kName);
  if (at == limits.npos) return 0;
  std::istringstream words{std::string{limits.substr(at + kName.size(), 100)}};
  std::string soft, hard;
  words >> soft >> hard;
  return hard == "unlimited" ? UINT64_MAX : whole_number(hard).value_or(0);
}

HostFacts gather_host_facts(const std::vector<UnitFacts>& units) {
  HostFacts host;
  host.clock_synchronised = is_clock_synchronised();
  if (const auto value = whole_number(first_line_of("/proc/sys/vm/overcommit_memory"))) {
    host.overcommit_memory = static_cast<int>(*value);
  }
  host.transparent_huge_pages =
      chosen_in(first_line_of("/sys/kernel/mm/transparent_hugepage/enabled"));
  // Functions are processes of workers; files are what all of them need.
  take_least(units, "fanfare-", &UnitFacts::files_max, host.open_files_max, host.open_files_of);
  take_least(units, "fanfare-worker@", &UnitFacts::tasks_max, host.processes_max,
             host.processes_of);
  if (units.empty()) {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) host.open_files_max = files.rlim_max;
    host.processes_max = processes_max_of_this_cgroup();
  }
  host.somaxconn = whole_number(first_line_of("/proc/sys/net/core/somaxconn")).value_or(0);
  struct sysinfo memory{};
  if (::sysinfo(&memory) == 0) host.memory = std::uint64_t{memory.totalram} * memory.mem_unit;
  host.memory_available = memory_available();
  return host;
}

void gather_rights(const Installation& installation, Facts& facts) {
  using Kind = PathFacts::Kind;
  add_path(facts, Kind::kSocket, installation.redis_socket());
  add_path(facts, Kind::kSocket, installation.run_dir() + "/broker.ipc");
  add_path(facts, Kind::kSocket, installation.run_dir() + "/broker.ipc.direct");
  add_path(facts, Kind::kData, installation.run_dir());
  add_path(facts, Kind::kData, installation.redis_dir());
  add_path(facts, Kind::kData, installation.log_dir());
  if (!installation.is_system) return add_path(facts, Kind::kData, installation.dir);
  std::error_code none;
  for (const auto& entry :
       fs::directory_iterator(fs::path(kDefaultConfigFile).parent_path(), none)) {
    const std::string extension = entry.path().extension();
    const bool secret = extension == ".env" || extension == ".toml" || extension == ".key";
    add_path(facts, secret ? Kind::kSecret : Kind::kData, entry.path());
  }
}

std::vector<UnitFacts> units_in(std::string_view shown) {
  std::vector<UnitFacts> units;
  UnitFacts unit;
  while (!shown.empty()) {
    const std::size_t end = std::min(shown.find('\n'), shown.size());
    const std::string_view line = shown.substr(0, end);
    shown.remove_prefix(std::min(end + 1, shown.size()));
    const auto equals = line.find('=');
    if (equals == line.npos) {  // an empty line: the next unit
      if (!unit.name.empty()) units.push_back(std::exchange(unit, {}));
      continue;
    }
    const std::string_view key = line.substr(0, equals);
    const std::string value{line.substr(equals + 1)};
    if (key == "Id") unit.name = value;
    if (key == "ActiveState") unit.state = value;
    if (key == "NRestarts") unit.restarts = whole_number(value).value_or(0);
    if (key == "MainPID") unit.pid = static_cast<std::uint32_t>(whole_number(value).value_or(0));
    // "infinity" is none.
    if (key == "TasksMax") unit.tasks_max = whole_number(value).value_or(0);
  }
  if (!unit.name.empty()) units.push_back(std::move(unit));
  return units;
}

std::vector<UnitFacts> gather_units() {
  std::error_code none;
  if (!fs::exists("/run/systemd/system", none)) return {};
  const auto shown = run_and_capture({"systemctl", "show", "fanfare-*.service",
                                      "--property=Id,ActiveState,NRestarts,MainPID,TasksMax"},
                                     10s);
  if (!shown || shown->exit_code != 0) return {};
  std::vector<UnitFacts> units = units_in(shown->output);
  for (UnitFacts& unit : units) {
    if (unit.pid == 0) continue;
    std::ifstream limits("/proc/" + std::to_string(unit.pid) + "/limits");
    unit.files_max = open_files_in(std::string{std::istreambuf_iterator<char>{limits}, {}});
  }
  return units;
}

Facts gather_facts(const Address& address) {
  Facts facts;
  facts.version = FANFARE_VERSION;
  facts.library = store::library_digest();
  facts.broker = gather_broker_facts(address);
  gather_redis_facts(address, facts);
  const auto installation = find_installation(address);
  const bool is_here = installation && address.broker.empty();
  if (is_here && installation->is_system) facts.units = gather_units();
  facts.host = gather_host_facts(facts.units);
  facts.host.runs_redis = facts.redis.disk_free.has_value();
  if (!is_here) return facts;
  facts.host.runs_workers = true;
  gather_rights(*installation, facts);
  facts.instance_user = instance_user(*installation);
  facts.host.memory_limited_by = memory_limited_by(*installation);
  if (!facts.instance_user.empty()) {
    facts.instance_user_exists = ::getpwnam(facts.instance_user.c_str()) != nullptr;
  }
  return facts;
}

}  // namespace fanfare::cli
