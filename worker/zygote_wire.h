// What a worker and a zygote say to each other over their seqpacket socket.
//
// Worker: one StartRequest, then ForkRequests, each with three descriptors (the instance's channel,
// its board, its log) and a fourth if it has a memory cgroup (MemoryLeaf::entry_fd). Zygote: one
// ready or init_failed, then an answer to each request, a forked one with the pidfd.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace fanfare::worker {

inline constexpr int kZygoteControlFd = 3;
inline constexpr std::size_t kZygoteMessageMax = 128 * 1024;

struct StartRequest {
  pid_t worker = 0;
  std::string function, handler;
  std::vector<std::pair<std::string, std::string>> env;
  std::uint64_t data_bytes_max = 0;
  std::uint64_t result_bytes_max = 0;
  std::uint32_t uid = 0, gid = 0;
  std::uint32_t enters_cgroups = 0;  // 1: its instances are born in cgroups of v2
};

struct ForkRequest {
  std::uint64_t ticket = 0;
};

struct ZygoteReply {
  enum class Kind : std::uint32_t { kReady = 1, kInitFailed, kForked, kForkFailed };

  Kind kind = Kind::kReady;
  std::uint64_t ticket = 0;
  std::int64_t number = 0;  // kReady: ns that it took; kForked: the pid; kInitFailed: 1 = retryable
  std::string type, message;  // kInitFailed, kForkFailed
};

std::string encode(const StartRequest& request);
std::string encode(const ForkRequest& request);
std::string encode(const ZygoteReply& reply);
Result<StartRequest> decode_start(std::string_view bytes);
Result<ForkRequest> decode_fork(std::string_view bytes);
Result<ZygoteReply> decode_reply(std::string_view bytes);

}  // namespace fanfare::worker
