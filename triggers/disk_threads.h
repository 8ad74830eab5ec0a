// Threads that wait for disks, so that the loop does not have to.
//
// Work is queued in lanes: the jobs of one lane run one after the other, in their order, and lanes
// take turns on the threads. So a slow lane holds up a thread at most; but each disk that may hang
// has threads of its own, as its lanes may be as many as there are requests.
// Lanes are not bounded here: who fills one looks at what it has queued.
#pragma once

#include <functional>
#include <memory>

#include "base/loop.h"
#include "base/time.h"

namespace fanfare::triggers {

class DiskThreads {
 public:
  DiskThreads(Loop& loop, unsigned threads);
  ~DiskThreads();  // stop()
  DiskThreads(const DiskThreads&) = delete;
  DiskThreads& operator=(const DiskThreads&) = delete;

  // From the loop's thread, before the loop goes: what is queued is done, then the threads end.
  // Jobs that come later are done where they come from; the loop hears of nothing any more.
  void stop();
  // The same, if it takes no longer than `patience`. False: a disk does not answer. The threads
  // wait for it still, and so would stop(): nothing is left but to end the process without them.
  bool stop_within(Duration patience);

  class Lane;
  std::shared_ptr<Lane> new_lane() const;
  void run(const std::shared_ptr<Lane>& lane, std::function<void()> job);
  // For jobs: has the loop run `fn`.
  void tell_loop(std::function<void()> fn);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::triggers
