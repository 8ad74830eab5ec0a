#include "protocol/package.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>
#include <vector>

#include "protocol/cursor.h"
#include "protocol/packer.h"

namespace fanfare::protocol {
namespace {

namespace fs = std::filesystem;

struct File {
  std::uint32_t mode = 0644;
  std::string bytes;
};

struct FileView {
  std::string_view path;
  std::uint32_t mode = 0644;
  std::string_view bytes;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error system_failure(const std::string& what, const std::string& path) {
  return reject(what + " " + path + ": " + std::strerror(errno));
}

// Reads a regular file, but no more than `bytes_max` of it.
Result<File> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat status{};
  if (file.get() < 0 || fstat(file.get(), &status) != 0) return system_failure("cannot read", path);
  if (!S_ISREG(status.st_mode)) return reject(path + " is not a regular file");
  File read;
  read.mode = (status.st_mode & S_IXUSR) ? 0755 : 0644;
  char block[65536];
  for (;;) {
    const ssize_t size = ::read(file.get(), block, sizeof block);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_failure("cannot read", path);
    if (size == 0) return read;
    read.bytes.append(block, static_cast<std::size_t>(size));
    if (read.bytes.size() > bytes_max) return reject("a package holds at most 64 MiB: " + path);
  }
}

// A path that stays in the folder and has one spelling only.
bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > 1024 || path.find('\0') != std::string_view::npos) return false;
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t slash = std::min(path.find('/', from), path.size());
    const std::string_view part = path.substr(from, slash - from);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    from = slash + 1;
  }
  return true;
}

Result<std::map<std::string, File>> read_files(const std::string& directory) {
  std::map<std::string, File> files;
  std::size_t bytes_left = kPackageBytesMax;
  std::error_code error;
  fs::recursive_directory_iterator entry{directory, error};
  for (; !error && entry != fs::recursive_directory_iterator{}; entry.increment(error)) {
    const fs::file_status status = entry->symlink_status(error);
    if (error) break;
    if (fs::is_directory(status)) continue;
    const std::string path = entry->path().string();
    if (!fs::is_regular_file(status)) return reject(path + " is neither a file nor a folder");
    if (files.size() == kPackageFilesMax) return reject("a package holds at most 1000 files");
    auto file = read_file(path, bytes_left);
    if (!file) return file.error();
    bytes_left -= file->bytes.size();
    files.emplace(entry->path().lexically_relative(directory).string(), std::move(*file));
  }
  if (error) return reject("cannot read " + directory + ": " + error.message());
  return files;
}

constexpr fs::perms kWalkable =
    fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;

Result<std::vector<FileView>> view_files(std::string_view package) {
  Cursor cursor{package};
  const std::uint32_t count = cursor.map();
  if (count > kPackageFilesMax) cursor.fail("more than 1000 files");
  std::vector<FileView> files;
  std::size_t bytes = 0;
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    FileView file;
    file.path = cursor.str();
    if (cursor.array() != 2) cursor.fail("expected [mode, bytes]");
    file.mode = (cursor.unsigned_integer(0777) & S_IXUSR) ? 0755 : 0644;
    file.bytes = cursor.bin();
    bytes += file.bytes.size();
    if (bytes > kPackageBytesMax) cursor.fail("more than 64 MiB");
    if (!is_safe_path(file.path)) cursor.fail("a path that is not plain and relative");
    if (!files.empty() && file.path <= files.back().path) cursor.fail("paths that do not ascend");
    files.push_back(file);
  }
  if (!cursor.at_end()) cursor.fail("unexpected bytes");
  if (!cursor.ok()) return reject("package: " + cursor.error().message);
  return files;
}

Result<void> write_file(const fs::path& path, const FileView& file) {
  const Descriptor out{open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file.mode)};
  if (out.get() < 0) return system_failure("cannot write", path.string());
  for (std::string_view left = file.bytes; !left.empty();) {
    const ssize_t size = ::write(out.get(), left.data(), left.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_failure("cannot write", path.string());
    left.remove_prefix(static_cast<std::size_t>(size));
  }
  // Whatever the umask of this process: the mode is part of the package.
  if (fchmod(out.get(), file.mode) != 0) return system_failure("cannot write", path.string());
  return {};
}

// Whoever runs the function walks through them, whatever the umask of this process.
Result<void> make_folders(fs::path folder, const fs::path& below) {
  for (const fs::path& part : below) {
    folder /= part;
    if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
      return system_failure("cannot make", folder.string());
    }
    if (chmod(folder.c_str(), 0755) != 0) return system_failure("cannot make", folder.string());
  }
  return {};
}

Result<void> write_files(const fs::path& folder, const std::vector<FileView>& files) {
  for (const FileView& file : files) {
    const fs::path path = folder / file.path;
    if (auto made = make_folders(folder, fs::path{file.path}.parent_path()); !made) return made;
    if (auto written = write_file(path, file); !written) return written;
  }
  return {};
}

}  // namespace

Result<std::string> pack_directory(const std::string& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) return reject(directory + " is not a folder");
  const auto files = read_files(directory);
  if (!files) return files.error();
  std::size_t expected = 16;
  for (const auto& [path, file] : *files) expected += path.size() + file.bytes.size() + 16;
  std::string package;
  {
    Packer packer{package, expected};
    packer.map(files->size());
    for (const auto& [path, file] : *files) {
      packer.str(path);
      packer.array(2);
      packer.unsigned_integer(file.mode);
      packer.bin(file.bytes);
    }
  }
  return package;
}

Result<void> unpack_package(std::string_view package, const std::string& target) {
  const auto files = view_files(package);
  if (!files) return files.error();
  std::string sibling = (fs::path{target}.lexically_normal().string());
  while (sibling.ends_with('/')) sibling.pop_back();
  const std::string final_name = sibling;
  sibling += ".XXXXXX";
  if (mkdtemp(sibling.data()) == nullptr) return system_failure("cannot make", sibling);
  auto done = write_files(sibling, *files);
  if (done && chmod(sibling.c_str(), 0755) != 0) done = system_failure("cannot make", sibling);
  if (done && rename(sibling.c_str(), final_name.c_str()) == 0) return {};
  const bool others_stand = done && (errno == EEXIST || errno == ENOTEMPTY);
  if (done && !others_stand) done = system_failure("cannot make", final_name);
  std::error_code ignored;
  fs::remove_all(sibling, ignored);
  return done;
}

Result<std::vector<std::string>> package_paths(std::string_view package) {
  const auto files = view_files(package);
  if (!files) return files.error();
  std::vector<std::string> paths;
  for (const FileView& file : *files) paths.emplace_back(file.path);
  return paths;
}

Result<void> compare_unpacked(std::string_view package, const std::string& folder) {
  const auto files = view_files(package);
  if (!files) return files.error();
  for (const FileView& file : *files) {
    fs::path part = folder;
    for (const fs::path& name : fs::path{file.path}.parent_path()) {
      part /= name;
      std::error_code error;
      const auto mode = fs::status(part, error).permissions();
      if (error || (mode & kWalkable) != kWalkable) {
        return reject(part.string() + " cannot be walked through by all");
      }
    }
    const std::string path = folder + "/" + std::string{file.path};
    const auto found = read_file(path, file.bytes.size());
    if (!found) return found.error();
    if (found->bytes != file.bytes) return reject(path + " is not what was deployed");
    if (found->mode != file.mode) return reject(path + " has another mode than was deployed");
  }
  return {};
}

}  // namespace fanfare::protocol
