// An error raised at every redis.call of every function, in turn: a call of one unit then has
// changed nothing or everything, and the same call, repeated, ends where an undisturbed one does.
#include <algorithm>
#include <functional>
#include <set>

#include "protocol/row_writes.h"
#include "store/keys.h"
#include "store/library.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

// The library with counted calls to Redis, of which the one that fanfare_fault names fails. For
// controls: with `right`, which is there once, made `wrong`.
std::string faulty_library(const std::string& right = {}, const std::string& wrong = {}) {
  std::string text = library_text();
  if (!right.empty()) {
    const std::size_t at = text.find(right);
    if (at == std::string::npos || text.find(right, at + 1) != std::string::npos) {
      throw std::runtime_error("the library has changed: not exactly one " + right);
    }
    text.replace(at, right.size(), wrong);
  }
  const auto replace_all = [&text](const std::string& from, const std::string& to) {
    std::size_t at = 0, found = 0;
    while ((at = text.find(from, at)) != std::string::npos) {
      text.replace(at, from.size(), to);
      at += to.size();
      ++found;
    }
    if (found == 0) throw std::runtime_error("the library has changed: no " + from);
  };
  replace_all("redis.pcall(", "faulty_pcall(");
  replace_all("= redis.call,", "= faulty_call,");
  replace_all("local kItemsMax = 256", R"(
local fault_at, calls = 0, 0
local function faulty()
  calls = calls + 1
  return calls == fault_at
end
local function faulty_call(...)
  if faulty() then error({err = 'ERR injected'}) end
  return redis.call(...)
end
local function faulty_pcall(...)
  if faulty() then return {err = 'ERR injected'} end
  return redis.pcall(...)
end
redis.register_function('fanfare_fault', function(_, args)
  local made = calls
  fault_at, calls = tonumber(args[1]), 0
  return made
end)
local kItemsMax = 256)");
  return text;
}

struct Story {
  std::string name;
  std::vector<Call> before;  // what led here
  Call call;
  bool one_unit = true;
};

std::vector<std::uint8_t> indexes(std::size_t n) {
  std::vector<std::uint8_t> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = static_cast<std::uint8_t>(i);
  return all;
}

Append guarded(Append append, std::uint64_t sequence) {
  append.guards.push_back({"client", sequence, "runs"});
  return append;
}
Append claiming(Append append, std::size_t claims) {
  for (std::size_t i = 0; i < claims; ++i) {
    append.claims.push_back({ClaimKey{static_cast<std::uint8_t>(i + 1)}, "claimed"});
  }
  append.claim_window_ms = 60'000;
  return append;
}
Append delaying(Append append, const std::string& function) {
  append.delayed.push_back({function, {{7, 9000, 5, "e7"}, {8, 9001, 5, "e8"}}});
  return append;
}
Append to_three(EntryId id) {
  Append append = append_of(id, 2);
  append.streams.push_back({"other", {}, {{1, "e1"}}});
  append.streams.push_back({std::string{kFunction}, Lane{7}, {{4, "e4"}, {9, "e9"}}});
  return append;
}

Commit publishing(Commit commit) {
  for (auto& group : commit.groups) {
    for (auto& item : group.items) {
      item.effects = {Publish{"other", "for other"}, Publish{"", "for all"}};
    }
  }
  return commit;
}
Bury publishing(Bury bury) {
  for (auto& item : bury.items) item.effects = {Publish{"other", "it failed"}};
  return bury;
}

// Puts a row that expires, increments one, erases one.
std::string some_writes(std::int64_t expires_ms = 5000) {
  using protocol::RowWrite;
  std::string packed;
  protocol::append_write(packed, {RowWrite::Kind::kPut, "put", "value", expires_ms});
  protocol::append_write(packed, {RowWrite::Kind::kIncrement, "count", "2", 0});
  protocol::append_write(packed, {RowWrite::Kind::kErase, "old", "", 0});
  return packed;
}
std::string rows_before() {
  using protocol::RowWrite;
  std::string packed;
  protocol::append_write(packed, {RowWrite::Kind::kPut, "old", "value", 9000});
  protocol::append_write(packed, {RowWrite::Kind::kPut, "count", "40", 0});
  protocol::append_write(packed, {RowWrite::Kind::kPut, "put", "was", 0});
  return packed;
}
// Without an increment: a repeat ends where the call itself did.
std::string erasing_writes() {
  using protocol::RowWrite;
  std::string packed;
  protocol::append_write(packed, {RowWrite::Kind::kPut, "put", "value", 9000});
  protocol::append_write(packed, {RowWrite::Kind::kPut, "new", "value", 0});
  protocol::append_write(packed, {RowWrite::Kind::kErase, "old", "", 0});
  return packed;
}
WriteRows write_of(std::string packed, std::int64_t now_ms = 1000) {
  return {.function = std::string{kFunction},
          .now_ms = now_ms,
          .limits = {},
          .packed = std::move(packed)};
}

Commit writing_rows(Commit commit, std::int64_t now_ms = 1000) {
  for (auto& group : commit.groups) {
    for (auto& item : group.items) {
      item.effects = {Publish{"", "for all"}, RowWrites{now_ms, {}, some_writes(now_ms + 4000)}};
    }
  }
  return commit;
}

// Of two hours and, the second time, of further tenants.
Meter metered(std::uint64_t sequence) {
  Meter meter{.worker = "w", .sequence = sequence, .hour_rows_max = 3, .rows = {}};
  for (std::int64_t hour : {7, 8}) {
    meter.rows.push_back({hour, "f", "", {1, 0, 5, 10, 100}});
    meter.rows.push_back({hour, "f", "t" + std::to_string(sequence), {2, 1, 5, 10, 100}});
    meter.rows.push_back({hour, "f", "u" + std::to_string(sequence), {3, 1, 5, 10, 100}});
  }
  return meter;
}

Redrive redrive_of(const std::vector<EventId>& ids) {
  Redrive redrive{1, std::string{kFunction}, {}};
  std::uint64_t number = 0;
  for (const EventId& id : ids) {
    redrive.items.push_back({{0, ++number}, id, token(9), 5000, 7, "ledger", "e"});
  }
  return redrive;
}

Bury without_results(Bury bury) {
  bury.result_ttl_ms = 0;
  return bury;
}

std::vector<Story> stories() {
  const EntryId one = entry(1), two = entry(2);
  const std::vector<Call> both{append_of(one, 3), append_of(two, 1)};
  const std::vector<Call> rows{append_of(one, 3), postpone_of({{one, 3, indexes(3)}})};
  const auto keyed = [](Postpone postpone) {
    for (auto& item : postpone.items) item.key_held = "key " + std::to_string(item.id.index);
    return postpone;
  };
  const std::vector<Call> held{append_of(one, 3), keyed(postpone_of({{one, 3, indexes(3)}}))};
  const std::vector<Call> beside{large(append_of(one, 3)), large(append_of(two, 1))};
  const std::vector<Call> part{append_of(one, 3), commit_of({{one, 3, {1}, 7}})};
  const Commit ended_unseen = commit_of({{two, 1, {0}}}, 0);
  std::vector<Call> closed = both;
  closed.push_back(ended_unseen);
  const auto later = [&](std::uint32_t token) {
    return std::vector<Ends>{{one, 3, {0, 2}, token, Origin::kLater}};
  };
  const std::vector<Ends> memory{{one, 1, {0, 1}, 1, Origin::kMemory}};
  std::vector<Call> buried = both;
  buried.push_back(bury_of({{one, 3, {1, 2}}}));
  buried.push_back(bury_of({{two, 1, {0}}}, protocol::Status::kExpired));
  const std::vector<Ends> many{{one, 3, {0, 1, 2}}, {two, 1, {0}}};
  const std::vector<Call> topics{SetTopics{1, {{"t", "{}"}, {"u", "{}"}}}};
  const std::vector<Call> fired{SetSchedule{"s", "{}"}, Fire{"s", 1, "", "row", {"e0"}}};
  return {
      {"begin", {}, Begin{}},
      {"append one", {}, append_of(one, 1)},
      {"append three", both, append_of(entry(3), 3)},
      {"append with a guard",
       {guarded(append_of(one, 1), 1)},
       guarded(append_of(two, 2), 2),
       false},
      {"append delayed events", {}, delaying({.epoch = 1, .entry = one}, "resize")},
      {"append delayed events with others", both,
       delaying(claiming(guarded(append_of(entry(3), 2), 1), 1), "other"), false},
      {"append with claims", {}, claiming(append_of(one, 3), 4)},
      {"append claims alone", both, claiming({.epoch = 1, .entry = entry(3)}, 2)},
      {"append to three streams with claims", both, claiming(guarded(to_three(entry(3)), 1), 2),
       false},
      {"append to three streams", both, to_three(entry(3)), false},
      {"append large events", both, large(append_of(entry(3), 3))},
      {"append a large event", {}, large(append_of(one, 1))},
      {"append large events with claims", {}, claiming(large(append_of(one, 3)), 4)},
      {"append large events to three streams", both, large(to_three(entry(3))), false},
      {"commit a whole entry of large events", beside, commit_of({{one, 3, indexes(3)}})},
      {"commit a large event", beside, packed(commit_of({{two, 1, {0}}}))},
      {"postpone large events", beside, postpone_of({{one, 3, indexes(3)}})},
      {"bury a large event", beside, bury_of({{two, 1, {0}}})},
      {"commit a whole entry", both, commit_of({{one, 3, indexes(3)}})},
      {"commit part of an entry", both, commit_of({{one, 3, {0, 2}}})},
      {"commit an entry of one", both, commit_of({{two, 1, {0}}})},
      {"commit without results", both, commit_of({{one, 3, indexes(3)}}, 0)},
      {"commit what is gone", closed, commit_of({{two, 1, {0}}})},
      {"commit what has ended", rows, commit_of({{one, 3, indexes(3)}})},
      {"commit a whole entry packed", both, packed(commit_of({{one, 3, indexes(3)}}))},
      {"commit part of an entry packed", both, packed(commit_of({{one, 3, {0, 2}}}))},
      {"commit an entry of one packed", both, packed(commit_of({{two, 1, {0}}}))},
      {"commit what has ended packed", rows, packed(commit_of({{one, 3, indexes(3)}}))},
      {"commit rows packed", rows, packed(commit_of(later(2)))},
      {"commit from memory packed", {}, packed(commit_of(memory))},
      {"commit two entries packed", both, packed(commit_of(many)), false},
      {"commit large results", both, large(commit_of({{one, 3, indexes(3)}}))},
      {"commit large results of a part", both, large(commit_of({{one, 3, {1, 2}}}))},
      {"commit large results that are wanted in part", part,
       large(commit_of({{one, 3, indexes(3)}}))},
      {"commit large results of rows", rows,
       large(commit_of({{one, 3, {0, 1}, 2, Origin::kLater}}))},
      {"commit large results from memory", {}, large(commit_of(memory))},
      {"commit large results of two entries", both, large(commit_of(many)), false},
      {"commit rows", rows, commit_of(later(2))},
      {"commit from memory", {}, commit_of(memory)},
      {"commit two entries", both, commit_of(many), false},
      {"postpone a whole entry", both, postpone_of({{one, 3, indexes(3)}})},
      {"postpone part of an entry", both, postpone_of({{one, 3, {1}}})},
      {"postpone an entry of one", both, postpone_of({{two, 1, {0}}})},
      {"postpone what is gone", closed, postpone_of({{two, 1, {0}}})},
      {"postpone rows again", rows, postpone_of(later(2), 9000)},
      {"postpone from memory", {}, postpone_of(memory)},
      {"postpone two entries", both, postpone_of(many), false},
      {"postpone with keys", both, keyed(postpone_of({{one, 3, {0, 2}}}))},
      {"postpone rows that keep their keys", held, keyed(postpone_of(later(2), 9000))},
      {"commit rows that keep their keys", held, commit_of(later(2))},
      {"bury rows that keep their keys", held, bury_of(later(2))},
      {"bury a whole entry", both, bury_of({{one, 3, indexes(3)}})},
      {"bury part of an entry", both, bury_of({{one, 3, {1}}})},
      {"bury an entry of one", both, bury_of({{two, 1, {0}}})},
      {"bury what is gone", closed, bury_of({{two, 1, {0}}})},
      {"bury rows", rows, bury_of(later(2))},
      {"bury from memory", {}, bury_of(memory)},
      {"bury two entries", both, bury_of(many), false},
      {"cancel", both, bury_of({{one, 3, {1}}}, protocol::Status::kCancelled)},
      {"commit with effects", both, publishing(commit_of({{one, 3, indexes(3)}}))},
      {"commit an entry of one with effects", both, publishing(commit_of({{two, 1, {0}}}))},
      {"commit what is gone with effects", closed, publishing(commit_of({{two, 1, {0}}}))},
      {"commit rows with effects", rows, publishing(commit_of(later(2)))},
      {"commit two entries with effects", both, publishing(commit_of(many)), false},
      {"bury with effects", both, publishing(bury_of({{one, 3, {1}}}))},
      {"bury from memory with effects", {}, publishing(bury_of(memory))},
      {"commit with rows", both, writing_rows(commit_of({{one, 3, indexes(3)}}))},
      {"commit over rows",
       {append_of(one, 3), write_of(rows_before())},
       writing_rows(commit_of({{one, 3, {0, 2}}}))},
      {"commit an entry of one with rows", both, writing_rows(commit_of({{two, 1, {0}}}))},
      {"commit what is gone with rows", closed, writing_rows(commit_of({{two, 1, {0}}}))},
      {"commit from later with rows", rows, writing_rows(commit_of(later(2)))},
      {"commit from memory with rows", {}, writing_rows(commit_of(memory))},
      {"commit two entries with rows", both, writing_rows(commit_of(many)), false},
      {"commit and sweep rows",
       {append_of(one, 3), write_of(some_writes())},
       writing_rows(commit_of({{one, 3, indexes(3)}}), 6000),
       false},
      {"write rows", {}, write_of(erasing_writes())},
      {"write over rows", {write_of(rows_before())}, write_of(erasing_writes())},
      {"sweep rows", {write_of(some_writes())}, write_of("", 6000)},
      {"sweep and write rows", {write_of(some_writes())}, write_of(erasing_writes(), 6000), false},
      {"redrive", buried, redrive_of({{one, 1}})},
      {"redrive without results",
       {append_of(two, 1), without_results(bury_of({{two, 1, {0}}}))},
       redrive_of({{two, 0}})},
      {"redrive three", buried, redrive_of({{one, 1}, {one, 2}, {two, 0}}), false},
      {"redrive what is gone", buried, redrive_of({{two, 0}})},
      {"purge letters", buried, PurgeLetters{1, std::string{kFunction}, {{0, 1}, {0, 3}}}},
      {"deploy", {}, Deploy{1, "a", "", "00"}},
      {"deploy anew", {Deploy{1, "a", "", "00"}}, Deploy{1, "a", "", "01"}},
      {"deploy, and forget the first",
       {Deploy{1, "a", "", "00"}, Deploy{1, "a", "", "01"}},
       Deploy{1, "a", "", "02", 5, 1, 2}},
      {"remove", {Deploy{1, "a", "", "00"}}, Remove{1, "a"}},
      {"pause", {Deploy{1, "a", "", "00"}}, SetState{1, "a", true}},
      {"meter", {}, metered(1)},
      {"meter again", {metered(1)}, metered(2)},
      {"meter what was metered", {metered(1)}, metered(1)},
      {"set a schedule", {}, SetSchedule{"s", "{}"}},
      {"set a schedule anew", fired, SetSchedule{"s", "{1}"}},
      {"remove a schedule", fired, SetSchedule{"s", ""}},
      {"fire", {SetSchedule{"s", "{}"}}, Fire{"s", 1, "", "row", {"e0", "e1", "e2"}}},
      {"fire again", fired, Fire{"s", 1, "row", "next", {"e1"}}},
      {"fire what has fired", fired, Fire{"s", 1, "", "row", {"e0"}}},
      {"set topics", {}, SetTopics{1, {{"t", "{}"}, {"u", "{}"}}}},
      {"set topics anew", topics, SetTopics{1, {{"t", "{1}"}, {"v", "{}"}, {"u", "{2}"}}}},
      {"remove topics", topics, SetTopics{1, {{"t", ""}, {"v", ""}, {"u", ""}}}},
      {"drop a package", {}, DropPackage{1, std::string(64, 'e')}},
      {"note a worker", {}, NoteWorker{1, "w", "x"}},
      {"forget a worker", {NoteWorker{1, "w", "x"}}, NoteWorker{1, "w", "x", true}},
  };
}

// Redis gives letters their ids: a story writes {0, n} for the n-th letter, counted from 1.
Call with_letters(Call call, TestStore& store) {
  const auto list =
      RedisSync::connect(store.server.options())->call({"XRANGE", dead_key(kFunction), "-", "+"});
  const auto name = [&](EntryId& letter) {
    if (letter.ms != 0 || letter.seq > (*list)->size()) return;
    letter = *protocol::parse_entry_id((**list)[letter.seq - 1][0].text());
  };
  if (auto* c = std::get_if<Redrive>(&call)) {
    for (auto& item : c->items) name(item.letter);
  }
  if (auto* c = std::get_if<PurgeLetters>(&call)) std::ranges::for_each(c->letters, name);
  return call;
}

using Snapshot = std::map<std::string, std::string>;

// A Redis with such a library, and what is broken there, story by story.
class Faults {
 public:
  explicit Faults(std::string library) : store_({.append_only = false}, std::move(library)) {}

  // What an error at each call to Redis breaks of the story, in words; nothing if all is well. Of a
  // story that is broken no more than its first error is looked at.
  std::vector<std::string> broken_by_errors(const Story& story) {
    std::vector<std::string> broken;
    const auto expect = [&](bool fine, int at, const char* what) {
      if (!fine) broken.push_back(story.name + ", error at call " + std::to_string(at) + what);
    };
    lead_to(story);
    const Snapshot before = snapshot(story);
    fault(0);
    expect(store_.ask(with_letters(story.call, store_)).has_value(), 0, ": it is refused anyhow");
    const int calls = fault(0);
    const Snapshot after = snapshot(story);
    expect(calls > 0, 0, ": no calls");

    for (int at = 1; at <= calls && broken.empty(); ++at) {
      lead_to(story);
      const Call call = with_letters(story.call, store_);
      fault(at);
      const auto answer = store_.ask(call);
      fault(0);
      if (answer) {
        expect(snapshot(story) == after, at, ": and yet an answer");
      } else if (story.one_unit) {
        expect(snapshot(story) == before, at, ": half a change stays");
      }
      expect(store_.ask(call).has_value(), at, ": the repeat is refused");
      expect(snapshot(story) == after, at, ": it ends otherwise after the repeat");
      expect(counts_add_up(), at, ": counts do not add up");
    }
    return broken;
  }

  std::vector<std::string> broken_by_errors() {
    std::vector<std::string> broken;
    for (const Story& story : stories()) {
      for (std::string& one : broken_by_errors(story)) broken.push_back(std::move(one));
    }
    return broken;
  }

 private:
  // Fails the given call to Redis, counted from 1; 0 = none. Returns how many were made before.
  int fault(int at) {
    return std::stoi(store_.command({"FCALL", "fanfare_fault", "0", std::to_string(at)}));
  }
  void lead_to(const Story& story) {
    fault(0);
    store_.command({"FLUSHALL"});
    store_.get<Begun>(Begin{});
    for (const Call& call : story.before) {
      if (!store_.ask(call)) throw std::runtime_error(story.name + " cannot be led to");
    }
  }
  // The epoch of a `begin` that is repeated is another one: that is all that may differ.
  Snapshot snapshot(const Story& story) {
    Snapshot all = store_.snapshot();
    if (std::holds_alternative<Begin>(story.call)) all.erase("fanfare:meta");
    return all;
  }

  bool counts_add_up() {
    const auto counts = store_.get<Surveyed>(Survey{std::string{kFunction}}).counts;
    return counts.accepted == counts.open + counts.later + counts.succeeded + counts.dead +
                                  counts.expired + counts.cancelled;
  }

  TestStore store_;
};

TEST(Faults, LeaveAllOrNothingAndARepeatCompletesTheCall) {
  EXPECT_THAT(Faults(faulty_library()).broken_by_errors(), ::testing::IsEmpty());
}

// ---- controls: a library that is weaker by one line must be noticed ----

// Each function that writes more than once has a story that breaks.
TEST(FaultsControl, NoticeAChangeThatIsNotTakenBack) {
  Faults faults(faulty_library("  undo(argument)\n  raise(problem)", "  raise(problem)"));
  const std::set<std::string> all{"append three",
                                  "append delayed events",
                                  "append with claims",
                                  "commit a whole entry",
                                  "commit with effects",
                                  "commit with rows",
                                  "postpone a whole entry",
                                  "bury a whole entry",
                                  "write rows",
                                  "redrive",
                                  "deploy",
                                  "set a schedule",
                                  "fire",
                                  "meter"};
  std::set<std::string> tried;
  for (const Story& story : stories()) {
    if (!all.contains(story.name)) continue;
    tried.insert(story.name);
    EXPECT_THAT(faults.broken_by_errors(story), ::testing::Not(::testing::IsEmpty())) << story.name;
  }
  EXPECT_EQ(tried, all);
}

// A commit that counts before it has looked at what it ends, and takes that back itself.
TEST(FaultsControl, NoticeAWriteBetweenTheChecks) {
  const std::string checks =
      "  for _, group in ipairs(groups) do\n    judge_end(group, later, rows)\n"
      "    judge_rows(group, effects, rows)\n"
      "    if per_group and ttl_ms ~= '0' then find_staged(group, args) end\n  end\n";
  Faults faults(faulty_library(checks, "  call('HINCRBY', counts, 'succeeded', 1)\n" + checks +
                                           "  call('HINCRBY', counts, 'succeeded', -1)\n"));
  for (const Story& story : stories()) {
    if (story.name != "commit a whole entry") continue;
    EXPECT_THAT(faults.broken_by_errors(story),
                ::testing::Contains(::testing::HasSubstr("half a change stays")));
  }
}

}  // namespace
}  // namespace fanfare::store::test
