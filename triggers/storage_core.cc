#include "triggers/storage_core.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;

// The kernel stamps changes with a clock that ticks 100 to 1,000 times a second; file systems that
// keep whole seconds (or two, as FAT) show it by stamps without a fraction.
constexpr std::int64_t kTickNs = 20'000'000;
constexpr std::int64_t kCoarseTickNs = 2'100'000'000;
constexpr std::int64_t kSecondNs = 1'000'000'000;

constexpr std::size_t kSweptAtOnce = 1000;

// 1 s, 2 s, 4 s, … at most `most`.
Duration pause_of(unsigned tries, Duration most) {
  return std::min<Duration>(most, Duration{1s} * (1u << std::min(tries, 16u)));
}

// How long until a file that looks like this cannot change within the same tick any more.
Duration until_past_the_tick(const Look& look) {
  const std::int64_t tick = look.changed_ns % kSecondNs == 0 ? kCoarseTickNs : kTickNs;
  const std::int64_t age = look.looked_ns - look.changed_ns;
  if (std::abs(age) >= tick) return Duration::zero();  // or the clock was set
  return Duration{tick - std::max<std::int64_t>(age, 0)};
}

bool is_below(const std::string& path, const std::string& directory) {
  return directory.empty() || (path.size() > directory.size() && path.starts_with(directory) &&
                               path[directory.size()] == '/');
}

}  // namespace

StorageCore::StorageCore(StorageLedger ledger, StorageCoreOptions options)
    : ledger_(std::move(ledger)), options_(options), look_again_(ledger_.in_flight().has_value()) {}

// ---- Signs

void StorageCore::sign(const std::string& path, Sign sign, TimePoint now) {
  const auto at = items_.find(path);
  if (at == items_.end()) {
    if (items_.size() >= options_.room) {
      ++counters_.signs_dropped;
      scan_wanted_ = true;
      return;
    }
    Item item;
    item.sign = sign;
    return put(path, item, Waits::kForALook, sign == Sign::kAppeared ? now + 1s : now);
  }
  if (sign != Sign::kClosed && sign != Sign::kGone) return;
  Item& item = at->second;
  item.sign = sign;
  // What waits for the clock or for the broker goes on waiting.
  const bool hurries = item.waits == Waits::kForAWriter || item.waits == Waits::kToSettle ||
                       (item.waits == Waits::kForALook && item.due > now);
  if (hurries) put(path, item, Waits::kForALook, now);
}

void StorageCore::directory_gone(const std::string& directory, TimePoint now) {
  ledger_.for_each_below(directory, [&](const std::string& path) {
    sign(path, Sign::kGone, now);
    return items_.size() < options_.room;
  });
  // The ledger does not know yet of what is in flight.
  if (const auto& batch = ledger_.in_flight()) {
    for (const auto& announcement : batch->announcements) {
      if (is_below(announcement.path, directory)) sign(announcement.path, Sign::kGone, now);
    }
  }
  if (items_.size() >= options_.room) scan_wanted_ = true;
}

void StorageCore::put(const std::string& path, Item item, Waits waits, TimePoint due) {
  if (const auto at = items_.find(path); at != items_.end()) {
    by_due_.erase({at->second.due, at->second.order, path});
  }
  if (waits != item.waits) item.tries = 0;
  item.waits = waits;
  item.due = due;
  item.order = next_order_++;
  by_due_.emplace(due, item.order, path);
  items_[path] = std::move(item);
}

// ---- Scans

void StorageCore::scan_begins() {
  scan_wanted_ = false;
  sweep_cursor_.reset();
  ledger_.begin_marking();
  first_survey_ = !ledger_.surveyed();
  look_again_ = look_again_ || ledger_.in_flight();
}

void StorageCore::scan_saw(const std::string& path, const FileVersion& version, TimePoint now) {
  const FileVersion* known = ledger_.find(path);
  if (known) ledger_.mark(path);
  if (known && known->is_same(version)) return;
  const bool existing = first_survey_ && !options_.announce_existing && !items_.contains(path);
  if (existing) return note(Noted{path, version});
  sign(path, Sign::kFound, now);
}

void StorageCore::scan_ended() {
  sweep_cursor_ = "";
}

bool StorageCore::sweep(TimePoint now) {
  if (!sweep_cursor_) return true;
  sweep_cursor_ = ledger_.for_unmarked(*sweep_cursor_, kSweptAtOnce, [&](const std::string& path) {
    if (items_.size() >= options_.room) return false;
    sign(path, Sign::kGone, now);
    return true;
  });
  if (sweep_cursor_) return false;
  // With news dropped in between, what is unknown is not all new yet.
  if (first_survey_ && !scan_wanted_) note(Surveyed{});
  return true;
}

// ---- Looks

std::vector<std::string> StorageCore::take_due(TimePoint now) {
  std::vector<std::string> paths;
  if (ledger_.in_flight()) return paths;
  while (!by_due_.empty() && ready_.size() + paths.size() < options_.batch_max) {
    const auto& [due, order, path] = *by_due_.begin();
    if (due > now) break;
    paths.push_back(path);
    being_looked_at_.insert(items_.extract(path));
    by_due_.erase(by_due_.begin());
  }
  return paths;
}

void StorageCore::looked(const std::string& path, const Look& look, TimePoint now) {
  auto taken = being_looked_at_.extract(path);
  if (taken.empty()) return;
  Item item = std::move(taken.mapped());
  const FileVersion* known = ledger_.find(path);
  switch (look.state) {
    case Look::State::kUnreadable:
      ++counters_.unreadable;
      return;
    case Look::State::kForeign:
      if (known) note(Forgotten{path});
      return;
    case Look::State::kAbsent:
      if (!known) return;
      ready_.push_back({StorageChange::kRemoved, path, *known, 0});
      announced_[path] = std::move(item);
      return;
    case Look::State::kFile:
      if (known && known->is_same(look.version)) return;
      return judge_file(path, std::move(item), look, now);
  }
}

void StorageCore::judge_file(const std::string& path, Item item, const Look& look, TimePoint now) {
  if (look.writers == Look::Writers::kSome) {
    ++counters_.busy;
    // Its closing will be told as a rule, but not of a file that was made without a name. Many at
    // once must not keep others out.
    if (items_.size() >= options_.room / 2) return;
    const unsigned tries = item.waits == Waits::kForAWriter ? item.tries : 0;
    put(path, item, Waits::kForAWriter, now + pause_of(tries, 60s));
    items_[path].tries = tries + 1;
    return;
  }
  if (look.writers == Look::Writers::kUnknown && item.sign != Sign::kClosed) {
    if (!item.looked || !item.last.is_same(look.version)) {
      item.looked = true;
      item.last = look.version;
      item.last_since = now;
    }
    const TimePoint settled = item.last_since + options_.settle;
    if (now < settled) return put(path, std::move(item), Waits::kToSettle, settled);
  }
  if (const Duration wait = until_past_the_tick(look); wait > Duration::zero()) {
    return put(path, std::move(item), Waits::kForTheClock, now + wait);
  }
  ready_.push_back({StorageChange::kCreated, path, look.version, 0});
  announced_[path] = std::move(item);
}

// ---- Batches

std::optional<StorageBatch> StorageCore::next_batch(WallTime now) {
  if (ready_.empty() || ledger_.in_flight()) return std::nullopt;
  StorageBatch batch;
  batch.publisher = ledger_.publisher();
  batch.sequence = ledger_.next_sequence();
  batch.at_ms = to_ms(now);
  batch.announcements = ready_;
  std::uint64_t sequencer =
      std::max(ledger_.last_sequencer() + 1,
               static_cast<std::uint64_t>(std::max<std::int64_t>(to_ms(now), 0)) * 1'000'000);
  for (auto& announcement : batch.announcements) announcement.sequencer = sequencer++;
  return batch;
}

void StorageCore::begun(const StorageBatch& batch) {
  if (!ledger_.apply(batch)) std::abort();  // next_batch has made it
  ready_.clear();
}

void StorageCore::postpone(TimePoint now) {
  for (const auto& announcement : std::exchange(ready_, {})) {
    auto item = announced_.extract(announcement.path);
    if (item.empty() || items_.contains(announcement.path)) continue;
    put(announcement.path, std::move(item.mapped()), Waits::kForTheBroker, now + 1s);
  }
}

Settled StorageCore::settle(const std::vector<Answer>& answers, TimePoint now) {
  const StorageBatch batch = *ledger_.in_flight();
  Settled settled;
  for (const Answer& answer : answers) settled.taken.push_back(answer.taken);
  if (!ledger_.apply(settled)) std::abort();  // one answer each
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Announcement& announcement = batch.announcements[i];
    auto announced = announced_.extract(announcement.path);
    if (answers[i].taken) {
      ++(announcement.change == StorageChange::kCreated ? counters_.created : counters_.removed);
      counters_.duplicates += answers[i].duplicate ? 1 : 0;
      if (look_again_) sign(announcement.path, Sign::kFound, now);
      continue;
    }
    ++counters_.refused;
    if (items_.contains(announcement.path)) continue;  // there is news of it
    Item item = announced.empty() ? Item{} : std::move(announced.mapped());
    const unsigned tries = item.waits == Waits::kForTheBroker ? item.tries : 0;
    put(announcement.path, item, Waits::kForTheBroker, now + pause_of(tries, 60s));
    items_[announcement.path].tries = tries + 1;
  }
  look_again_ = false;
  return settled;
}

void StorageCore::note(LedgerRecord record) {
  if (!ledger_.apply(record)) std::abort();  // these always follow
  records_.push_back(std::move(record));
}

void StorageCore::note_root(std::uint64_t inode) {
  note(RootNoted{inode});
}

std::optional<TimePoint> StorageCore::next_due() const {
  if (ledger_.in_flight() || by_due_.empty()) return std::nullopt;
  return std::get<0>(*by_due_.begin());
}

}  // namespace fanfare::triggers
