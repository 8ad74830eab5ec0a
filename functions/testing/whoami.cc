// Tells as whom its code is loaded, initialised and run.

#include <fanfare/function.h>
#include <grp.h>
#include <sys/types.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace {

// Effective capabilities of this process, as a number.
unsigned long long capabilities() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CapEff:")) return std::stoull(line.substr(7), nullptr, 16);
  }
  return ~0ull;
}

const uid_t loaded_uid = ::geteuid();
uid_t init_uid = 0;
int init_groups = -1;
unsigned long long init_capabilities = ~0ull, init_capabilities_as_root = ~0ull;

}  // namespace

FANFARE_INIT {
  init_uid = ::geteuid();
  init_groups = ::getgroups(0, nullptr);
  init_capabilities = capabilities();
  // Where a way back to root is kept it must be worth nothing.
  const bool became_root = ::seteuid(0) == 0;
  init_capabilities_as_root = capabilities();
  if (became_root && ::seteuid(init_uid) != 0) init_uid = 0;
}

FANFARE_FUNCTION(const fanfare::Event&, fanfare::Context&) {
  uid_t real = 0, effective = 0, saved = 0;
  ::getresuid(&real, &effective, &saved);
  return fanfare::Output::object({{"loaded_uid", loaded_uid},
                                  {"init_uid", init_uid},
                                  {"init_groups", init_groups},
                                  {"init_capabilities", init_capabilities},
                                  {"init_capabilities_as_root", init_capabilities_as_root},
                                  {"handler_uid", effective},
                                  {"handler_saved_uid", saved}});
}
