#include "worker/loaded_function.h"

#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>

namespace fanfare::worker {
namespace {

using protocol::Failure;

Failure refusal(std::string type, std::string message) {
  return {std::move(type), std::move(message), true, {}};
}

std::string describe_abi(std::uint32_t stamp) {
  return std::to_string(stamp >> 16) + "." + std::to_string(stamp & 0xffff);
}

std::string last_load_error() {
  const char* error = ::dlerror();
  return error ? error : "the loader gives no reason";
}

}  // namespace

std::variant<LoadedFunction, Failure> LoadedFunction::load(const std::string& path) {
  if (::access(path.c_str(), R_OK) != 0) {
    return refusal("LoadError", "cannot read " + path +
                                    ": build the function, or name its shared object as `handler`");
  }
  const std::size_t threads = count_threads();
  void* object = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object) return refusal("LoadError", last_load_error());

  const auto* stamp = static_cast<const std::uint32_t*>(::dlsym(object, "fanfare_abi_version"));
  if (!stamp) {
    return refusal("NotAFunction",
                   path + " has no fanfare_abi_version: build it with <fanfare/function.h>");
  }
  if (*stamp < abi::kOldestStamp || *stamp > abi::kStamp) {
    return refusal("AbiMismatch", path + " was built for function ABI " + describe_abi(*stamp) +
                                      ", this worker has " + describe_abi(abi::kStamp) +
                                      ": build it again with this version's header");
  }
  LoadedFunction function;
  function.handle_ = reinterpret_cast<abi::HandleFn*>(::dlsym(object, "fanfare_function_handle"));
  if (!function.handle_) {
    return refusal("NotAFunction", path +
                                       " has no fanfare_function_handle: it needs a "
                                       "FANFARE_FUNCTION or FANFARE_BATCH_FUNCTION");
  }
  function.handle_batch_ =
      reinterpret_cast<abi::HandleBatchFn*>(::dlsym(object, "fanfare_function_handle_batch"));
  function.init_ = reinterpret_cast<abi::HookFn*>(::dlsym(object, "fanfare_function_init"));
  function.start_ = reinterpret_cast<abi::HookFn*>(::dlsym(object, "fanfare_function_start"));
  if (count_threads() > threads) {
    return refusal("StartsThreads", path +
                                        " starts threads when it is loaded: instances could not be "
                                        "forked; start them in FANFARE_START");
  }
  return function;
}

std::optional<Failure> LoadedFunction::run(abi::HookFn* hook) {
  if (!hook) return std::nullopt;
  std::optional<Failure> failed;
  const abi::Answer answer{
      .host = &failed,
      .output = [](void*, abi::Text, abi::Text) {},
      .failure =
          [](void* host, abi::Text type, abi::Text message, std::uint32_t flags, std::int64_t) {
            *static_cast<std::optional<Failure>*>(host) =
                Failure{std::string(type.data, type.size), std::string(message.data, message.size),
                        (flags & abi::kRetryable) != 0, std::nullopt};
          },
  };
  hook(&answer);
  return failed;
}

std::size_t count_threads() {
  std::size_t count = 0;
  DIR* tasks = ::opendir("/proc/self/task");
  if (!tasks) return 1;
  while (const dirent* entry = ::readdir(tasks)) count += entry->d_name[0] != '.';
  ::closedir(tasks);
  return count;
}

}  // namespace fanfare::worker
