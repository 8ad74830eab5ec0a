// One bucket: moves news from the kernel to the core, looks at files for it, keeps the ledger's
// file, and publishes. It decides nothing about files; see storage_core.h.
//
// The way of an announcement: a sign, a look, a batch; the batch goes to the ledger's file and is
// on disk before it is published; the broker's answer settles it. Killed in between, the bucket
// publishes it again in its next life, as the same batch of the same publisher, and the broker's
// repeat guard takes it once. While the broker is away one batch waits, and signs: bounded, because
// what there is no room for is found by a scan.
//
// If the directory is not there, or is another one than the ledger was kept for, nothing is
// announced until it is back: an unmounted disk is no removal of its files.
//
// On its loop's thread, which waits for the disk now and then: give it a loop of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/zmq_socket.h"
#include "client/client.h"
#include "triggers/directory_watches.h"
#include "triggers/storage_core.h"
#include "triggers/storage_event.h"
#include "triggers/storage_ledger_file.h"
#include "triggers/storage_tree.h"

namespace fanfare::triggers {

struct StorageBucketOptions {
  std::string name;                                             // is_bucket_name
  std::string directory;                                        // absolute
  bool watched = true;                                          // else it is a name for a directory
  std::vector<std::string> ignore = {".*", "*.part", "*.tmp"};  // shell patterns, of each part
  StorageCoreOptions core;
  StorageEventOptions events;
  // How often everything is scanned while something cannot be watched or read. A scan that takes
  // long comes less often, so that it takes a twentieth of the time at most.
  Duration poll = std::chrono::seconds{30};
};

struct StorageBucketStatus {
  std::string name;
  std::string away;  // why nothing is announced at present; empty if all is well
  std::size_t files = 0, directories = 0, waiting = 0;
  std::size_t unwatched = 0, unreadable = 0;  // directories, at the last scan
  std::uint64_t unnameable = 0;               // looks at names that make no key: too long
  std::uint64_t scans = 0, queue_overflows = 0, ledger_bytes = 0;
  bool scanning = false, in_flight = false;
  StorageCounters counters;
};

class StorageBucket {
 public:
  // What all buckets of a watcher share.
  struct Surroundings {
    std::string broker;
    std::string state_directory;
    Failpoint failpoint;
    std::function<bool()> loses_news;  // for tests: news is thrown away, as when the queue is full
    std::shared_ptr<const CurveClient> curve;  // of curve_client()
  };
  // kRetryLater if another process keeps this bucket, kFatal if its ledger cannot be used.
  static Result<std::unique_ptr<StorageBucket>> open(Loop& loop, ZmqContext& zmq,
                                                     StorageBucketOptions options,
                                                     const Surroundings& surroundings);
  ~StorageBucket();
  StorageBucket(const StorageBucket&) = delete;
  StorageBucket& operator=(const StorageBucket&) = delete;

  // Begins no new batch. What is in flight may still be answered; else it is in doubt, and
  // published again next time.
  void stop();
  bool stopped() const { return stopping_ && !core_.ledger().in_flight(); }
  StorageBucketStatus status() const;

 private:
  StorageBucket(Loop& loop, ZmqContext& zmq, StorageBucketOptions options,
                const Surroundings& surroundings, StorageLedgerFile file, StorageLedger ledger);

  void arrive();
  void leave(std::string why);
  void on_news(const DirectoryNews& news);
  void on_root_gone();
  void watch_directory(const std::string& path, int fd);

  void wake();  // something may have to be done: pump() runs at the end of the turn
  void pump();
  void step_scan(const Now& now);
  void end_scan(const Now& now);
  void rescan_later(Duration pause);
  void look_and_publish(const Now& now);
  Look look_at(const std::string& path);
  void arm_timer(const Now& now);

  Result<void> open_client();
  bool write(std::optional<StorageBatch> batch);
  void publish(const StorageBatch& batch);
  void on_answered(const Now& now);
  void complain(const std::string& message);

  Loop& loop_;
  ZmqContext& zmq_;
  const StorageBucketOptions options_;
  const Surroundings surroundings_;
  const StorageNames names_;
  StorageLedgerFile file_;
  StorageCore core_;

  std::optional<StorageTree> tree_;  // nothing while away
  std::optional<DirectoryWatches> watches_;
  std::unique_ptr<FdWatch> news_;
  std::unique_ptr<StorageScan> scan_;
  std::string away_ = "not opened yet";
  bool root_deleted_ = false;  // its last files are being told
  bool full_scan_ = false, sweeping_ = false;
  TimePoint scan_began_, rescan_at_ = TimePoint::max(), root_checked_;
  std::size_t unwatched_ = 0, unreadable_ = 0;
  std::uint64_t unnameable_ = 0;
  std::uint64_t scans_ = 0, queue_overflows_ = 0;

  std::string client_name_;
  std::vector<LedgerRecord> unwritten_;
  TimePoint write_again_at_;  // the disk has failed just now
  std::vector<StorageCore::Answer> answers_;
  std::size_t answered_ = 0;
  std::string refusal_;
  bool stopping_ = false, woken_ = false;
  LogThrottle trouble_{std::chrono::seconds{60}};
  std::string last_trouble_;
  Timer timer_;
  Loop::Hook hook_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace fanfare::triggers
