#include "broker/redis_watch.h"

#include <sys/statvfs.h>

#include <utility>

namespace fanfare::broker {

RedisWatch::RedisWatch(Loop& loop, RedisOptions redis)
    : loop_(loop),
      here_(!redis.unix_path.empty() || redis.host == "localhost" ||
            redis.host.starts_with("127.") || redis.host == "::1"),
      link_(loop, std::move(redis), {.on_up = [this] { ask(); }, .on_down = {}}),
      timer_(loop, [this] {
        if (link_.up() && link_.pending() == 0) ask();
      }) {
  timer_.start_every(kAskEvery);
}

void RedisWatch::ask() {
  if (here_) {
    link_.call({"CONFIG", "GET", "dir"}, [this](const RedisReply& reply) {
      if (reply.is_array() && reply.size() == 2) directory_ = reply[1].text();
    });
  }
  link_.call({"INFO", "persistence", "memory"}, [this](const RedisReply& reply) {
    if (reply.lost() || reply.is_error()) return;
    health_ = store::parse_redis_health(reply.text());
    answered_at_ = loop_.now().steady;
    look_at_disk();
  });
}

void RedisWatch::look_at_disk() {
  struct statvfs disk{};
  disk_.reset();
  if (directory_.empty() || ::statvfs(directory_.c_str(), &disk) != 0) return;
  disk_ = Disk{.free_bytes = disk.f_bavail * disk.f_frsize,
               .size_bytes = disk.f_blocks * disk.f_frsize};
}

void RedisWatch::tell(MetricsText& text) const {
  if (!health_ || loop_.now().steady - answered_at_ > kKeptFor) return;
  const store::RedisHealth& redis = *health_;
  text.gauge("fanfare_redis_aof_ok",
             "1 while Redis can write its append-only file and make it smaller, by which of them.")
      .add({{"work", "write"}}, redis.aof_write_ok ? 1 : 0)
      .add({{"work", "rewrite"}}, redis.aof_rewrite_ok ? 1 : 0);
  text.gauge("fanfare_redis_aof_bytes", "Size of Redis' append-only file.")
      .add({}, redis.aof_bytes);
  text.counter("fanfare_redis_fsyncs_delayed_total",
               "Times that Redis could not sync its file once a second.")
      .add({}, redis.fsyncs_delayed);
  text.gauge("fanfare_redis_memory_bytes", "Memory that Redis uses for what it holds.")
      .add({}, redis.memory_bytes);
  text.gauge("fanfare_redis_memory_max_bytes", "How much it may use; 0: all there is.")
      .add({}, redis.memory_max_bytes);
  if (!disk_) return;
  text.gauge("fanfare_redis_disk_free_bytes", "Room on the disk of Redis' append-only file.")
      .add({}, disk_->free_bytes);
  text.gauge("fanfare_redis_disk_size_bytes", "Size of that disk.").add({}, disk_->size_bytes);
}

}  // namespace fanfare::broker
