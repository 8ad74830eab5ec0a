// The files of one request on their way to a bucket, as the loop sees them: the work itself is done
// by the disk's threads (upload_folder.h).
//
// Bytes wait in memory until the disk has taken them: unwritten() says how many, and who adds
// stops at kUnwrittenMax. What the disk refuses is in error() as soon as it is known, and whatever
// is added after that is nobody's. Destroyed, it removes what it has written, unless it was put
// into place and keep() says so; bytes that still wait for the disk go at once.
//
// On the loop's thread; never waits for the disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "triggers/disk_threads.h"
#include "triggers/upload_folder.h"

namespace fanfare::triggers {

class Upload {
 public:
  static constexpr std::size_t kUnwrittenMax = 256u << 10;

  Upload(std::shared_ptr<DiskThreads> disk, std::shared_ptr<UploadFolder> folder);
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  const std::string& bucket() const;
  // Called, on the loop, when unwritten() has become less or there is an error.
  void on_progress(std::function<void()> fn);

  void begin_file(const std::string& name);
  void write(std::string_view bytes);
  void end_file();
  std::size_t unwritten() const;
  const std::optional<Error>& error() const;

  // After the last file. `done` is called on the loop, unless this is destroyed before. It is kept
  // here: what it holds must not be what holds this.
  using Done = std::function<void(const Result<std::vector<StoredFile>>&)>;
  void put_into_place(std::string form, std::string repeat_key, Done done);
  // Whether they stay when this goes; false until it is said.
  void keep(bool stay) { keep_ = stay; }

 private:
  struct OnDisk;
  struct State;
  void flush();
  void add_job(std::function<Result<void>(UploadedFiles&)> job, std::size_t bytes);

  std::shared_ptr<DiskThreads> disk_;
  std::shared_ptr<DiskThreads::Lane> lane_;
  std::shared_ptr<UploadFolder> folder_;
  std::shared_ptr<OnDisk> on_disk_;  // of the disk's threads
  std::shared_ptr<State> state_;     // what the loop has heard of it
  std::string chunk_;                // not yet handed on
  bool keep_ = false;
};

}  // namespace fanfare::triggers
