#include "worker/sandbox.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace fanfare::worker {
namespace {

constexpr rlim_t kFilesMax = 1024;

Error failed(const char* doing) {
  return fatal(std::string(doing) + ": " + std::strerror(errno));
}

bool lower_limit(__rlimit_resource_t resource, rlim_t value) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return false;
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(resource, &limit) == 0;
}

Result<void> change_user(std::uint32_t uid, std::uint32_t gid) {
  if (uid == 0) return {};
  uid_t real = 0, effective = 0, saved = 0;
  if (::getresuid(&real, &effective, &saved) != 0) return failed("asking who this is");
  if (effective == 0 && (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0)) {
    return failed("leaving the groups of root");
  }
  // Of a zygote that kept a way back: not any longer.
  if ((effective == 0 || saved == 0) && ::setresuid(uid, uid, uid) != 0) {
    return failed("becoming an unprivileged user");
  }
  return {};
}

Result<void> drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return failed("giving up capabilities");
  return {};
}

// The kernel answers neither success nor failure, so it is asked.
bool set_file_user(uid_t uid) {
  ::setfsuid(uid);
  return static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1))) == uid;
}

}  // namespace

Result<void> become_unprivileged(std::uint32_t uid, std::uint32_t gid, bool keeps_a_way) {
  if (uid == 0 || ::geteuid() != 0) return {};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("giving up new privileges");
  if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 ||
      ::setresuid(uid, uid, keeps_a_way ? 0 : uid) != 0) {
    return failed("becoming an unprivileged user");
  }
  return drop_capabilities();  // those of a saved root would stay permitted
}

BornAsRoot::BornAsRoot() {
  uid_t real = 0, effective = 0, saved = 0;
  if (::getresuid(&real, &effective, &saved) != 0 || effective == 0 || saved != 0) return;
  sigset_t all;
  ::sigfillset(&all);
  if (::pthread_sigmask(SIG_SETMASK, &all, &signals_) != 0) return;
  active_ = set_file_user(0);
  if (!active_) ::pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
}

BornAsRoot::~BornAsRoot() {
  if (!active_) return;
  if (!set_file_user(::geteuid())) std::abort();  // foreign code must not go on like this
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
}

Result<void> enter_sandbox(const SandboxOptions& options) {
  // First of all, so that every page that is touched from here on is counted. "0" is the writer.
  if (options.cgroup_tasks_fd >= 0 && ::write(options.cgroup_tasks_fd, "0", 1) != 1) {
    return failed("entering the memory cgroup");
  }
  if (::setpgid(0, 0) != 0) return failed("making a process group");
  if (options.data_bytes_max > 0 && !lower_limit(RLIMIT_DATA, options.data_bytes_max)) {
    return failed("limiting memory");
  }
  if (!lower_limit(RLIMIT_NOFILE, kFilesMax)) return failed("limiting open files");
  if (!lower_limit(RLIMIT_CORE, 0)) return failed("forbidding core dumps");
  if (const auto changed = change_user(options.uid, options.gid); !changed) return changed;

  // A change of user resets these, so they come after it.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("giving up new privileges");
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return failed("closing the memory to others");
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return failed("tying life to the worker");
  // The worker may have died before it was armed.
  if (options.worker != 0 && ::getppid() != options.worker) return fatal("the worker is gone");
  return {};
}

void reseed_random_state() {
  struct {
    unsigned for_rand, for_random;
    unsigned short for_rand48[3];
  } seeds{};
  if (::getrandom(&seeds, sizeof seeds, 0) != static_cast<ssize_t>(sizeof seeds)) return;
  ::srand(seeds.for_rand);
  ::srandom(seeds.for_random);
  ::seed48(seeds.for_rand48);
}

}  // namespace fanfare::worker
