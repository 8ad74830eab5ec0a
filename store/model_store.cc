#include "store/model_store.h"

#include <algorithm>
#include <iterator>

#include "store/encode.h"
#include "store/row.h"

namespace fanfare::store {
namespace {

constexpr std::size_t kPageBytesMax = 256 * 1024;
constexpr std::size_t kDueBytesMax = 256 * 1024;
constexpr std::size_t kLettersBytesMax = 256 * 1024;

EventId id_of(const GroupedItem& item) {
  return {item.entry, item.index};
}

Verdict by_token(AttemptToken left, AttemptToken asks) {
  return left == asks ? Verdict::kDuplicate : Verdict::kFenced;
}

}  // namespace

// One delivery of a change: what the library's reads said about it before anything was written.
struct ModelStore::Judged {
  const GroupedItem& item;
  AttemptToken token;  // as it is left behind
  Verdict verdict = Verdict::kOk;
};

struct ModelStore::Answering {
  ModelStore& store;

  // ---- where deliveries lie ----

  static Entry* entry_of(Function& function, const GroupedItem& item) {
    const auto lane = function.journal.find(item.lane);
    if (lane == function.journal.end()) return nullptr;
    const auto entry = lane->second.find(item.entry);
    return entry == lane->second.end() ? nullptr : &entry->second;
  }

  // Its state is no longer there: the result or the row it left tells who was it.
  static Verdict judge_closed(const Function& function, const Judged& judged) {
    if (const auto found = function.results.find(id_of(judged.item));
        found != function.results.end()) {
      return by_token(found->second.token, judged.token);
    }
    if (const auto found = function.later.find(id_of(judged.item)); found != function.later.end()) {
      return by_token(found->second.token, judged.token);
    }
    return Verdict::kGone;
  }

  static Result<Verdict> judge_in_journal(Function& function, const Judged& judged) {
    Entry* entry = entry_of(function, judged.item);
    if (judged.item.entry_size == 1) {
      return entry ? Verdict::kOk : judge_closed(function, judged);
    }
    if (!entry || entry->items.size() == 1) return judge_closed(function, judged);
    if (entry->items.size() != judged.item.entry_size) return reject("entry size");
    const AttemptToken state{entry->states[judged.item.slot]};
    return state.value == 0 ? Verdict::kOk : by_token(state, judged.token);
  }

  static Result<Verdict> judge_end(Function& function, const Judged& judged) {
    const EventId id = id_of(judged.item);
    const auto result = function.results.find(id);
    const bool has_result = result != function.results.end();
    const bool has_row = function.later.contains(id);
    switch (judged.item.origin) {
      case Origin::kJournal:
        // A result that is there says that an entry of one is closed.
        if (judged.item.entry_size == 1 && has_result) {
          return by_token(result->second.token, judged.token);
        }
        return judge_in_journal(function, judged);
      case Origin::kLater:
        if (has_row) return Verdict::kOk;
        return has_result ? by_token(result->second.token, judged.token) : Verdict::kGone;
      default:
        if (has_result) return by_token(result->second.token, judged.token);
        return has_row ? Verdict::kFenced : Verdict::kOk;
    }
  }

  static Result<Verdict> judge_postpone(Function& function, const Judged& judged) {
    const EventId id = id_of(judged.item);
    const Origin origin = judged.item.origin;
    if (origin == Origin::kJournal && judged.item.entry_size > 1) {
      return judge_in_journal(function, judged);
    }
    if (const auto row = function.later.find(id); row != function.later.end()) {
      if (row->second.token == judged.token) return Verdict::kDuplicate;
      return origin == Origin::kLater ? Verdict::kOk : Verdict::kFenced;
    }
    if (origin == Origin::kJournal) return judge_in_journal(function, judged);
    if (const auto result = function.results.find(id); result != function.results.end()) {
      return by_token(result->second.token, judged.token);
    }
    return origin == Origin::kMemory ? Verdict::kOk : Verdict::kGone;
  }

  // ---- moving them ----

  static void take_from_journal(Function& function, const Judged& judged) {
    auto& lane = function.journal[judged.item.lane];
    const auto entry = lane.find(judged.item.entry);
    if (judged.item.entry_size > 1) {
      entry->second.states[judged.item.slot] = judged.token.value;
      if (std::ranges::count(entry->second.states, 0u) > 0) return;
    }
    lane.erase(entry);
  }

  static void take_row(Function& function, const EventId& id) {
    const auto row = function.later.find(id);
    function.by_due.erase({row->second.due_ms, to_string(id)});
    function.later.erase(row);
    function.held.erase(id);
  }

  // Leaves the place where it lay, and that place's count.
  static void take_away(Function& function, const Judged& judged) {
    switch (judged.item.origin) {
      case Origin::kJournal:
        take_from_journal(function, judged);
        --function.counts.open;
        break;
      case Origin::kLater:
        take_row(function, id_of(judged.item));
        --function.counts.later;
        break;
      default:
        ++function.counts.accepted;
    }
  }

  // Judges all items first, then applies those that are ok, in the order of the wire.
  template <typename Judge, typename Apply>
  Result<std::vector<Verdict>> change(const std::vector<GroupedItem>& items, bool broker,
                                      Judge judge, Apply apply) {
    std::vector<Judged> all;
    all.reserve(items.size());
    for (const GroupedItem& item : items) {
      Judged judged{item, broker ? by_broker(item.token) : item.token};
      auto verdict = judge(judged);
      if (!verdict) return verdict.error();
      judged.verdict = *verdict;
      all.push_back(judged);
    }
    std::vector<Verdict> verdicts(items.size());
    for (const Judged& judged : all) {
      verdicts[judged.item.position] = judged.verdict;
      if (judged.verdict == Verdict::kOk) apply(judged);
    }
    return verdicts;
  }

  Result<void> fence(std::uint32_t epoch) const {
    if (epoch == store.epoch_) return {};
    return stale("another broker has taken over");
  }

  // ---- effects ----

  void bring_about(Function& function, const Publish& publish) {
    function.outbox.emplace(EntryId{1, ++store.outbox_entries_}, publish);
  }
  static void bring_about(Function&, const RowWrites&) {}  // done when they were judged
  void bring_about(Function& function, const Effects& effects) {
    for (const Effect& effect : effects) {
      std::visit([&](const auto& one) { bring_about(function, one); }, effect);
    }
  }

  // The writes on rows of a commit, folded into a copy of the store while its items are judged.
  class Folding {
   public:
    Folding(const Commit& call, const std::vector<GroupedItem>& items, Function& function)
        : call_(call), function_(function) {
      for (const GroupedItem& item : items) {
        if (const RowWrites* writes = of(item); writes && !first_) first_ = writes;
      }
      if (!first_) return;
      rows_ = function.store;
      rows_.sweep(first_->now_ms);
    }
    Verdict fold(const GroupedItem& item) {
      const RowWrites* writes = of(item);
      if (!writes) return Verdict::kOk;
      return static_cast<Verdict>(rows_.write(writes->packed, first_->now_ms, first_->limits));
    }
    void apply() {
      if (first_) function_.store = std::move(rows_);
    }

   private:
    const RowWrites* of(const GroupedItem& item) const {
      for (const Effect& effect : call_.groups[item.outer].items[item.inner].effects) {
        if (const auto* writes = std::get_if<RowWrites>(&effect)) return writes;
      }
      return nullptr;
    }

    const Commit& call_;
    Function& function_;
    const RowWrites* first_ = nullptr;
    ModelRows rows_;
  };
  static_assert(static_cast<int>(Verdict::kStoreFull) ==
                static_cast<int>(RowsWritten::Outcome::kFull));
  static_assert(static_cast<int>(Verdict::kNotANumber) ==
                static_cast<int>(RowsWritten::Outcome::kNotANumber));

  // ---- the calls ----

  Result<Answer> operator()(const Begin&) {
    return Answer{Begun{++store.epoch_, store.last_entry_}};
  }

  Result<Answer> operator()(const Append& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    if (call.entry <= store.last_entry_) return Answer{Appended{true}};
    for (const auto& taken : call.taken) {
      if (store.functions_[taken.function].outbox.contains(taken.id)) continue;
      return retry_later("an outbox entry is not there any more");
    }
    for (const auto& claim : call.claims) {
      if (store.claims_.contains(claim.key)) return reject("CLAIMED");
    }
    for (const auto& taken : call.taken) store.functions_[taken.function].outbox.erase(taken.id);
    for (const auto& stream : call.streams) {
      Function& function = store.functions_[stream.function];
      const auto n = static_cast<std::int64_t>(stream.items.size());
      function.journal[stream.lane][call.entry] = {stream.items,
                                                   std::vector<std::uint32_t>(stream.items.size())};
      function.counts.accepted += n;
      function.counts.open += n;
    }
    for (const auto& guard : call.guards) {
      Guard& held = store.guards_[guard.client];
      if (held.sequence > guard.sequence) continue;
      if (held.sequence < guard.sequence) held = {guard.sequence, {}};
      held.runs[call.entry] = guard.packed_runs;
    }
    for (const auto& claim : call.claims) store.claims_.emplace(claim.key, claim.packed);
    const AttemptToken nobody = by_broker(protocol::make_token(call.epoch, 0));
    for (const auto& delayed : call.delayed) {
      Function& function = store.functions_[delayed.function];
      for (const auto& item : delayed.items) {
        const EventId id{call.entry, item.index};
        function.later[id] = {nobody,           item.due_ms, 0,
                              item.accepted_ms, {},          item.packed_event.str()};
        function.by_due.emplace(item.due_ms, to_string(id));
        ++function.counts.accepted;
        ++function.counts.later;
      }
    }
    store.last_entry_ = call.entry;
    return Answer{Appended{}};
  }

  Result<Answer> operator()(const Lookup& call) {
    LookedUp found;
    for (const ClaimKey& key : call.keys) {
      const auto at = store.claims_.find(key);
      auto& packed = found.packed.emplace_back();
      if (at != store.claims_.end()) packed = at->second;
    }
    return Answer{std::move(found)};
  }

  Result<Answer> operator()(const Commit& call) {
    Function& function = store.functions_[call.function];
    const bool stores = call.result_ttl_ms > 0;
    const auto items = grouped(call);
    Folding folding(call, items, function);
    auto verdicts = change(
        items, false,
        [&](const Judged& judged) -> Result<Verdict> {
          auto verdict = judge_end(function, judged);
          if (!verdict || *verdict != Verdict::kOk) return verdict;
          return folding.fold(judged.item);
        },
        [&](const Judged& judged) {
          take_away(function, judged);
          ++function.counts.succeeded;
          const auto& item = call.groups[judged.item.outer].items[judged.item.inner];
          if (stores) function.results[id_of(judged.item)] = {judged.token, item.record.str()};
          bring_about(function, item.effects);
        });
    if (!verdicts) return verdicts.error();
    folding.apply();
    return Answer{Committed{std::move(*verdicts)}};
  }

  Result<Answer> operator()(const Postpone& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    Function& function = store.functions_[call.function];
    auto verdicts = change(
        grouped(call), true, [&](const Judged& judged) { return judge_postpone(function, judged); },
        [&](const Judged& judged) {
          const auto& item = call.items[judged.item.inner];
          auto kept = function.held.extract(item.id);
          take_away(function, judged);
          ++function.counts.later;
          if (const auto old = function.later.find(item.id); old != function.later.end()) {
            function.by_due.erase({old->second.due_ms, to_string(item.id)});
          }
          function.later[item.id] = {judged.token,     item.due_ms,        item.attempts,
                                     item.accepted_ms, item.packed_ledger, item.packed_event};
          function.by_due.emplace(item.due_ms, to_string(item.id));
          if (kept) function.held.insert(std::move(kept));
          if (!item.key_held.empty()) function.held[item.id] = item.key_held;
        });
    if (!verdicts) return verdicts.error();
    return Answer{Moved{std::move(*verdicts)}};
  }

  Result<Answer> operator()(const Bury& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    Function& function = store.functions_[call.function];
    const bool stores = call.result_ttl_ms > 0;
    auto verdicts = change(
        grouped(call), true, [&](const Judged& judged) { return judge_end(function, judged); },
        [&](const Judged& judged) {
          const auto& item = call.items[judged.item.inner];
          take_away(function, judged);
          if (item.status == protocol::Status::kFailed) ++function.counts.dead;
          if (item.status == protocol::Status::kExpired) ++function.counts.expired;
          if (item.status == protocol::Status::kCancelled) ++function.counts.cancelled;
          if (stores) function.results[item.id] = {judged.token, item.record};
          bring_about(function, item.effects);
          if (item.status == protocol::Status::kCancelled) return;
          function.dead.push_back({{static_cast<std::uint64_t>(call.now_ms), ++store.letters_},
                                   judged.token,
                                   item.id,
                                   item.status,
                                   item.reason,
                                   call.now_ms,
                                   item.record,
                                   item.packed_event});
        });
    if (!verdicts) return verdicts.error();
    return Answer{Moved{std::move(*verdicts)}};
  }

  static auto letter_of(Function& function, const EntryId& letter) {
    return std::ranges::find(function.dead, letter, &Letter::letter);
  }

  Result<Answer> operator()(const ReadLetters& call) {
    LetterList list;
    Function& function = store.functions_[call.function];
    std::size_t bytes = 0;
    for (const EntryId& id : call.letters) {
      if (bytes >= kLettersBytesMax) break;
      ++list.taken;
      const auto letter = letter_of(function, id);
      if (letter == function.dead.end()) continue;
      list.letters.push_back({letter->letter, letter->id, letter->status, letter->reason,
                              by_attempt(letter->token), letter->record, letter->packed_event});
      bytes += letter->record.size() + letter->packed_event.size();
    }
    return Answer{std::move(list)};
  }

  Result<Answer> operator()(const Redrive& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    Function& function = store.functions_[call.function];
    std::vector<Verdict> verdicts;
    for (const auto& item : call.items) {
      const AttemptToken token = by_broker(item.token);
      const auto letter = letter_of(function, item.letter);
      const bool there = letter != function.dead.end();
      if (const auto row = function.later.find(item.id); row != function.later.end()) {
        const bool repeat = row->second.token == token && !there;
        verdicts.push_back(repeat ? Verdict::kDuplicate : Verdict::kFenced);
        continue;
      }
      if (!there || letter->id != item.id) {
        verdicts.push_back(Verdict::kGone);
        continue;
      }
      --(letter->status == protocol::Status::kExpired ? function.counts.expired
                                                      : function.counts.dead);
      ++function.counts.later;
      function.later[item.id] = {
          token, item.due_ms, 0, item.accepted_ms, item.packed_ledger, item.packed_event};
      function.by_due.emplace(item.due_ms, to_string(item.id));
      function.results.erase(item.id);
      function.dead.erase(letter);
      verdicts.push_back(Verdict::kOk);
    }
    return Answer{Moved{std::move(verdicts)}};
  }

  Result<Answer> operator()(const PurgeLetters& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    Function& function = store.functions_[call.function];
    const auto gone = std::erase_if(function.dead, [&](const Letter& letter) {
      return std::ranges::find(call.letters, letter.letter) != call.letters.end();
    });
    return Answer{Purged{gone}};
  }

  Result<Answer> operator()(const Page& call) {
    Paged paged;
    const auto& lane = store.functions_[call.function].journal[call.lane];
    const std::size_t entries_max = std::clamp(call.entries_max, 1u, 256u);
    std::size_t bytes = 0;
    for (auto entry = lane.upper_bound(call.after); entry != lane.end(); ++entry) {
      if (paged.entries.size() == entries_max || bytes >= kPageBytesMax) {
        paged.more = true;
        break;
      }
      const auto& [items, states] = entry->second;
      Paged::Entry& out = paged.entries.emplace_back();
      out.entry = entry->first;
      out.entry_size = static_cast<std::uint16_t>(items.size());
      for (std::size_t slot = 0; slot < items.size(); ++slot) {
        bytes += items[slot].packed_event.size();
        if (states[slot] != 0) continue;
        out.open.push_back(
            {items[slot].index, static_cast<std::uint8_t>(slot), items[slot].packed_event});
      }
    }
    return Answer{std::move(paged)};
  }

  Result<Answer> operator()(const Due& call) {
    DueRows due;
    const Function& function = store.functions_[call.function];
    const std::size_t rows_max = std::clamp(call.rows_max, 1u, 256u);
    std::size_t bytes = 0;
    auto at = call.after ? function.by_due.upper_bound({call.from_ms, to_string(*call.after)})
                         : function.by_due.lower_bound({call.from_ms, ""});
    for (std::uint32_t i = 0; i < call.skip && at != function.by_due.end(); ++i, ++at) {
      if (i + 1 < call.skip) continue;
      due.before = {*protocol::parse_event_id(at->second), at->first};
    }
    for (; at != function.by_due.end(); ++at) {
      if (at->first > call.until_ms || due.rows.size() == rows_max || bytes >= kDueBytesMax) {
        due.next_due_ms = at->first;
        break;
      }
      const EventId id = *protocol::parse_event_id(at->second);
      const Row& row = function.later.at(id);
      due.rows.push_back({id, row.due_ms, row.attempts, row.accepted_ms, row.packed_ledger,
                          row.packed_event, by_attempt(row.token)});
      bytes += kLaterRowHead + row.packed_ledger.size() + row.packed_event.size();
    }
    return Answer{std::move(due)};
  }

  Result<Answer> operator()(const Survey& call) {
    Surveyed surveyed;
    const Function& function = store.functions_[call.function];
    auto holder = function.held.begin();
    if (!call.cursor.empty()) {
      const auto behind = protocol::parse_event_id(call.cursor);
      if (!behind) return reject("BADCALL cursor");
      holder = function.held.upper_bound(*behind);
    }
    while (holder != function.held.end() && surveyed.holders.size() < store.holders_at_once) {
      surveyed.holders.push_back(
          {holder->first, holder->second, function.later.at(holder->first).due_ms});
      ++holder;
    }
    if (holder != function.held.end()) surveyed.next = to_string(std::prev(holder)->first);
    if (!call.cursor.empty()) return Answer{std::move(surveyed)};
    for (const auto& [lane, entries] : function.journal) {
      if (!entries.empty()) surveyed.lanes.push_back(lane);
    }
    if (!function.by_due.empty()) surveyed.next_due_ms = function.by_due.begin()->first;
    surveyed.counts = function.counts;
    return Answer{std::move(surveyed)};
  }

  Result<Answer> operator()(const CountOutboxes& call) {
    OutboxCounts counts;
    for (const auto& name : call.functions) {
      counts.entries.push_back(store.functions_[name].outbox.size());
    }
    return Answer{std::move(counts)};
  }

  Result<Answer> operator()(const ReadOutbox& call) {
    OutboxPage page;
    const auto& outbox = store.functions_[call.function].outbox;
    const std::size_t entries_max = std::clamp(call.entries_max, 1u, 256u);
    std::size_t bytes = 0;
    for (auto entry = outbox.upper_bound(call.after); entry != outbox.end(); ++entry) {
      if (page.entries.size() == entries_max || bytes >= kPageBytesMax) {
        page.more = true;
        break;
      }
      page.entries.push_back({entry->first, entry->second.to, entry->second.packed_event});
      bytes += entry->second.packed_event.size();
    }
    return Answer{std::move(page)};
  }

  Result<Answer> operator()(const SetSchedule& call) {
    const bool existed = store.schedules_.contains(call.name);
    if (!existed && call.definition.empty()) {
      return Answer{ScheduleSet{false, store.schedules_revision_}};
    }
    if (!existed && store.schedules_.size() >= kSchedulesMax) return Answer{ScheduleSet{}};
    ++store.schedules_revision_;
    if (call.definition.empty()) {
      store.schedules_.erase(call.name);
    } else {
      store.schedules_[call.name] = {call.name, call.definition, {}, store.schedules_revision_};
    }
    return Answer{ScheduleSet{existed, store.schedules_revision_}};
  }

  Result<Answer> operator()(const Fire& call) {
    const auto at = store.schedules_.find(call.name);
    if (at == store.schedules_.end()) return Answer{Fired{Fired::Outcome::kStale, {}}};
    ScheduleList::Item& schedule = at->second;
    if (schedule.row == call.row_after) {
      return Answer{Fired{Fired::Outcome::kDoneBefore, schedule.row}};
    }
    if (schedule.revision != call.revision || schedule.row != call.row_before) {
      return Answer{Fired{Fired::Outcome::kStale, schedule.row}};
    }
    auto& outbox = store.functions_[std::string(kTriggers)];
    if (outbox.outbox.size() + call.packed_events.size() > kTriggersOutboxMax) {
      return Answer{Fired{Fired::Outcome::kFull, schedule.row}};
    }
    schedule.row = call.row_after;
    for (const std::string& event : call.packed_events) {
      bring_about(outbox, Publish{"", event});
    }
    return Answer{Fired{Fired::Outcome::kDone, schedule.row}};
  }

  Result<Answer> operator()(const ListSchedules&) {
    ScheduleList list;
    list.revision = store.schedules_revision_;
    for (const auto& [name, schedule] : store.schedules_) list.items.push_back(schedule);
    return Answer{std::move(list)};
  }

  Result<Answer> operator()(const GetRevision&) {
    return Answer{Revision{store.schedules_revision_}};
  }

  Result<Answer> operator()(const SetTopics& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    auto topics = store.topics_;
    const std::size_t before = topics.size();
    for (const auto& item : call.items) {
      if (item.definition.empty()) {
        topics.erase(item.name);
      } else {
        topics[item.name] = item.definition;
      }
    }
    if (topics.size() > std::max(before, kTopicsMax)) return Answer{TopicsSet{.full = true}};
    store.topics_ = std::move(topics);
    return Answer{TopicsSet{}};
  }

  Result<Answer> operator()(const ListTopics&) {
    TopicList list;
    for (const auto& [name, definition] : store.topics_) list.items.push_back({name, definition});
    return Answer{std::move(list)};
  }

  Result<Answer> operator()(const Find& call) {
    Found found;
    const Function& function = store.functions_[call.function];
    if (const auto at = function.later.find(call.id); at != function.later.end()) {
      const Row& row = at->second;
      found.place = Found::Place::kLater;
      found.row = {call.id,           row.due_ms,       row.attempts,         row.accepted_ms,
                   row.packed_ledger, row.packed_event, by_attempt(row.token)};
      return Answer{std::move(found)};
    }
    if (const auto at = function.results.find(call.id); at != function.results.end()) {
      found.place = Found::Place::kEnded;
      found.status = protocol::peek_status(at->second.record);
      return Answer{std::move(found)};
    }
    for (const auto& [lane, entries] : function.journal) {
      const auto entry = entries.find(call.id.entry);
      if (entry == entries.end()) continue;
      const auto& [items, states] = entry->second;
      for (std::size_t slot = 0; slot < items.size(); ++slot) {
        if (items[slot].index != call.id.index) continue;
        found.place = states[slot] == 0 ? Found::Place::kJournal : Found::Place::kEnded;
        if (states[slot] != 0) return Answer{std::move(found)};
        found.lane = lane;
        found.slot = static_cast<std::uint8_t>(slot);
        found.entry_size = static_cast<std::uint16_t>(items.size());
        found.packed_event = items[slot].packed_event.str();
        return Answer{std::move(found)};
      }
    }
    return Answer{std::move(found)};
  }

  Result<Answer> operator()(const Recall& call) {
    Recalled recalled;
    const auto guard = store.guards_.find(call.client);
    if (guard == store.guards_.end() || guard->second.sequence != call.sequence) {
      return Answer{std::move(recalled)};
    }
    for (const auto& [entry, runs] : guard->second.runs) recalled.packed_runs += runs;
    return Answer{std::move(recalled)};
  }

  Result<Answer> operator()(const GetRows& call) {
    return Answer{store.functions_[call.function].store.get(call)};
  }
  Result<Answer> operator()(const ListRows& call) {
    return Answer{store.functions_[call.function].store.list(call)};
  }
  Result<Answer> operator()(const WriteRows& call) {
    Function& function = store.functions_[call.function];
    function.store.sweep(call.now_ms);
    return Answer{RowsWritten{function.store.write(call.packed, call.now_ms, call.limits)}};
  }

  Result<Answer> operator()(const ListFunctions&) {
    FunctionList list;
    for (const auto& [name, function] : store.registry_) list.functions.push_back(function);
    return Answer{std::move(list)};
  }

  Result<Answer> operator()(const Deploy& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    Registered& held = store.registry_[call.name];
    const bool same = held.generation > 0 && held.digest == call.digest &&
                      held.manifest_toml == call.manifest_toml;
    if (!same) {
      held = {call.name, call.manifest_toml, call.digest, ++store.generation_, held.paused};
      auto& kept = store.generations_[call.name];
      kept.insert(kept.begin(), {held.generation, call.now_ms, call.from, call.digest,
                                 call.manifest_toml, false});
      kept.resize(std::min<std::size_t>(kept.size(), call.kept));
    }
    return Answer{Deployed{held.generation, !same}};
  }

  Result<Answer> operator()(const ListGenerations& call) {
    const auto kept = store.generations_.find(call.name);
    if (kept == store.generations_.end()) return Answer{GenerationList{}};
    GenerationList list{kept->second};
    for (Generation& one : list.items) one.has_package = store.packages.contains(one.digest);
    return Answer{std::move(list)};
  }

  Result<Answer> operator()(const Remove& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    store.generations_.erase(call.name);
    return Answer{Removed{store.registry_.erase(call.name) > 0}};
  }

  Result<Answer> operator()(const DropPackage& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    const auto refers = [&](const auto& one) { return one.digest == call.digest; };
    for (const auto& [name, held] : store.registry_) {
      if (refers(held)) return Answer{PackageDropped{false}};
    }
    for (const auto& [name, kept] : store.generations_) {
      if (std::ranges::any_of(kept, refers)) return Answer{PackageDropped{false}};
    }
    return Answer{PackageDropped{store.packages.erase(call.digest) > 0}};
  }

  Result<Answer> operator()(const SetState& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    const auto held = store.registry_.find(call.name);
    if (held == store.registry_.end()) return Answer{StateSet{false}};
    held->second.paused = call.paused;
    return Answer{StateSet{true}};
  }

  Result<Answer> operator()(const Meter& call) {
    std::uint64_t& seen = store.metered_[call.worker];
    if (seen >= call.sequence) return Answer{Metered{true}};
    seen = call.sequence;
    for (const auto& row : call.rows) {
      auto& hour = store.usage_[row.hour];
      const std::string field = usage_field(row.function, row.tenant);
      const bool own = row.tenant.empty() || row.tenant == kOtherTenants || hour.contains(field) ||
                       hour.size() < call.hour_rows_max;
      hour[own ? field : usage_field(row.function, kOtherTenants)] += row.usage;
    }
    return Answer{Metered{}};
  }

  Result<Answer> operator()(const NoteWorker& call) {
    if (auto fenced = fence(call.epoch); !fenced) return fenced.error();
    if (call.gone) {
      store.workers_.erase(call.name);
    } else {
      store.workers_[call.name] = call.packed;
    }
    return Answer{Noted{}};
  }

  Result<Answer> operator()(const ListWorkers&) {
    WorkerList list;
    for (const auto& [name, packed] : store.workers_) list.names.push_back(name);
    return Answer{std::move(list)};
  }
};

Result<Answer> ModelStore::call(const Call& call) {
  if (auto checked = check(call); !checked) return checked.error();
  return std::visit(Answering{*this}, call);
}

const ModelStore::Function* ModelStore::find(const std::string& function) const {
  const auto found = functions_.find(function);
  return found == functions_.end() ? nullptr : &found->second;
}

}  // namespace fanfare::store
