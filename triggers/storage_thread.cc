#include "triggers/storage_thread.h"

#include <functional>
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

void tell_storage(MetricsText& text, const std::vector<StorageBucketStatus>& buckets) {
  if (buckets.empty()) return;
  using Status = StorageBucketStatus;
  using Value = std::function<std::uint64_t(const Status&)>;
  using Values = std::vector<std::pair<std::string_view, Value>>;
  const auto tell = [&](MetricsText::Family family, std::string_view label, const Values& values) {
    for (const Status& bucket : buckets) {
      for (const auto& [name, value] : values) {
        if (label.empty()) {
          family.add({{"bucket", bucket.name}}, value(bucket));
        } else {
          family.add({{"bucket", bucket.name}, {label, name}}, value(bucket));
        }
      }
    }
  };
  tell(text.gauge("fanfare_triggers_storage_files", "Files that are known."), "",
       {{"", [](const Status& s) { return s.files; }}});
  tell(text.gauge("fanfare_triggers_storage_waiting", "Paths that wait to be looked at."), "",
       {{"", [](const Status& s) { return s.waiting; }}});
  tell(text.gauge("fanfare_triggers_storage_away",
                  "1 while the directory is not there, or another one."),
       "", {{"", [](const Status& s) { return s.away.empty() ? 0 : 1; }}});
  tell(text.gauge("fanfare_triggers_storage_directories",
                  "Directories, by whether they are watched."),
       "state",
       {{"watched", [](const Status& s) { return s.directories; }},
        {"unwatched", [](const Status& s) { return s.unwatched; }},
        {"unreadable", [](const Status& s) { return s.unreadable; }}});
  tell(text.counter("fanfare_triggers_storage_announcements_total",
                    "Announcements that the broker has taken."),
       "change",
       {{"created", [](const Status& s) { return s.counters.created; }},
        {"removed", [](const Status& s) { return s.counters.removed; }}});
  tell(text.counter("fanfare_triggers_storage_refused_total",
                    "Announcements that the broker refused, to be tried again."),
       "", {{"", [](const Status& s) { return s.counters.refused; }}});
  tell(text.counter("fanfare_triggers_storage_not_announced_total",
                    "Looks that led to nothing, by reason."),
       "reason",
       {{"unreadable", [](const Status& s) { return s.counters.unreadable; }},
        {"being_written", [](const Status& s) { return s.counters.busy; }},
        {"key_too_long", [](const Status& s) { return s.unnameable; }}});
  tell(text.counter("fanfare_triggers_storage_signs_lost_total",
                    "Times that news was lost, and a scan made up for it."),
       "reason",
       {{"kernel_queue", [](const Status& s) { return s.queue_overflows; }},
        {"no_room", [](const Status& s) { return s.counters.signs_dropped; }}});
  tell(text.counter("fanfare_triggers_storage_scans_total", "Scans of the whole bucket."), "",
       {{"", [](const Status& s) { return s.scans; }}});
}

}  // namespace fanfare::triggers
