// A storage watcher on a thread and loop of its own, for a program that must not wait for disks.
//
// All calls from the thread that owns it. Destroying it ends the thread without waiting for the
// broker: what was in flight is published again, once, by the next life.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/metrics_text.h"
#include "triggers/storage_watcher.h"

namespace fanfare::triggers {

class StorageThread {
 public:
  // Errors as of StorageWatcher::open.
  static Result<std::unique_ptr<StorageThread>> start(StorageWatcherOptions options);
  ~StorageThread();
  StorageThread(const StorageThread&) = delete;
  StorageThread& operator=(const StorageThread&) = delete;

  void begin_stop();  // stopped() once the broker has answered
  bool stopped() const;
  // As of a few seconds ago at most, or of now if anything has happened; never waits for a disk.
  std::vector<StorageBucketStatus> status() const;

 private:
  struct Impl;
  explicit StorageThread(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// fanfare_triggers_storage_…{bucket="…"}; nothing without buckets.
void tell_storage(MetricsText& text, const std::vector<StorageBucketStatus>& buckets);

}  // namespace fanfare::triggers
