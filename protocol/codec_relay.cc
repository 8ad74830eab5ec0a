// The messages of workers that have no way to Redis.
#include "protocol/codec_body.h"

namespace fanfare::protocol {

void fields(auto& wire, Like<Commit::Caused> auto& caused) {
  wire.structure("caused", 2);
  wire.str("caused.to", caused.to);
  wire.bin("caused.packed_event", caused.packed_event);
  wire.end_structure();
}

void fields(auto& wire, Like<Commit::Rows> auto& rows) {
  wire.structure("rows", 4);
  wire.number("rows.now_ms", rows.now_ms);
  wire.number("rows.rows_max", rows.rows_max);
  wire.number("rows.bytes_max", rows.bytes_max);
  wire.bin("rows.packed_writes", rows.packed_writes);
  wire.end_structure();
}

void fields(auto& wire, Like<Commit::Item> auto& item) {
  wire.structure("item", 6);
  wire.number("item.index", item.index);
  wire.number("item.slot", item.slot);
  wire.number("item.token", item.token.value);
  wire.bin("item.record", item.record);
  wire.list("item.caused", item.caused, each_fields);
  if (wire.present(item.rows.has_value())) {
    if constexpr (std::decay_t<decltype(wire)>::kReads) {
      item.rows.emplace(Commit::Rows{});
    }
    fields(wire, *item.rows);
  }
  wire.end_structure();
}

void fields(auto& wire, Like<Commit::Group> auto& group) {
  wire.structure("group", 5);
  fields(wire, group.entry);
  wire.number("group.lane", group.lane.number);
  wire.enumeration("group.origin", group.origin);
  wire.number("group.entry_size", group.entry_size);
  wire.list("group.items", group.items, each_fields);
  wire.end_structure();
}

void body(auto& wire, Like<Commit> auto& m) {
  wire.number("request", m.request);
  wire.str("function", m.function);
  wire.number("result_ttl_ms", m.result_ttl_ms);
  wire.list("groups", m.groups, each_fields);
}

static std::size_t expected_bytes(const Commit& m) {
  std::size_t bytes = 128;
  for (const Commit::Group& group : m.groups) {
    bytes += 32;
    for (const Commit::Item& item : group.items) {
      bytes += 24 + item.record.size();
      for (const Commit::Caused& caused : item.caused) {
        bytes += 16 + caused.to.size() + caused.packed_event.size();
      }
      if (item.rows) bytes += 40 + item.rows->packed_writes.size();
    }
  }
  return bytes;
}

void body(auto& wire, Like<Committed> auto& m) {
  wire.number("request", m.request);
  wire.bin("verdicts", m.verdicts);
}

void body(auto& wire, Like<ReadRows> auto& m) {
  wire.number("request", m.request);
  wire.str("function", m.function);
  wire.number("now_ms", m.now_ms);
  wire.list("keys", m.keys, each_str);
  wire.str("prefix", m.prefix);
  wire.str("after", m.after);
  wire.number("rows_max", m.rows_max);
}

void fields(auto& wire, Like<RowsRead::Row> auto& row) {
  wire.structure("row", 3);
  wire.str("row.key", row.key);
  wire.bin("row.value", row.value);
  wire.number("row.expires_ms", row.expires_ms);
  wire.end_structure();
}

void body(auto& wire, Like<RowsRead> auto& m) {
  wire.number("request", m.request);
  wire.list("rows", m.rows, each_fields);
  wire.str("next", m.next);
}

static std::size_t expected_bytes(const RowsRead& m) {
  std::size_t bytes = 128 + m.next.size();
  for (const RowsRead::Row& row : m.rows) bytes += 32 + row.key.size() + row.value.size();
  return bytes;
}

void fields(auto& wire, Like<TellUsage::Row> auto& row) {
  wire.structure("row", 8);
  wire.number("row.hour", row.hour);
  wire.str("row.function", row.function);
  wire.bin("row.tenant", row.tenant);
  wire.number("row.invocations", row.invocations);
  wire.number("row.failed", row.failed);
  wire.number("row.billed_ms", row.billed_ms);
  wire.number("row.mb_ms", row.mb_ms);
  wire.number("row.peak_memory_kb", row.peak_memory_kb);
  wire.end_structure();
}

void body(auto& wire, Like<TellUsage> auto& m) {
  wire.number("request", m.request);
  wire.str("process", m.process);
  wire.number("sequence", m.sequence);
  wire.number("ttl_ms", m.ttl_ms);
  wire.number("hour_rows_max", m.hour_rows_max);
  wire.list("rows", m.rows, each_fields);
}

void body(auto& wire, Like<UsageTold> auto& m) {
  wire.number("request", m.request);
  wire.boolean("repeated", m.repeated);
}

void body(auto& wire, Like<FetchPackage> auto& m) {
  wire.number("request", m.request);
  wire.str("digest", m.digest);
  wire.number("offset", m.offset);
}

void body(auto& wire, Like<PackagePart> auto& m) {
  wire.number("request", m.request);
  wire.number("size", m.size);
  wire.bin("bytes", m.bytes);
}

static std::size_t expected_bytes(const PackagePart& m) {
  return 64 + m.bytes.size();
}

std::span<const MessageCodec> relay_codecs() {
  static constexpr MessageCodec kCodecs[] = {
      codec_of<Commit>(),       codec_of<Committed>(),   codec_of<ReadRows>(),
      codec_of<RowsRead>(),     codec_of<TellUsage>(),   codec_of<UsageTold>(),
      codec_of<FetchPackage>(), codec_of<PackagePart>(),
  };
  return kCodecs;
}

template std::string encode(const Commit&);
template std::string encode(const Committed&);
template std::string encode(const ReadRows&);
template std::string encode(const RowsRead&);
template std::string encode(const TellUsage&);
template std::string encode(const UsageTold&);
template std::string encode(const FetchPackage&);
template std::string encode(const PackagePart&);

}  // namespace fanfare::protocol
