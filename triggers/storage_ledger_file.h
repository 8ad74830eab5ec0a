// The ledger of a bucket on disk: a log of its records, written anew when it has grown long.
//
// FILE holds a line that says what it is, then records, each behind its length and its checksum
// (CRC-32), both 32 bits, big-endian. A record that is cut off or damaged ends it: what lies behind
// is cut away when the file is opened. If a crash of the machine cut it, that was never published.
// FILE.lock is held as long as the object lives, so no two watchers keep one ledger.
//
// Blocks while the disk does. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "triggers/storage_ledger.h"

namespace fanfare::triggers {

class StorageLedgerFile {
 public:
  // Reads `path` into `ledger`, which is empty, or begins it; `ledger` has a publisher afterwards.
  // kRetryLater: somebody else holds it. kFatal: it cannot be read or written, or holds something
  // else.
  static Result<StorageLedgerFile> open(const std::string& path, StorageLedger& ledger);
  ~StorageLedgerFile();
  StorageLedgerFile(StorageLedgerFile&& other) noexcept;
  StorageLedgerFile& operator=(StorageLedgerFile&&) = delete;

  // Writes records behind each other and, if asked, waits until they are on disk. kRetryLater: the
  // disk is full or failing, and nothing of it counts.
  enum class Sync { kNo, kYes };
  Result<void> append(std::span<const LedgerRecord> records, Sync sync);

  // Whether most of the file is of no more use, or it has failed. Then write it anew.
  bool wants_rewrite(const StorageLedger& ledger) const;
  Result<void> rewrite(const StorageLedger& ledger);

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t bytes_cut() const { return bytes_cut_; }  // when it was opened

 private:
  StorageLedgerFile(std::string path, int lock);
  Result<void> begin(StorageLedger& ledger);
  Result<void> read(StorageLedger& ledger);
  Error failed(const char* what);

  std::string path_;
  int lock_ = -1, fd_ = -1;
  std::uint64_t bytes_ = 0;  // that count
  std::uint64_t bytes_cut_ = 0;
  std::uint64_t bytes_rewritten_ = 0;  // of the file when it was last written anew
  bool failed_ = false;                // what the disk holds of it is unknown
};

}  // namespace fanfare::triggers
