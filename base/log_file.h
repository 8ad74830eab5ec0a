// A log file that is kept from filling the disk: spdlog's sink for LogOptions::file.
//
// Lines are appended, one write each, so that several processes and a reader may share the file.
// Once it has grown to `bytes_max` it is renamed to FILE.1, in place of an older one, and a new
// file is begun: no line is lost or torn, and a reader that holds the old file reads it to its end.
// If standard output or error go to the same file they follow into the new one, so that what
// libraries and the C runtime say stays beside the program's own lines.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"

namespace fanfare {

class LogFile final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // kFatal if it cannot be opened. `bytes_max` 0: it is never renamed.
  static Result<std::shared_ptr<LogFile>> open(std::string path, std::uint64_t bytes_max);
  ~LogFile() override;

 private:
  LogFile(std::string path, std::uint64_t bytes_max, int fd);
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}
  void begin_anew();

  const std::string path_;
  const std::uint64_t bytes_max_;
  int fd_;
  std::uint64_t size_ = 0;
};

}  // namespace fanfare
