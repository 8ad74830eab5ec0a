// The messages between workers and the broker, but for Deliver (codec_deliver.cc) and what a
// worker without a way to Redis asks (codec_relay.cc).
#include <array>

#include "protocol/codec_body.h"

namespace fanfare::protocol {

void fields(auto& wire, Like<HeldDelivery> auto& held) {
  wire.structure("held", 3);
  wire.str("held.function", held.function);
  fields(wire, held.id);
  wire.number("held.token", held.token.value);
  wire.end_structure();
}

void body(auto& wire, Like<Hello> auto& m) {
  wire.str("name", m.name);
  wire.str("host", m.host);
  wire.number("pid", m.pid);
  wire.number("pid_started", m.pid_started);
  wire.number("slots", m.slots);
  wire.list("held", m.held, each_fields);
  if (wire.later()) wire.optional("state", m.state);
  if (wire.later()) wire.boolean("relayed", m.relayed);
  if (wire.later()) wire.list("prepares", m.prepares, each_str);
  if (wire.later()) wire.str("version", m.version);
  if (wire.later()) wire.boolean("early", m.early);
  if (wire.later()) wire.boolean("local", m.local);
}

// The broker keeps all of it as long as the worker is here, and shows it.
static Result<void> check(const Hello& m) {
  constexpr std::size_t kTextMax = 255, kRuntimesMax = 64;
  if (!is_worker_name(m.name)) {
    return reject("Hello.name: a worker's name has 1 to 255 bytes and no control characters");
  }
  if (m.host.size() > kTextMax) return reject("Hello.host: more than 255 bytes");
  if (m.version.size() > kTextMax) return reject("Hello.version: more than 255 bytes");
  const auto too_long = [](const std::string& runtime) { return runtime.size() > kTextMax; };
  if (m.prepares.size() > kRuntimesMax || std::ranges::any_of(m.prepares, too_long)) {
    return reject("Hello.prepares: more than 64 runtimes, or one of more than 255 bytes");
  }
  return {};
}

void fields(auto& wire, Like<FunctionSpec> auto& spec) {
  wire.structure("function", 4);
  wire.str("function.name", spec.name);
  wire.str("function.manifest_toml", spec.manifest_toml);
  wire.str("function.digest", spec.digest);
  wire.number("function.generation", spec.generation);
  wire.end_structure();
}

void body(auto& wire, Like<Welcome> auto& m) {
  wire.number("session", m.session);
  wire.number("epoch", m.epoch);
  wire.number("heartbeat_ms", m.heartbeat_ms);
  wire.number("lease_ms", m.lease_ms);
  wire.list("functions", m.functions, each_fields);
  if (wire.later()) wire.number("relay_calls", m.relay_calls);
  if (wire.later()) wire.number("relay_bytes", m.relay_bytes);
  if (wire.later()) wire.number("layout", m.layout);
}

void body(auto& wire, Like<Functions> auto& m) {
  wire.list("functions", m.functions, each_fields);
}

void fields(auto& wire, Like<Credit::Row> auto& row) {
  wire.structure("row", 3);
  wire.str("row.function", row.function);
  wire.number("row.total", row.total);
  wire.boolean("row.warm", row.warm);
  wire.end_structure();
}

void body(auto& wire, Like<Credit> auto& m) {
  wire.list("rows", m.rows, each_fields);
}

void fields(auto& wire, Like<Failure> auto& failure) {
  wire.structure("failure", 4);
  wire.text("failure.type", failure.type);
  wire.text("failure.message", failure.message);
  wire.boolean("failure.retryable", failure.retryable);
  wire.optional("failure.retry_after_ms", failure.retry_after_ms);
  wire.end_structure();
}

void fields(auto& wire, Like<Done::Row> auto& row) {
  wire.structure("row", 9);
  wire.str("row.function", row.function);
  fields(wire, row.id);
  wire.number("row.token", row.token.value);
  wire.enumeration("row.outcome", row.outcome);
  wire.enumeration("row.final_status", row.final_status);
  if (wire.present(row.outcome != Outcome::kOk)) fields(wire, row.failure);
  wire.bin("row.packed_row", row.packed_row);
  wire.bin("row.log_tail", row.log_tail);
  wire.bin("row.record", row.record);
  wire.end_structure();
}

void fields(auto& wire, Like<Done::Committed> auto& committed) {
  wire.structure("committed", 3);
  wire.str("committed.function", committed.function);
  fields(wire, committed.entry);
  wire.bin("committed.deliveries", committed.packed);
  if constexpr (std::decay_t<decltype(wire)>::kReads) {
    if (committed.packed.size() % 5 != 0) wire.cursor().fail("not 5 bytes per delivery");
  }
  wire.end_structure();
}

void body(auto& wire, Like<Done> auto& m) {
  wire.number("number", m.number);
  wire.list("rows", m.rows, each_fields);
  wire.list("committed", m.committed, each_fields);
  if (wire.later()) wire.list("outboxes", m.outboxes, each_str);
}

void Done::Committed::add(std::uint8_t index, AttemptToken token) {
  std::array<char, 5> bytes{static_cast<char>(index)};
  for (std::size_t i = 1; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(token.value >> (32 - 8 * i) & 0xFF);
  }
  packed.append(bytes.data(), bytes.size());
}

AttemptToken Done::Committed::token(std::size_t i) const {
  std::uint32_t value = 0;
  for (std::size_t at = 5 * i + 1; at < 5 * i + 5; ++at) {
    value = value << 8 | static_cast<unsigned char>(packed[at]);
  }
  return {value};
}

std::vector<Done::Row> Done::all_rows() const {
  std::vector<Row> all = rows;
  for (const Committed& group : committed) {
    for (std::size_t i = 0; i < group.count(); ++i) {
      Row& row = all.emplace_back();
      row.function = group.function;
      row.id = group.id(i);
      row.token = group.token(i);
    }
  }
  return all;
}

static std::size_t expected_bytes(const Done& m) {
  std::size_t bytes = 32;
  for (const Done::Row& row : m.rows) {
    bytes +=
        64 + row.function.size() + row.packed_row.size() + row.log_tail.size() + row.record.size();
  }
  for (const Done::Committed& group : m.committed) {
    bytes += 32 + group.function.size() + group.packed.size();
  }
  return bytes;
}

void fields(auto& wire, Like<Heartbeat::Row> auto& row) {
  wire.structure("row", 4);
  wire.str("row.function", row.function);
  wire.number("row.instances", row.instances);
  wire.number("row.busy", row.busy);
  wire.number("row.queued", row.queued);
  wire.end_structure();
}

void fields(auto& wire, Like<RunningAttempt> auto& attempt) {
  wire.structure("running", 6);
  wire.str("running.function", attempt.function);
  fields(wire, attempt.id);
  wire.number("running.token", attempt.token.value);
  wire.number("running.running_ms", attempt.running_ms);
  wire.optional("running.progress", attempt.progress);
  wire.text("running.note", attempt.note);
  wire.end_structure();
}

void fields(auto& wire, Like<Heartbeat::Broken> auto& broken) {
  wire.structure("broken", 3);
  wire.str("broken.function", broken.function);
  wire.number("broken.generation", broken.generation);
  fields(wire, broken.failure);
  wire.end_structure();
}

void fields(auto& wire, Like<Heartbeat::LocalRow> auto& row) {
  wire.structure("local", 4);
  wire.str("local.function", row.function);
  wire.number("local.ended", row.ended);
  wire.number("local.timed_out", row.timed_out);
  wire.number("local.here", row.here);
  wire.end_structure();
}

void body(auto& wire, Like<Heartbeat> auto& m) {
  wire.number("session", m.session);
  wire.number("delivered", m.delivered);
  wire.list("rows", m.rows, each_fields);
  if (wire.later()) wire.list("running", m.running, each_fields);
  if (wire.later()) wire.enumeration("state", m.state);
  if (wire.later()) wire.number("waiting", m.waiting);
  if (wire.later()) wire.list("broken", m.broken, each_fields);
  if (wire.later()) wire.list("local", m.local, each_fields);
}

void body(auto& wire, Like<HeartbeatAck> auto& m) {
  wire.number("session", m.session);
  wire.number("done_number", m.done_number);
}

void body(auto& wire, Like<Bye> auto& m) {
  wire.number("session", m.session);
}

void body(auto&, Like<Reset> auto&) {}

void body(auto& wire, Like<Cancel> auto& m) {
  wire.list("deliveries", m.deliveries, each_fields);
}

void body(auto& wire, Like<Quiet> auto& m) {
  wire.boolean("quiet", m.quiet);
}

void body(auto& wire, Like<Prepare> auto& m) {
  fields(wire, m.function);
  wire.boolean("drop", m.drop);
  wire.number("number", m.number);
}

void body(auto& wire, Like<Prepared> auto& m) {
  wire.number("session", m.session);
  wire.str("function", m.function);
  wire.str("digest", m.digest);
  wire.number("number", m.number);
  if (wire.present(m.failure.has_value())) {
    if constexpr (std::decay_t<decltype(wire)>::kReads) m.failure.emplace();
    fields(wire, *m.failure);
  }
  wire.bin("log_tail", m.log_tail);
}

void body(auto& wire, Like<Journaled> auto& m) {
  wire.list("there", m.there, each_fields);
  wire.list("refused", m.refused, each_fields);
}

void body(auto& wire, Like<Local> auto& m) {
  wire.list("functions", m.functions, each_str);
  wire.number("event_bytes_max", m.event_bytes_max);
}

std::span<const MessageCodec> worker_codecs() {
  static constexpr MessageCodec kCodecs[] = {
      codec_of<Hello>(),    codec_of<Welcome>(),   codec_of<Functions>(),    codec_of<Credit>(),
      codec_of<Done>(),     codec_of<Heartbeat>(), codec_of<HeartbeatAck>(), codec_of<Bye>(),
      codec_of<Reset>(),    codec_of<Cancel>(),    codec_of<Quiet>(),        codec_of<Prepare>(),
      codec_of<Prepared>(), codec_of<Journaled>(), codec_of<Local>(),
  };
  return kCodecs;
}

template std::string encode(const Hello&);
template std::string encode(const Welcome&);
template std::string encode(const Functions&);
template std::string encode(const Credit&);
template std::string encode(const Done&);
template std::string encode(const Heartbeat&);
template std::string encode(const HeartbeatAck&);
template std::string encode(const Bye&);
template std::string encode(const Reset&);
template std::string encode(const Cancel&);
template std::string encode(const Quiet&);
template std::string encode(const Prepare&);
template std::string encode(const Prepared&);
template std::string encode(const Journaled&);
template std::string encode(const Local&);

}  // namespace fanfare::protocol
