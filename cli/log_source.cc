#include "cli/log_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fanfare::cli {
namespace {

constexpr std::size_t kLineBytesMax = 64 * 1024;  // no line of a worker's is so long

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

LogSource::~LogSource() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

LogSource::LogSource(LogSource&& other) noexcept
    : worker_(std::move(other.worker_)),
      path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      begun_(other.begun_),
      half_line_(std::move(other.half_line_)) {}

bool LogSource::open() {
  fd_ = path_ == "-" ? STDIN_FILENO : ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  return fd_ >= 0;
}

Result<void> LogSource::read(const Take& take) {
  if (fd_ < 0) {
    // Opened before the older one is: a renaming in between is noticed.
    if (!open()) return reject(fmt::format("cannot read {}: {}", path_, std::strerror(errno)));
    if (!std::exchange(begun_, true)) read_older(take);
  }
  begin_again_if_cut();
  read_rest(fd_, take);
  if (!replaced()) return {};
  read_rest(fd_, take);  // what was written just before the renaming
  ::close(std::exchange(fd_, -1));
  half_line_.clear();
  if (open()) read_rest(fd_, take);
  return {};
}

void LogSource::read_older(const Take& take) {
  if (path_ == "-") return;
  const int older = ::open((path_ + ".1").c_str(), O_RDONLY | O_CLOEXEC);
  if (older < 0) return;
  struct stat a{}, b{};
  if (::fstat(older, &a) == 0 && ::fstat(fd_, &b) == 0 && !same_file(a, b)) read_rest(older, take);
  ::close(older);
  half_line_.clear();
}

// Somebody has cut the file to nothing instead of renaming it.
void LogSource::begin_again_if_cut() {
  struct stat held{};
  if (path_ == "-" || ::fstat(fd_, &held) != 0) return;
  if (held.st_size < ::lseek(fd_, 0, SEEK_CUR)) ::lseek(fd_, 0, SEEK_SET);
}

bool LogSource::replaced() const {
  struct stat held{}, named{};
  if (path_ == "-" || ::fstat(fd_, &held) != 0) return false;
  return ::stat(path_.c_str(), &named) == 0 && !same_file(held, named);
}

void LogSource::read_rest(int fd, const Take& take) {
  std::array<char, 64 * 1024> buffer;
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    std::string_view rest(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
      half_line_.append(rest.substr(0, end));
      rest.remove_prefix(end + 1);
      if (auto entry = parse_log_line(half_line_)) {
        entry->worker = worker_;
        take(*std::move(entry));
      }
      half_line_.clear();
    }
    if (half_line_.size() + rest.size() <= kLineBytesMax) half_line_.append(rest);
  }
}

}  // namespace fanfare::cli
