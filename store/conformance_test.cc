// The model answers as Redis does: both are driven with the same random calls, and every answer and
// all that lies in them is compared.
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "protocol/row_writes.h"
#include "store/keys.h"
#include "store/model_store.h"
#include "store/row.h"
#include "store/test_store.h"
#include "tests/support/results.h"

namespace fanfare::store::test {
namespace {

std::string text_of(const Result<Answer>& answer);

// Answers as text, to compare and to print.
struct Printer {
  std::string operator()(const Begun& a) const {
    return fmt::format("begun {} {}", a.epoch, to_string(a.last_entry));
  }
  std::string operator()(const Appended& a) const { return fmt::format("appended {}", a.repeated); }
  std::string operator()(const LookedUp& a) const {
    std::string text = "looked up";
    for (const auto& packed : a.packed) text += " " + packed.value_or("-");
    return text;
  }
  std::string operator()(const ScheduleSet& a) const {
    return fmt::format("set {} {}", a.existed, a.revision);
  }
  std::string operator()(const Fired& a) const {
    return fmt::format("fired {} {}", static_cast<int>(a.outcome), a.row);
  }
  std::string operator()(const ScheduleList& a) const {
    std::set<std::string> lines;  // in no order
    for (const auto& item : a.items) {
      lines.insert(
          fmt::format(" | {} {} {} {}", item.name, item.revision, item.definition, item.row));
    }
    std::string text = fmt::format("schedules {} {}", a.revision, a.next);
    for (const auto& line : lines) text += line;
    return text;
  }
  std::string operator()(const TopicsSet& a) const { return fmt::format("topics set {}", a.full); }
  std::string operator()(const TopicList& a) const {
    std::set<std::string> lines;  // in no order
    for (const auto& item : a.items) {
      lines.insert(fmt::format(" | {} {}", item.name, item.definition));
    }
    return fmt::format("topics {}{}", a.next, fmt::join(lines, ""));
  }
  std::string operator()(const Revision& a) const { return fmt::format("revision {}", a.revision); }
  std::string operator()(const Committed& a) const { return "committed " + verdicts(a.verdicts); }
  std::string operator()(const Moved& a) const { return "moved " + verdicts(a.verdicts); }
  std::string operator()(const Paged& a) const {
    std::string text = fmt::format("paged {}", a.more);
    for (const auto& entry : a.entries) {
      text += fmt::format(" | {} {}", to_string(entry.entry), entry.entry_size);
      for (const auto& item : entry.open) {
        text += fmt::format(" {}.{}.{}", item.index, item.slot, item.packed_event);
      }
    }
    return text;
  }
  std::string operator()(const DueRows& a) const {
    std::string text = fmt::format("due, next {}", a.next_due_ms.value_or(-1));
    if (a.before) text += fmt::format(", behind {} {}", to_string(a.before->id), a.before->due_ms);
    for (const auto& row : a.rows) {
      text +=
          fmt::format(" | {} {:x} {} {} {} {} {}", to_string(row.id), row.token.value, row.due_ms,
                      row.attempts, row.accepted_ms, row.packed_ledger, row.packed_event);
    }
    return text;
  }
  std::string operator()(const Surveyed& a) const {
    std::string text = fmt::format("surveyed, next {}, lanes", a.next_due_ms.value_or(-1));
    for (const Lane lane : a.lanes) text += fmt::format(" {}", lane.number);
    for (const auto& one : a.holders) {
      text += fmt::format(" holder {} {} {}", to_string(one.id), one.ordering_key, one.due_ms);
    }
    const auto& c = a.counts;
    return text + fmt::format(" counts {} {} {} {} {} {} {}", c.accepted, c.open, c.later,
                              c.succeeded, c.dead, c.expired, c.cancelled);
  }
  std::string operator()(const OutboxCounts& a) const {
    return fmt::format("outboxes of {}", fmt::join(a.entries, " "));
  }
  std::string operator()(const OutboxPage& a) const {  // Redis gives ids of its own
    std::string text = fmt::format("outbox {}", a.more);
    for (const auto& entry : a.entries) {
      text += fmt::format(" | {} {}", entry.to, entry.packed_event);
    }
    return text;
  }
  std::string operator()(const Found& a) const {
    return fmt::format("found {} {} {} {} {} status {} row {} {} {} {} {}",
                       static_cast<int>(a.place), a.lane.number, a.slot, a.entry_size,
                       a.packed_event, a.status ? to_string(*a.status) : "-", a.row.due_ms,
                       a.row.token.value, a.row.attempts, a.row.packed_ledger, a.row.packed_event);
  }
  // Letters without their own ids, in which Redis and the model differ.
  std::string operator()(const LetterList& a) const {
    std::string text = fmt::format("letters, {} taken", a.taken);
    for (const auto& letter : a.letters) {
      text += fmt::format(" | {} {} {} {:x} {} {}", to_string(letter.id),
                          static_cast<int>(letter.status), static_cast<int>(letter.reason),
                          letter.token.value, letter.record, letter.packed_event);
    }
    return text;
  }
  std::string operator()(const Purged& a) const { return fmt::format("purged {}", a.letters); }
  std::string operator()(const Recalled& a) const { return "recalled " + a.packed_runs; }
  std::string operator()(const FunctionList& a) const {
    std::string text = "functions";
    for (const auto& f : a.functions) {
      text += fmt::format(" | {} {} {} {} {}", f.name, f.manifest_toml, f.digest, f.generation,
                          f.paused);
    }
    return text;
  }
  std::string operator()(const Deployed& a) const {
    return fmt::format("deployed {} {}", a.generation, a.changed);
  }
  std::string operator()(const GenerationList& a) const {
    std::string text = "generations";
    for (const auto& one : a.items) {
      text += fmt::format(" | {} {} {} {} {} {}", one.generation, one.deployed_ms, one.from,
                          one.digest, one.manifest_toml, one.has_package);
    }
    return text;
  }
  std::string operator()(const Removed& a) const { return fmt::format("removed {}", a.existed); }
  std::string operator()(const PackageDropped& a) const {
    return fmt::format("package dropped {}", a.dropped);
  }
  std::string operator()(const StateSet& a) const { return fmt::format("state set {}", a.existed); }
  std::string operator()(const WorkerList& a) const {
    return fmt::format("workers {}", fmt::join(a.names, " "));
  }
  std::string operator()(const Noted&) const { return "noted"; }
  std::string operator()(const Rows& a) const {
    std::string text = "rows";
    for (const auto& row : a.rows) {
      text += fmt::format(" | {} {} {}", row.key, row.value, row.expires_ms);
    }
    return text;
  }
  std::string operator()(const RowsWritten& a) const {
    return fmt::format("written, outcome {}", static_cast<int>(a.outcome));
  }
  std::string operator()(const Metered& a) const { return fmt::format("metered {}", a.repeated); }

  static std::string verdicts(const std::vector<Verdict>& all) {
    std::string text;
    for (const Verdict verdict : all) text.push_back("odfgxn"[static_cast<int>(verdict)]);
    return text;
  }
};

std::string text_of(const Result<Answer>& answer) {
  if (!answer) return fmt::format("refused: {}", to_string(answer.error().kind));
  return std::visit(Printer{}, *answer);
}

// Random calls that often meet: few entries, few tokens, repeats, wrong epochs.
class Caller {
 public:
  Caller(std::uint32_t seed, const ModelStore& model, bool packs)
      : model_(model), packs_(packs), random_(seed) {}

  Call next() {
    if (!said_.empty() && chance(12)) return said_[number(0, said_.size() - 1)];
    Call call = fresh();
    if (said_.size() < 50) {
      said_.push_back(call);
    } else {
      said_[number(0, said_.size() - 1)] = call;
    }
    return call;
  }

 private:
  struct Known {
    std::string function;
    Lane lane;
    EntryId entry;
    std::vector<std::uint8_t> indexes;
  };

  std::size_t number(std::size_t from, std::size_t to) {
    return std::uniform_int_distribution<std::size_t>(from, to)(random_);
  }
  bool chance(std::size_t percent) { return number(1, 100) <= percent; }
  std::string function() { return chance(50) ? "a" : "b"; }
  Effects effects() {
    Effects all;
    for (std::size_t n = chance(70) ? 0 : number(1, 3); n > 0; --n) {
      all.push_back(Publish{chance(50) ? "" : function(), fmt::format("effect {}", ++effects_)});
    }
    return all;
  }
  // The same, and now and then writes on rows: few keys, tight limits, some that expire.
  Effects effects_of_success() {
    Effects all = effects();
    if (chance(60)) return all;
    using Kind = protocol::RowWrite::Kind;
    RowWrites writes{.now_ms = ++now_ms_, .limits = {number(4, 12), 400}, .packed = {}};
    for (std::size_t n = number(1, 3); n > 0; --n) {
      const std::string key = fmt::format("row {}", number(0, 9));
      const Kind kind = static_cast<Kind>(number(1, 3));
      const std::string value = kind == Kind::kErase       ? ""
                                : kind == Kind::kIncrement ? "3"
                                : chance(50)               ? "7"
                                                           : std::string(number(1, 90), 'v');
      const bool expires = kind == Kind::kPut && chance(40);
      protocol::append_write(writes.packed,
                             {kind, key, value, expires ? now_ms_ + std::int64_t{20} : 0});
    }
    all.push_back(std::move(writes));
    return all;
  }
  Lane lane() { return chance(70) ? Lane{} : Lane{7}; }
  std::uint32_t epoch() { return chance(95) ? epoch_ : epoch_ + 1; }
  AttemptToken token() { return {static_cast<std::uint32_t>(number(1, 3)) << 24 | 0x1000}; }

  Call fresh() {
    switch (known_.empty() ? 0 : number(0, 25)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return append();
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        return commit();
      case 10:
      case 11:
      case 12:
        return postpone();
      case 13:
      case 14:
        return bury();
      case 15:
        return Page{function(), lane(), {}, static_cast<std::uint32_t>(number(1, 9))};
      case 16:
        return due();
      case 17: {
        if (chance(30)) return Survey{function()};
        Find find{function(), {}};
        const Choice choice = choose(find.function);
        find.id = {choice.known.entry, choice.known.indexes[choice.slots[0]]};
        return find;
      }
      case 18:
        return registry();
      case 19:
        if (chance(40)) return meter();
        if (chance(50)) return CountOutboxes{{"a", "b"}};
        return ReadOutbox{function(), {}, static_cast<std::uint32_t>(number(1, 9))};
      case 20:
        return lookup();
      case 21:
      case 22:
        return redrive();
      case 23:
        return purge_letters();
      case 24:
        return ReadLetters{"a", {some_letter("a").letter, some_letter("a").letter, {1, 1}}};
      default:
        return Recall{"client", number(1, sequence_ + 1)};
    }
  }

  Call append() {
    Append append{
        .epoch = epoch(), .entry = {1000 + ++entries_, number(0, 2)}, .streams = {}, .guards = {}};
    append.beside = packs_;
    std::map<std::string, std::set<std::size_t>> taken;
    for (std::size_t s = number(1, 3); s > 0; --s) {
      Append::Stream stream{function(), lane(), {}};
      const bool again = std::ranges::any_of(append.streams, [&](const auto& other) {
        return other.function == stream.function && other.lane == stream.lane;
      });
      if (again) continue;
      Known known{stream.function, stream.lane, append.entry, {}};
      const std::size_t most = chance(30) ? 1 : chance(5) ? 256 : 6;
      for (std::size_t i = 0; i < 256 && stream.items.size() < most; ++i) {
        // An event reaches a function through one lane only.
        if (chance(40) || !taken[stream.function].insert(i).second) continue;
        stream.items.push_back(
            {static_cast<std::uint8_t>(i),
             fmt::format("event {}", i) + std::string(chance(2) ? 5000 : 0, '.')});
        known.indexes.push_back(static_cast<std::uint8_t>(i));
      }
      if (stream.items.empty()) continue;
      append.streams.push_back(std::move(stream));
      known_.push_back(std::move(known));
      if (known_.size() > 12) known_.erase(known_.begin());
    }
    if (chance(60)) {
      append.guards.push_back({"client", sequence_ += number(0, 1), fmt::format("<{}>", entries_)});
    }
    // By place among the entries of the outbox, see outbox_entry_at().
    if (chance(40)) {
      const std::size_t from = number(0, 3);
      for (std::size_t n = number(1, 3); n > 0; --n)
        append.taken.push_back({function(), {0, from + n}});
    }
    for (const std::string name : {"a", "b"}) {
      if (!chance(15)) continue;
      Append::Delayed delayed{name, {}};
      Known known{name, {}, append.entry, {}};
      for (std::size_t i = 0; i < 256 && delayed.items.size() < 4; ++i) {
        if (chance(40) || !taken[name].insert(i).second) continue;
        delayed.items.push_back({static_cast<std::uint8_t>(i),
                                 static_cast<std::int64_t>(number(1, 20)), 5,
                                 fmt::format("event {}", i)});
        known.indexes.push_back(static_cast<std::uint8_t>(i));
      }
      if (delayed.items.empty()) continue;
      append.delayed.push_back(std::move(delayed));
      known_.push_back(std::move(known));
      if (known_.size() > 12) known_.erase(known_.begin());
    }
    std::set<std::size_t> claimed;
    for (std::size_t n = chance(40) ? number(1, 3) : 0; n > 0; --n) claimed.insert(number(0, 400));
    for (const std::size_t key : claimed) {
      append.claims.push_back({claim(key), fmt::format("claimed by {}", entries_)});
    }
    if (!claimed.empty()) append.claim_window_ms = 3'600'000;
    return append;
  }

  static ClaimKey claim(std::size_t number) {
    return {static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  }
  Call lookup() {
    Lookup lookup;
    for (std::size_t n = number(1, 9); n > 0; --n) lookup.keys.push_back(claim(number(0, 400)));
    return lookup;
  }

  // A known entry, most often as it is, and which of its deliveries.
  struct Choice {
    Known known;
    Origin origin;
    std::vector<std::size_t> slots;
    std::uint16_t entry_size;
  };
  Choice choose(const std::string& function) {
    std::vector<Known> of_function{{function, {}, {1, 0}, {0}}};
    for (const Known& known : known_) {
      if (known.function == function) of_function.push_back(known);
    }
    Choice choice{of_function[number(0, of_function.size() - 1)], Origin::kJournal, {}, 1};
    const std::size_t size = choice.known.indexes.size();
    choice.entry_size = static_cast<std::uint16_t>(chance(2) ? size + 1 : size);
    if (chance(30)) choice.origin = chance(70) ? Origin::kLater : Origin::kMemory;
    const std::size_t percent = chance(40) ? 100 : number(10, 90);
    for (std::size_t i = 0; i < size; ++i) {
      if (chance(percent)) choice.slots.push_back(i);
    }
    if (choice.slots.empty()) choice.slots.push_back(0);
    if (chance(20)) std::ranges::shuffle(choice.slots, random_);
    return choice;
  }

  Call commit() {
    Commit commit{.function = known_[0].function,
                  .result_ttl_ms = chance(80) ? 3'600'000 : 0,
                  .packed = packs_ && chance(80),
                  .beside = chance(60),
                  .groups = {}};
    const bool large = chance(30);
    const std::string rest(large ? kBesideMin / 2 : 0, '.');
    for (std::size_t g = number(1, 3); g > 0; --g) {
      const Choice choice = choose(commit.function);
      Commit::Group group{
          choice.known.entry, choice.known.lane, choice.origin, choice.entry_size, {}};
      const AttemptToken one = token();
      for (const std::size_t slot : choice.slots) {
        group.items.push_back({choice.known.indexes[slot], static_cast<std::uint8_t>(slot),
                               chance(90) ? one : token(), fmt::format("record {}", slot) + rest,
                               large ? Effects{} : effects_of_success()});
      }
      commit.groups.push_back(std::move(group));
    }
    return commit;
  }

  template <typename Change, typename Fill>
  Change change(Fill fill) {
    Change change;
    change.epoch = epoch();
    change.function = function();
    for (std::size_t g = number(1, 2); g > 0; --g) {
      const Choice choice = choose(change.function);
      const AttemptToken one = token();
      for (const std::size_t slot : choice.slots) {
        auto& item = change.items.emplace_back();
        item.id = {choice.known.entry, choice.known.indexes[slot]};
        item.slot = static_cast<std::uint8_t>(slot);
        item.entry_size = choice.entry_size;
        item.lane = choice.known.lane;
        item.origin = choice.origin;
        item.token = one;
        item.packed_event = fmt::format("event {}", item.id.index);
        fill(item);
      }
    }
    if (change.items.size() > 256) change.items.resize(256);
    return change;
  }

  Call postpone() {
    return change<Postpone>([this](Postpone::Item& item) {
      item.due_ms = static_cast<std::int64_t>(number(1, 20));
      item.attempts = static_cast<std::uint32_t>(number(0, 9));
      item.packed_ledger.assign(number(0, 20), 'l');
      if (chance(40)) item.key_held = fmt::format("key of {}", item.id.index);
    });
  }

  Call bury() {
    auto call = change<Bury>([this](Bury::Item& item) {
      item.status = static_cast<protocol::Status>(number(1, 3));
      item.record = fmt::format("record of {}", item.id.index);
      item.effects = effects();
    });
    call.result_ttl_ms = chance(80) ? 3'600'000 : 0;
    return call;
  }

  // One of the function's letters, or one that never was.
  ModelStore::Letter some_letter(const std::string& function) {
    const auto* held = model_.find(function);
    if (!held || held->dead.empty() || chance(10)) return {.letter = {1, 2}, .id = {{1, 0}, 0}};
    return held->dead[number(0, held->dead.size() - 1)];
  }

  Call purge_letters() {
    PurgeLetters purge{epoch(), function(), {}};
    for (int i = 0; i < 2; ++i) purge.letters.push_back(some_letter(purge.function).letter);
    return purge;
  }

  Call redrive() {
    Redrive redrive{epoch(), function(), {}};
    std::set<EventId> seen;
    for (std::size_t n = number(1, 4); n > 0; --n) {
      ModelStore::Letter letter = some_letter(chance(95) ? redrive.function : "a");
      if (chance(5)) letter.id.index = 255;  // not the event that this letter has
      if (!seen.insert(letter.id).second) continue;
      redrive.items.push_back({letter.letter, letter.id, token(),
                               static_cast<std::int64_t>(number(1, 20)), 7, "ledger",
                               letter.packed_event});
    }
    return redrive;
  }

  Call due() {
    Due due{.function = function(), .until_ms = static_cast<std::int64_t>(number(1, 25))};
    due.from_ms = static_cast<std::int64_t>(number(0, 20));
    due.rows_max = static_cast<std::uint32_t>(number(1, 9));
    if (chance(40)) due.skip = static_cast<std::uint32_t>(number(1, 9));
    const Choice choice = choose(due.function);
    if (chance(40)) due.after = EventId{choice.known.entry, choice.known.indexes[choice.slots[0]]};
    return due;
  }

  Call meter() {
    Meter meter{.worker = chance(50) ? "w" : "v",
                .sequence = metered_ += number(0, 1),
                .hour_rows_max = 4,
                .rows = {}};
    for (std::size_t n = number(1, 4); n > 0; --n) {
      const std::string tenant = chance(40) ? "" : fmt::format("tenant {}", number(1, 5));
      meter.rows.push_back(
          {static_cast<std::int64_t>(number(1, 2)),
           function(),
           tenant,
           {number(1, 9), number(0, 1), number(0, 9), number(0, 99), number(0, 9)}});
    }
    return meter;
  }

  Call topics(const std::string& name) {
    SetTopics set{epoch(), {}};
    const std::string definition = chance(40) ? "" : fmt::format("{{{}}}", number(1, 2));
    set.items = {{name, definition}, {"c", definition}};
    return set;
  }

  Call registry() {
    const std::string name = chance(50) ? "a" : "b";
    switch (number(0, 12)) {
      case 12:
        return DropPackage{epoch(), std::string(64, chance(50) ? 'd' : 'e')};
      case 11:
        return ListGenerations{name};
      case 9:
        return ListTopics{};
      case 10:
        return topics(name);
      case 0:
        return ListFunctions{};
      case 1:
        return Remove{epoch(), name};
      case 2:
        return NoteWorker{epoch(), name, "packed", chance(40)};
      case 3:
        return ListWorkers{};
      case 4:
        ++epoch_;
        return Begin{};
      case 5:
      case 6:
        return SetState{epoch(), name, chance(50)};
      default:
        return Deploy{epoch(),
                      name,
                      fmt::format("v = {}", number(1, 2)),
                      "00",
                      now_ms_,
                      static_cast<std::uint64_t>(number(0, 3)),
                      static_cast<std::uint32_t>(number(1, 3))};
    }
  }

  const ModelStore& model_;
  const bool packs_;  // results, sometimes; and what is large lies beside
  std::mt19937 random_;
  std::uint64_t entries_ = 0, sequence_ = 1;
  std::size_t effects_ = 0;
  std::int64_t now_ms_ = 1000;
  std::uint64_t metered_ = 1;
  std::uint32_t epoch_ = 1;
  std::vector<Known> known_;
  std::vector<Call> said_;
};

// Redis gives letters ids of its own. Both keep them in the same order, so the n-th of one is the
// n-th of the other.
class LetterIds {
 public:
  void learn(TestStore& redis, const ModelStore& model) {
    auto connection = RedisSync::connect(redis.server.options());
    for (const auto& [name, function] : model.functions()) {
      const auto letters = connection->call({"XRANGE", dead_key(name), "-", "+"});
      ASSERT_EQ((*letters)->size(), function.dead.size());
      for (std::size_t i = 0; i < function.dead.size(); ++i) {
        of_redis_[function.dead[i].letter] = *protocol::parse_entry_id((**letters)[i][0].text());
      }
    }
  }
  Call translated(Call call) const {
    const auto translate = [this](EntryId& letter) {
      if (const auto at = of_redis_.find(letter); at != of_redis_.end()) letter = at->second;
    };
    if (auto* c = std::get_if<Redrive>(&call)) {
      for (auto& item : c->items) translate(item.letter);
    }
    if (auto* c = std::get_if<PurgeLetters>(&call)) std::ranges::for_each(c->letters, translate);
    if (auto* c = std::get_if<ReadLetters>(&call)) std::ranges::for_each(c->letters, translate);
    return call;
  }

 private:
  std::map<EntryId, EntryId> of_redis_;
};

// What lies in the model, in the words of TestStore::snapshot.
std::map<std::string, std::string> results_of(const ModelStore& model) {
  std::map<std::string, std::string> all;
  for (const auto& [name, function] : model.functions()) {
    for (const auto& [id, stored] : function.results) {
      all[fmt::format("{} {}", results_key(name, id.entry), id.index)] =
          fmt::format("{:08x} {}", stored.token.value, stored.record);
    }
    std::size_t number = 0;
    for (const auto& letter : function.dead) {
      all[fmt::format("{} {}", dead_key(name), number++)] =
          fmt::format("{} {} {}", to_string(letter.id), letter.record, letter.packed_event);
    }
  }
  for (const auto& [hour, rows] : model.usage()) {
    for (const auto& [field, usage] : rows) {
      all[fmt::format("{} {}", usage_key(hour), field)] = to_text(usage);
    }
  }
  return all;
}

std::map<std::string, std::string> results_of(TestStore& redis) {
  std::map<std::string, std::string> all;
  auto connection = RedisSync::connect(redis.server.options());
  const auto keys = connection->call({"KEYS", "*"});
  for (std::size_t i = 0; i < (*keys)->size(); ++i) {
    const std::string key{(**keys)[i].text()};
    if (key.find(":results:") != std::string::npos) {
      if (std::ranges::count(key, ':') > 3) continue;  // lies beside, or was staged in vain
      for (const auto& [index, result] : fanfare::test::read_results(*connection, key)) {
        const auto stored = view_stored_result(result);
        all[fmt::format("{} {}", key, index)] =
            fmt::format("{:08x} {}", stored->token.value, stored->record);
      }
    } else if (key.starts_with("fanfare:usage:2") || key.starts_with("fanfare:usage:1")) {
      const auto fields = connection->call({"HGETALL", key});
      for (std::size_t f = 0; f + 1 < (*fields)->size(); f += 2) {
        all[fmt::format("{} {}", key, (**fields)[f].text())] = (**fields)[f + 1].text();
      }
    } else if (key.ends_with(":dead")) {
      const auto letters = connection->call({"XRANGE", key, "-", "+"});
      for (std::size_t l = 0; l < (*letters)->size(); ++l) {
        const RedisReply fields = (**letters)[l][1];
        all[fmt::format("{} {}", key, l)] =
            fmt::format("{} {} {}", fields[1].text(), fields[9].text(), fields[11].text());
      }
    }
  }
  return all;
}

// Redis and the model number outbox entries each in its own way: calls name them by place, 0-1 for
// the first. One that is not there keeps that id, and is in neither.
template <typename Ask>
Call with_outbox_ids(Call call, Ask ask) {
  auto* append = std::get_if<Append>(&call);
  if (!append) return call;
  for (OutboxEntry& taken : append->taken) {
    const auto page = std::get<OutboxPage>(*ask(ReadOutbox{taken.function, {}, 256}));
    if (taken.id.seq <= page.entries.size()) taken.id = page.entries[taken.id.seq - 1].id;
  }
  return call;
}

std::string describe(const Call& call) {
  std::string text;
  if (const auto* c = std::get_if<Commit>(&call)) {
    text = fmt::format("commit {} ttl {}", c->function, c->result_ttl_ms);
    for (const auto& g : c->groups) {
      text += fmt::format("\n  {} lane {} origin {} size {}:", to_string(g.entry), g.lane.number,
                          static_cast<int>(g.origin), g.entry_size);
      for (const auto& i : g.items) text += fmt::format(" {}@{}", i.index, i.slot);
    }
  }
  if (const auto* c = std::get_if<Append>(&call)) {
    text = fmt::format("append {} epoch {}", to_string(c->entry), c->epoch);
    for (const auto& stream : c->streams) {
      text += fmt::format("\n  {} lane {}:", stream.function, stream.lane.number);
      for (const auto& i : stream.items) text += fmt::format(" {}", i.index);
    }
  }
  const auto items = [&text](const auto& c) {
    text = fmt::format("{} items of {}", c.items.size(), c.function);
    for (const auto& i : c.items) {
      text += fmt::format("\n  {}@{} lane {} origin {} size {}", to_string(i.id), i.slot,
                          i.lane.number, static_cast<int>(i.origin), i.entry_size);
    }
  };
  if (const auto* c = std::get_if<Postpone>(&call)) items(*c);
  if (const auto* c = std::get_if<Bury>(&call)) items(*c);
  if (const auto* c = std::get_if<Due>(&call)) {
    text =
        fmt::format("due of {} from {} until {} after {} rows {} skip {}", c->function, c->from_ms,
                    c->until_ms, c->after ? to_string(*c->after) : "-", c->rows_max, c->skip);
  }
  return text;
}

// Large ones cut short.
std::string differences(const std::map<std::string, std::string>& ours,
                        const std::map<std::string, std::string>& theirs) {
  std::string text;
  const auto tell = [&text](const auto& some, const auto& others, std::string_view who) {
    for (const auto& [name, value] : some) {
      const auto other = others.find(name);
      if (other != others.end() && other->second == value) continue;
      text += fmt::format("{}: {} = {:.60} ({} bytes)\n", who, name, value, value.size());
    }
  };
  tell(ours, theirs, "Redis");
  tell(theirs, ours, "the model");
  return text;
}

class Conformance : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(Conformance, OfTheModelWithRedis) {
  TestStore redis({.append_only = false});
  ModelStore model;
  const std::uint32_t layout = GetParam() % 2 + 1;
  Caller caller(GetParam(), model, layout == 2);
  LetterIds letter_ids;
  ASSERT_EQ(text_of(redis.ask(Begin{layout})), text_of(model.call(Begin{layout})));
  for (int step = 0; step < 1500; ++step) {
    const Call call = caller.next();
    const Call theirs =
        letter_ids.translated(with_outbox_ids(call, [&](const Call& c) { return redis.ask(c); }));
    const std::string ours =
        text_of(model.call(with_outbox_ids(call, [&](const Call& c) { return model.call(c); })));
    ASSERT_EQ(text_of(redis.ask(theirs)), ours)
        << "seed " << GetParam() << ", step " << step << ", call " << call.index() << ": "
        << describe(call);
    if (std::holds_alternative<Bury>(call)) {
      ASSERT_NO_FATAL_FAILURE(letter_ids.learn(redis, model));
    }
    if (step % 25 != 24) continue;
    for (const std::string function : {"a", "b"}) {
      const Call survey = Survey{function};
      ASSERT_EQ(text_of(redis.ask(survey)), text_of(model.call(survey)))
          << "seed " << GetParam() << ", step " << step;
      redis.expect_counts_add_up(function);
      const Call outbox = ReadOutbox{function, {}, 256};
      ASSERT_EQ(text_of(redis.ask(outbox)), text_of(model.call(outbox)))
          << "seed " << GetParam() << ", step " << step;
      const Call rows = ListRows{function, 0, "", "", 1000};
      ASSERT_EQ(text_of(redis.ask(rows)), text_of(model.call(rows)))
          << "seed " << GetParam() << ", step " << step;
    }
    ASSERT_EQ(differences(results_of(redis), results_of(model)), "")
        << "seed " << GetParam() << ", step " << step;
  }
  const std::string beside = redis.command({"KEYS", "*:results:*:*"});
  EXPECT_EQ(beside.empty(), layout == 1) << "of layout 2 some results must have lain beside";
}

INSTANTIATE_TEST_SUITE_P(Seeds, Conformance, ::testing::Range(1u, 9u));

}  // namespace
}  // namespace fanfare::store::test
