// Findings about Redis: whether it keeps what the broker promises, and has room to go on.
#include <fmt/format.h>

#include "cli/checkup.h"
#include "store/bytes.h"
#include "store/calls.h"
#include "store/check.h"
#include "store/keys.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using Level = Finding::Level;

constexpr std::string_view kKnownVersion = "7.0.15";  // Debian 12's, which all tests run with
// A rewrite writes the whole data set anew beside the old files, which go when it is done.
constexpr std::uint64_t kRewriteSpareBytes = 256u << 20;
constexpr Duration kSlowWrite = 20ms, kVerySlowWrite = 200ms;
constexpr double kMemoryWatermark = 0.8;

class RedisCheckup {
 public:
  RedisCheckup(const Facts& facts, std::vector<Finding>& findings)
      : facts_(facts), redis_(facts.redis), findings_(findings) {}

  void run() {
    if (!redis_.unreachable.empty()) {
      return say(
          "redis.reachable", Level::kFailure, redis_.unreachable,
          advice_to_reach(redis_.unreachable, "start Redis, or say where it is with --redis"));
    }
    say("redis.reachable", Level::kOk, "it answers");
    look_at_version();
    look_at_class();
    look_at_files();
    look_at_disk();
    look_at_write_time();
    look_at_memory();
    look_at_contents();
  }

 private:
  void say(const char* check, Level level, std::string seen, std::string advice = {}) {
    findings_.push_back({check, level, std::move(seen), std::move(advice)});
  }

  void look_at_version() {
    const store::ServerFacts known{redis_.version, "noeviction", "yes", "always"};
    if (const auto fits = store::judge_server(known, "memory", "hand"); !fits) {
      return say("redis.version", Level::kFailure, redis_.version,
                 "install Redis 7.0 or newer: older ones have no functions");
    }
    const bool tested = redis_.version == kKnownVersion;
    say("redis.version", tested ? Level::kOk : Level::kWarning, redis_.version,
        tested ? ""
               : fmt::format("Fanfare is tested with {}; nothing is known against this one",
                             kKnownVersion));
  }

  void look_at_class() {
    if (redis_.maxmemory_policy.empty()) {
      return say("redis.eviction", Level::kWarning, "it does not tell its settings",
                 "allow CONFIG GET for this user, so that they can be checked");
    }
    const bool keeps = redis_.maxmemory_policy == "noeviction";
    say("redis.eviction", keeps ? Level::kOk : Level::kFailure,
        "maxmemory-policy " + redis_.maxmemory_policy,
        keeps ? "" : "it deletes accepted events when it is full: set maxmemory-policy noeviction");
    const store::ServerFacts server{kKnownVersion.data(), "noeviction", redis_.appendonly,
                                    redis_.appendfsync};
    // Only the broker knows its class; what would do for the strongest does for all.
    const bool is_known = !facts_.broker.durability.empty();
    const std::string durability = is_known ? facts_.broker.durability : "fsync";
    const bool lasts = store::judge_server(server, durability, "hand").has_value();
    const std::string advice = fmt::format("set appendonly yes and appendfsync {}",
                                           durability == "fsync" ? "always" : "everysec");
    say("redis.durability",
        lasts      ? Level::kOk
        : is_known ? Level::kFailure
                   : Level::kWarning,
        fmt::format("{}appendonly {}, appendfsync {}",
                    is_known ? fmt::format("class {}, ", durability) : "", redis_.appendonly,
                    redis_.appendfsync),
        lasts      ? ""
        : is_known ? "it cannot keep what is acknowledged: " + advice
                   : "the broker does not say its class; for fsync: " + advice);
  }

  void look_at_files() {
    if (redis_.appendonly != "yes") return;
    const bool written = redis_.last_aof_write == "ok", rewritten = redis_.last_aof_rewrite == "ok";
    say("redis.aof",
        !written     ? Level::kFailure
        : !rewritten ? Level::kWarning
                     : Level::kOk,
        fmt::format("last write {}, last rewrite {}", redis_.last_aof_write,
                    redis_.last_aof_rewrite),
        !written     ? "it refuses writes until one succeeds: look at its disk and its log"
        : !rewritten ? "its files only grow until one succeeds: look at its log, for memory or disk"
                     : "");
  }

  // base + increments lie there until the rewritten ones, at most as large as both, are complete.
  void look_at_disk() {
    if (!redis_.disk_free || redis_.appendonly != "yes") return;
    const std::uint64_t needed = std::max(redis_.aof_bytes, redis_.used_memory);
    const std::string seen =
        fmt::format("{} free in {}, its files have {}", human_bytes(*redis_.disk_free),
                    redis_.directory, human_bytes(redis_.aof_bytes));
    if (*redis_.disk_free < needed) {
      return say("redis.disk", Level::kFailure, seen,
                 fmt::format("the next rewrite may fill the disk: it needs up to {} more",
                             human_bytes(needed)));
    }
    const bool close = *redis_.disk_free < 2 * needed + kRewriteSpareBytes;
    say("redis.disk", close ? Level::kWarning : Level::kOk, seen,
        close ? fmt::format("keep {} free: a rewrite, and what arrives meanwhile",
                            human_bytes(2 * needed + kRewriteSpareBytes))
              : "");
  }

  void look_at_write_time() {
    if (!redis_.write_time) return;
    const bool slow = *redis_.write_time >= kSlowWrite;
    say("redis.write_time", slow ? Level::kWarning : Level::kOk,
        fmt::format("a small write takes {:.1f} ms",
                    static_cast<double>(redis_.write_time->count()) / 1e6),
        *redis_.write_time >= kVerySlowWrite
            ? "every acknowledgement waits so long: give Redis a faster disk, or choose everysec"
        : slow ? "every acknowledgement waits so long: is the disk shared with others?"
               : "");
  }

  void look_at_memory() {
    const std::uint64_t limit = redis_.maxmemory > 0 ? redis_.maxmemory : redis_.machine_memory;
    if (limit == 0) return;
    const double share = static_cast<double>(redis_.used_memory) / static_cast<double>(limit);
    const std::string seen =
        fmt::format("{} of {}{}", human_bytes(redis_.used_memory), human_bytes(limit),
                    redis_.maxmemory > 0 ? " (maxmemory)" : " (the machine's)");
    const bool full = share >= kMemoryWatermark;
    say("redis.memory", full ? Level::kWarning : Level::kOk, seen,
        full ? "publishers are told queue_full when it is reached: see what queues with `fanfare "
               "status`, or give it more"
             : "");
    if (redis_.maxmemory > redis_.machine_memory && redis_.machine_memory > 0) {
      say("redis.maxmemory", Level::kWarning,
          fmt::format("{} of {} that the machine has", human_bytes(redis_.maxmemory),
                      human_bytes(redis_.machine_memory)),
          "the kernel would end it before: set maxmemory below what the machine has");
    }
  }

  void look_at_contents() {
    const auto layout = store::parse_number<std::uint32_t>(redis_.layout);
    if (redis_.layout.empty()) {
      say("redis.layout", Level::kOk, "nothing of Fanfare's yet");
    } else if (!layout || *layout == 0 || *layout > store::kLayoutNewest) {
      say("redis.layout", Level::kFailure, "layout " + redis_.layout,
          fmt::format("this program knows layouts up to {}: use one of the version that wrote it",
                      store::kLayoutNewest));
    } else {
      say("redis.layout", Level::kOk,
          *layout == store::kLayoutNewest
              ? "layout " + redis_.layout
              : fmt::format("layout {}; [broker] layout = {} brings it to the quickest, once no "
                            "program of the version before is to come back",
                            redis_.layout, store::kLayoutNewest));
    }
    const bool same = redis_.library == facts_.library;
    say("redis.library", same || redis_.library.empty() ? Level::kOk : Level::kWarning,
        redis_.library.empty() ? "not loaded yet"
                               : fmt::format("functions {}", redis_.library.substr(0, 12)),
        same || redis_.library.empty()
            ? ""
            : "that is another build's than this program: restart what was not restarted after an "
              "upgrade");
  }

  const Facts& facts_;
  const RedisFacts& redis_;
  std::vector<Finding>& findings_;
};

}  // namespace

void examine_redis(const Facts& facts, std::vector<Finding>& findings) {
  RedisCheckup(facts, findings).run();
}

}  // namespace fanfare::cli
