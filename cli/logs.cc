// fanfare logs: what functions print and how their attempts end, of all workers of an installation.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <optional>
#include <thread>

#include "cli/journal.h"
#include "cli/log_source.h"
#include "cli/retrying.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr Duration kLookEvery = 200ms;
constexpr std::string_view kPrefix = "worker-";
constexpr std::string_view kSuffix = ".log";

// "worker-2.log" is the log of the worker that `up` calls local-2.
std::string worker_of(const fs::path& file) {
  const std::string name = file.filename();
  if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) {
    return "local-" + name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  }
  return file.stem();
}

class Logs {
 public:
  Logs(const Common& common, const LogsCommand& command) : common_(common), command_(command) {
    if (command.since) since_ = format_wall_time(wall_now() - floor_ms(*command.since));
    lines_max_ = command.lines.value_or(command.since ? SIZE_MAX : 100);
  }

  // The files that are named, the logs of the installation's workers, or the services' journal.
  Result<void> find_sources();
  Result<void> show_what_is_there();
  void follow();

 private:
  static std::chrono::milliseconds floor_ms(Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration);
  }
  bool wanted(const LogEntry& entry) const {
    if (entry.time < since_) return false;
    return command_.function.empty() || entry.kind == LogEntry::Kind::kLeftOut ||
           entry.function == command_.function;
  }
  void look_for_new_workers();
  void print(std::vector<LogEntry> entries) const;

  const Common& common_;
  const LogsCommand& command_;
  std::string since_;
  std::size_t lines_max_ = 0;
  std::string folder_;                   // of the installation's logs
  std::optional<JournalTime> asked_at_;  // of the services' journal; what came later is followed
  std::deque<LogSource> sources_;
};

Result<void> Logs::find_sources() {
  for (const auto& file : command_.files) sources_.emplace_back(worker_of(file), file);
  if (!sources_.empty()) return {};
  if (!common_.address.broker.empty() && common_.address.data.empty()) {
    return reject(
        "the logs of workers elsewhere are on their hosts\n"
        "read them there: `fanfare logs --file FILE` if [worker] log_file is set, else "
        "`journalctl -u 'fanfare-worker@*' -o cat | fanfare logs --file -`");
  }
  const auto installation = find_installation(common_.address);
  if (!installation) return installation.error();
  if (installation->is_system) {
    asked_at_ = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    std::optional<JournalTime> since;
    if (command_.since) since = *asked_at_ - floor_ms(*command_.since);
    if (auto opened = read_journal(since, *asked_at_); !opened) return opened;
    sources_.emplace_back("services", "-");
    return {};
  }
  folder_ = installation->log_dir();
  look_for_new_workers();
  if (!sources_.empty()) return {};
  return reject(
      fmt::format("no worker has written a log in {}\nname an installation of `fanfare up` with "
                  "--data, or a worker's log with --file",
                  folder_));
}

void Logs::look_for_new_workers() {
  if (folder_.empty()) return;
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename();
    const bool known = std::ranges::any_of(
        sources_, [&](const LogSource& source) { return source.path() == entry.path(); });
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix) && !known) {
      found.push_back(entry.path());
    }
  }
  std::ranges::sort(found);
  for (const auto& path : found) sources_.emplace_back(worker_of(path), path);
}

Result<void> Logs::show_what_is_there() {
  std::vector<LogEntry> all;
  for (LogSource& source : sources_) {
    std::deque<LogEntry> last;  // of this worker: no more of it can be wanted
    const auto read = source.read([&](LogEntry entry) {
      if (!wanted(entry)) return;
      last.push_back(std::move(entry));
      if (last.size() > lines_max_) last.pop_front();
    });
    if (!read) return read;
    std::ranges::move(last, std::back_inserter(all));
  }
  std::ranges::stable_sort(all, {}, &LogEntry::time);
  if (all.size() > lines_max_) {
    all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(lines_max_));
  }
  if (all.empty() && !command_.follow) {
    fmt::print(stderr,
               "fanfare: no function has printed anything and no attempt was reported{}; see "
               "reports, output_lines_per_second and log_level of [worker]\n",
               since_.empty() ? "" : " since " + since_);
  }
  print(std::move(all));
  return {};
}

void Logs::follow() {
  if (asked_at_) {
    if (auto opened = read_journal(*asked_at_, std::nullopt); !opened) {
      return print_error(common_.output, opened.error().message);
    }
  }
  while (std::ferror(stdout) == 0) {
    std::this_thread::sleep_for(kLookEvery);
    look_for_new_workers();
    std::vector<LogEntry> fresh;
    for (LogSource& source : sources_) {
      (void)source.read([&](LogEntry entry) {
        if (wanted(entry)) fresh.push_back(std::move(entry));
      });
    }
    std::ranges::stable_sort(fresh, {}, &LogEntry::time);
    print(std::move(fresh));
  }
}

void Logs::print(std::vector<LogEntry> entries) const {
  std::string out;
  for (const LogEntry& entry : entries) {
    out += common_.output.json
               ? entry_json(entry)
               : format_entry(entry, sources_.size() > 1, common_.output.colour_out);
    out += '\n';
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

int run_logs(const Common& common, const LogsCommand& command) {
  Logs logs(common, command);
  if (auto found = logs.find_sources(); !found) return fail(common.output, found.error());
  if (auto shown = logs.show_what_is_there(); !shown) return fail(common.output, shown.error());
  if (command.follow) logs.follow();
  return kDone;
}

}  // namespace fanfare::cli
