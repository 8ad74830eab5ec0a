#include "triggers/storage_ledger.h"

#include <fmt/format.h>

#include <type_traits>

namespace fanfare::triggers {

Result<void> StorageLedger::apply(const LedgerRecord& record) {
  return std::visit(
      [this](const auto& change) -> Result<void> {
        using T = std::decay_t<decltype(change)>;
        if constexpr (std::is_same_v<T, PublisherNamed>) {
          publisher_ = change.publisher;
          next_sequence_ = change.next_sequence;
          last_sequencer_ = std::max(last_sequencer_, change.last_sequencer);
        } else if constexpr (std::is_same_v<T, RootNoted>) {
          root_inode_ = change.inode;
        } else if constexpr (std::is_same_v<T, Surveyed>) {
          surveyed_ = true;
        } else if constexpr (std::is_same_v<T, Noted>) {
          note(change.path, change.version);
        } else if constexpr (std::is_same_v<T, Forgotten>) {
          files_.erase(change.path);
        } else if constexpr (std::is_same_v<T, StorageBatch>) {
          return begin(change);
        } else {
          return settle(change);
        }
        return {};
      },
      record);
}

void StorageLedger::for_each_record(const std::function<void(const LedgerRecord&)>& fn) const {
  if (root_inode_) fn(RootNoted{*root_inode_});
  if (surveyed_) fn(Surveyed{});
  for (const auto& [path, file] : files_) fn(Noted{path, file.version});
  if (in_flight_) fn(*in_flight_);
  fn(PublisherNamed{publisher_, next_sequence_, last_sequencer_});
}

Result<void> StorageLedger::begin(const StorageBatch& batch) {
  if (in_flight_) return reject("a batch is begun while another one is in flight");
  if (batch.announcements.empty()) return reject("a batch without announcements");
  in_flight_ = batch;
  if (batch.publisher == publisher_ && batch.sequence >= next_sequence_) {
    next_sequence_ = batch.sequence + 1;
  }
  for (const auto& announcement : batch.announcements) {
    last_sequencer_ = std::max(last_sequencer_, announcement.sequencer);
  }
  return {};
}

Result<void> StorageLedger::settle(const Settled& settled) {
  if (!in_flight_) return reject("an answer without a batch");
  if (settled.taken.size() != in_flight_->announcements.size()) {
    return reject(fmt::format("an answer for {} announcements to a batch of {}",
                              settled.taken.size(), in_flight_->announcements.size()));
  }
  for (std::size_t i = 0; i < settled.taken.size(); ++i) {
    if (!settled.taken[i]) continue;
    const Announcement& announcement = in_flight_->announcements[i];
    if (announcement.change == StorageChange::kCreated) {
      note(announcement.path, announcement.version);
    } else {
      files_.erase(announcement.path);
    }
  }
  in_flight_.reset();
  return {};
}

// Marked: a scan that is under way need not have met what is news.
void StorageLedger::note(const std::string& path, const FileVersion& version) {
  files_[path] = {version, mark_};
}

const FileVersion* StorageLedger::find(const std::string& path) const {
  const auto at = files_.find(path);
  return at == files_.end() ? nullptr : &at->second.version;
}

void StorageLedger::mark(const std::string& path) {
  if (const auto at = files_.find(path); at != files_.end()) at->second.mark = mark_;
}

std::optional<std::string> StorageLedger::for_unmarked(
    const std::string& cursor, std::size_t files_max,
    const std::function<bool(const std::string&)>& fn) const {
  std::string last = cursor;
  std::size_t passed = 0;
  for (auto at = files_.upper_bound(cursor); at != files_.end(); ++at) {
    if (passed++ == files_max) return last;
    if (at->second.mark != mark_ && !fn(at->first)) return last;
    last = at->first;
  }
  return std::nullopt;
}

bool StorageLedger::for_each_below(const std::string& directory,
                                   const std::function<bool(const std::string&)>& fn) const {
  const std::string prefix = directory.empty() ? "" : directory + "/";
  for (auto at = files_.lower_bound(prefix); at != files_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    if (!fn(at->first)) return false;
  }
  return true;
}

}  // namespace fanfare::triggers
