#include "triggers/disk_threads.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace fanfare::triggers {

class DiskThreads::Lane {
 public:
  std::deque<std::function<void()>> jobs;  // under the mutex of Impl
  bool queued = false;                     // in `ready`, or a job of it runs
};

struct DiskThreads::Impl {
  explicit Impl(Loop& the_loop) : loop(the_loop) {}

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !ready.empty(); });
      if (ready.empty()) break;
      const std::shared_ptr<Lane> lane = std::move(ready.front());
      ready.pop_front();
      auto job = std::move(lane->jobs.front());
      lane->jobs.pop_front();
      lock.unlock();
      job();
      job = nullptr;  // what it holds goes here, too, and not under the lock
      lock.lock();
      lane->queued = !lane->jobs.empty();
      if (lane->queued) ready.push_back(lane);
    }
    --working;
    ended.notify_all();
  }

  void begin_stop() {
    const std::lock_guard lock(mutex);
    stopping = true;
    wake.notify_all();
  }

  Loop& loop;
  std::mutex mutex;
  std::condition_variable wake, ended;
  std::deque<std::shared_ptr<Lane>> ready;
  bool stopping = false;
  unsigned working = 0;  // threads that have not ended
  std::vector<std::thread> threads;
};

DiskThreads::DiskThreads(Loop& loop, unsigned threads) : impl_(std::make_unique<Impl>(loop)) {
  impl_->working = threads;
  for (unsigned i = 0; i < threads; ++i) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
  }
}

DiskThreads::~DiskThreads() {
  stop();
}

void DiskThreads::stop() {
  impl_->begin_stop();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

bool DiskThreads::stop_within(Duration patience) {
  impl_->begin_stop();
  {
    std::unique_lock lock(impl_->mutex);
    if (!impl_->ended.wait_for(lock, patience, [this] { return impl_->working == 0; })) {
      return false;
    }
  }
  stop();
  return true;
}

std::shared_ptr<DiskThreads::Lane> DiskThreads::new_lane() const {
  return std::make_shared<Lane>();
}

void DiskThreads::run(const std::shared_ptr<Lane>& lane, std::function<void()> job) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->stopping) {
      lane->jobs.push_back(std::move(job));
      if (std::exchange(lane->queued, true)) return;
      impl_->ready.push_back(lane);
      impl_->wake.notify_one();
      return;
    }
  }
  job();
}

void DiskThreads::tell_loop(std::function<void()> fn) {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->stopping) impl_->loop.post_from_any_thread(std::move(fn));
}

}  // namespace fanfare::triggers
