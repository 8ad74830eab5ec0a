#include "protocol/codec.h"

namespace fanfare::protocol {
namespace {

constexpr const char* kVersionMismatch = "the peer speaks protocol version ";

const MessageCodec* find_codec(std::span<const MessageCodec> codecs, std::uint8_t kind) {
  for (const MessageCodec& codec : codecs) {
    if (codec.kind == kind) return &codec;
  }
  return nullptr;
}

template <typename M>
concept HasRequest = requires(const M& message) { message.request; };

// All kinds, so that a new one is not forgotten.
template <typename... Kinds>
bool has_request(std::uint64_t kind, const std::variant<Kinds...>*) {
  return ((HasRequest<Kinds> && kKind<Kinds>.number == kind) || ...);
}

}  // namespace

std::string_view to_string(WorkerState state) {
  switch (state) {
    case WorkerState::kRunning:
      return "running";
    case WorkerState::kQuiet:
      return "quiet";
    case WorkerState::kTerminating:
      return "terminating";
  }
  return "unknown";
}

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::kMalformed:
      return "malformed";
    case Refusal::kVersion:
      return "version";
    case Refusal::kTooLarge:
      return "too_large";
    case Refusal::kQueueFull:
      return "queue_full";
    case Refusal::kUnavailable:
      return "unavailable";
    case Refusal::kNoSuchFunction:
      return "no_such_function";
    case Refusal::kInvalid:
      return "invalid";
    case Refusal::kUnsupported:
      return "unsupported";
    case Refusal::kTimeout:
      return "timeout";
    case Refusal::kInternal:
      return "internal";
    case Refusal::kNotAllowed:
      return "not_allowed";
  }
  return "unknown";
}

Result<FrameHead> read_head(Decoder& wire, std::size_t frame_bytes) {
  if (frame_bytes > kMessageBytesMax) return reject("the frame is larger than 16 MiB");
  FrameHead head;
  head.elements = wire.cursor().array();
  const std::uint64_t version = wire.cursor().unsigned_integer();
  if (!wire.ok()) return wire.failure("not a message");
  if (version != kProtocolVersion) {
    return reject(kVersionMismatch + std::to_string(version) + ", this end version " +
                  std::to_string(kProtocolVersion));
  }
  head.kind = static_cast<std::uint8_t>(wire.cursor().unsigned_integer(255));
  if (!wire.ok()) return wire.failure("not a message");
  return head;
}

Result<Message> decode(std::string_view frame) {
  Decoder wire{frame};
  const auto head = read_head(wire, frame.size());
  if (!head) return head.error();
  if (head->kind == kKind<Deliver>.number) return deliver_codec().decode(wire, head->elements);
  const bool relayed =
      head->kind >= kKind<Commit>.number && head->kind <= kKind<PackagePart>.number;
  const auto* codec = find_codec(head->kind < kKind<Hello>.number ? client_codecs()
                                 : relayed                        ? relay_codecs()
                                                                  : worker_codecs(),
                                 head->kind);
  if (!codec) return reject("unknown kind of message: " + std::to_string(head->kind));
  return codec->decode(wire, head->elements);
}

std::string encode(const Message& message) {
  return std::visit([](const auto& one) { return encode(one); }, message);
}

std::uint8_t peek_kind(std::string_view frame) {
  Decoder wire{frame};
  const auto head = read_head(wire, frame.size());
  return head ? head->kind : std::uint8_t{0};
}

std::uint64_t request_of(std::string_view frame) {
  Cursor cursor{frame};
  cursor.array();
  cursor.skip(0);  // the version
  const std::uint64_t kind = cursor.unsigned_integer();
  const bool batch = kind == kKind<Publish>.number;
  if (!batch && !has_request(kind, static_cast<const Message*>(nullptr))) return 0;
  if (batch) cursor.skip(0);  // who publishes
  const std::uint64_t request = cursor.unsigned_integer();
  return cursor.ok() ? request : 0;
}

Refused refusal_of(std::string_view frame, const Error& error) {
  Refused refused{0, Refusal::kMalformed, error.message};
  if (error.message.starts_with(kVersionMismatch)) refused.code = Refusal::kVersion;
  // A batch that cannot be read is not known to be one: its publisher has a rule for that.
  Cursor cursor{frame};
  cursor.array();
  cursor.skip(0);
  const bool batch = cursor.unsigned_integer() == kKind<Publish>.number;
  if (!batch) refused.request = request_of(frame);
  return refused;
}

}  // namespace fanfare::protocol
