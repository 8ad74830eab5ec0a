// What a process printed: a memfd that is its stdout and stderr.
//
// The process appends, the worker reads ranges. What was printed is the process's memory, and
// counts in its cgroup, until trim() gives the older pages back: reads of them yield what is left.
// So who prints without end costs about a megabyte beyond what he prints between two calls of
// trim(), and who prints more than his memory in that time is out of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "worker/board.h"

namespace fanfare::worker {

class LogBuffer {
 public:
  static constexpr std::size_t kTailBytes = 4096;         // of a result record
  static constexpr std::uint64_t kKeptBytes = 64 * 1024;  // trim() leaves at least so much
  static constexpr std::uint64_t kTrimAtBytes = 1 << 20;

  static Result<LogBuffer> create();

  int memfd() const { return memfd_.get(); }
  std::uint64_t size() const;

  struct Text {
    std::string text;
    bool truncated = false;  // the range was longer; the end of it is here
  };
  // The last `bytes_max` bytes of a range. Never blocks, never fails: what cannot be read is
  // absent.
  Text tail(LogRange range, std::size_t bytes_max = kTailBytes) const;

  // Gives back all but the last kKeptBytes once more than kTrimAtBytes have grown since the last
  // time. Cheap otherwise; call it on a tick while something runs.
  void trim();
  // The process started its log afresh.
  void restarted() { trimmed_to_ = 0; }

 private:
  explicit LogBuffer(Fd memfd) : memfd_(std::move(memfd)) {}
  Fd memfd_;
  std::uint64_t trimmed_to_ = 0;
};

}  // namespace fanfare::worker
