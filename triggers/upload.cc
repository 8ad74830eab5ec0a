#include "triggers/upload.h"

#include <deque>

namespace fanfare::triggers {
namespace {

constexpr std::size_t kChunkBytes = 64u << 10;

// What nobody hears any more.
const Error kAbandoned = stale("the request is gone");

}  // namespace

struct Upload::OnDisk {
  explicit OnDisk(std::shared_ptr<UploadFolder> folder) : files(std::move(folder)) {}

  UploadedFiles files;
  std::optional<Error> error;  // the first one; nothing is tried after it
};

struct Upload::State {
  std::size_t unwritten = 0;
  // Jobs know them weakly: those of an upload that was given up wait for a disk that may be dead,
  // and hold no memory meanwhile.
  std::deque<std::shared_ptr<const std::string>> chunks;
  std::optional<Error> error;
  std::function<void()> on_progress;
  Done done;

  void note(std::size_t bytes, const Result<void>& outcome) {
    unwritten -= bytes;
    if (bytes > 0) chunks.pop_front();
    if (!outcome && !error) error = outcome.error();
    if (const auto call = on_progress) call();
  }
};

Upload::Upload(std::shared_ptr<DiskThreads> disk, std::shared_ptr<UploadFolder> folder)
    : disk_(std::move(disk)),
      lane_(disk_->new_lane()),
      folder_(folder),
      on_disk_(std::make_shared<OnDisk>(std::move(folder))),
      state_(std::make_shared<State>()) {}

Upload::~Upload() {
  disk_->run(lane_, [on_disk = std::move(on_disk_), keep = keep_] { on_disk->files.settle(keep); });
}

const std::string& Upload::bucket() const {
  return folder_->bucket();
}

void Upload::on_progress(std::function<void()> fn) {
  state_->on_progress = std::move(fn);
}

void Upload::begin_file(const std::string& name) {
  add_job([name](UploadedFiles& files) { return files.begin(name); }, 0);
}

void Upload::write(std::string_view bytes) {
  chunk_ += bytes;
  if (chunk_.size() >= kChunkBytes) flush();
}

void Upload::flush() {
  if (chunk_.empty()) return;
  const auto& chunk =
      state_->chunks.emplace_back(std::make_shared<const std::string>(std::exchange(chunk_, {})));
  add_job(
      [weak = std::weak_ptr(chunk)](UploadedFiles& files) -> Result<void> {
        const auto bytes = weak.lock();
        return bytes ? files.write(*bytes) : kAbandoned;
      },
      chunk->size());
}

void Upload::end_file() {
  flush();
  add_job([](UploadedFiles& files) { return files.end(); }, 0);
}

std::size_t Upload::unwritten() const {
  return state_->unwritten + chunk_.size();
}

const std::optional<Error>& Upload::error() const {
  return state_->error;
}

// Nothing that belongs to the loop goes to the other thread but weakly, and back.
void Upload::add_job(std::function<Result<void>(UploadedFiles&)> job, std::size_t bytes) {
  state_->unwritten += bytes;
  disk_->run(lane_, [disk = disk_.get(), on_disk = on_disk_, state = std::weak_ptr(state_), bytes,
                     job = std::move(job)] {
    if (state.expired() && !on_disk->error) on_disk->error = kAbandoned;
    const Result<void> outcome = on_disk->error ? *on_disk->error : job(on_disk->files);
    if (bytes == 0 && outcome) return;
    if (!outcome) on_disk->error = outcome.error();
    disk->tell_loop([state, bytes, outcome] {
      if (const auto known = state.lock()) known->note(bytes, outcome);
    });
  });
}

void Upload::put_into_place(std::string form, std::string repeat_key, Done done) {
  state_->done = std::move(done);
  disk_->run(lane_, [disk = disk_.get(), on_disk = on_disk_, state = std::weak_ptr(state_),
                     form = std::move(form), repeat_key = std::move(repeat_key)] {
    using Placed = Result<std::vector<StoredFile>>;
    const Placed placed =
        on_disk->error ? Placed{*on_disk->error} : on_disk->files.put_into_place(form, repeat_key);
    disk->tell_loop([state, placed] {
      const auto known = state.lock();
      if (const auto call = known ? std::exchange(known->done, {}) : Done{}) call(placed);
    });
  });
}

}  // namespace fanfare::triggers
