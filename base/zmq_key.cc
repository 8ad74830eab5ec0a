#include "base/zmq_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

namespace fanfare {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kFileBytesMax = 4096;

bool is_z85(std::string_view text) {
  constexpr std::string_view kPunctuation = ".-:+=^!/*?&<>()[]{}@%$#";
  return std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kPunctuation.find(c) != std::string_view::npos;
  });
}

// The reason why `text` is no key; it does not repeat the text, which may be half a secret.
Result<void> check_key(std::string_view text) {
  if (text.size() != kKeyChars) {
    return reject(fmt::format("a key has {} characters, not {}", kKeyChars, text.size()));
  }
  std::array<std::uint8_t, kKeyBytes> bytes{};
  const bool decodes =
      is_z85(text) && zmq_z85_decode(bytes.data(), std::string(text).c_str()) != nullptr;
  explicit_bzero(bytes.data(), bytes.size());
  if (!decodes) return reject("it is not a key in Z85, as `fanfare keys new` makes them");
  return {};
}

// A descriptor that closes with its scope.
class OpenFile {
 public:
  OpenFile(const std::string& path, int flags, mode_t mode = 0)
      : fd_(open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// The bytes of a small file, overwritten when they go.
class FileBytes {
 public:
  FileBytes() = default;
  ~FileBytes() { explicit_bzero(bytes_.data(), bytes_.size()); }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  Result<void> read(int fd, const std::string& path) {
    while (size_ < bytes_.size()) {
      const ssize_t got = ::read(fd, bytes_.data() + size_, bytes_.size() - size_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return reject(fmt::format("reading {}: {}", path, std::strerror(errno)));
      if (got == 0) return {};
      size_ += static_cast<std::size_t>(got);
    }
    return reject(fmt::format("{} is larger than any key's file", path));
  }

  // The one line that is not empty and no comment; empty if there are none, or several.
  std::string_view only_line() const {
    std::string_view rest{bytes_.data(), size_}, found;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
      if (line.empty() || line == "#" || line.starts_with("# ")) continue;
      if (!found.empty()) return {};
      found = line;
    }
    return found;
  }

 private:
  std::array<char, kFileBytesMax> bytes_{};
  std::size_t size_ = 0;
};

Result<void> check_private(int fd, const std::string& file) {
  struct stat status{};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return reject(fmt::format("{} is not a file", file));
  }
  if ((status.st_mode & 077) != 0) {
    return reject(
        fmt::format("the secret key in {0} is open to others (mode {1:04o}): run `chmod 600 {0}`, "
                    "and make a new key if somebody may have read it",
                    file, status.st_mode & 07777));
  }
  // Root looks at a service's settings with --check-config.
  if (status.st_uid != geteuid() && status.st_uid != 0 && geteuid() != 0) {
    return reject(fmt::format("the secret key in {} belongs to another user ({}): chown it to {}",
                              file, status.st_uid, geteuid()));
  }
  return {};
}

Error cannot_open(const std::string& file) {
  return reject(fmt::format("cannot read {}: {}", file, std::strerror(errno)));
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

}  // namespace

Result<PublicKey> PublicKey::parse(std::string_view text) {
  if (auto fine = check_key(text); !fine) return fine.error();
  return PublicKey(std::string(text));
}

Result<PublicKey> PublicKey::from_bytes(std::string_view bytes) {
  std::array<char, kKeyChars + 1> text{};
  if (bytes.size() != kKeyBytes) return reject("a public key has 32 bytes");
  zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(bytes.data()), kKeyBytes);
  return PublicKey(std::string(text.data(), kKeyChars));
}

Result<SecretKey> SecretKey::parse(std::string_view text) {
  if (auto fine = check_key(text); !fine) return fine.error();
  SecretKey key;
  text.copy(key.text_.data(), kKeyChars);
  return key;
}

Result<SecretKey> SecretKey::read(const std::string& file) {
  const OpenFile opened(file, O_RDONLY | O_NONBLOCK);
  if (opened.fd() < 0) return cannot_open(file);
  if (auto fine = check_private(opened.fd(), file); !fine) return fine.error();
  FileBytes bytes;
  if (auto read = bytes.read(opened.fd(), file); !read) return read.error();
  auto key = parse(bytes.only_line());
  if (!key) return reject(fmt::format("no secret key in {}: {}", file, key.error().message));
  return key;
}

SecretKey::SecretKey(SecretKey&& other) noexcept : text_(other.text_) {
  explicit_bzero(other.text_.data(), other.text_.size());
}

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept {
  if (this == &other) return *this;
  text_ = other.text_;
  explicit_bzero(other.text_.data(), other.text_.size());
  return *this;
}

SecretKey::~SecretKey() {
  explicit_bzero(text_.data(), text_.size());
}

PublicKey SecretKey::public_key() const {
  std::array<char, kKeyChars + 1> text{};
  // It fails for what is no key, which none is, and where there is no CURVE, which make() tells.
  if (zmq_curve_public(text.data(), text_.data()) != 0) std::abort();
  return PublicKey::parse({text.data(), kKeyChars}).value();
}

Result<KeyPair> KeyPair::make() {
  std::array<char, kKeyChars + 1> open{}, secret{};
  if (zmq_curve_keypair(open.data(), secret.data()) != 0) {
    return fatal("this machine's libzmq has no CURVE: install Debian's libzmq5");
  }
  KeyPair pair{PublicKey::parse({open.data(), kKeyChars}).value(),
               SecretKey::parse({secret.data(), kKeyChars}).value()};
  explicit_bzero(secret.data(), secret.size());
  return pair;
}

Result<KeyPair> KeyPair::read(const std::string& secret_key_file) {
  if (zmq_has("curve") == 0) return fatal("this machine's libzmq has no CURVE");
  auto secret = SecretKey::read(secret_key_file);
  if (!secret) return secret.error();
  PublicKey open = secret->public_key();
  return KeyPair{std::move(open), *std::move(secret)};
}

Result<PublicKey> public_key_from(const std::string& key_or_file) {
  std::error_code ignored;
  if (!std::filesystem::exists(key_or_file, ignored)) {
    if (auto key = PublicKey::parse(key_or_file)) return key;
    return reject(fmt::format("'{}' is neither a public key ({} characters) nor a file with one",
                              key_or_file, kKeyChars));
  }
  const OpenFile opened(key_or_file, O_RDONLY | O_NONBLOCK);
  if (opened.fd() < 0) return cannot_open(key_or_file);
  FileBytes bytes;
  if (auto read = bytes.read(opened.fd(), key_or_file); !read) return read.error();
  auto key = PublicKey::parse(bytes.only_line());
  if (!key) return reject(fmt::format("no public key in {}: {}", key_or_file, key.error().message));
  return key;
}

Result<void> write_secret_key(const std::string& file, const SecretKey& key) {
  const std::string beside = fmt::format("{}.new-{}", file, getpid());
  const auto failed = [&](const std::string& what) {
    const int error = errno;
    unlink(beside.c_str());
    return reject(fmt::format("cannot {}: {}", what, std::strerror(error)));
  };
  unlink(beside.c_str());  // of a process of our number that was killed
  {
    const OpenFile made(beside, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (made.fd() < 0) return failed("make " + beside);
    const bool wrote = write_all(made.fd(), {key.z85(), kKeyChars}) && write_all(made.fd(), "\n");
    if (!wrote || fsync(made.fd()) != 0) return failed("write " + beside);
  }
  // A link, not a rename: that would overwrite.
  if (link(beside.c_str(), file.c_str()) != 0) {
    if (errno != EEXIST) return failed("make " + file);
    unlink(beside.c_str());
    return reject(fmt::format("{} is there already; a key that is overwritten is lost", file));
  }
  unlink(beside.c_str());
  const auto folder = std::filesystem::path(file).parent_path();
  const OpenFile directory(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
  if (directory.fd() >= 0) fsync(directory.fd());
  return {};
}

}  // namespace fanfare
