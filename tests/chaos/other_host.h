// A machine of its own for one process, as far as the network goes: a network namespace at the
// other end of a virtual cable that can be unplugged.
//
// This process goes into a namespace of its own, too, so that nothing of the machine's network is
// touched and several may run side by side under the same addresses. All is gone when this process
// is, however it ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace fanfare::chaos {

class OtherHost {
 public:
  static constexpr const char* kHere = "10.44.0.1";
  static constexpr const char* kThere = "10.44.0.2";

  // Call before there are other threads; those that follow are in the namespace as well. Throws
  // CannotHere where this user may not make one, or `ip` is missing.
  OtherHost();
  ~OtherHost();
  OtherHost(const OtherHost&) = delete;
  OtherHost& operator=(const OtherHost&) = delete;

  // The command as it is to be run to be there.
  std::vector<std::string> there(const std::vector<std::string>& command) const;

  void unplug();
  void plug_in();

 private:
  pid_t holder_ = -1;  // keeps the namespace
};

}  // namespace fanfare::chaos
