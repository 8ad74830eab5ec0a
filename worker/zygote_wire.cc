#include "worker/zygote_wire.h"

#include <concepts>
#include <cstring>

namespace fanfare::worker {
namespace {

void put(std::string& out, std::integral auto number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void put(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

// Reads what put() wrote; after anything missing it yields zeros and says so at the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  template <std::integral T>
  void take(T& number) {
    const std::string_view bytes = take_bytes(sizeof number);
    if (bytes.size() == sizeof number) std::memcpy(&number, bytes.data(), sizeof number);
  }
  void take(std::string& text) {
    std::uint32_t size = 0;
    take(size);
    text = take_bytes(size);
  }
  bool good() const { return good_ && left_.empty(); }

 private:
  std::string_view take_bytes(std::size_t size) {
    if (size > left_.size()) good_ = false;
    if (!good_) return {};
    const std::string_view bytes = left_.substr(0, size);
    left_.remove_prefix(size);
    return bytes;
  }
  std::string_view left_;
  bool good_ = true;
};

Error malformed() {
  return reject("worker and fanfare-instance do not understand each other: are they of one build?");
}

}  // namespace

std::string encode(const StartRequest& request) {
  std::string out;
  put(out, request.worker);
  put(out, request.function);
  put(out, request.handler);
  put(out, request.data_bytes_max);
  put(out, request.result_bytes_max);
  put(out, request.uid);
  put(out, request.gid);
  put(out, request.enters_cgroups);
  put(out, static_cast<std::uint32_t>(request.env.size()));
  for (const auto& [name, value] : request.env) {
    put(out, name);
    put(out, value);
  }
  return out;
}

Result<StartRequest> decode_start(std::string_view bytes) {
  StartRequest request;
  Reader reader(bytes);
  reader.take(request.worker);
  reader.take(request.function);
  reader.take(request.handler);
  reader.take(request.data_bytes_max);
  reader.take(request.result_bytes_max);
  reader.take(request.uid);
  reader.take(request.gid);
  reader.take(request.enters_cgroups);
  std::uint32_t count = 0;
  reader.take(count);
  if (count > bytes.size()) return malformed();
  for (std::uint32_t i = 0; i < count; ++i) {
    auto& [name, value] = request.env.emplace_back();
    reader.take(name);
    reader.take(value);
  }
  if (!reader.good()) return malformed();
  return request;
}

std::string encode(const ForkRequest& request) {
  std::string out;
  put(out, request.ticket);
  return out;
}

Result<ForkRequest> decode_fork(std::string_view bytes) {
  ForkRequest request;
  Reader reader(bytes);
  reader.take(request.ticket);
  if (!reader.good()) return malformed();
  return request;
}

std::string encode(const ZygoteReply& reply) {
  std::string out;
  put(out, static_cast<std::uint32_t>(reply.kind));
  put(out, reply.ticket);
  put(out, reply.number);
  put(out, reply.type);
  put(out, reply.message);
  return out;
}

Result<ZygoteReply> decode_reply(std::string_view bytes) {
  ZygoteReply reply;
  Reader reader(bytes);
  std::uint32_t kind = 0;
  reader.take(kind);
  reader.take(reply.ticket);
  reader.take(reply.number);
  reader.take(reply.type);
  reader.take(reply.message);
  if (!reader.good() || kind < 1 || kind > 4) return malformed();
  reply.kind = static_cast<ZygoteReply::Kind>(kind);
  return reply;
}

}  // namespace fanfare::worker
