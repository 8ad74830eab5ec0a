// A bucket in a random world: files come, are written, replaced, moved and deleted; signs are lost;
// the watcher is killed wherever it can be; the broker refuses now and then. Whatever happened, in
// the end every file that is there was announced once in its last version, and every one that is
// not, but had been announced, was announced as removed, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "triggers/storage_core.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMs = 1'000'000;

// A disk whose stamps have a coarse clock, as real ones do.
struct Disk {
  struct File {
    FileVersion version;
    std::int64_t changed_ns = 0;
    int writers = 0;
    int content = 0;  // a new number with every write: what nobody can see from outside
  };
  std::map<std::string, File> files;
  std::int64_t now_ns = 1'700'000'000'000'000'001;
  std::uint64_t next_inode = 10;
  int next_content = 1;

  std::int64_t stamp() const { return now_ns / (4 * kMs) * (4 * kMs) + 1; }
  void write(File& file, std::uint64_t size) {
    file.version.size = size;
    file.version.mtime_ns = file.changed_ns = stamp();
    file.content = next_content++;
  }
};

// Takes batches as the broker does: by their publisher and sequence, each once.
struct Taker {
  struct Taken {
    Announcement announcement;
    int content;
  };
  bool has_guard = true;
  std::map<std::string, std::pair<std::uint64_t, std::vector<StorageCore::Answer>>> guards;
  std::vector<Taken> log;

  std::vector<StorageCore::Answer> take(const StorageBatch& batch,
                                        const std::map<std::uint64_t, int>& contents,
                                        const std::function<bool()>& refuses) {
    auto& [sequence, answers] = guards[batch.publisher];
    if (has_guard && sequence == batch.sequence) return answers;
    sequence = batch.sequence;
    answers.clear();
    for (const auto& announcement : batch.announcements) {
      const bool taken = !refuses();
      answers.push_back({taken, false});
      if (taken) log.push_back({announcement, contents.at(announcement.sequencer)});
    }
    return answers;
  }
};

class World {
 public:
  World(unsigned seed, bool with_guard) : random_(seed) {
    taker_.has_guard = with_guard;
    options_.room = 8;
    options_.batch_max = 4;
    records_.push_back(PublisherNamed{"p", 1, 0});
    start();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      // Often several changes to one file within a tick of the disk's clock.
      disk_.now_ns += static_cast<std::int64_t>(random_() % ((random_() % 8 ? 1 : 40) * kMs));
      change_something();
      if (random_() % 2 == 0) work();
      if (random_() % 40 == 0) start();  // killed
    }
  }

  void come_to_rest() {
    for (auto& [path, file] : disk_.files) {
      while (file.writers > 0) close(path, file);
    }
    calm_ = true;
    for (int i = 0; i < 2000; ++i) {
      disk_.now_ns += 500 * kMs;
      work();
    }
    EXPECT_EQ(core_->waiting(), 0u);
    EXPECT_FALSE(core_->scan_wanted());
  }

  // What is wrong with what was announced; empty if nothing is.
  std::string verdict() const {
    struct Told {
      std::optional<Taker::Taken> last;
    };
    std::map<std::string, Told> told;
    std::uint64_t last_sequencer = 0;
    for (const auto& taken : taker_.log) {
      const Announcement& a = taken.announcement;
      if (a.sequencer <= last_sequencer) return "not ascending: " + a.path;
      last_sequencer = a.sequencer;
      auto& last = told[a.path].last;
      if (a.change == StorageChange::kRemoved) {
        if (!last) return "removed before it was created: " + a.path;
        if (last->announcement.version != a.version) return "another version removed: " + a.path;
        last.reset();
        continue;
      }
      if (last && last->content == taken.content) return "announced twice: " + a.path;
      if (!complete_.contains(taken.content)) return "announced before it was complete: " + a.path;
      last = taken;
    }
    for (const auto& [path, file] : disk_.files) {
      const auto at = told.find(path);
      if (at == told.end() || !at->second.last) return "never announced: " + path;
      if (at->second.last->content != file.content) return "its last version is missing: " + path;
    }
    for (const auto& [path, one] : told) {
      if (one.last && !disk_.files.contains(path)) return "its removal is missing: " + path;
    }
    return {};
  }
  std::size_t announced() const { return taker_.log.size(); }

 private:
  bool befalls() { return !calm_ && random_() % 20 == 0; }
  std::string some_path() {
    if (random_() % 4 == 0) last_path_ = std::string(1, static_cast<char>('a' + random_() % 20));
    return last_path_;
  }

  // Some signs are lost, and that is told.
  void sign(const std::string& path, Sign sign) {
    if (random_() % 16 == 0) return core_->signs_lost();
    core_->sign(path, sign, now());
  }
  void close(const std::string& path, Disk::File& file) {
    if (--file.writers == 0) complete_.insert(file.content);
    sign(path, Sign::kClosed);
  }

  void change_something() {
    const std::string path = some_path();
    const std::string other(1, static_cast<char>('a' + random_() % 20));
    const auto at = disk_.files.find(path);
    if (at == disk_.files.end()) {
      Disk::File file;
      file.version.inode = disk_.next_inode++;
      file.writers = 1;
      disk_.write(file, random_() % 2);
      disk_.files[path] = file;
      return sign(path, Sign::kAppeared);
    }
    Disk::File& file = at->second;
    switch (random_() % 6) {
      case 0:  // another writer
        ++file.writers;
        return;
      case 1:
        if (file.writers > 0) disk_.write(file, random_() % 2);
        return;
      case 2:
      case 3:
        if (file.writers > 0) close(path, file);
        return;
      case 4:
        if (other == path) return;
        disk_.files[other] = file;  // over what was there
        disk_.files[other].changed_ns = disk_.stamp();
        disk_.files.erase(path);
        sign(path, Sign::kGone);
        return sign(other, Sign::kClosed);
      default:
        disk_.files.erase(path);
        return sign(path, Sign::kGone);
    }
  }

  TimePoint now() const { return TimePoint{Duration{disk_.now_ns}}; }
  WallTime wall() const { return wall_from_ms(disk_.now_ns / kMs); }

  Look look_at(const std::string& path) const {
    Look look;
    look.looked_ns = disk_.now_ns;
    const auto at = disk_.files.find(path);
    if (at == disk_.files.end()) return look;
    look.state = Look::State::kFile;
    look.version = at->second.version;
    look.changed_ns = at->second.changed_ns;
    look.writers = at->second.writers > 0 ? Look::Writers::kSome : Look::Writers::kNone;
    return look;
  }

  // As the shell: any of these may be the last thing that this life does.
  void work() {
    if (answers_ && (calm_ || random_() % 4 == 0)) settle();
    if (core_->scan_wanted() && core_->has_room_to_scan()) {
      core_->scan_begins();
      for (const auto& [path, file] : disk_.files) core_->scan_saw(path, file.version, now());
      core_->scan_ended();
    }
    core_->sweep(now());
    for (const auto& path : core_->take_due(now())) core_->looked(path, look_at(path), now());
    for (auto& record : core_->take_records()) unsynced_.push_back(record);
    const auto batch = core_->next_batch(wall());
    if (!batch) return;
    for (const auto& announcement : batch->announcements) {
      const auto at = disk_.files.find(announcement.path);
      contents_[announcement.sequencer] = at == disk_.files.end() ? 0 : at->second.content;
    }
    if (befalls()) return core_->postpone(now());  // the disk is full
    records_.insert(records_.end(), unsynced_.begin(), unsynced_.end());
    unsynced_.clear();
    records_.push_back(*batch);
    core_->begun(*batch);
    publish(*batch);
  }
  void publish(const StorageBatch& batch) {
    if (befalls()) return start();  // killed before it is published
    const auto answers = taker_.take(batch, contents_, [this] { return befalls(); });
    if (befalls()) return start();  // killed before it has heard
    answers_ = answers;             // it hears later, as a rule
    if (random_() % 2 == 0) settle();
  }
  void settle() {
    unsynced_.push_back(core_->settle(*std::exchange(answers_, std::nullopt), now()));
  }

  // Another life: what was not on disk may be there or not.
  void start() {
    for (const auto& record : unsynced_) {
      if (random_() % 2 == 0) break;
      records_.push_back(record);
    }
    unsynced_.clear();
    StorageLedger ledger;
    for (const auto& record : records_) {
      const auto again = decode_ledger_record(encode(record));
      ASSERT_TRUE(again);
      ASSERT_TRUE(ledger.apply(*again));
    }
    if (random_() % 8 == 0) {  // written anew
      records_.clear();
      ledger.for_each_record([&](const LedgerRecord& record) { records_.push_back(record); });
    }
    core_.emplace(std::move(ledger), options_);
    answers_.reset();
    if (const auto batch = core_->ledger().in_flight()) publish(*batch);
  }

  std::mt19937 random_;
  bool calm_ = false;
  std::string last_path_ = "a";
  StorageCoreOptions options_;
  Disk disk_;
  Taker taker_;
  std::set<int> complete_;
  std::map<std::uint64_t, int> contents_;
  std::vector<LedgerRecord> records_, unsynced_;
  std::optional<StorageCore> core_;
  std::optional<std::vector<StorageCore::Answer>> answers_;  // under way
};

std::string verdict_of(unsigned seed, bool with_guard) {
  World world(seed, with_guard);
  world.run(400);
  world.come_to_rest();
  EXPECT_GT(world.announced(), 10u) << "a world in which nothing happens";
  return world.verdict();
}

TEST(StorageProperty, WhateverHappensEachLastVersionIsAnnouncedOnceAndEachRemoval) {
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    ASSERT_EQ(verdict_of(seed, true), "") << "seed " << seed;
  }
}

// The control: a broker that does not know a batch again.
TEST(StorageProperty, WithoutTheRepeatGuardSomeAreAnnouncedTwice) {
  int wrong = 0;
  for (unsigned seed = 1; seed <= 50; ++seed) wrong += verdict_of(seed, false).empty() ? 0 : 1;
  EXPECT_GT(wrong, 10);
}

}  // namespace
}  // namespace fanfare::triggers
