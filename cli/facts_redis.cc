#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "cli/autoscaler_rows.h"
#include "cli/facts.h"
#include "cli/retrying.h"
#include "store/keys.h"
#include "store/library.h"
#include "triggers/schedule_table.h"

namespace fanfare::cli {
namespace {

constexpr std::size_t kProbes = 5;
constexpr std::string_view kProbeKey = "fanfare:doctor:probe";

std::uint64_t digits_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// INFO's "name:value" lines; empty if there is none of that name.
std::string field_of(std::string_view info, std::string_view name) {
  std::size_t at = 0;
  while (at < info.size()) {
    const std::size_t end = std::min(info.find('\n', at), info.size());
    std::string_view line = info.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) {
      return std::string{line.substr(name.size() + 1)};
    }
    at = end + 1;
  }
  return {};
}

class RedisQuestions {
 public:
  explicit RedisQuestions(RedisSync& redis) : redis_(redis) {}

  std::string text(std::initializer_list<std::string_view> words) {
    const auto reply = redis_.call(words);
    if (!reply || (*reply)->is_error()) return {};
    return std::string{(*reply)->text()};
  }
  std::string setting(std::string_view name) {
    const auto reply = redis_.call({"CONFIG", "GET", name});
    return reply && (*reply)->size() == 2 ? std::string{(**reply)[1].text()} : std::string{};
  }

  // The middle of some: one may meet a rewrite, or somebody else's large write.
  std::optional<Duration> write_time() {
    std::array<Duration, kProbes> taken{};
    for (Duration& one : taken) {
      const auto began = std::chrono::steady_clock::now();
      if (text({"SET", kProbeKey, "1", "PX", "1000"}) != "OK") return std::nullopt;
      one = std::chrono::steady_clock::now() - began;
    }
    std::ranges::sort(taken);
    return taken[kProbes / 2];
  }

  // Its clock before this one, measured to half of the time that asking takes.
  std::optional<std::int64_t> ahead_ms() {
    using namespace std::chrono;
    const auto before = system_clock::now();
    const auto reply = redis_.call({"TIME"});
    const auto after = system_clock::now();
    if (!reply || (*reply)->size() != 2) return std::nullopt;
    const auto there_us = static_cast<std::int64_t>(digits_in((**reply)[0].text()) * 1'000'000 +
                                                    digits_in((**reply)[1].text()));
    const auto here_us =
        duration_cast<microseconds>((before + (after - before) / 2).time_since_epoch()).count();
    return (there_us - here_us) / 1000;
  }

  std::vector<ScheduleFacts> schedules() {
    std::vector<ScheduleFacts> all;
    const auto ledger = redis_.call({"HGETALL", store::kSchedulesLedgerKey});
    if (!ledger || !(*ledger)->is_array()) return all;
    const WallTime now = wall_now();
    for (std::size_t i = 0; i + 1 < (*ledger)->size(); i += 2) {
      ScheduleFacts schedule{.name = std::string{(**ledger)[i].text()}};
      if (const auto row = triggers::parse_ledger_row((**ledger)[i + 1].text())) {
        schedule.missed = row->missed;
        if (row->missed_at > WallTime{}) schedule.missed_ago = now - row->missed_at;
      }
      all.push_back(std::move(schedule));
    }
    return all;
  }

  std::vector<AutoscalerFacts> autoscalers() {
    std::vector<AutoscalerFacts> all;
    const auto rows = read_autoscalers(redis_, wall_now());
    if (!rows) return all;
    for (const AutoscalerRow& row : *rows) {
      const auto min = row.status.find("min");
      const auto dry_run = row.status.find("dry_run");
      const bool only_looks = dry_run != row.status.end() && *dry_run == true;
      if (min == row.status.end() || !min->is_number_unsigned()) continue;
      all.push_back({row.name, min->get<std::uint32_t>(), !row.silent() && !only_looks});
    }
    return all;
  }

  std::optional<std::uint64_t> letters(std::string_view function) {
    const auto length = redis_.call({"XLEN", store::dead_key(function)});
    if (!length || (*length)->type() != RedisReply::Type::kInteger) return std::nullopt;
    return static_cast<std::uint64_t>((*length)->integer());
  }

 private:
  RedisSync& redis_;
};

void read_info(RedisQuestions& ask, RedisFacts& facts) {
  facts.version = field_of(ask.text({"INFO", "server"}), "redis_version");
  const std::string memory = ask.text({"INFO", "memory"});
  facts.used_memory = digits_in(field_of(memory, "used_memory"));
  facts.maxmemory = digits_in(field_of(memory, "maxmemory"));
  facts.machine_memory = digits_in(field_of(memory, "total_system_memory"));
  const std::string persistence = ask.text({"INFO", "persistence"});
  facts.last_aof_write = field_of(persistence, "aof_last_write_status");
  facts.last_aof_rewrite = field_of(persistence, "aof_last_bgrewrite_status");
  facts.aof_bytes = digits_in(field_of(persistence, "aof_current_size"));
}

}  // namespace

void gather_redis_facts(const Address& address, Facts& all) {
  RedisFacts& facts = all.redis;
  auto redis = connect_redis(address);
  if (!redis) {
    facts.unreachable = redis.error().message;
    return;
  }
  RedisQuestions ask(*redis);
  read_info(ask, facts);
  facts.maxmemory_policy = ask.setting("maxmemory-policy");
  facts.appendonly = ask.setting("appendonly");
  facts.appendfsync = ask.setting("appendfsync");
  facts.directory = ask.setting("dir");
  const auto url = redis_url(address);
  const auto options = url ? parse_redis_url(*url) : url.error();
  const bool is_here = options && (!options->unix_path.empty() || options->host == "127.0.0.1" ||
                                   options->host == "localhost");
  struct statvfs disk{};
  if (is_here && !facts.directory.empty() && ::statvfs(facts.directory.c_str(), &disk) == 0) {
    facts.disk_free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  }
  facts.write_time = ask.write_time();
  facts.ahead_ms = ask.ahead_ms();
  facts.library = ask.text({"FCALL_RO", "fanfare2_digest", "0"});
  facts.layout = ask.text({"HGET", store::kMetaKey, "layout"});
  facts.epoch = digits_in(ask.text({"HGET", store::kMetaKey, "epoch"}));
  all.schedules = ask.schedules();
  all.autoscalers = ask.autoscalers();
  for (FunctionFacts& function : all.broker.functions) {
    function.letters = ask.letters(function.name);
  }
}

}  // namespace fanfare::cli
