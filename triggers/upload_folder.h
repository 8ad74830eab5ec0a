// Where the files of forms go in one bucket, and where they are until they are whole.
//
// A request's files are written to {directory}/.fanfare-uploads/{process}/{number}/, where nobody
// looks, brought to the disk, and put into place as one: {directory}/{form}/{id}/{name}. So a file
// that is seen is whole, and of several there are all or none.
//
// Each process has a lock beside its folder while it lives: the next one to come removes what those
// have left that were killed. Several may use a bucket at a time, also from several machines.
//
// Blocks while the disk does. Any thread; one request's files are one thread's at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"
#include "triggers/storage_tree.h"

namespace fanfare::triggers {

inline constexpr const char* kUploadsDirectory = ".fanfare-uploads";

struct StoredFile {
  std::string key;   // within the bucket: form/id/name
  std::string path;  // absolute
  std::uint64_t size = 0;
  std::string sha256;  // of its content, in hexadecimal digits
};

class UploadFolder {
 public:
  UploadFolder(std::string bucket, std::string directory);
  ~UploadFolder();
  UploadFolder(const UploadFolder&) = delete;
  UploadFolder& operator=(const UploadFolder&) = delete;

  const std::string& bucket() const { return bucket_; }

  // Opens it and removes what killed processes have left. kRetryLater: the directory is not there;
  // it is not made, because its disk may not be mounted. Else as disk_error() has it.
  Result<void> open();

 private:
  friend class UploadedFiles;
  struct Place {
    OwnedFd directory;  // of one request
    std::string name;   // below process_
  };
  bool still_in_place() const;
  Result<void> open_locked();
  Result<Place> make_place();
  void remove_place(const Place& place, const std::vector<std::string>& files);

  const std::string bucket_, directory_;
  std::mutex mutex_;
  OwnedFd root_, uploads_, lock_, process_;
  std::string process_name_;
  std::uint64_t places_made_ = 0;
};

// The files of one request.
class UploadedFiles {
 public:
  explicit UploadedFiles(std::shared_ptr<UploadFolder> folder) : folder_(std::move(folder)) {}
  ~UploadedFiles();  // as settle(false)
  UploadedFiles(const UploadedFiles&) = delete;
  UploadedFiles& operator=(const UploadedFiles&) = delete;

  // One file after the other; names are safe, and differ. After an error nothing but settle().
  Result<void> begin(const std::string& name);
  Result<void> write(std::string_view bytes);
  Result<void> end();  // it is on the disk

  // All of them become visible. With a `repeat_key` the same files of the same key have the same
  // place, however often and by whichever gateway they come, and whatever the functions have left
  // of them there; else each request has its own.
  Result<std::vector<StoredFile>> put_into_place(const std::string& form,
                                                 const std::string& repeat_key);
  // Removes them unless they are kept. What was put into place under a repeat key stays: another
  // request, of another process perhaps, may refer to it already.
  void settle(bool keep);

 private:
  std::string place_id(const std::string& repeat_key) const;
  void unplace();

  std::shared_ptr<UploadFolder> folder_;
  UploadFolder::Place place_;
  OwnedFd file_;
  Sha256 hash_;
  std::vector<std::string> names_;
  std::vector<StoredFile> files_;
  std::string form_, id_;  // once they are in place, and nobody else's
};

// kRetryLater ("disk_full: …") if there is no room, else kFatal; names `what` failed and errno.
Error disk_error(std::string_view what, int error);

}  // namespace fanfare::triggers
