// What is the same for every kind of message. For the three sources that describe messages only:
// each defines, for each of its messages, `body(wire, message)`, which names the fields in order,
// and may define `check(message)`, for what the types cannot say. Both are found by
// argument-dependent lookup, so they must not stand in unnamed namespaces.
#pragma once

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/codec.h"
#include "protocol/known.h"

namespace fanfare::protocol {

// About how long a frame will be; room for it is made at once. Overloaded where bodies are long.
template <typename M>
std::size_t expected_bytes(const M&) {
  return 192;
}

template <typename M>
Result<void> check(const M&) {
  return {};
}

// Reads the fields of a message or of a view of one, as many as an older build has written, and
// skips what a newer one put behind those that are known.
template <typename M>
Result<void> read_body(Decoder& wire, M& message, const KindInfo& kind, std::uint32_t elements) {
  // An earlier build counted one field of a Done too few.
  if (std::same_as<M, Done> && elements == 4) elements = 5;
  const std::uint32_t always = 2 + kind.fields - kind.later;
  if (elements < always) wire.cursor().fail("too few fields");
  wire.expect_later(elements - std::min(elements, always));
  body(wire, message);
  while (wire.ok() && wire.later()) wire.cursor().skip(7);
  return wire.finish(kind.name);
}

template <typename M>
Result<Message> decode_as(Decoder& wire, std::uint32_t elements) {
  M message;
  if (auto read = read_body(wire, message, kKind<M>, elements); !read) return read.error();
  if (auto checked = check(message); !checked) return checked.error();
  return Message{std::move(message)};
}

template <typename M>
constexpr MessageCodec codec_of() {
  return {kKind<M>.number, &decode_as<M>};
}

// Reads a view of a message of kind `M` in place.
template <typename M, typename View>
Result<View> view_as(std::string_view frame) {
  Decoder wire{frame};
  const auto head = read_head(wire, frame.size());
  if (!head) return head.error();
  if (head->kind != kKind<M>.number) return reject(std::string{"not a "} + kKind<M>.name);
  View view;
  if (auto read = read_body(wire, view, kKind<M>, head->elements); !read) return read.error();
  if (auto checked = check(view); !checked) return checked.error();
  return view;
}

template <WireMessage M>
std::string encode(const M& message) {
  std::string frame;
  {
    Encoder wire{frame, expected_bytes(message)};
    wire.structure(kKind<M>.name, 2 + kKind<M>.fields);
    wire.number("version", kProtocolVersion);
    wire.number("kind", kKind<M>.number);
    body(wire, message);
  }
  return frame;
}

}  // namespace fanfare::protocol
