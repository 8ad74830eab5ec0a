// A named place on a program's way, where a test may make the process end, stall or take note.
//
// Cores and shells pass places by name ("broker.append.cut"); the programs that are installed hand
// in no hook, and passing then is one branch that is never taken. Test programs hand in a hook of
// their own through the options of what they build, so there is no global table and no macro.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace fanfare {

class Failpoint {
 public:
  // Called on the thread that passes. It may end the process; it must not call back into its owner.
  using Hook = std::function<void(std::string_view place)>;

  Failpoint() = default;
  explicit Failpoint(Hook hook) : hook_(std::move(hook)) {}

  // Somebody listens: only then is it worth putting something together for them.
  explicit operator bool() const { return static_cast<bool>(hook_); }

  void operator()(std::string_view place) const {
    if (hook_) [[unlikely]]
      hook_(place);
  }
  // "<place>.<what>", put together only if somebody listens.
  void operator()(std::string_view place, std::string_view what) const {
    if (hook_) [[unlikely]]
      hook_(std::string(place).append(".").append(what));
  }

 private:
  Hook hook_;
};

}  // namespace fanfare
