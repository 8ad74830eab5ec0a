// One worker's log as a stream of entries: what is there, and what is added while one looks.
//
// The worker renames its log to FILE.1 when it is full and begins a new one (base/log_file.h). A
// source holds the file that it reads open and goes on in the new one when it has read the old to
// its end, so no line is missed, unless two renamings fall between two looks.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "cli/log_entry.h"

namespace fanfare::cli {

class LogSource {
 public:
  using Take = std::function<void(LogEntry)>;

  LogSource(std::string worker, std::string path)
      : worker_(std::move(worker)), path_(std::move(path)) {}
  ~LogSource();
  LogSource(LogSource&& other) noexcept;
  LogSource& operator=(LogSource&&) = delete;

  const std::string& path() const { return path_; }
  // Hands over what has been added since this was called last; the first time all there is, FILE.1
  // before FILE. An error only if there is no file to begin with. "-" is standard input.
  Result<void> read(const Take& take);

 private:
  bool open();
  void read_rest(int fd, const Take& take);
  void read_older(const Take& take);
  void begin_again_if_cut();
  bool replaced() const;

  std::string worker_, path_;
  int fd_ = -1;
  bool begun_ = false;
  std::string half_line_;
};

}  // namespace fanfare::cli
