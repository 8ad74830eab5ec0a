// A file of instants that a process notes while somebody measures where time goes, and that may be
// read while it is written.
//
// Fixed-size records in a file that is mapped: noting one costs some tens of nanoseconds and no
// system call. What does not fit any more (kRecordsMax, 32 MiB) is not noted. One process writes a
// file, on one thread; the file stays when it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace fanfare {

class TraceFile {
 public:
  static constexpr std::size_t kRecordsMax = 1u << 20;

  struct Record {
    std::uint64_t high = 0, low = 0;  // what it is about: an id in two parts
    std::uint32_t point = 0;          // where, from 1 on; 0: the end of the file
    std::uint32_t reserved = 0;
    std::int64_t at_ns = 0;  // CLOCK_MONOTONIC, the same for all processes of a host
  };

  // Makes `<folder>/<program>.<pid>.trace`. kFatal: why not.
  static Result<std::unique_ptr<TraceFile>> create(const std::string& folder,
                                                   const std::string& program);
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  void note(const Record& record);

  // All that was noted in a folder's files until now, in no order; what is not such a file is left
  // out.
  static std::vector<Record> read_all(const std::string& folder);

 private:
  explicit TraceFile(Record* records) : records_(records) {}

  Record* records_;  // kRecordsMax of them, mapped
  std::size_t used_ = 0;
};

}  // namespace fanfare
