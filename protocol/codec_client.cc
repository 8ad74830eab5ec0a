// The messages between publishers, operators and the broker.
#include "protocol/codec_body.h"

namespace fanfare::protocol {

template <typename T>
concept PublishLike = Like<T, Publish> || Like<T, PublishView>;

void body(auto& wire, PublishLike auto& m) {
  wire.str("client", m.client);
  wire.number("sequence", m.sequence);
  wire.boolean("repeat", m.repeat);
  wire.list("packed_events", m.packed_events, each_bin);
}

template <PublishLike M>
Result<void> check(const M& m) {
  if (!is_function_name(m.client)) {
    return reject("Publish: client: must be 1 to 64 of a-z, A-Z, 0-9, - and _");
  }
  return {};
}

static std::size_t expected_bytes(const Publish& m) {
  std::size_t bytes = 128;
  for (const std::string& event : m.packed_events) bytes += event.size() + 5;
  return bytes;
}

void fields(auto& wire, Like<PublishRun> auto& run) {
  wire.structure("run", 4);
  wire.enumeration("run.fate", run.fate);
  fields(wire, run.first);
  wire.number("run.count", run.count);
  wire.number("run.detail", run.detail);
  wire.end_structure();
}

void fields(auto& wire, Like<PublishError> auto& error) {
  wire.structure("error", 2);
  wire.enumeration("error.code", error.code);
  wire.text("error.message", error.message);
  wire.end_structure();
}

void body(auto& wire, Like<Published> auto& m) {
  wire.number("sequence", m.sequence);
  wire.list("runs", m.runs, each_fields);
  wire.list("routes", m.routes, [](auto& w, auto& route) { w.list("route", route, each_str); });
  wire.list("errors", m.errors, each_fields);
}

void body(auto& wire, Like<Invoke> auto& m) {
  wire.number("request", m.request);
  wire.str("function", m.function);
  wire.number("timeout_ms", m.timeout_ms);
  wire.bin("packed_event", m.packed_event);
}

static std::size_t expected_bytes(const Invoke& m) {
  return 128 + m.packed_event.size();
}

void body(auto& wire, Like<Invoked> auto& m) {
  wire.number("request", m.request);
  wire.bin("record", m.record);
}

static std::size_t expected_bytes(const Invoked& m) {
  return 32 + m.record.size();
}

void body(auto& wire, Like<Await> auto& m) {
  wire.number("request", m.request);
  fields(wire, m.event);
  wire.str("function", m.function);
  wire.number("timeout_ms", m.timeout_ms);
}

void body(auto& wire, Like<Awaited> auto& m) {
  wire.number("request", m.request);
  wire.list("ended", m.ended, each_str);
  wire.list("pending", m.pending, each_str);
}

void body(auto& wire, Like<Admin> auto& m) {
  wire.number("request", m.request);
  wire.str("verb", m.verb);
  wire.bin("data", m.data);
}

void body(auto& wire, Like<AdminReply> auto& m) {
  wire.number("request", m.request);
  wire.bin("data", m.data);
}

void body(auto& wire, Like<Refused> auto& m) {
  wire.number("request", m.request);
  wire.enumeration("code", m.code);
  wire.text("message", m.message);
}

std::span<const MessageCodec> client_codecs() {
  static constexpr MessageCodec kCodecs[] = {
      codec_of<Publish>(), codec_of<Published>(),  codec_of<Invoke>(),
      codec_of<Invoked>(), codec_of<Await>(),      codec_of<Awaited>(),
      codec_of<Admin>(),   codec_of<AdminReply>(), codec_of<Refused>(),
  };
  return kCodecs;
}

Result<PublishView> view_publish(std::string_view frame) {
  return view_as<Publish, PublishView>(frame);
}

template std::string encode(const Publish&);
template std::string encode(const Published&);
template std::string encode(const Invoke&);
template std::string encode(const Invoked&);
template std::string encode(const Await&);
template std::string encode(const Awaited&);
template std::string encode(const Admin&);
template std::string encode(const AdminReply&);
template std::string encode(const Refused&);

}  // namespace fanfare::protocol
