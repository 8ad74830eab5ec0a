// Directories as buckets: tells the broker of each file that is created, replaced or removed in
// them, exactly once. docs/storage.md is the user's page, decision 25 says how it holds.
//
// On its loop's thread, which waits for the disk now and then: give it a loop of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "triggers/storage_bucket.h"

namespace fanfare::triggers {

inline constexpr std::size_t kStorageBucketsMax =
    64;  // an inotify instance each, of 128 a user has

struct StorageWatcherOptions {
  std::string broker;           // "ipc:///path" or "tcp://host:port"
  std::string state_directory;  // for the ledgers; made if it is not there
  std::vector<StorageBucketOptions> buckets;
  Failpoint failpoint = {};
  std::function<bool()> loses_news = {};          // for tests, see StorageBucket::Surroundings
  std::shared_ptr<const CurveClient> curve = {};  // for a broker elsewhere
};

class StorageWatcher {
 public:
  // kReject: names or directories that will not do. kRetryLater: another process keeps a bucket.
  // kFatal: the ledgers cannot be kept. A bucket whose directory is not there is no error: it
  // waits.
  static Result<std::unique_ptr<StorageWatcher>> open(Loop& loop, ZmqContext& zmq,
                                                      StorageWatcherOptions options);

  // Begins nothing new; stopped() once the broker has answered what was in flight. Who does not
  // want to wait for that, or is killed, loses nothing: the next life asks again.
  void stop();
  bool stopped() const;
  std::vector<StorageBucketStatus> status() const;

 private:
  StorageWatcher() = default;
  std::vector<std::unique_ptr<StorageBucket>> buckets_;
};

}  // namespace fanfare::triggers
