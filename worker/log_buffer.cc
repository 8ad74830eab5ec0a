#include "worker/log_buffer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fanfare::worker {

Result<LogBuffer> LogBuffer::create() {
  Fd memfd(::memfd_create("fanfare-log", MFD_CLOEXEC));
  if (!memfd || ::fcntl(memfd.get(), F_SETFL, O_APPEND) != 0) {
    return retry_later(std::string("making a log buffer: ") + std::strerror(errno));
  }
  return LogBuffer(std::move(memfd));
}

std::uint64_t LogBuffer::size() const {
  struct stat status{};
  return ::fstat(memfd_.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

LogBuffer::Text LogBuffer::tail(LogRange range, std::size_t bytes_max) const {
  Text text;
  range.to = std::min(range.to, size());
  if (range.empty()) return text;
  const std::uint64_t from =
      std::max({range.from, range.to - std::min<std::uint64_t>(range.to, bytes_max), trimmed_to_});
  if (from >= range.to) return {.text = {}, .truncated = true};
  text.truncated = from > range.from;
  text.text.resize(range.to - from);
  std::size_t got = 0;
  while (got < text.text.size()) {
    const ssize_t more = ::pread(memfd_.get(), text.text.data() + got, text.text.size() - got,
                                 static_cast<off_t>(from + got));
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    got += static_cast<std::size_t>(more);
  }
  text.text.resize(got);
  return text;
}

void LogBuffer::trim() {
  const std::uint64_t end = size();
  if (end < trimmed_to_ + kTrimAtBytes) return;
  const std::uint64_t keep_from = (end - kKeptBytes) & ~std::uint64_t{4095};
  if (::fallocate(memfd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  static_cast<off_t>(keep_from)) == 0) {
    trimmed_to_ = keep_from;
  }
}

}  // namespace fanfare::worker
