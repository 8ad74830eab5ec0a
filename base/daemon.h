// What every daemon does around its loop: signals that must not kill it, words with systemd.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/time.h"

namespace fanfare {

// Writing to a closed connection is an error code, not a death. Call first in main.
void ignore_sigpipe();

// Sets close-on-exec on every descriptor above standard error that this process inherited.
void close_inherited_on_exec();

// Raises this process's limit of open files to what it may have at most, and returns it.
std::size_t raise_file_limit();

// sd_notify, when systemd started this process and asked for it; nothing otherwise.
class ServiceManager {
 public:
  ServiceManager() = default;
  void ready(const std::string& status);
  void status(const std::string& status);  // shown by `systemctl status`
  void reloading();
  void stopping(const std::string& status);
  void extend_timeout(Duration by);  // a drain takes longer than TimeoutStopSec

  // Pets the watchdog from the loop, at half of WatchdogSec, as long as the loop turns.
  void keep_watchdog(Loop& loop);

 private:
  std::unique_ptr<Timer> watchdog_;
};

}  // namespace fanfare
