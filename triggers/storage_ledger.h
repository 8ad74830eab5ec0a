// What a bucket has announced: which version of which file, and the batch that is on its way.
//
// The ledger is the memory that makes announcements exactly once. It changes by records alone: a
// record is written to the ledger's file (storage_ledger_file.h) and then applied here, so that the
// same ledger stands here again after a restart. A batch is begun (on disk) before it is published,
// and known files change when it is settled: whatever lies in between is published again under the
// same name and number, and the broker's repeat guard takes it once.
//
// Memory: about 200 bytes for each file of the bucket.
//
// No I/O, no clock, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fanfare::triggers {

// What tells one version of a file from the next without reading it.
struct FileVersion {
  std::uint64_t device = 0, inode = 0;
  std::int64_t mtime_ns = 0;  // since 1970
  std::uint64_t size = 0;

  // The device is left aside: its number may be another one after the next boot.
  bool is_same(const FileVersion& other) const {
    return inode == other.inode && mtime_ns == other.mtime_ns && size == other.size;
  }
  bool operator==(const FileVersion&) const = default;
};

enum class StorageChange : std::uint8_t { kCreated = 1, kRemoved = 2 };

// Of a removal, `version` is the one that was announced last.
struct Announcement {
  StorageChange change = StorageChange::kCreated;
  std::string path;  // relative to the bucket's directory, any bytes but NUL
  FileVersion version;
  std::uint64_t sequencer = 0;  // ascending over the bucket, in all its lives
  bool operator==(const Announcement&) const = default;
};

// What is published together, under a name and number of its own.
struct StorageBatch {
  std::string publisher;
  std::uint64_t sequence = 0;
  std::int64_t at_ms = 0;  // Unix, when it was begun: the time of its events
  std::vector<Announcement> announcements;
  bool operator==(const StorageBatch&) const = default;
};

// ---- Records: how a ledger changes

struct PublisherNamed {  // the name and numbers of later batches
  std::string publisher;
  std::uint64_t next_sequence = 1, last_sequencer = 0;
  bool operator==(const PublisherNamed&) const = default;
};
struct RootNoted {  // whose ledger this is
  std::uint64_t inode = 0;
  bool operator==(const RootNoted&) const = default;
};
struct Surveyed {  // all files were looked for once: what is unknown from now on is new
  bool operator==(const Surveyed&) const = default;
};
struct Noted {  // known without an announcement
  std::string path;
  FileVersion version;
  bool operator==(const Noted&) const = default;
};
struct Forgotten {  // not of the bucket any more, without an announcement
  std::string path;
  bool operator==(const Forgotten&) const = default;
};
struct Settled {  // the answer to the batch in flight: for each announcement whether it was taken
  std::vector<bool> taken;
  bool operator==(const Settled&) const = default;
};
using LedgerRecord =
    std::variant<PublisherNamed, RootNoted, Surveyed, Noted, Forgotten, StorageBatch, Settled>;

class StorageLedger {
 public:
  // kReject if the record does not follow from what came before, which is then unchanged.
  Result<void> apply(const LedgerRecord& record);
  // Records that make this ledger out of an empty one.
  void for_each_record(const std::function<void(const LedgerRecord&)>& fn) const;

  const FileVersion* find(const std::string& path) const;
  std::size_t files() const { return files_.size(); }
  const std::optional<StorageBatch>& in_flight() const { return in_flight_; }
  const std::string& publisher() const { return publisher_; }
  std::uint64_t next_sequence() const { return next_sequence_; }
  std::uint64_t last_sequencer() const { return last_sequencer_; }
  std::optional<std::uint64_t> root_inode() const { return root_inode_; }
  bool surveyed() const { return surveyed_; }

  // ---- Marks of a scan, which are not kept: the files that it has not met are looked at anew.
  void begin_marking() { ++mark_; }
  void mark(const std::string& path);
  // Calls `fn` for unmarked files behind `cursor`, in the order of their paths, until it says no or
  // `files_max` files were passed. The cursor of the next call; nothing at the end.
  std::optional<std::string> for_unmarked(const std::string& cursor, std::size_t files_max,
                                          const std::function<bool(const std::string&)>& fn) const;
  // Calls `fn` for each file below a directory, until it says no. Whether it came to the end.
  bool for_each_below(const std::string& directory,
                      const std::function<bool(const std::string&)>& fn) const;

 private:
  struct File {
    FileVersion version;
    std::uint32_t mark = 0;
  };
  Result<void> begin(const StorageBatch& batch);
  Result<void> settle(const Settled& settled);
  void note(const std::string& path, const FileVersion& version);

  std::map<std::string, File> files_;
  std::optional<StorageBatch> in_flight_;
  std::string publisher_;
  std::uint64_t next_sequence_ = 1, last_sequencer_ = 0;
  std::optional<std::uint64_t> root_inode_;
  bool surveyed_ = false;
  std::uint32_t mark_ = 0;
};

// A record's bytes, and back; rejects what encode does not write.
std::string encode(const LedgerRecord& record);
Result<LedgerRecord> decode_ledger_record(std::string_view bytes);

}  // namespace fanfare::triggers
