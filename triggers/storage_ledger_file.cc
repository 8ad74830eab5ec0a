#include "triggers/storage_ledger_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "client/publish_queue.h"

namespace fanfare::triggers {
namespace {

constexpr std::string_view kFirstLine = "fanfare storage ledger 1\n";
constexpr std::size_t kRecordBytesMax = 16u << 20;
constexpr std::uint64_t kRewriteBytesMin = 1u << 20;
constexpr std::size_t kBlockBytes = 1u << 20;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) ? 0xEDB88320u ^ value >> 1 : value >> 1;
    table[i] = value;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::uint32_t crc32_of(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = kCrcTable[(crc ^ static_cast<std::uint8_t>(c)) & 255] ^ crc >> 8;
  return ~crc;
}

void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}
std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

void append_frame(std::string& out, const LedgerRecord& record) {
  const std::string payload = encode(record);
  append_u32(out, static_cast<std::uint32_t>(payload.size()));
  append_u32(out, crc32_of(payload));
  out += payload;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool sync_directory_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const int fd = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced;
}

}  // namespace

StorageLedgerFile::StorageLedgerFile(std::string path, int lock)
    : path_(std::move(path)), lock_(lock) {}

StorageLedgerFile::StorageLedgerFile(StorageLedgerFile&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      fd_(std::exchange(other.fd_, -1)),
      bytes_(other.bytes_),
      bytes_cut_(other.bytes_cut_),
      bytes_rewritten_(other.bytes_rewritten_),
      failed_(other.failed_) {}

StorageLedgerFile::~StorageLedgerFile() {
  if (fd_ >= 0) close(fd_);
  if (lock_ >= 0) close(lock_);
}

Result<StorageLedgerFile> StorageLedgerFile::open(const std::string& path, StorageLedger& ledger) {
  const std::string lock_path = path + ".lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return fatal(fmt::format("opening {}: {}", lock_path, std::strerror(errno)));
  StorageLedgerFile file(path, lock);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return retry_later(fmt::format("{} is locked: another watcher keeps this bucket", lock_path));
  }
  file.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file.fd_ < 0 && errno != ENOENT) {
    return fatal(fmt::format("opening {}: {}", path, std::strerror(errno)));
  }
  const auto opened = file.fd_ < 0 ? file.begin(ledger) : file.read(ledger);
  if (!opened) return opened.error();
  return file;
}

Result<void> StorageLedgerFile::begin(StorageLedger& ledger) {
  auto named = ledger.apply(PublisherNamed{client::lasting_client_id(), 1, 0});
  if (!named) return named;
  if (auto written = rewrite(ledger); !written) return fatal(written.error().message);
  return {};
}

// Frame by frame. A whole frame that makes no sense is another release's, or a bug, and is not cut.
Result<void> StorageLedgerFile::read(StorageLedger& ledger) {
  struct stat status{};
  if (fstat(fd_, &status) != 0) return failed("reading");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::string block;
  std::size_t used = 0;
  // Makes `bytes` available at `used`; false at the end of the file.
  const auto have = [&](std::size_t bytes) {
    while (block.size() - used < bytes) {
      block.erase(0, std::exchange(used, 0));
      const std::size_t before = block.size();
      block.resize(before + kBlockBytes);
      const ssize_t got = ::read(fd_, block.data() + before, kBlockBytes);
      block.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (got <= 0) return false;
    }
    return true;
  };
  if (!have(kFirstLine.size()) || !std::string_view(block).starts_with(kFirstLine)) {
    return fatal(path_ +
                 " is not a storage ledger of this release; move it away to begin anew, "
                 "which announces every file of the bucket again");
  }
  used = bytes_ = kFirstLine.size();
  while (have(8)) {
    const std::string_view head = std::string_view(block).substr(used, 8);
    const std::size_t length = read_u32(head);
    const std::uint32_t crc = read_u32(head.substr(4));
    if (length > kRecordBytesMax || !have(8 + length)) break;
    const std::string_view payload = std::string_view(block).substr(used + 8, length);
    if (crc32_of(payload) != crc) break;
    auto record = decode_ledger_record(payload);
    const auto applied = record ? ledger.apply(*record) : Result<void>(record.error());
    if (!applied) {
      return fatal(fmt::format("{} at byte {}: {}", path_, bytes_, applied.error().message));
    }
    used += 8 + length;
    bytes_ += 8 + length;
  }
  bytes_rewritten_ = bytes_;
  bytes_cut_ = size - bytes_;
  // What was cut may have been published if the disk, and not a crash, damaged it: numbers that may
  // have been used are not used again.
  if (bytes_cut_ > 0 || ledger.publisher().empty()) {
    auto named = ledger.apply(PublisherNamed{client::lasting_client_id(), 1, 0});
    if (!named) return named;
    if (auto written = rewrite(ledger); !written) return fatal(written.error().message);
  }
  if (lseek(fd_, 0, SEEK_END) < 0) return failed("reading");
  return {};
}

Error StorageLedgerFile::failed(const char* what) {
  return retry_later(fmt::format("{} {}: {}", what, path_, std::strerror(errno)));
}

Result<void> StorageLedgerFile::append(std::span<const LedgerRecord> records, Sync sync) {
  if (failed_) return retry_later(path_ + " has failed and must be written anew first");
  std::string frames;
  for (const LedgerRecord& record : records) append_frame(frames, record);
  if (!write_all(fd_, frames)) {
    const Error error = failed("writing");
    const auto whole = static_cast<off_t>(bytes_);
    failed_ = ftruncate(fd_, whole) != 0 || lseek(fd_, whole, SEEK_SET) < 0;
    return error;
  }
  bytes_ += frames.size();
  if (sync == Sync::kNo || fdatasync(fd_) == 0) return {};
  // What the kernel could not write it may have dropped: only a new file is sure to be whole.
  failed_ = true;
  return failed("syncing");
}

bool StorageLedgerFile::wants_rewrite(const StorageLedger& ledger) const {
  constexpr std::uint64_t kRecordBytes = 100;  // about, of a file
  return failed_ ||
         bytes_ > kRewriteBytesMin + 4 * std::max(bytes_rewritten_, ledger.files() * kRecordBytes);
}

Result<void> StorageLedgerFile::rewrite(const StorageLedger& ledger) {
  const std::string next = path_ + ".new";
  const int fd = ::open(next.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed("rewriting");
  std::uint64_t bytes = 0;
  bool fine = true;
  std::string block(kFirstLine);
  const auto flush = [&] {
    fine = fine && write_all(fd, block);
    bytes += block.size();
    block.clear();
  };
  ledger.for_each_record([&](const LedgerRecord& record) {
    append_frame(block, record);
    if (block.size() >= kBlockBytes) flush();
  });
  flush();
  fine = fine && fdatasync(fd) == 0 && rename(next.c_str(), path_.c_str()) == 0;
  if (!fine) {
    const Error error = failed("rewriting");
    close(fd);
    unlink(next.c_str());
    return error;
  }
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  bytes_ = bytes_rewritten_ = bytes;
  // Not before its name is on disk does it count: until then a crash brings the former one back.
  failed_ = !sync_directory_of(path_);
  if (failed_) return failed("rewriting");
  return {};
}

}  // namespace fanfare::triggers
