#include "worker/invoke_channel.h"

#include <cstring>
#include <type_traits>

#include "protocol/ids.h"
#include "worker/answer_fields.h"

namespace fanfare::worker {
namespace {

struct InvokeHead {
  Doorbell bell;
  std::int64_t timeout_ms = 0;
  std::uint32_t function_size = 0;
  std::uint32_t data_size = 0;
  std::uint32_t in_memfd = 0;
  std::uint32_t padding = 0;
};
static_assert(std::is_trivially_copyable_v<InvokeHead>);
static_assert(sizeof(InvokeHead) + 64 + kInlineInvokeMax <= kInstanceMessageMax);

}  // namespace

Result<void> check_invoke(std::string_view function, std::size_t data_bytes) {
  if (!protocol::is_function_name(function)) {
    return reject("a function's name is 1 to 64 of a-z, A-Z, 0-9, - and _");
  }
  if (data_bytes > kInvokeDataMax) {
    return reject("the data have " + std::to_string(data_bytes) + " bytes, the limit is " +
                  std::to_string(kInvokeDataMax));
  }
  return {};
}

std::string encode(const InvokeRequest& request, bool data_in_memfd) {
  const InvokeHead head{
      .bell = {.kind = Doorbell::Kind::kInvoke, .item = 0, .batch = request.number},
      .timeout_ms = request.timeout_ms,
      .function_size = static_cast<std::uint32_t>(request.function.size()),
      .data_size = static_cast<std::uint32_t>(request.data.size()),
      .in_memfd = data_in_memfd ? 1u : 0u};
  std::string message;
  append_number(message, head);
  message.append(request.function);
  if (!data_in_memfd) message.append(request.data);
  return message;
}

Result<InvokeRequest> decode_invoke_request(std::string_view message, std::span<const Fd> fds) {
  const auto strange = [] { return reject("the instance invoked a function in a strange way"); };
  InvokeHead head;
  if (message.size() < sizeof head) return strange();
  std::memcpy(&head, message.data(), sizeof head);
  message.remove_prefix(sizeof head);
  if (head.function_size > message.size()) return strange();
  InvokeRequest request{.number = head.bell.batch,
                        .timeout_ms = head.timeout_ms,
                        .function = std::string{message.substr(0, head.function_size)},
                        .data = std::string{message.substr(head.function_size)}};
  if (head.timeout_ms < 0 || !check_invoke(request.function, head.data_size)) return strange();
  if (head.in_memfd != 0) {
    if (fds.size() != 1 || !request.data.empty()) return strange();
    auto data = read_sealed_memfd(fds[0].get(), head.data_size);
    if (!data) return data.error();
    request.data = std::move(*data);
  }
  if (request.data.size() != head.data_size) return strange();
  return request;
}

std::string encode_invoked(const InvokeAnswer& answer) {
  std::string bytes;
  append_number(bytes, answer.kind);
  const bool ok = answer.kind == InvokeAnswer::Kind::kOk;
  append_text(bytes, ok ? answer.content_type : answer.type);
  append_text(bytes, ok ? answer.output : answer.message);
  return bytes;
}

Result<InvokeAnswer> decode_invoked(std::string_view bytes) {
  AnswerReader reader(bytes);
  InvokeAnswer answer;
  answer.kind = reader.number<InvokeAnswer::Kind>();
  const bool ok = answer.kind == InvokeAnswer::Kind::kOk;
  (ok ? answer.content_type : answer.type) = reader.text();
  (ok ? answer.output : answer.message) = reader.text();
  if (!reader.at_end()) return reject("the worker's answer was cut off");
  return answer;
}

}  // namespace fanfare::worker
