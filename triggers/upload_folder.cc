#include "triggers/upload_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace fanfare::triggers {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr std::string_view kLockEnding = ".lock";  // of a process
constexpr const char* kGate = "gate";              // locked by who comes, while it looks around

std::string random_hex() {
  std::uint8_t bytes[16];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) std::abort();  // never for 16 bytes
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::vector<std::string> entries_of(int directory) {
  std::vector<std::string> names;
  const int copy = ::openat(directory, ".", kOpenDirectory);
  DIR* const opened = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (!opened) return names;
  while (const dirent* const entry = ::readdir(opened)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(opened);
  return names;
}

// What a process makes is two levels deep: requests, and their files.
void remove_requests(int process) {
  for (const std::string& request : entries_of(process)) {
    if (const OwnedFd fd{::openat(process, request.c_str(), kOpenDirectory)}) {
      for (const std::string& file : entries_of(fd.get())) ::unlinkat(fd.get(), file.c_str(), 0);
    }
    ::unlinkat(process, request.c_str(), AT_REMOVEDIR);
  }
}

// A file that is locked while somebody has it open. (Locks of directories are not to be had on
// NFS.)
OwnedFd lock_file(int directory, const std::string& name, int how) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
  OwnedFd file{::openat(directory, name.c_str(), kFlags, 0600)};
  return file && ::flock(file.get(), how) == 0 ? std::move(file) : OwnedFd{};
}

// Of processes that are no more: nobody has their lock.
void remove_leftovers(int uploads, const std::string& directory) {
  std::set<std::string> processes;
  for (std::string name : entries_of(uploads)) {
    if (name == kGate) continue;
    if (name.ends_with(kLockEnding)) name.resize(name.size() - kLockEnding.size());
    processes.insert(std::move(name));
  }
  for (const std::string& name : processes) {
    const std::string lock = name + std::string{kLockEnding};
    if (!lock_file(uploads, lock, LOCK_EX | LOCK_NB)) continue;
    if (const OwnedFd process{::openat(uploads, name.c_str(), kOpenDirectory)}) {
      if (const std::size_t requests = entries_of(process.get()).size(); requests > 0) {
        spdlog::info("{}: the files of {} unfinished submissions are removed", directory, requests);
      }
      remove_requests(process.get());
    }
    ::unlinkat(uploads, name.c_str(), AT_REMOVEDIR);
    ::unlinkat(uploads, lock.c_str(), 0);
  }
}

// A directory below another one, made if it is not there.
OwnedFd make_directory(int parent, const std::string& name, mode_t mode) {
  const bool made = ::mkdirat(parent, name.c_str(), mode) == 0;
  if (!made && errno != EEXIST) return OwnedFd{};
  OwnedFd directory{::openat(parent, name.c_str(), kOpenDirectory)};
  if (directory && made && ::fsync(parent) != 0) return OwnedFd{};
  return directory;
}

}  // namespace

Error disk_error(std::string_view what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  std::string message =
      fmt::format("{}{}: {}", full ? "disk_full: " : "", what, std::strerror(error));
  return full ? retry_later(std::move(message)) : fatal(std::move(message));
}

// ---- the folder ----

UploadFolder::UploadFolder(std::string bucket, std::string directory)
    : bucket_(std::move(bucket)), directory_(std::move(directory)) {}

UploadFolder::~UploadFolder() {
  if (!process_) return;
  remove_requests(process_.get());
  ::unlinkat(uploads_.get(), process_name_.c_str(), AT_REMOVEDIR);
  ::unlinkat(uploads_.get(), (process_name_ + std::string{kLockEnding}).c_str(), 0);
}

Result<void> UploadFolder::open() {
  const std::lock_guard lock(mutex_);
  return open_locked();
}

bool UploadFolder::still_in_place() const {
  struct stat opened{}, there{};
  return root_ && process_ && ::fstat(root_.get(), &opened) == 0 &&
         ::stat(directory_.c_str(), &there) == 0 && opened.st_dev == there.st_dev &&
         opened.st_ino == there.st_ino;
}

Result<void> UploadFolder::open_locked() {
  if (still_in_place()) return {};
  root_ = OwnedFd{::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!root_) {
    return retry_later(fmt::format("the directory {} of bucket {} cannot be opened: {}", directory_,
                                   bucket_, std::strerror(errno)));
  }
  const auto failed = [&] {
    return disk_error("making a place for uploads in " + directory_, errno);
  };
  process_ = OwnedFd{};
  uploads_ = make_directory(root_.get(), kUploadsDirectory, 0700);
  if (!uploads_) return failed();
  const OwnedFd gate = lock_file(uploads_.get(), kGate, LOCK_EX);
  if (!gate) return failed();
  remove_leftovers(uploads_.get(), directory_);
  process_name_ = fmt::format("{}-{}", ::getpid(), random_hex().substr(0, 8));
  lock_ = lock_file(uploads_.get(), process_name_ + std::string{kLockEnding}, LOCK_EX | LOCK_NB);
  if (!lock_) return failed();
  process_ = make_directory(uploads_.get(), process_name_, 0700);
  if (!process_) return failed();
  return {};
}

Result<UploadFolder::Place> UploadFolder::make_place() {
  const std::lock_guard lock(mutex_);
  for (int attempt = 0;; ++attempt) {
    if (const auto opened = open_locked(); !opened) return opened.error();
    Place place{.directory = {}, .name = std::to_string(++places_made_)};
    if (::mkdirat(process_.get(), place.name.c_str(), 0777) == 0) {
      place.directory = OwnedFd{::openat(process_.get(), place.name.c_str(), kOpenDirectory)};
      if (place.directory) return place;
    }
    if (errno != ENOENT || attempt > 0) {
      return disk_error("making a place for uploads in " + directory_, errno);
    }
    process_ = OwnedFd{};  // somebody has removed it
  }
}

void UploadFolder::remove_place(const Place& place, const std::vector<std::string>& files) {
  for (const std::string& file : files) ::unlinkat(place.directory.get(), file.c_str(), 0);
  const std::lock_guard lock(mutex_);
  ::unlinkat(process_.get(), place.name.c_str(), AT_REMOVEDIR);
}

// ---- the files of a request ----

UploadedFiles::~UploadedFiles() {
  settle(false);
}

Result<void> UploadedFiles::begin(const std::string& name) {
  if (!place_.directory) {
    auto place = folder_->make_place();
    if (!place) return place.error();
    place_ = *std::move(place);
  }
  file_ = OwnedFd{::openat(place_.directory.get(), name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666)};
  if (!file_) return disk_error("making a file", errno);
  names_.push_back(name);
  files_.emplace_back();
  hash_ = Sha256{};
  return {};
}

Result<void> UploadedFiles::write(std::string_view bytes) {
  hash_.add(bytes);
  files_.back().size += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return disk_error("writing a file", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> UploadedFiles::end() {
  if (::fsync(file_.get()) != 0) return disk_error("writing a file", errno);
  file_ = OwnedFd{};
  files_.back().sha256 = hash_.hex();
  return {};
}

std::string UploadedFiles::place_id(const std::string& repeat_key) const {
  if (repeat_key.empty()) return random_hex();
  Sha256 all;
  const auto add = [&all](std::string_view text) {
    all.add(std::to_string(text.size()) + " ");
    all.add(text);
  };
  add(repeat_key);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    add(names_[i]);
    add(files_[i].sha256);
  }
  return all.hex().substr(0, 32);
}

Result<std::vector<StoredFile>> UploadedFiles::put_into_place(const std::string& form,
                                                              const std::string& repeat_key) {
  const auto failed = [] { return disk_error("putting files into place", errno); };
  if (::fsync(place_.directory.get()) != 0) return failed();
  std::unique_lock lock(folder_->mutex_);
  OwnedFd into = make_directory(folder_->root_.get(), form, 0777);
  if (!into) return failed();
  const std::string id = place_id(repeat_key);
  const auto move_to = [&](const std::string& name) {
    return ::renameat(folder_->process_.get(), place_.name.c_str(), into.get(), name.c_str()) == 0;
  };
  bool moved = move_to(id);
  if (!moved && errno == ENOENT) {  // another gateway found the form's directory empty
    into = make_directory(folder_->root_.get(), form, 0777);
    moved = into && move_to(id);
  }
  // Under a repeat key: it was there before. Functions may have taken some of it away since, but a
  // repeat is the same event only if it says the same.
  const bool occupied = !moved && (errno == ENOTEMPTY || errno == EEXIST);
  if (!moved && !occupied) return failed();
  if (repeat_key.empty()) {
    form_ = form;
    id_ = id;
  }
  if (moved) place_ = {};
  lock.unlock();
  if (::fsync(into.get()) != 0) return failed();
  for (std::size_t i = 0; i < files_.size(); ++i) {
    files_[i].key = fmt::format("{}/{}/{}", form, id, names_[i]);
    files_[i].path = fmt::format("{}/{}", folder_->directory_, files_[i].key);
  }
  return files_;
}

void UploadedFiles::settle(bool keep) {
  file_ = OwnedFd{};
  if (!form_.empty() && !keep) unplace();
  form_.clear();
  if (place_.directory) folder_->remove_place(std::exchange(place_, {}), names_);
}

void UploadedFiles::unplace() {
  const std::lock_guard lock(folder_->mutex_);
  const OwnedFd form{::openat(folder_->root_.get(), form_.c_str(), kOpenDirectory)};
  const OwnedFd directory{form ? ::openat(form.get(), id_.c_str(), kOpenDirectory) : -1};
  if (!directory) return;
  for (const std::string& name : names_) ::unlinkat(directory.get(), name.c_str(), 0);
  ::unlinkat(form.get(), id_.c_str(), AT_REMOVEDIR);
  ::unlinkat(folder_->root_.get(), form_.c_str(), AT_REMOVEDIR);  // if nothing else is in it
}

}  // namespace fanfare::triggers
