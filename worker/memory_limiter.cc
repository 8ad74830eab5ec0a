#include "worker/memory_limiter.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

namespace fanfare::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNamePrefix = "fanfare-";
constexpr int kSweepsMax = 60;

// Control files exist already: nothing here may create one.
bool write_file(const std::string& path, std::string_view text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The own path in a hierarchy: lines are `number:controllers:path`, v2 has no controllers.
std::optional<std::string> own_path(const std::string& own_cgroups, std::string_view controller) {
  std::istringstream lines(own_cgroups);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    const bool v2 = second == first + 1;
    bool found = v2 && controller.empty();
    for (std::string name; std::getline(names, name, ',');) found |= name == controller;
    if (found) return line.substr(second + 1);
  }
  return std::nullopt;
}

std::string because(const std::string& doing) {
  return doing + ": " + std::strerror(errno);
}

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  for (std::string each; words >> each;) {
    if (each == word) return true;
  }
  return false;
}

// Kills whoever is in a cgroup; whether nobody was.
bool sweep_group(const std::string& folder) {
  std::istringstream pids(read_file(folder + "/cgroup.procs"));
  bool empty = true;
  for (pid_t pid = 0; pids >> pid; empty = false) {
    if (pid > 0) ::kill(pid, SIGKILL);
  }
  return empty;
}

// The folders in this one. Others may sweep the same ones at the same time: what is gone while it
// is looked at is not there.
std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error, none;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator{}; at.increment(error)) {
    if (at->is_directory(none)) folders.push_back(at->path());
  }
  return folders;
}

// The folders of workers that were killed: their names end in the pid.
void find_orphans(const fs::path& folder, std::vector<std::string>& orphans) {
  for (const fs::path& each : folders_in(folder)) {
    const std::string name = each.filename();
    if (!name.starts_with(kNamePrefix)) continue;
    const pid_t pid = std::atoi(name.c_str() + kNamePrefix.size());
    if (pid <= 0 || ::kill(pid, 0) == 0 || errno != ESRCH) continue;
    orphans.push_back(each);
  }
}

// Whether it could be removed, with its leaves.
bool remove_orphan(const fs::path& folder) {
  for (const fs::path& leaf : folders_in(folder)) {
    sweep_group(leaf);
    ::rmdir(leaf.c_str());
  }
  sweep_group(folder);
  return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
}

// Whether there is a folder of this name now, for us alone: one that stands there already is what a
// killed worker has left that had our pid.
bool make_own(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0755) == 0) return true;
  if (errno != EEXIST) return false;
  remove_orphan(folder);
  return ::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST;
}

// cgroup v2 lets processes live in leaves only, so the worker moves into one of its own first: that
// needs a cgroup that was delegated to it (systemd: Delegate=yes).
Result<std::string> prepare_v2(const MemoryLimiter::Places& places, const std::string& name) {
  const auto own = own_path(read_file(places.own_cgroups), "");
  if (!own) return reject("no unified hierarchy");
  const std::string folder = places.cgroup_root + *own;
  if (!has_word(read_file(folder + "/cgroup.controllers"), "memory")) {
    return reject("its memory controller is not available in " + folder);
  }
  const std::string mine = folder + "/" + name;
  for (const std::string& made : {mine + "-self", mine}) {
    if (!make_own(made)) return reject(because("making " + made));
  }
  if (!write_file(mine + "-self/cgroup.procs", "0"))
    return reject(because("moving into " + mine + "-self"));
  for (const std::string& parent : {folder, mine}) {
    if (!write_file(parent + "/cgroup.subtree_control", "+memory")) {
      return reject(because("enabling the memory controller in " + parent));
    }
  }
  return mine;
}

Result<std::string> prepare_v1(const MemoryLimiter::Places& places, const std::string& name) {
  const auto own = own_path(read_file(places.own_cgroups), "memory");
  if (!own) return reject("no memory hierarchy");
  const std::string folder = places.cgroup_root + "/memory" + *own;
  const std::string mine = folder + "/" + name;
  if (!make_own(mine)) return reject(because("making " + mine));
  return mine;
}

}  // namespace

// A cgroup of the kernel's, removed with this object.
struct MemoryLeaf::Group {
  std::string folder, events_file;
  std::uint64_t bytes = 0;
  Fd entry;
  std::uint64_t oom_kills_before = 0;  // by those who had it earlier

  ~Group() {
    entry.reset();
    ::rmdir(folder.c_str());
  }

  std::uint64_t count_oom_kills() const {
    std::istringstream words(read_file(events_file));
    std::string key;
    for (std::uint64_t value = 0; words >> key >> value;) {
      if (key == "oom_kill") return value;
    }
    return 0;
  }
};

// All cgroups of a worker: its folder, and those that wait to be used again.
struct MemoryLeaf::Groups {
  static constexpr std::size_t kSparesMax = 64;

  std::string folder;
  std::vector<std::unique_ptr<Group>> spares;
  std::unique_ptr<Group> ready;  // nobody is in it any more: that was looked at
  std::uint64_t next = 1;

  ~Groups() {
    ready.reset();
    spares.clear();
    ::rmdir(folder.c_str());
  }

  void give_back(std::unique_ptr<Group> group) {
    if (spares.size() < kSparesMax) spares.push_back(std::move(group));
  }

  bool is_ready(std::uint64_t bytes) const { return ready && ready->bytes == bytes; }

  std::unique_ptr<Group> take_spare(std::uint64_t bytes) {
    for (auto spare = spares.begin(); spare != spares.end(); ++spare) {
      // A process that was killed a moment ago may still be there: it is asked again next time.
      if ((*spare)->bytes != bytes || !sweep_group((*spare)->folder)) continue;
      auto group = std::move(*spare);
      spares.erase(spare);
      return group;
    }
    return nullptr;
  }
};

MemoryLeaf::MemoryLeaf(std::shared_ptr<Groups> groups, std::unique_ptr<Group> group)
    : groups_(std::move(groups)), group_(std::move(group)) {}

MemoryLeaf::~MemoryLeaf() {
  sweep_group(group_->folder);
  group_->oom_kills_before = group_->count_oom_kills();
  groups_->give_back(std::move(group_));
}

int MemoryLeaf::entry_fd() const {
  return group_->entry.get();
}

std::uint64_t MemoryLeaf::oom_kills() const {
  return group_->count_oom_kills() - group_->oom_kills_before;
}

MemoryLimiter::MemoryLimiter(Means means, const std::string& folder,
                             std::vector<std::string> reasons)
    : means_(means), reasons_(std::move(reasons)) {
  if (means == Means::kRlimit) return;
  groups_ = std::make_shared<MemoryLeaf::Groups>();
  groups_->folder = folder;
}

MemoryLimiter::~MemoryLimiter() = default;

MemoryLimiter MemoryLimiter::detect(const Places& places) {
  const std::string name =
      places.name.empty() ? std::string(kNamePrefix) + std::to_string(::getpid()) : places.name;
  std::vector<std::string> reasons, orphans;
  const auto found = [&](MemoryLimiter limiter) {
    limiter.orphans_ = std::move(orphans);
    limiter.sweep_orphans();
    return limiter;
  };
  constexpr std::uint64_t kTrialBytes = 64 << 20;
  for (const Means means : {Means::kCgroupV2, Means::kCgroupV1}) {
    const bool v2 = means == Means::kCgroupV2;
    const auto folder = v2 ? prepare_v2(places, name) : prepare_v1(places, name);
    std::string reason;
    if (folder) {
      if (places.sweep_orphans) find_orphans(fs::path(*folder).parent_path(), orphans);
      MemoryLimiter limiter(means, *folder, reasons);
      const auto trial = limiter.make_leaf(kTrialBytes);
      if (trial) return found(std::move(limiter));
      reason = trial.error().message;
    } else {
      reason = folder.error().message;
    }
    reasons.push_back(std::string(v2 ? "cgroup v2: " : "cgroup v1: ") + reason);
  }
  return found(MemoryLimiter(Means::kRlimit, {}, std::move(reasons)));
}

void MemoryLimiter::sweep_orphans() {
  std::erase_if(orphans_, remove_orphan);
  // What cannot be removed for so long is not ours to remove.
  if (!orphans_.empty() && ++sweeps_ >= kSweepsMax) orphans_.clear();
}

std::string_view MemoryLimiter::name() const {
  switch (means_) {
    case Means::kCgroupV2:
      return "cgroup v2";
    case Means::kCgroupV1:
      return "cgroup v1";
    case Means::kRlimit:
      return "rlimit";
  }
  return "";
}

Result<std::unique_ptr<MemoryLeaf>> MemoryLimiter::make_leaf(std::uint64_t bytes) {
  if (means_ == Means::kRlimit) return reject("memory is limited by rlimit here, not by a cgroup");
  auto group = groups_->is_ready(bytes) ? std::move(groups_->ready) : find_group(bytes);
  if (!group) return group.error();
  return std::unique_ptr<MemoryLeaf>(new MemoryLeaf(groups_, *std::move(group)));
}

void MemoryLimiter::get_ready(std::uint64_t bytes) {
  if (groups_->is_ready(bytes)) return;
  if (groups_->ready) groups_->give_back(std::move(groups_->ready));
  if (auto group = find_group(bytes)) groups_->ready = *std::move(group);
}

Result<std::unique_ptr<MemoryLeaf::Group>> MemoryLimiter::find_group(std::uint64_t bytes) {
  if (auto spare = groups_->take_spare(bytes)) return spare;
  return make_group(bytes);
}

Result<std::unique_ptr<MemoryLeaf::Group>> MemoryLimiter::make_group(std::uint64_t bytes) {
  auto group = std::make_unique<MemoryLeaf::Group>();
  std::string folder;
  int made = 0;
  do {  // one that exists is a predecessor's, with somebody in it who still dies
    folder = groups_->folder + "/" + std::to_string(groups_->next++);
    made = ::mkdir(folder.c_str(), 0755);
  } while (made != 0 && errno == EEXIST);
  if (made != 0) return retry_later(because("making " + folder));

  const bool v2 = means_ == Means::kCgroupV2;
  group->folder = folder;
  group->events_file = folder + (v2 ? "/memory.events" : "/memory.oom_control");
  group->bytes = bytes;
  group->entry.reset(v2 ? ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                        : ::open((folder + "/tasks").c_str(), O_WRONLY | O_CLOEXEC));
  const char* limit = v2 ? "/memory.max" : "/memory.limit_in_bytes";
  if (!group->entry || !write_file(folder + limit, std::to_string(bytes))) {
    return retry_later(because("limiting " + folder));
  }
  if (v2) {  // where there is swap, it must not hide the limit; and the whole group goes at once
    write_file(folder + "/memory.swap.max", "0");
    write_file(folder + "/memory.oom.group", "1");
  } else {
    write_file(folder + "/memory.memsw.limit_in_bytes", std::to_string(bytes));
  }
  return group;
}

}  // namespace fanfare::worker
