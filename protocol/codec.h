// The table of decoders: one row per kind of message, in codec_client.cc, codec_worker.cc,
// codec_relay.cc and codec_deliver.cc. For this folder's sources only.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/kinds.h"
#include "protocol/messages.h"
#include "protocol/wire.h"

namespace fanfare::protocol {

struct MessageCodec {
  std::uint8_t kind;
  Result<Message> (*decode)(Decoder& wire, std::uint32_t elements);
};

std::span<const MessageCodec> client_codecs();
std::span<const MessageCodec> worker_codecs();
std::span<const MessageCodec> relay_codecs();
MessageCodec deliver_codec();

// Reads version and kind and returns how many elements the frame's array has.
struct FrameHead {
  std::uint32_t elements = 0;
  std::uint8_t kind = 0;
};
Result<FrameHead> read_head(Decoder& wire, std::size_t frame_bytes);

}  // namespace fanfare::protocol
