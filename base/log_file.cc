#include "base/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace fanfare {
namespace {

int open_to_append(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

bool same_file(int a, int b) {
  struct stat one{}, other{};
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

std::uint64_t size_of(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

Result<std::shared_ptr<LogFile>> LogFile::open(std::string path, std::uint64_t bytes_max) {
  const int fd = open_to_append(path);
  if (fd < 0) return fatal(fmt::format("cannot log to {}: {}", path, std::strerror(errno)));
  return std::shared_ptr<LogFile>(new LogFile(std::move(path), bytes_max, fd));
}

LogFile::LogFile(std::string path, std::uint64_t bytes_max, int fd)
    : path_(std::move(path)), bytes_max_(bytes_max), fd_(fd), size_(size_of(fd)) {}

LogFile::~LogFile() {
  ::close(fd_);
}

void LogFile::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  // A full disk has no answer here: the line is lost, the program goes on.
  while (::write(fd_, line.data(), line.size()) < 0 && errno == EINTR) {
  }
  size_ += line.size();
  if (bytes_max_ > 0 && size_ >= bytes_max_) begin_anew();
}

// If it does not work the old file goes on, and it is tried again when as much has been written.
void LogFile::begin_anew() {
  size_ = 0;
  if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return;
  const int fresh = open_to_append(path_);
  if (fresh < 0) return;
  for (const int standard : {STDOUT_FILENO, STDERR_FILENO}) {
    if (same_file(standard, fd_)) ::dup2(fresh, standard);
  }
  ::close(std::exchange(fd_, fresh));
}

}  // namespace fanfare
