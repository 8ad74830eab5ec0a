#include "store/encode.h"

#include <algorithm>
#include <map>

#include "protocol/row_writes.h"
#include "store/bytes.h"
#include "store/grouping.h"
#include "store/keys.h"
#include "store/packed.h"
#include "store/row.h"
#include "store/rows.h"
#include "store/staging.h"

namespace fanfare::store {
namespace {

constexpr std::size_t kPageBytesMax = 256 * 1024;  // and the entry that goes beyond it
constexpr std::size_t kDueBytesMax = 256 * 1024;
constexpr std::size_t kLettersBytesMax = 256 * 1024;
constexpr std::size_t kHeadOfGroup = 5, kHeadOfItem = 6;

void start(Arguments& out, std::string_view name, std::size_t keys, bool reads = false) {
  out.add(reads ? "FCALL_RO" : "FCALL");
  out.add(name);
  out.add_number(keys);
}

// The groups' keys, and later their entries and heads, shared by commit, postpone and bury.
class Groups {
 public:
  explicit Groups(const std::vector<GroupedItem>& items) : groups_(groups_among(items)) {}

  std::size_t count() const { return groups_.size(); }
  std::span<const std::span<const GroupedItem>> all() const { return groups_; }

  void add_keys(std::string_view function, Arguments& out) const {
    const std::string_view results = out.keep(results_key(function, {}));
    const std::string_view results_prefix = results.substr(0, results.size() - 3);  // without "0-0"
    std::optional<Lane> lane;
    std::string_view journal, open;
    for (const auto& group : groups_) {
      const GroupedItem& first = group.front();
      if (lane != first.lane) {
        lane = first.lane;
        journal = out.keep(journal_key(function, *lane));
        open = out.keep(open_key(function, *lane));
      }
      out.add(journal);
      out.add(open);
      out.add_copy(results_prefix, to_string(first.entry));
    }
  }

  void add_heads(bool broker, Arguments& out) const {
    for (const auto& group : groups_) {
      const GroupedItem& first = group.front();
      const auto n = static_cast<std::uint16_t>(group.size());
      // Only the journal has states: elsewhere the size says no more than how many there are here.
      const bool in_journal = first.origin == Origin::kJournal;
      out.add_copy(to_string(first.entry));
      char* at = out.add_room(kHeadOfGroup + kHeadOfItem * group.size());
      *at++ = static_cast<char>(first.origin);
      at = put_big_endian(at, in_journal ? first.entry_size : n);
      at = put_big_endian(at, n);
      for (const auto& item : group) *at++ = static_cast<char>(item.slot);
      for (const auto& item : group) *at++ = static_cast<char>(item.index);
      for (const auto& item : group) {
        at = put_big_endian(at, broker ? by_broker(item.token).value : item.token.value);
      }
    }
  }

 private:
  std::vector<std::span<const GroupedItem>> groups_;
};

// The effects of a call's items, in the order of the wire; a call without any is encoded as it was
// before there were effects.
class ItemEffects {
 public:
  template <typename EffectsOf>
  ItemEffects(const std::vector<GroupedItem>& items, EffectsOf effects_of) {
    for (std::size_t ordinal = 0; ordinal < items.size(); ++ordinal) {
      for (const Effect& effect : effects_of(items[ordinal])) all_.push_back({ordinal, &effect});
    }
  }

  bool none() const { return all_.empty(); }
  std::size_t keys() const { return none() ? 0 : 5; }

  void add_keys(std::string_view function, Arguments& out) const {
    if (none()) return;
    out.add_copy(outbox_key(function));
    out.add_copy(store_key(function));
    out.add_copy(store_names_key(function));
    out.add_copy(store_expiries_key(function));
    out.add_copy(counts_key(function));
  }

  void add(Arguments& out) const {
    if (none()) return;
    out.add_number(all_.size());
    for (const auto& [ordinal, effect] : all_) {
      out.add_number(ordinal);
      std::visit([&out](const auto& one) { add_one(one, out); }, *effect);
    }
  }

 private:
  static void add_one(const Publish& publish, Arguments& out) {
    out.add("publish");
    out.add(publish.to);
    out.add(publish.packed_event);
  }
  static void add_one(const RowWrites& writes, Arguments& out) {
    out.add("rows");
    out.add_number(writes.now_ms);
    out.add_number(writes.limits.rows_max);
    out.add_number(writes.limits.bytes_max);
    out.add(writes.packed);
  }

  struct OfItem {
    std::size_t ordinal;
    const Effect* effect;
  };
  std::vector<OfItem> all_;
};

struct Encoder {
  const std::optional<EntryId>& before;
  Arguments& out;

  void operator()(const Begin& call) {
    start(out, "fanfare2_begin", 1);
    out.add(kMetaKey);
    out.add_number(call.layout);
  }

  void operator()(const Append& call) {
    std::map<std::string_view, std::vector<EntryId>> taken;  // by function
    for (const auto& entry : call.taken) taken[entry.function].push_back(entry.id);
    start(out, taken.empty() ? "fanfare2_append" : "fanfare2_republish",
          taken.size() + 1 + 3 * call.streams.size() + call.guards.size() + call.claims.size() +
              3 * call.delayed.size());
    for (const auto& [function, ids] : taken) out.add_copy(outbox_key(function));
    out.add(kMetaKey);
    for (const auto& stream : call.streams) {
      out.add_copy(journal_key(stream.function, stream.lane));
      out.add_copy(open_key(stream.function, stream.lane));
      out.add_copy(counts_key(stream.function));
    }
    for (const auto& guard : call.guards) out.add_copy(guard_key(guard.client));
    for (const auto& claim : call.claims) out.add_copy(claim_key(claim.key));
    for (const auto& delayed : call.delayed) {
      out.add_copy(counts_key(delayed.function));
      out.add_copy(later_key(delayed.function));
      out.add_copy(rows_key(delayed.function));
    }
    if (!taken.empty()) out.add_number(taken.size());
    for (const auto& [function, ids] : taken) {
      out.add_number(ids.size());
      for (const EntryId& id : ids) out.add_copy(to_string(id));
    }
    out.add_number(call.epoch);
    out.add_copy(to_string(call.entry));
    out.add_copy(before ? to_string(*before) : std::string{});
    out.add_number(call.streams.size());
    out.add_number(call.guards.size());
    out.add_number(call.claims.size());
    for (const auto& stream : call.streams) out.add_number(stream.items.size());
    for (const auto& guard : call.guards) {
      out.add_number(guard.sequence);
      out.add(guard.packed_runs);
    }
    if (!call.claims.empty()) out.add_number(call.claim_window_ms);
    for (const auto& claim : call.claims) out.add(claim.packed);
    for (const auto& stream : call.streams) {
      if (stream.items.size() == 1) out.add_index(stream.items[0].index);
      if (lies_beside(call, stream)) {
        out.add({});
      } else {
        add_events(stream, out);
      }
    }
    const AttemptToken nobody = by_broker(protocol::make_token(call.epoch, 0));
    for (const auto& delayed : call.delayed) {
      std::vector<std::string_view> ids;
      ids.reserve(delayed.items.size());
      out.add_number(delayed.items.size());
      for (const auto& item : delayed.items) {
        ids.push_back(out.keep(to_string(EventId{call.entry, item.index})));
        out.add_number(item.due_ms);
        out.add(ids.back());
      }
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto& item = delayed.items[i];
        out.add(ids[i]);
        out.add_copy(pack(LaterRow{nobody, 0, item.accepted_ms, {}, {}}),
                     std::string_view{item.packed_event});
      }
    }
  }

  void operator()(const Lookup& call) {
    start(out, "fanfare2_lookup", call.keys.size(), true);
    for (const ClaimKey& key : call.keys) out.add_copy(claim_key(key));
  }

  void operator()(const Commit& call) {
    const auto items = grouped(call);
    const Groups groups(items);
    const ItemEffects effects(items, [&](const GroupedItem& item) -> const Effects& {
      return call.groups[item.outer].items[item.inner].effects;
    });
    const std::int64_t ttl_ms = std::max<std::int64_t>(call.result_ttl_ms, 0);
    const bool packed = is_packed(call);
    start(out,
          packed           ? "fanfare2_commit_packed"
          : effects.none() ? "fanfare2_commit"
                           : "fanfare2_commit_with",
          effects.keys() + 3 + 3 * groups.count());
    effects.add_keys(call.function, out);
    out.add_copy(counts_key(call.function));
    out.add_copy(later_key(call.function));
    out.add_copy(rows_key(call.function));
    groups.add_keys(call.function, out);
    effects.add(out);
    out.add_number(ttl_ms);
    groups.add_heads(false, out);
    if (ttl_ms == 0) return;
    const auto record_of = [&call](const GroupedItem& item) -> std::string_view {
      return call.groups[item.outer].items[item.inner].record;
    };
    if (packed) {
      for (const auto& group : groups.all()) {
        if (lies_beside(call, group)) {
          out.add({});
        } else {
          add_results(call, group, out);
        }
      }
      return;
    }
    for (const GroupedItem& item : items) {
      out.add_index(item.index);
      out.add_copy(TokenBytes{item.token}, record_of(item));
    }
  }

  void operator()(const Postpone& call) {
    const auto items = grouped(call);
    const Groups groups(items);
    start(out, "fanfare2_postpone", 4 + 3 * groups.count());
    out.add(kMetaKey);
    out.add_copy(counts_key(call.function));
    out.add_copy(later_key(call.function));
    out.add_copy(rows_key(call.function));
    groups.add_keys(call.function, out);
    out.add_number(call.epoch);
    groups.add_heads(true, out);
    for (const GroupedItem& grouped_item : items) {
      const auto& item = call.items[grouped_item.inner];
      out.add_number(item.due_ms);
      out.add_copy(pack(LaterRow{by_broker(item.token), item.attempts, item.accepted_ms,
                                 item.packed_ledger, item.packed_event}));
      out.add(item.key_held);
    }
  }

  void operator()(const Bury& call) {
    const auto items = grouped(call);
    const Groups groups(items);
    const ItemEffects effects(items, [&](const GroupedItem& item) -> const Effects& {
      return call.items[item.inner].effects;
    });
    start(out, effects.none() ? "fanfare2_bury" : "fanfare2_bury_with",
          effects.keys() + 5 + 3 * groups.count());
    effects.add_keys(call.function, out);
    out.add(kMetaKey);
    out.add_copy(counts_key(call.function));
    out.add_copy(later_key(call.function));
    out.add_copy(rows_key(call.function));
    out.add_copy(dead_key(call.function));
    groups.add_keys(call.function, out);
    effects.add(out);
    out.add_number(call.epoch);
    out.add_number(std::max<std::int64_t>(call.result_ttl_ms, 0));
    out.add_number(call.now_ms);
    out.add_number(std::max<std::int64_t>(call.now_ms - call.dead_max_age_ms, 0));
    out.add_number(call.dead_max_count);
    groups.add_heads(true, out);
    for (const GroupedItem& grouped_item : items) {
      const auto& item = call.items[grouped_item.inner];
      out.add_index(grouped_item.index);
      out.add_copy(TokenBytes{by_broker(item.token)}, item.record);
      out.add_index(static_cast<std::uint8_t>(item.status));
      out.add_index(static_cast<std::uint8_t>(item.reason));
      out.add(item.status == protocol::Status::kCancelled ? std::string_view{} : item.packed_event);
    }
  }

  void operator()(const ReadLetters& call) {
    start(out, "fanfare2_letters", 1, true);
    out.add_copy(dead_key(call.function));
    out.add_number(kLettersBytesMax);
    for (const EntryId& letter : call.letters) out.add_copy(to_string(letter));
  }

  void operator()(const Redrive& call) {
    start(out, "fanfare2_redrive", 5 + call.items.size());
    out.add(kMetaKey);
    out.add_copy(counts_key(call.function));
    out.add_copy(later_key(call.function));
    out.add_copy(rows_key(call.function));
    out.add_copy(dead_key(call.function));
    for (const auto& item : call.items) out.add_copy(results_key(call.function, item.id.entry));
    out.add_number(call.epoch);
    for (const auto& item : call.items) {
      out.add_copy(to_string(item.letter));
      out.add_copy(to_string(item.id));
      out.add_number(item.due_ms);
      out.add_copy(pack(LaterRow{by_broker(item.token), 0, item.accepted_ms, item.packed_ledger,
                                 item.packed_event}));
    }
  }

  void operator()(const PurgeLetters& call) {
    start(out, "fanfare2_purge_letters", 2);
    out.add(kMetaKey);
    out.add_copy(dead_key(call.function));
    out.add_number(call.epoch);
    for (const EntryId& letter : call.letters) out.add_copy(to_string(letter));
  }

  void operator()(const Page& call) {
    start(out, "fanfare2_page", 2, true);
    out.add_copy(journal_key(call.function, call.lane));
    out.add_copy(open_key(call.function, call.lane));
    out.add_copy(to_string(call.after));
    out.add_number(std::clamp(call.entries_max, 1u, 256u));
    out.add_number(kPageBytesMax);
    if (call.apart) out.add_copy(to_string(*call.apart));
  }

  void operator()(const Due& call) {
    start(out, "fanfare2_due", 2, true);
    out.add_copy(later_key(call.function));
    out.add_copy(rows_key(call.function));
    out.add_number(call.from_ms);
    out.add_copy(call.after ? protocol::to_string(*call.after) : std::string{});
    out.add_number(call.until_ms);
    out.add_number(std::clamp(call.rows_max, 1u, 256u));
    out.add_number(kDueBytesMax);
    out.add_number(call.skip);
  }

  void operator()(const Survey& call) {
    start(out, "fanfare2_survey", 4 + 2 * kLanes, true);
    out.add_copy(counts_key(call.function));
    out.add_copy(later_key(call.function));
    out.add_copy(held_key(call.function));
    out.add_copy(rows_key(call.function));
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      out.add_copy(journal_key(call.function, Lane{lane}));
    }
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      out.add_copy(open_key(call.function, Lane{lane}));
    }
    out.add_copy(call.cursor.empty() ? "0" : call.cursor);
  }

  void operator()(const CountOutboxes& call) {
    start(out, "fanfare2_count_outboxes", call.functions.size(), true);
    for (const auto& function : call.functions) out.add_copy(outbox_key(function));
  }

  void operator()(const ReadOutbox& call) {
    start(out, "fanfare2_read_outbox", 1, true);
    out.add_copy(outbox_key(call.function));
    out.add_copy(to_string(call.after));
    out.add_number(std::clamp(call.entries_max, 1u, 256u));
    out.add_number(kPageBytesMax);
  }

  void operator()(const SetSchedule& call) {
    start(out, call.definition.empty() ? "fanfare2_remove_schedule" : "fanfare2_set_schedule", 3);
    out.add(kSchedulesKey);
    out.add(kSchedulesLedgerKey);
    out.add(kSchedulesRevisionKey);
    out.add(call.name);
    out.add(call.definition);
  }

  void operator()(const Fire& call) {
    start(out, "fanfare2_fire", 3);
    out.add(kSchedulesKey);
    out.add(kSchedulesLedgerKey);
    out.add_copy(outbox_key(kTriggers));
    out.add(call.name);
    out.add_number(call.revision);
    out.add(call.row_before);
    out.add(call.row_after);
    for (const std::string& event : call.packed_events) out.add(event);
  }

  void operator()(const ListSchedules& call) {
    start(out, "fanfare2_list_schedules", 3, true);
    out.add(kSchedulesKey);
    out.add(kSchedulesLedgerKey);
    out.add(kSchedulesRevisionKey);
    out.add_copy(call.cursor.empty() ? "0" : call.cursor);
  }

  void operator()(const GetRevision&) {
    start(out, "fanfare2_get_revision", 1, true);
    out.add(kSchedulesRevisionKey);
  }

  void operator()(const SetTopics& call) {
    const bool removes = !call.items.empty() && call.items.front().definition.empty();
    start(out, removes ? "fanfare2_remove_topics" : "fanfare2_set_topics", 2);
    out.add(kMetaKey);
    out.add(kTopicsKey);
    out.add_number(call.epoch);
    for (const auto& item : call.items) {
      out.add(item.name);
      out.add(item.definition);
    }
  }

  void operator()(const ListTopics& call) {
    start(out, "fanfare2_list_topics", 1, true);
    out.add(kTopicsKey);
    out.add_copy(call.cursor.empty() ? "0" : call.cursor);
  }

  void operator()(const Find& call) {
    start(out, "fanfare2_find", 3 + 2 * kLanes, true);
    out.add_copy(later_key(call.function));
    out.add_copy(rows_key(call.function));
    out.add_copy(results_key(call.function, call.id.entry));
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      out.add_copy(journal_key(call.function, Lane{lane}));
      out.add_copy(open_key(call.function, Lane{lane}));
    }
    out.add_copy(to_string(call.id.entry));
    out.add_index(call.id.index);
  }

  void operator()(const Recall& call) {
    start(out, "fanfare2_recall", 1, true);
    out.add_copy(guard_key(call.client));
    out.add_number(call.sequence);
  }

  void operator()(const ListFunctions&) {
    start(out, "fanfare2_list_functions", 1, true);
    out.add(kFunctionsKey);
  }

  void operator()(const Deploy& call) {
    start(out, "fanfare2_deploy", 4);
    out.add(kMetaKey);
    out.add(kFunctionsKey);
    out.add(kPackagesKey);
    out.add(kGenerationsKey);
    out.add_number(call.epoch);
    out.add(call.name);
    out.add(call.digest);
    out.add(call.manifest_toml);
    out.add_number(call.now_ms);
    out.add_number(call.from);
    out.add_number(call.kept);
  }

  void operator()(const ListGenerations& call) {
    start(out, "fanfare2_list_generations", 2, true);
    out.add(kGenerationsKey);
    out.add(kPackagesKey);
    out.add(call.name);
  }

  void operator()(const Remove& call) {
    start(out, "fanfare2_remove", 4);
    out.add(kMetaKey);
    out.add(kFunctionsKey);
    out.add(kPackagesKey);
    out.add(kGenerationsKey);
    out.add_number(call.epoch);
    out.add(call.name);
  }

  void operator()(const DropPackage& call) {
    start(out, "fanfare2_drop_package", 4);
    out.add(kMetaKey);
    out.add(kFunctionsKey);
    out.add(kPackagesKey);
    out.add(kGenerationsKey);
    out.add_number(call.epoch);
    out.add(call.digest);
  }

  void operator()(const SetState& call) {
    start(out, "fanfare2_set_state", 2);
    out.add(kMetaKey);
    out.add(kFunctionsKey);
    out.add_number(call.epoch);
    out.add(call.name);
    out.add(call.paused ? "paused" : "active");
  }

  void operator()(const NoteWorker& call) {
    start(out, "fanfare2_note_worker", 2);
    out.add(kMetaKey);
    out.add(kWorkersKey);
    out.add_number(call.epoch);
    out.add(call.name);
    out.add(call.packed);
    if (call.gone) out.add("gone");
  }

  void operator()(const ListWorkers&) {
    start(out, "fanfare2_list_workers", 1, true);
    out.add(kWorkersKey);
  }

  void operator()(const GetRows& call) { encode_rows(call, out); }
  void operator()(const ListRows& call) { encode_rows(call, out); }
  void operator()(const WriteRows& call) { encode_rows(call, out); }

  void operator()(const Meter& call) {
    std::map<std::int64_t, std::vector<const Meter::Row*>> hours;
    for (const auto& row : call.rows) hours[row.hour].push_back(&row);
    start(out, "fanfare2_meter", 1 + hours.size());
    out.add_copy(usage_seen_key(call.worker));
    for (const auto& [hour, rows] : hours) out.add_copy(usage_key(hour));
    out.add_number(call.sequence);
    out.add_number(call.ttl_ms);
    out.add_number(call.hour_rows_max);
    for (const auto& [hour, rows] : hours) out.add_number(rows.size());
    for (const auto& [hour, rows] : hours) {
      for (const Meter::Row* row : rows) {
        out.add(row->function);
        out.add(std::string_view{row->tenant}.substr(0, kTenantBytesMax));
        out.add_number(row->usage.invocations);
        out.add_number(row->usage.failed);
        out.add_number(row->usage.billed_ms);
        out.add_number(row->usage.mb_ms);
        out.add_number(row->usage.peak_memory_kb);
      }
    }
  }
};

}  // namespace

void encode(const Call& call, std::optional<EntryId> before, Arguments& out) {
  std::visit(Encoder{before, out}, call);
}

}  // namespace fanfare::store
