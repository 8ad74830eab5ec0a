#include "triggers/storage_bucket.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kScannedAtOnce = 1000;  // entries a turn: some milliseconds
constexpr Duration kRootCheckPeriod = 2s;     // nobody tells that it is deleted: we have it open
constexpr Duration kAwayPeriod = 1s;
constexpr Duration kWritePause = 1s;
constexpr Duration kForever = 24h * 365;  // what is published is never given up

client::ClientOptions client_options(const StorageBucket::Surroundings& surroundings,
                                     const std::string& name, const StorageLedger& ledger) {
  client::ClientOptions options;
  options.broker = surroundings.broker;
  options.curve = surroundings.curve;
  options.publish.timeout = kForever;
  options.connect_timeout = kForever;
  options.name = name;
  options.resume.next_sequence = ledger.next_sequence();
  if (const auto& batch = ledger.in_flight()) {
    options.resume = {.next_sequence = batch->sequence, .in_doubt = true};
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<StorageBucket>> StorageBucket::open(Loop& loop, ZmqContext& zmq,
                                                           StorageBucketOptions options,
                                                           const Surroundings& surroundings) {
  StorageLedger ledger;
  const std::string path = surroundings.state_directory + '/' + options.name + ".ledger";
  auto file = StorageLedgerFile::open(path, ledger);
  if (!file) return Error{file.error().kind, options.name + ": " + file.error().message};
  if (file->bytes_cut() > 0) {
    spdlog::warn(
        "bucket {}: the last {} bytes of {} were damaged and are cut away; what they said "
        "may be announced again",
        options.name, file->bytes_cut(), path);
  }
  std::unique_ptr<StorageBucket> bucket(new StorageBucket(
      loop, zmq, std::move(options), surroundings, *std::move(file), std::move(ledger)));
  if (auto opened = bucket->open_client(); !opened) return opened.error();
  if (const auto& batch = bucket->core_.ledger().in_flight()) {
    spdlog::info("bucket {}: {} announcements were under way; they are published as the same batch",
                 bucket->options_.name, batch->announcements.size());
    bucket->publish(*batch);
  }
  bucket->arrive();
  return bucket;
}

StorageBucket::StorageBucket(Loop& loop, ZmqContext& zmq, StorageBucketOptions options,
                             const Surroundings& surroundings, StorageLedgerFile file,
                             StorageLedger ledger)
    : loop_(loop),
      zmq_(zmq),
      options_(std::move(options)),
      surroundings_(surroundings),
      names_(options_.name, options_.ignore),
      file_(std::move(file)),
      core_(std::move(ledger), options_.core),
      timer_(loop, [this] { wake(); }),
      hook_(loop.before_wait([this] {
        if (std::exchange(woken_, false)) pump();
      })) {}

StorageBucket::~StorageBucket() = default;

// ---- The directory: there, or away

void StorageBucket::arrive() {
  root_checked_ = loop_.now().steady;
  auto tree = StorageTree::open(options_.directory);
  if (!tree) return leave(tree.error().message);
  const auto known = core_.ledger().root_inode();
  if (known && *known != tree->inode() && core_.ledger().files() > 0) {
    return leave(fmt::format(
        "{} is another directory than before (is its disk mounted?); if it is to begin anew, move "
        "{}/{}.ledger away: then all its files are announced",
        options_.directory, surroundings_.state_directory, options_.name));
  }
  auto watches = DirectoryWatches::open();
  if (!watches) return leave(watches.error().message);
  if (!known || *known != tree->inode()) core_.note_root(tree->inode());
  away_.clear();
  last_trouble_.clear();
  tree_.emplace(*std::move(tree));
  watches_.emplace(*std::move(watches));
  news_ = std::make_unique<FdWatch>(loop_, watches_->fd(), [this] {
    watches_->read([this](const DirectoryNews& news) { on_news(news); });
    wake();
  });
  scan_ = std::make_unique<StorageScan>(
      *tree_, names_,
      StorageScan::Visitor{
          .on_directory = [this](const std::string& path, int fd) { watch_directory(path, fd); },
          .on_file =
              [this](const std::string& path, const FileVersion& version) {
                core_.scan_saw(path, version, loop_.now().steady);
              },
          .on_unreadable =
              [this](const std::string& path, int error) {
                rescan_later(options_.poll);
                if (unreadable_++ > 0) return;
                complain(
                    fmt::format("reading {}/{}: {}; what cannot be read is tried again every {}",
                                options_.directory, path, std::strerror(error),
                                format_duration(options_.poll)));
              }});
  core_.signs_lost();  // whatever happened before
  wake();
}

void StorageBucket::leave(std::string why) {
  news_.reset();
  scan_.reset();
  watches_.reset();
  tree_.reset();
  full_scan_ = sweeping_ = root_deleted_ = false;
  away_ = std::move(why);
  complain("nothing is announced: " + away_);
  wake();
}

void StorageBucket::watch_directory(const std::string& path, int fd) {
  const auto watched = watches_->watch(path, fd);
  if (watched) return;
  rescan_later(options_.poll);
  if (unwatched_++ > 0) return;
  complain(fmt::format("{}/{} and maybe others are not watched but scanned every {}: {}",
                       options_.directory, path, format_duration(options_.poll),
                       watched.error().message));
}

void StorageBucket::on_news(const DirectoryNews& news) {
  using enum DirectoryNews::What;
  if (!tree_) return;
  const TimePoint now = loop_.now().steady;
  // Directories with names that are ignored are not watched: the last part decides.
  const auto is_of_bucket = [&] {
    return !names_.ignores_name(news.path.substr(news.path.rfind('/') + 1));
  };
  const bool lost = surroundings_.loses_news && surroundings_.loses_news();
  switch (lost ? kLost : news.what) {
    case kAppeared:
      if (is_of_bucket()) core_.sign(news.path, Sign::kAppeared, now);
      return;
    case kClosed:
      if (is_of_bucket()) core_.sign(news.path, Sign::kClosed, now);
      return;
    case kGone:
      if (is_of_bucket()) core_.sign(news.path, Sign::kGone, now);
      return;
    case kDirectoryAppeared:
      if (is_of_bucket()) scan_->add(news.path);
      return;
    case kDirectoryGone:
      watches_->unwatch_below(news.path);
      return core_.directory_gone(news.path, now);
    case kRootGone:
      return on_root_gone();
    case kLost:
      ++queue_overflows_;
      return core_.signs_lost();
  }
}

// Deleted, it has no files any more, and that is told. Moved or covered by another one, it is
// somebody else's affair what becomes of them.
void StorageBucket::on_root_gone() {
  if (root_deleted_ || tree_->still_in_place()) return;
  if (!tree_->is_deleted()) {
    // Not from within the watch's own call.
    away_ = options_.directory + " was moved, unmounted or covered by another directory";
    return;
  }
  root_deleted_ = true;
  core_.signs_lost();
}

// ---- One turn

void StorageBucket::wake() {
  if (std::exchange(woken_, true)) return;
  loop_.post([] {});  // the hook runs at the end of this turn, or of the one that this starts
}

void StorageBucket::pump() {
  const Now now = loop_.now();
  if (core_.ledger().in_flight() && answered_ == answers_.size()) on_answered(now);
  if (tree_ && !away_.empty()) leave(away_);
  if (!tree_ && !stopping_ && now.steady >= root_checked_ + kAwayPeriod) arrive();
  if (tree_ && now.steady >= root_checked_ + kRootCheckPeriod) {
    root_checked_ = now.steady;
    on_root_gone();
  }
  if (tree_ && !stopping_) {
    step_scan(now);
    look_and_publish(now);
    const bool told = !core_.scan_wanted() && scan_->done() && !sweeping_ && core_.waiting() == 0 &&
                      !core_.ledger().in_flight();
    if (root_deleted_ && told) leave(options_.directory + " was deleted");
  }
  write(std::nullopt);
  arm_timer(now);
}

void StorageBucket::step_scan(const Now& now) {
  if (now.steady >= rescan_at_) {
    rescan_at_ = TimePoint::max();
    core_.signs_lost();
  }
  if (core_.has_room_to_scan()) {
    if (core_.scan_wanted() && !full_scan_ && !sweeping_ && scan_->done()) {
      core_.scan_begins();
      full_scan_ = true;
      scan_began_ = now.steady;
      unwatched_ = unreadable_ = 0;
      scan_->add("");
    }
    if (!scan_->done()) {
      scan_->step(kScannedAtOnce);
      wake();
    }
  }
  if (full_scan_ && scan_->done()) {
    full_scan_ = false;
    sweeping_ = true;
    core_.scan_ended();
  }
  if (!sweeping_) return;
  sweeping_ = !core_.sweep(now.steady);
  if (!sweeping_) return end_scan(now);
  if (core_.has_room_to_scan()) wake();
}

void StorageBucket::end_scan(const Now& now) {
  const Duration took = now.steady - scan_began_;
  if (scans_++ == 0) {
    spdlog::info("bucket {}: watching {} directories of {}; {} files are known, {} are looked at",
                 options_.name, watches_->size(), options_.directory, core_.ledger().files(),
                 core_.waiting());
  }
  rescan_at_ = TimePoint::max();
  if (unwatched_ + unreadable_ > 0) rescan_later(std::max(options_.poll, 20 * took));
}

void StorageBucket::rescan_later(Duration pause) {
  rescan_at_ = std::min(rescan_at_, loop_.now().steady + pause);
}

void StorageBucket::look_and_publish(const Now& now) {
  if (core_.ledger().in_flight()) return;
  for (const std::string& path : core_.take_due(now.steady)) {
    core_.looked(path, look_at(path), now.steady);
  }
  if (const auto batch = core_.next_batch(now.wall)) {
    if (!write(batch)) return core_.postpone(now.steady);
    surroundings_.failpoint("storage.begun");
    core_.begun(*batch);
    publish(*batch);
  }
}

Look StorageBucket::look_at(const std::string& path) {
  if (names_.has(path)) return tree_->look(path, core_.ledger().find(path));
  if (!is_storage_key(options_.name, path) && unnameable_++ == 0) {
    complain(fmt::format("{}/{} is not announced: keys have {} bytes at most", options_.directory,
                         path, kStorageKeyBytesMax));
  }
  Look foreign;
  foreign.state = Look::State::kForeign;
  return foreign;
}

void StorageBucket::arm_timer(const Now& now) {
  TimePoint at = root_checked_ + (tree_ ? kRootCheckPeriod : kAwayPeriod);
  if (tree_ && !stopping_) {
    at = std::min(at, rescan_at_);
    if (const auto due = core_.next_due()) at = std::min(at, *due);
  }
  if (!unwritten_.empty()) at = std::min(at, write_again_at_);
  timer_.start_after(std::max<Duration>(at - now.steady, 1ms));
}

// ---- Ledger and broker

Result<void> StorageBucket::open_client() {
  const auto& batch = core_.ledger().in_flight();
  client_name_ = batch ? batch->publisher : core_.ledger().publisher();
  auto opened = client::Client::open(loop_, zmq_,
                                     client_options(surroundings_, client_name_, core_.ledger()));
  if (!opened) return opened.error();
  client_ = *std::move(opened);
  return {};
}

// Writes what the core has noted, and the batch, which is on disk when this says yes.
bool StorageBucket::write(std::optional<StorageBatch> batch) {
  for (auto& record : core_.take_records()) unwritten_.push_back(std::move(record));
  const TimePoint now = loop_.now().steady;
  if (now < write_again_at_) return false;
  const auto failed = [&](const Error& error) {
    write_again_at_ = now + kWritePause;
    complain("nothing new is announced before its ledger can be written: " + error.message);
    return false;
  };
  if (file_.wants_rewrite(core_.ledger())) {
    if (auto written = file_.rewrite(core_.ledger()); !written) return failed(written.error());
    unwritten_.clear();  // the ledger has them
  }
  if (unwritten_.empty() && !batch) return true;
  const std::size_t noted = unwritten_.size();
  if (batch) unwritten_.emplace_back(*batch);
  const auto written = file_.append(
      unwritten_, batch ? StorageLedgerFile::Sync::kYes : StorageLedgerFile::Sync::kNo);
  if (written) {
    unwritten_.clear();
    return true;
  }
  unwritten_.resize(noted);
  return failed(written.error());
}

void StorageBucket::publish(const StorageBatch& batch) {
  answers_.assign(batch.announcements.size(), {});
  answered_ = 0;
  for (std::size_t i = 0; i < batch.announcements.size(); ++i) {
    const auto on_receipt = [this, i](const Result<client::Receipt>& receipt) {
      answers_[i] = {receipt.has_value(), receipt && receipt->duplicate};
      if (!receipt) refusal_ = receipt.error().message;
      if (++answered_ == answers_.size()) wake();
    };
    const auto event = to_event(options_.name, batch, batch.announcements[i], options_.events);
    if (const auto taken = client_->publish(event, on_receipt); !taken) {
      on_receipt(taken.error());
    }
  }
}

void StorageBucket::on_answered(const Now& now) {
  surroundings_.failpoint("storage.answered");
  unwritten_.emplace_back(core_.settle(std::exchange(answers_, {}), now.steady));
  answered_ = 0;
  if (!refusal_.empty()) {
    complain("the broker refused announcements, which are tried again: " +
             std::exchange(refusal_, {}));
  }
  write(std::nullopt);
  surroundings_.failpoint("storage.settled");
  if (client_name_ == core_.ledger().publisher()) return;
  if (auto opened = open_client(); !opened) complain(opened.error().message);
}

// Once for each new trouble, else once a minute.
void StorageBucket::complain(const std::string& message) {
  const bool news = message != last_trouble_;
  if (!trouble_.allow(loop_.now().steady) && !news) return;
  last_trouble_ = message;
  spdlog::error("bucket {}: {}", options_.name, message);
}

void StorageBucket::stop() {
  stopping_ = true;
  wake();
}

StorageBucketStatus StorageBucket::status() const {
  StorageBucketStatus status;
  status.name = options_.name;
  status.away = away_;
  status.files = core_.ledger().files();
  status.directories = watches_ ? watches_->size() : 0;
  status.waiting = core_.waiting();
  status.unwatched = unwatched_;
  status.unreadable = unreadable_;
  status.unnameable = unnameable_;
  status.scans = scans_;
  status.queue_overflows = queue_overflows_;
  status.ledger_bytes = file_.bytes();
  status.scanning = full_scan_ || sweeping_ || core_.scan_wanted();
  status.in_flight = core_.ledger().in_flight().has_value();
  status.counters = core_.counters();
  return status;
}

}  // namespace fanfare::triggers
