#include "store/relayed.h"

#include <utility>

#include "protocol/row_writes.h"
#include "store/encode.h"
#include "store/keys.h"

namespace fanfare::store {
namespace {

constexpr std::int64_t kTtlMaxMs = 366LL * 10 * 24 * 3600 * 1000;
constexpr std::uint32_t kHourRowsMax = 100'000;
constexpr std::int64_t kHourMax = 10'000'000;  // in a thousand years
constexpr std::size_t kKeysMax = 32;           // of 256 KiB each: the answer is one frame

// ---- a worker's call becomes a message ----

struct CallToMessage {
  Result<RelayedMessage> operator()(Commit& call) const {
    protocol::Commit message{.request = 0,
                             .function = std::move(call.function),
                             .result_ttl_ms = call.result_ttl_ms,
                             .groups = {}};
    message.groups.reserve(call.groups.size());
    for (Commit::Group& group : call.groups) {
      auto& out = message.groups.emplace_back();
      out.entry = group.entry;
      out.lane = group.lane;
      out.origin = group.origin;
      out.entry_size = group.entry_size;
      out.items.reserve(group.items.size());
      for (Commit::Item& item : group.items) out.items.push_back(item_of(item));
    }
    return RelayedMessage{std::move(message)};
  }
  Result<RelayedMessage> operator()(GetRows& call) const {
    return RelayedMessage{protocol::ReadRows{.function = std::move(call.function),
                                             .now_ms = call.now_ms,
                                             .keys = std::move(call.keys),
                                             .prefix = {},
                                             .after = {}}};
  }
  Result<RelayedMessage> operator()(ListRows& call) const {
    return RelayedMessage{protocol::ReadRows{.function = std::move(call.function),
                                             .now_ms = call.now_ms,
                                             .keys = {},
                                             .prefix = std::move(call.prefix),
                                             .after = std::move(call.after),
                                             .rows_max = call.rows_max}};
  }
  Result<RelayedMessage> operator()(Meter& call) const {
    protocol::TellUsage message{.request = 0,
                                .process = std::move(call.worker),
                                .sequence = call.sequence,
                                .ttl_ms = call.ttl_ms,
                                .hour_rows_max = call.hour_rows_max,
                                .rows = {}};
    for (Meter::Row& row : call.rows) {
      const Usage& usage = row.usage;
      message.rows.push_back({row.hour, std::move(row.function), std::move(row.tenant),
                              usage.invocations, usage.failed, usage.billed_ms, usage.mb_ms,
                              usage.peak_memory_kb});
    }
    return RelayedMessage{std::move(message)};
  }
  template <typename Other>
  Result<RelayedMessage> operator()(Other&) const {
    return reject("this call is not one that brokers relay");
  }

  static protocol::Commit::Item item_of(Commit::Item& item) {
    protocol::Commit::Item out{.index = item.index,
                               .slot = item.slot,
                               .token = item.token,
                               .record = item.record.str(),
                               .caused = {},
                               .rows = {}};
    for (Effect& effect : item.effects) {
      if (auto* publish = std::get_if<Publish>(&effect)) {
        out.caused.push_back({std::move(publish->to), std::move(publish->packed_event)});
      } else if (auto* rows = std::get_if<RowWrites>(&effect)) {
        out.rows = {rows->now_ms, rows->limits.rows_max, rows->limits.bytes_max,
                    std::move(rows->packed)};
      }
    }
    return out;
  }
};

// ---- an answer becomes a message ----

struct AnswerToMessage {
  std::uint64_t request;

  Result<protocol::Message> operator()(Committed& answer) const {
    protocol::Committed message{request, {}};
    for (const Verdict verdict : answer.verdicts) {
      message.verdicts.push_back(static_cast<char>(verdict));
    }
    return protocol::Message{std::move(message)};
  }
  Result<protocol::Message> operator()(Rows& answer) const {
    protocol::RowsRead message{request, {}, std::move(answer.next)};
    for (StoredRow& row : answer.rows) {
      message.rows.push_back({std::move(row.key), std::move(row.value), row.expires_ms});
    }
    return protocol::Message{std::move(message)};
  }
  Result<protocol::Message> operator()(Metered& answer) const {
    return protocol::Message{protocol::UsageTold{request, answer.repeated}};
  }
  template <typename Other>
  Result<protocol::Message> operator()(Other&) const {
    return reject("Redis answered a relayed call with something else");
  }
};

struct MessageToAnswer {
  Result<Answer> operator()(protocol::Committed& message) const {
    Committed answer;
    for (const char byte : message.verdicts) {
      const auto verdict = static_cast<Verdict>(byte);
      if (verdict > Verdict::kNotANumber) return reject("the broker gave an unknown verdict");
      answer.verdicts.push_back(verdict);
    }
    return Answer{std::move(answer)};
  }
  Result<Answer> operator()(protocol::RowsRead& message) const {
    Rows answer{.rows = {}, .next = std::move(message.next)};
    for (auto& row : message.rows) {
      answer.rows.push_back({std::move(row.key), std::move(row.value), row.expires_ms});
    }
    return Answer{std::move(answer)};
  }
  Result<Answer> operator()(protocol::UsageTold& message) const {
    return Answer{Metered{message.repeated}};
  }
  template <typename Other>
  Result<Answer> operator()(Other&) const {
    return reject("the broker answered a relayed call with something else");
  }
};

// Deliveries and their writes are at most 256, their bytes at most a chunk's, unless it is one.
Result<void> check_bounds(const Commit& call) {
  std::size_t deliveries = 0, writes = 0, bytes = 0;
  for (const Commit::Group& group : call.groups) {
    if (group.lane.number >= kLanes) return reject("there is no such lane");
    if (group.items.empty()) return reject("a group without deliveries");
    for (const Commit::Item& item : group.items) {
      ++deliveries;
      bytes += item.record.size() + bytes_of(item.effects);
      for (const Effect& effect : item.effects) {
        const auto* rows = std::get_if<RowWrites>(&effect);
        const auto size = rows ? protocol::check_writes(rows->packed) : protocol::RowWritesSize{};
        if (!size) return size.error();
        writes += rows ? size->writes : 1;
      }
    }
  }
  if (call.result_ttl_ms < 0 || call.result_ttl_ms > kTtlMaxMs) {
    return reject("results cannot be kept for so long");
  }
  if (deliveries <= 1) return {};
  if (deliveries + writes > protocol::kChunkEventsMax) {
    return reject("more than 256 deliveries and writes in a call");
  }
  if (bytes > protocol::kChunkBytesMax)
    return reject("a commit of several deliveries over 256 KiB");
  return {};
}

Result<Call> checked(Call call) {
  if (auto fine = check(call); !fine) return fine.error();
  return call;
}

}  // namespace

Result<RelayedMessage> to_message(Call call) {
  return std::visit(CallToMessage{}, call);
}

Result<protocol::Message> to_message(Answer answer, std::uint64_t request) {
  return std::visit(AnswerToMessage{request}, answer);
}

Result<Answer> to_answer(protocol::Message message) {
  return std::visit(MessageToAnswer{}, message);
}

Result<Call> to_call(protocol::Commit message) {
  Commit call{.function = std::move(message.function),
              .result_ttl_ms = message.result_ttl_ms,
              .groups = {}};
  call.groups.reserve(message.groups.size());
  for (auto& group : message.groups) {
    auto& out = call.groups.emplace_back();
    out.entry = group.entry;
    out.lane = group.lane;
    out.origin = group.origin;
    out.entry_size = group.entry_size;
    out.items.reserve(group.items.size());
    for (auto& item : group.items) {
      auto& one = out.items.emplace_back();
      one.index = item.index;
      one.slot = item.slot;
      one.token = item.token;
      one.record = std::move(item.record);
      for (auto& caused : item.caused) {
        one.effects.emplace_back(Publish{std::move(caused.to), std::move(caused.packed_event)});
      }
      if (item.rows) {
        one.effects.emplace_back(RowWrites{.now_ms = item.rows->now_ms,
                                           .limits = {item.rows->rows_max, item.rows->bytes_max},
                                           .packed = std::move(item.rows->packed_writes)});
      }
    }
  }
  if (auto bounded = check_bounds(call); !bounded) return bounded.error();
  return checked(std::move(call));
}

Result<Call> to_call(protocol::ReadRows message) {
  if (message.keys.size() > kKeysMax) return reject("more than 32 keys in a call");
  if (message.keys.empty() && (message.rows_max == 0 || message.rows_max > kListRowsMax)) {
    return reject("a list has 1 to 1000 rows");
  }
  if (!message.keys.empty()) {
    return checked(GetRows{std::move(message.function), message.now_ms, std::move(message.keys)});
  }
  return checked(ListRows{.function = std::move(message.function),
                          .now_ms = message.now_ms,
                          .prefix = std::move(message.prefix),
                          .after = std::move(message.after),
                          .rows_max = message.rows_max});
}

Result<Call> to_call(protocol::TellUsage message) {
  Meter call{.worker = std::move(message.process),
             .sequence = message.sequence,
             .ttl_ms = message.ttl_ms,
             .hour_rows_max = message.hour_rows_max,
             .rows = {}};
  if (call.ttl_ms <= 0 || call.ttl_ms > kTtlMaxMs)
    return reject("usage cannot be kept for so long");
  if (call.hour_rows_max == 0 || call.hour_rows_max > kHourRowsMax) {
    return reject("an hour has 1 to 100000 rows");
  }
  for (auto& row : message.rows) {
    if (row.hour < 0 || row.hour > kHourMax) return reject("there is no such hour");
    if (row.tenant.size() > kTenantBytesMax) return reject("a tenant's name is over 128 bytes");
    call.rows.push_back(
        {row.hour,
         std::move(row.function),
         std::move(row.tenant),
         {row.invocations, row.failed, row.billed_ms, row.mb_ms, row.peak_memory_kb}});
  }
  return checked(std::move(call));
}

}  // namespace fanfare::store
