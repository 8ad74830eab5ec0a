#include "base/trace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/fd.h"

namespace fanfare {
namespace {

constexpr std::size_t kBytes = TraceFile::kRecordsMax * sizeof(TraceFile::Record);
constexpr const char* kExtension = ".trace";

}  // namespace

Result<std::unique_ptr<TraceFile>> TraceFile::create(const std::string& folder,
                                                     const std::string& program) {
  const std::string path = fmt::format("{}/{}.{}{}", folder, program, ::getpid(), kExtension);
  const auto failed = [&path](int error) {
    return fatal(fmt::format("cannot trace to {}: {}", path, std::strerror(error)));
  };
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return failed(errno);
  // With all its blocks: where a disk is full later on, writing to the map would end the process.
  if (const int error = ::posix_fallocate(file.get(), 0, kBytes); error != 0) {
    ::unlink(path.c_str());
    return failed(error);
  }
  void* const mapped = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) return failed(errno);
  return std::unique_ptr<TraceFile>(new TraceFile(static_cast<Record*>(mapped)));
}

TraceFile::~TraceFile() {
  ::munmap(records_, kBytes);
}

// Whoever reads meanwhile sees a record whole or not at all: its point comes last.
void TraceFile::note(const Record& record) {
  if (used_ == kRecordsMax) return;
  Record& here = records_[used_++];
  here.high = record.high;
  here.low = record.low;
  here.at_ns = record.at_ns;
  std::atomic_ref(here.point).store(record.point, std::memory_order_release);
}

std::vector<TraceFile::Record> TraceFile::read_all(const std::string& folder) {
  std::vector<Record> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != kExtension) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    Record record;
    while (file.read(reinterpret_cast<char*>(&record), sizeof record) && record.point != 0) {
      all.push_back(record);
    }
  }
  return all;
}

}  // namespace fanfare
