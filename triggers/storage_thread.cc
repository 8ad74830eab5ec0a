#include "triggers/storage_thread.h"

#include <fmt/format.h>

#include <future>
#include <mutex>
#include <thread>
#include <utility>

namespace fanfare::triggers {

struct StorageThread::Impl {
  Loop loop;
  std::thread thread;
  // What the thread has said last.
  mutable std::mutex mutex;
  std::vector<StorageBucketStatus> status;
  bool stopped = false;
  StorageWatcher* watcher = nullptr;  // lives on the thread

  void run(StorageWatcherOptions options, std::promise<Result<void>> opened) {
    ZmqContext zmq;
    auto owned = StorageWatcher::open(loop, zmq, std::move(options));
    if (!owned) return opened.set_value(owned.error());
    watcher = owned->get();
    const auto tell = [this] {
      auto now = watcher->status();
      const std::lock_guard lock(mutex);
      status = std::move(now);
      stopped = watcher->stopped();
    };
    const Loop::Hook hook = loop.before_wait(tell);
    tell();
    opened.set_value({});
    loop.run();
  }
};

Result<std::unique_ptr<StorageThread>> StorageThread::start(StorageWatcherOptions options) {
  auto impl = std::make_unique<Impl>();
  std::promise<Result<void>> promise;
  auto opened = promise.get_future();
  impl->thread = std::thread(
      [raw = impl.get(), options = std::move(options), promise = std::move(promise)]() mutable {
        raw->run(std::move(options), std::move(promise));
      });
  auto result = opened.get();
  std::unique_ptr<StorageThread> started(new StorageThread(std::move(impl)));
  if (!result) return result.error();
  return started;
}

StorageThread::StorageThread(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StorageThread::~StorageThread() {
  impl_->loop.stop();
  impl_->thread.join();
}

void StorageThread::begin_stop() {
  impl_->loop.post_from_any_thread([impl = impl_.get()] { impl->watcher->stop(); });
}

bool StorageThread::stopped() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->stopped;
}

std::vector<StorageBucketStatus> StorageThread::status() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->status;
}

std::string storage_metrics(const std::vector<StorageBucketStatus>& buckets) {
  std::string text;
  if (buckets.empty()) return text;
  using Labelled = std::vector<std::pair<std::string, std::uint64_t>>;
  const auto metric = [&](std::string_view name, std::string_view kind, std::string_view help,
                          const std::function<Labelled(const StorageBucketStatus&)>& values) {
    text += fmt::format(
        "# HELP fanfare_triggers_storage_{0} {1}\n# TYPE fanfare_triggers_storage_{0} {2}\n", name,
        help, kind);
    for (const auto& bucket : buckets) {
      for (const auto& [label, value] : values(bucket)) {
        text += fmt::format("fanfare_triggers_storage_{}{{bucket=\"{}\"{}}} {}\n", name,
                            bucket.name, label, value);
      }
    }
  };
  using Status = StorageBucketStatus;
  metric("files", "gauge", "Files that are known.",
         [](const Status& s) { return Labelled{{"", s.files}}; });
  metric("waiting", "gauge", "Paths that wait to be looked at.",
         [](const Status& s) { return Labelled{{"", s.waiting}}; });
  metric("away", "gauge", "1 while the directory is not there, or another one.",
         [](const Status& s) { return Labelled{{"", s.away.empty() ? 0u : 1u}}; });
  metric("directories", "gauge", "Directories, by whether they are watched.", [](const Status& s) {
    return Labelled{{",state=\"watched\"", s.directories},
                    {",state=\"unwatched\"", s.unwatched},
                    {",state=\"unreadable\"", s.unreadable}};
  });
  metric("announcements_total", "counter", "Announcements that the broker has taken.",
         [](const Status& s) {
           return Labelled{{",change=\"created\"", s.counters.created},
                           {",change=\"removed\"", s.counters.removed}};
         });
  metric("refused_total", "counter", "Announcements that the broker refused, to be tried again.",
         [](const Status& s) { return Labelled{{"", s.counters.refused}}; });
  metric("not_announced_total", "counter", "Looks that led to nothing, by reason.",
         [](const Status& s) {
           return Labelled{{",reason=\"unreadable\"", s.counters.unreadable},
                           {",reason=\"being_written\"", s.counters.busy},
                           {",reason=\"key_too_long\"", s.unnameable}};
         });
  metric("signs_lost_total", "counter", "Times that news was lost, and a scan made up for it.",
         [](const Status& s) {
           return Labelled{{",reason=\"kernel_queue\"", s.queue_overflows},
                           {",reason=\"no_room\"", s.counters.signs_dropped}};
         });
  metric("scans_total", "counter", "Scans of the whole bucket.",
         [](const Status& s) { return Labelled{{"", s.scans}}; });
  return text;
}

}  // namespace fanfare::triggers
