// How an instance invokes another function: a request behind a doorbell, an answer among the
// batches. The worker says whose instance it is, what led to the invocation and how long it may
// take.
//
// Both ends are of one build on one machine, but the instance runs foreign code: the worker checks
// what it is asked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "worker/channel.h"

namespace fanfare::worker {

struct InvokeRequest {
  std::uint64_t number = 0;     // of this instance's requests, for the answer
  std::int64_t timeout_ms = 0;  // 0: the function has not said
  std::string function;
  std::string data;
};

// Larger data travel as a memfd.
inline constexpr std::size_t kInlineInvokeMax = 4096;
// As much as any broker may be told to take (max_event_bytes); this one's own limit is its to say.
inline constexpr std::size_t kInvokeDataMax = 8u << 20;

struct InvokeAnswer {
  enum class Kind : std::uint32_t {
    kRefused = 0,  // there is no result: `type` is a name of protocol::Refusal, or one like them
    kOk = 1,
    kFailed = 2,  // the function has failed
  };

  Kind kind = Kind::kRefused;
  std::string type, message;         // unless ok
  std::string content_type, output;  // if ok

  static InvokeAnswer refused(std::string_view type, std::string message) {
    return {Kind::kRefused, std::string{type}, std::move(message), {}, {}};
  }
};

// Whether `function` may be passed on at all, and the data with it.
Result<void> check_invoke(std::string_view function, std::size_t data_bytes);

// The message, without the data if `data_in_memfd`: then a sealed memfd of them goes with it.
std::string encode(const InvokeRequest& request, bool data_in_memfd);
// Rejects what no sound instance sends.
Result<InvokeRequest> decode_invoke_request(std::string_view message, std::span<const Fd> fds);

std::string encode_invoked(const InvokeAnswer& answer);
Result<InvokeAnswer> decode_invoked(std::string_view bytes);

}  // namespace fanfare::worker
