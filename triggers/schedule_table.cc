#include "triggers/schedule_table.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "protocol/event.h"
#include "triggers/schedule_json.h"

namespace fanfare::triggers {
namespace {

constexpr WallTime kNow{};  // a wake in the past
constexpr std::size_t kEventsPerCall = 100;
constexpr std::size_t kBytesPerCall = 200u << 10;

// What is stored under a name must say so itself: else two rows would fire as one schedule.
Result<Schedule> read(const store::ScheduleList::Item& item) {
  auto schedule = schedule_from_json(item.definition);
  if (!schedule) return schedule;
  if (schedule->name != item.name) return reject("it is stored under another name");
  if (auto fine = check(*schedule); !fine) return fine.error();
  return schedule;
}

}  // namespace

std::string to_text(const LedgerRow& row) {
  std::string text =
      fmt::format("{} {} {} {}", to_ms(row.handled), row.fired, row.missed, row.overlapped);
  if (row.missed_at > WallTime{}) text += fmt::format(" {}", to_ms(row.missed_at));
  return text;
}

Result<LedgerRow> parse_ledger_row(std::string_view text) {
  if (text.empty()) return LedgerRow{};
  constexpr std::size_t kLeast = 4;
  std::array<std::int64_t, kLeast + 1> numbers{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < numbers.size() && (i < kLeast || at != end); ++i) {
    if (i > 0 && (at == end || *at++ != ' ')) return reject("a row of the ledger is cut short");
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    if (error != std::errc{} || numbers[i] < 0) return reject("a row of the ledger has no numbers");
    at = next;
  }
  if (at != end) return reject("a row of the ledger goes on too long");
  return LedgerRow{wall_from_ms(numbers[0]), static_cast<std::uint64_t>(numbers[1]),
                   static_cast<std::uint64_t>(numbers[2]), static_cast<std::uint64_t>(numbers[3]),
                   wall_from_ms(numbers[4])};
}

std::vector<Error> ScheduleTable::load(std::vector<store::ScheduleList::Item> items) {
  std::vector<Error> unreadable;
  Entries before = std::exchange(entries_, {});
  wakes_.clear();
  for (store::ScheduleList::Item& item : items) {
    auto known = before.find(item.name);
    // A Redis that has come back with less gives a revision twice.
    if (known != before.end() && known->second.revision == item.revision &&
        known->second.definition == item.definition) {
      // Its row here is not older than the one that was listed a moment ago.
      Entry& entry = entries_.emplace(item.name, std::move(known->second)).first->second;
      before.erase(known);
      const auto wake = std::exchange(entry.wake, std::nullopt);
      wake_at(item.name, entry, wake);
      continue;
    }
    auto schedule = read(item);
    auto row = parse_ledger_row(item.row);
    if (!schedule || !row) {
      const Error& why = schedule ? row.error() : schedule.error();
      unreadable.push_back(reject(fmt::format("schedule {}: {}", item.name, why.message)));
      continue;
    }
    Entry& entry = entries_.insert_or_assign(item.name, Entry{*std::move(schedule)}).first->second;
    entry.revision = item.revision;
    entry.definition = std::move(item.definition);
    entry.row_text = std::move(item.row);
    entry.row = *row;
    wake_at(item.name, entry, kNow);
  }
  return unreadable;
}

void ScheduleTable::wake_at(const std::string& name, Entry& entry, std::optional<WallTime> when) {
  if (entry.wake) wakes_.erase({*entry.wake, name});
  entry.wake = when;
  if (when) wakes_.emplace(*when, name);
}

// What a decision writes; nothing if it changes nothing. Of many events the first ones: the rest is
// decided anew, from there.
std::optional<store::Fire> ScheduleTable::step(Entry& entry, const Decision& decision,
                                               WallTime now) const {
  if (decision.fire.empty() && decision.missed == 0 && decision.overlapped == 0) {
    return std::nullopt;
  }
  store::Fire call;
  call.name = entry.schedule.name;
  call.revision = entry.revision;
  call.row_before = entry.row_text;
  LedgerRow after = entry.row;
  after.handled = decision.handled;
  after.missed += decision.missed;
  if (decision.missed > 0) after.missed_at = now;
  after.overlapped += decision.overlapped;
  std::size_t bytes = 0;
  for (const WallTime instant : decision.fire) {
    if (call.packed_events.size() == kEventsPerCall || bytes > kBytesPerCall) break;
    call.packed_events.push_back(protocol::pack(event_of(entry.schedule, instant)));
    bytes += call.packed_events.back().size();
    ++after.fired;
    if (call.packed_events.size() < decision.fire.size()) after.handled = instant;
  }
  if (call.packed_events.size() == decision.fire.size()) after.handled = decision.handled;
  call.row_after = to_text(after);
  return call;
}

ScheduleTable::Turn ScheduleTable::take_due(WallTime now, std::size_t calls_max) {
  Turn turn;
  while (!wakes_.empty() && wakes_.begin()->first <= now && turn.calls.size() < calls_max) {
    const std::string name = wakes_.begin()->second;
    Entry& entry = entries_.at(name);
    ++counters_.decisions;
    const Decision decision = decide(entry.schedule, entry.row.handled, now);
    if (decision.clock_behind) turn.clock_behind.push_back(name);
    if (auto call = step(entry, decision, now)) {
      entry.under_way = true;
      if (!entry.due && *entry.wake != kNow) entry.due = entry.wake;
      wake_at(name, entry, std::nullopt);
      turn.calls.push_back(*std::move(call));
    } else {
      wake_at(name, entry, decision.wake);
    }
  }
  return turn;
}

void ScheduleTable::on_fired(const store::Fire& call, const Result<store::Fired>& answer,
                             WallTime now) {
  using Outcome = store::Fired::Outcome;
  if (answer && answer->outcome == Outcome::kDone) {
    counters_.fired += call.packed_events.size();
    const auto before = parse_ledger_row(call.row_before), after = parse_ledger_row(call.row_after);
    counters_.missed += after->missed - before->missed;
    counters_.overlapped += after->overlapped - before->overlapped;
  }
  const auto at = entries_.find(call.name);
  if (at == entries_.end() || at->second.revision != call.revision) return;  // redefined meanwhile
  Entry& entry = at->second;
  entry.under_way = false;
  if (!answer || answer->outcome == Outcome::kFull) {
    ++counters_.failed;
    return wake_at(call.name, entry,
                   now + std::chrono::ceil<std::chrono::milliseconds>(kRetryPause));
  }
  const auto due = std::exchange(entry.due, std::nullopt);
  if (answer->outcome != Outcome::kDone)
    ++counters_.beaten;
  else if (due && !call.packed_events.empty())
    lag_.observe(Duration{now - *due});
  // Somebody has changed the definition: what it is now comes with the next load.
  const bool redefined = answer->outcome == Outcome::kStale && answer->row == entry.row_text;
  const auto row = parse_ledger_row(answer->row);
  if (redefined || !row) return;
  entry.row_text = answer->row;
  entry.row = *row;
  wake_at(call.name, entry, kNow);
}

std::optional<WallTime> ScheduleTable::next_wake() const {
  if (wakes_.empty()) return std::nullopt;
  return wakes_.begin()->first;
}

}  // namespace fanfare::triggers
