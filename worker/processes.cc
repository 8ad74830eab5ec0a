#include "worker/processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <utility>

namespace fanfare::worker {
namespace {

constexpr std::string_view kFileSuffix = "_file";
// After a fork, until what it used up is made anew: then nobody waits for its instance any more.
constexpr Duration kEquipAfter = std::chrono::milliseconds{10};
constexpr std::uint64_t kUnlimitedBytes = std::uint64_t{1} << 50;

using Variables = std::vector<std::pair<std::string, std::string>>;

// The manifest's [env]; `NAME_file = "path"` gives NAME the file's content without a last newline.
Result<Variables> environment_of(const protocol::Manifest& manifest, const std::string& folder) {
  Variables env;
  for (const auto& [name, value] : manifest.env) {
    if (!name.ends_with(kFileSuffix)) {
      env.emplace_back(name, value);
      continue;
    }
    const std::string path = value.starts_with('/') ? value : folder + "/" + value;
    std::ifstream file(path, std::ios::binary);
    if (!file) return reject(fmt::format("cannot read {} for [env] {}", path, name));
    std::string content{std::istreambuf_iterator<char>(file), {}};
    if (content.ends_with('\n')) content.pop_back();
    env.emplace_back(name.substr(0, name.size() - kFileSuffix.size()), std::move(content));
  }
  return env;
}

}  // namespace

Processes::Processes(Loop& loop, Core& core, Options options)
    : loop_(loop),
      core_(core),
      options_(std::move(options)),
      program_(::open(options_.program.c_str(), O_PATH | O_CLOEXEC)),
      limiter_(MemoryLimiter::detect({.sweep_orphans = options_.protections.sweep_orphans})) {
  equip_.start_after(Duration::zero());
}

Processes::~Processes() {
  for (auto& [id, instance] : instances_) instance->handle->kill_group(SIGKILL);
}

// ---- zygotes ----

Result<void> Processes::start_zygote(ZygoteId id, const protocol::Manifest& manifest,
                                     const std::string& folder) {
  auto env = environment_of(manifest, folder);
  if (!env) return env.error();
  if (!options_.storage_dir.empty()) env->emplace_back("FANFARE_STORAGE", options_.storage_dir);
  ZygoteOptions options;
  options.program = options_.program;
  options.program_fd = program_.get();
  options.function = manifest.name;
  options.handler = folder + "/" + manifest.handler;
  options.env = *std::move(env);
  const std::uint64_t memory_bytes =
      options_.protections.limit_memory ? manifest.memory_bytes : kUnlimitedBytes;
  if (limiter_.means() == MemoryLimiter::Means::kRlimit) options.data_bytes_max = memory_bytes;
  options.result_bytes_max = manifest.result_max_bytes;
  options.uid = options_.uid;
  options.gid = options_.gid;
  options.enters_cgroups = limiter_.means() == MemoryLimiter::Means::kCgroupV2;
  auto client = ZygoteClient::start(options);
  if (!client) return client.error();
  Zygote& zygote = zygotes_[id];
  zygote.memory_bytes = memory_bytes;
  zygote.client = *std::move(client);
  zygote.control =
      std::make_unique<FdWatch>(loop_, zygote.client->control_fd(), [this, id] { on_zygote(id); });
  return {};
}

void Processes::stop_zygote(ZygoteId id) {
  drop(id, "its zygote was stopped");
}

std::string Processes::printed_by(ZygoteId id) const {
  const auto at = zygotes_.find(id);
  return at == zygotes_.end() ? std::string{} : at->second.client->log_tail().text;
}

// Forgets a zygote; the object itself, whose watch may be calling right now, goes at the turn's
// end. Its unborn instances are reported in a later turn, as the core may be in the midst of a
// decision.
void Processes::drop(ZygoteId id, const std::string& why) {
  const auto at = zygotes_.find(id);
  if (at == zygotes_.end()) return;
  auto doomed = std::make_shared<Zygote>(std::move(at->second));
  zygotes_.erase(at);
  doomed->control.reset();
  loop_.post([this, doomed, why] {
    for (const auto& [ticket, instance] : doomed->tickets) {
      if (instances_.erase(instance) > 0) core_.on_fork_failed(instance, why, loop_.now());
    }
  });
}

void Processes::on_zygote(ZygoteId id) {
  const auto at = zygotes_.find(id);
  if (at == zygotes_.end()) return;
  for (ZygoteEvent& event : at->second.client->take_events()) {
    const auto zygote = zygotes_.find(id);
    if (zygote == zygotes_.end()) return;  // the core stopped it meanwhile
    if (std::holds_alternative<ZygoteReady>(event)) {
      core_.on_zygote_ready(id, loop_.now());
    } else if (auto* forked = std::get_if<Forked>(&event)) {
      on_forked(zygote->second, *forked);
    } else if (auto* unforked = std::get_if<ForkFailed>(&event)) {
      on_fork_failed(zygote->second, *unforked);
    } else if (auto* failed = std::get_if<ZygoteInitFailed>(&event)) {
      drop(id, failed->failure.message);
      return core_.on_zygote_failed(id, std::move(failed->failure), std::move(failed->log_tail),
                                    loop_.now());
    } else {
      drop(id, "its zygote ended");
      return core_.on_zygote_gone(id, loop_.now());
    }
  }
}

void Processes::on_forked(Zygote& zygote, Forked& forked) {
  const auto ticket = zygote.tickets.find(forked.ticket);
  if (ticket == zygote.tickets.end()) return;
  const InstanceId id = ticket->second;
  zygote.tickets.erase(ticket);
  const auto at = instances_.find(id);
  if (at == instances_.end()) return;
  Instance& instance = *at->second;
  const pid_t pid = forked.pid;
  const int watched = ::fcntl(forked.pidfd.get(), F_DUPFD_CLOEXEC, 3);
  instance.handle->forked(pid, std::move(forked.pidfd));
  instance.end = PidWatch::adopt(loop_, watched, [this, id] { on_end(id); });
  if (instance.signal_when_born != 0) instance.handle->kill_group(instance.signal_when_born);
  core_.on_instance_started(id, pid, loop_.now());
  instance.channel->want_read(true);
}

void Processes::on_fork_failed(Zygote& zygote, const ForkFailed& failed) {
  const auto ticket = zygote.tickets.find(failed.ticket);
  if (ticket == zygote.tickets.end()) return;
  const InstanceId id = ticket->second;
  zygote.tickets.erase(ticket);
  instances_.erase(id);
  core_.on_fork_failed(id, failed.message, loop_.now());
}

// ---- instances ----

bool Processes::fork(ZygoteId zygote_id, InstanceId id) {
  const auto at = zygotes_.find(zygote_id);
  if (at == zygotes_.end()) return false;
  auto instance = std::make_unique<Instance>();
  const std::uint64_t memory_bytes = at->second.memory_bytes;
  if (limiter_.means() != MemoryLimiter::Means::kRlimit) {
    auto leaf = limiter_.make_leaf(memory_bytes);
    if (!leaf) return false;
    instance->leaf = *std::move(leaf);
    last_leaf_bytes_ = memory_bytes;
  }
  if (!equip_.running()) equip_.start_after(kEquipAfter);
  auto handle = at->second.client->fork(instance->leaf ? instance->leaf->entry_fd() : -1,
                                        std::exchange(spare_, std::nullopt));
  if (!handle) return false;
  instance->handle = *std::move(handle);
  instance->channel = std::make_unique<FdWatch>(
      loop_, instance->handle->channel_fd(), [this, id] { on_channel(id); },
      [this, id] {
        const auto found = instances_.find(id);
        if (found == instances_.end()) return;
        send_answer(*found->second);
      });
  // It may answer before its zygote has told of its birth: its results are taken after that.
  instance->channel->want_read(false);
  at->second.tickets[instance->handle->ticket()] = id;
  instances_[id] = std::move(instance);
  return true;
}

// For the next instance. What fails now is tried when it is needed.
void Processes::equip() {
  if (!spare_) {
    if (auto made = Equipment::make()) spare_ = *std::move(made);
  }
  if (last_leaf_bytes_) limiter_.get_ready(*last_leaf_bytes_);
}

Result<InstanceHandle::Sent> Processes::run(InstanceId id, std::span<const Item> items) {
  const auto at = instances_.find(id);
  if (at == instances_.end()) return reconnect("the instance is gone");
  return at->second->handle->send(items);
}

std::optional<InstanceHandle::Running> Processes::running(InstanceId id) const {
  const auto at = instances_.find(id);
  return at == instances_.end() ? std::nullopt : at->second->handle->running();
}

std::vector<InstanceHandle::Kept> Processes::recall(InstanceId id) {
  const auto at = instances_.find(id);
  return at == instances_.end() ? std::vector<InstanceHandle::Kept>{}
                                : at->second->handle->recall();
}

std::optional<Progress> Processes::progress(InstanceId id) const {
  const auto at = instances_.find(id);
  return at == instances_.end() ? std::nullopt : at->second->handle->progress();
}

std::optional<InstanceHandle::Output> Processes::output(InstanceId id) {
  const auto at = instances_.find(id);
  return at == instances_.end() ? std::nullopt : at->second->handle->take_output();
}

std::uint64_t Processes::peak_memory_bytes(InstanceId id) const {
  const auto at = instances_.find(id);
  return at == instances_.end() ? 0 : std::uint64_t{1024} * at->second->handle->peak_memory_kb();
}

void Processes::give_rows(InstanceId id, std::uint64_t number, const Result<store::Rows>& rows) {
  give(id, {number, rows});
}

void Processes::give_invoked(InstanceId id, std::uint64_t number, const InvokeAnswer& answer) {
  give(id, {number, answer});
}

void Processes::give(InstanceId id, Instance::Answer answer) {
  const auto at = instances_.find(id);
  if (at == instances_.end()) return;
  at->second->answer = std::move(answer);
  send_answer(*at->second);
}

// Whoever waits for an answer reads its socket, so there is room, or will be very soon.
void Processes::send_answer(Instance& instance) {
  if (!instance.answer) return;
  const auto& [number, what] = *instance.answer;
  const auto* rows = std::get_if<Result<store::Rows>>(&what);
  const auto sent = rows ? instance.handle->send_rows(number, *rows)
                         : instance.handle->send_invoked(number, std::get<InvokeAnswer>(what));
  if (!sent && sent.error().kind == ErrorKind::kRetryLater) {
    return instance.channel->want_write(true);
  }
  instance.answer.reset();
  instance.channel->want_write(false);
}

void Processes::kill(InstanceId id, int signal) {
  const auto at = instances_.find(id);
  if (at == instances_.end()) return;
  if (at->second->handle->pid() == 0) {
    at->second->signal_when_born = signal;
  } else {
    at->second->handle->kill_group(signal);
  }
}

void Processes::take_results(InstanceId id, Instance& instance) {
  const auto taken = instance.handle->take_results(results_);
  if (!results_.empty()) core_.on_results(id, results_.all(), loop_.now());
  results_.clear();
  if (const auto request = instance.handle->take_row_request()) {
    core_.on_rows_asked(id, *request, loop_.now());
  }
  if (auto request = instance.handle->take_invoke_request()) {
    core_.on_invoke_asked(id, std::move(*request), loop_.now());
  }
  if (taken) return;
  // A closed channel stays readable for ever; the pidfd tells the end.
  instance.channel->want_read(false);
  if (taken.error().kind != ErrorKind::kReconnect) {
    core_.on_instance_broken(id, taken.error().message, loop_.now());
  }
}

void Processes::on_channel(InstanceId id) {
  const auto at = instances_.find(id);
  if (at != instances_.end()) take_results(id, *at->second);
}

void Processes::on_end(InstanceId id) {
  const auto at = instances_.find(id);
  if (at == instances_.end()) return;
  Instance& instance = *at->second;
  take_results(id, instance);
  auto ending = instance.handle->reap();
  if (!ending) return;
  if (instance.leaf && instance.leaf->oom_kills() > 0) ending->out_of_memory = true;
  Core::End end;
  end.ending = *ending;
  end.running = instance.handle->running();
  auto log = instance.handle->unfinished_log_tail();
  end.log_tail = std::move(log.text);
  end.log_truncated = log.truncated;
  auto rest = instance.handle->last_output();
  end.printed = std::move(rest.text);
  end.printed_cut = rest.cut;
  // Its own watch is calling: it goes at the end of the turn.
  std::shared_ptr<Instance> doomed = std::move(at->second);
  instances_.erase(at);
  doomed->channel.reset();
  loop_.post([doomed] {});
  core_.on_instance_ended(id, std::move(end), loop_.now());
}

void Processes::housekeeping() {
  for (auto& [id, instance] : instances_) instance->handle->log().trim();
  limiter_.sweep_orphans();
  bury_strangers();
}

// A zygote that was stopped may have forked an instance that it could not tell us of any more; as
// nobody holds its channel it has ended, and as it is our child somebody must say so. Nobody is a
// stranger while a zygote has yet to say whom it has forked: one that dies at once is dead by then.
void Processes::bury_strangers() {
  for (const auto& [id, zygote] : zygotes_) {
    if (!zygote.tickets.empty()) return;
  }
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    for (const auto& [id, instance] : instances_) {
      if (instance->handle->pid() == info.si_pid) return;  // its watch is about to see it
    }
    for (const auto& [id, zygote] : zygotes_) {
      if (zygote.client->pid() == info.si_pid) return;
    }
    ::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
  }
}

}  // namespace fanfare::worker
