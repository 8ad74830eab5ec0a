// What a handler's invocations of other functions do in its instance.
#include <array>
#include <new>

#include "worker/instance_parts.h"
#include "worker/instance_runtime.h"

namespace fanfare::worker {

void InstanceRuntime::offer_invoke(abi::Context& context) {
  context.invoke = [](void* host, abi::Text function, abi::Text data, std::int64_t timeout_ms,
                      const abi::Answer* to) {
    InvokeAnswer answer;
    try {
      answer = static_cast<InstanceRuntime*>(host)->invoke(view(function), view(data), timeout_ms);
    } catch (const std::bad_alloc&) {
      answer.type = "unavailable";  // both are short enough to need no memory of their own
      answer.message = "out of memory";
    }
    const auto text = [](const std::string& of) { return abi::Text{of.data(), of.size()}; };
    if (answer.kind == InvokeAnswer::Kind::kOk) {
      return to->output(to->host, text(answer.content_type), text(answer.output));
    }
    const bool failed = answer.kind == InvokeAnswer::Kind::kFailed;
    to->failure(to->host, text(answer.type), text(answer.message),
                abi::kRetryable | (failed ? abi::kByFunction : 0), 0);
  };
}

InvokeAnswer InstanceRuntime::invoke(std::string_view function, std::string_view data,
                                     std::int64_t timeout_ms) {
  if (std::this_thread::get_id() != handler_thread_) {
    return InvokeAnswer::refused(
        "invalid", "functions may only be invoked on the thread that runs the handler");
  }
  if (timeout_ms < 0) return InvokeAnswer::refused("invalid", "the timeout cannot be negative");
  if (const auto fine = check_invoke(function, data.size()); !fine) {
    return InvokeAnswer::refused(data.size() > kInvokeDataMax ? "too_large" : "invalid",
                                 fine.error().message);
  }
  const InvokeRequest request{.number = ++last_request_,
                              .timeout_ms = timeout_ms,
                              .function = std::string{function},
                              .data = std::string{data}};
  const bool large = data.size() > kInlineInvokeMax;
  Fd memfd;
  std::vector<int> fds;
  if (large) {
    auto made = make_sealed_memfd("fanfare-invoke", std::array{data});
    if (!made) return InvokeAnswer::refused("unavailable", made.error().message);
    memfd = std::move(*made);
    fds.push_back(memfd.get());
  }
  const auto bytes = ask(request.number, encode(request, large), fds, &invoke_spin_);
  if (!bytes) return InvokeAnswer::refused("internal", bytes.error().message);
  auto answer = decode_invoked(*bytes);
  if (!answer) return InvokeAnswer::refused("internal", answer.error().message);
  return std::move(*answer);
}

}  // namespace fanfare::worker
