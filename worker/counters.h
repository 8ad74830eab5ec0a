// What the worker has counted since it started: every drop, refusal and ending has its number.
#pragma once

#include <cstdint>

namespace fanfare::worker {

struct Counters {
  std::uint64_t delivered = 0;          // deliveries that arrived
  std::uint64_t delivered_unknown = 0;  // of functions nobody told us of: handed back
  std::uint64_t delivered_stale = 0;    // sent before the broker saw our Hello: it lends them anew
  std::uint64_t frames_malformed = 0;   // from the broker; ignored
  std::uint64_t refused_by_broker = 0;

  std::uint64_t attempts_ok = 0;
  std::uint64_t attempts_failed = 0;     // by the function's own doing
  std::uint64_t attempts_cancelled = 0;  // dropped or cut, as the broker said
  std::uint64_t attempts_drained = 0;    // handed back, run or not
  std::uint64_t attempts_throttled = 0;  // handed back: the machine gave no process to run it
  std::uint64_t results_too_large = 0;   // among attempts_failed
  std::uint64_t returned = 0;  // not begun when their instance died: another one took them
  std::uint64_t recalled = 0;  // not begun for long: taken from their instance, for another one

  std::uint64_t committed = 0;
  std::uint64_t commits_duplicate = 0;  // a repeat whose first reply was lost
  std::uint64_t commits_fenced = 0;     // another attempt had won: the result was dropped
  std::uint64_t commits_gone = 0;       // the delivery had ended: the result was dropped
  std::uint64_t commits_repeated = 0;   // calls sent again after a lost or busy reply
  std::uint64_t commits_refused = 0;  // deliveries whose result Redis refused: kept and tried again

  std::uint64_t row_reads = 0;               // requests of instances for rows of their stores
  std::uint64_t row_reads_refused = 0;       // by their form, or by Redis
  std::uint64_t row_writes_full = 0;         // attempts that failed: their store would be too large
  std::uint64_t row_writes_not_numbers = 0;  // attempts that failed: increments of what is none

  std::uint64_t invokes = 0;           // of functions by instances
  std::uint64_t invokes_local = 0;     // among them: taken to run here, without the broker
  std::uint64_t invokes_moved_on = 0;  // of these: that went to the broker after all
  std::uint64_t calls_local = 0;       // of callers on this host: taken to run here
  std::uint64_t calls_moved_on = 0;    // of these: told to ask the broker after all
  std::uint64_t calls_not_here = 0;    // told so at once
  std::uint64_t invokes_refused = 0;   // told to the instance: not passed on, refused or too late
  std::uint64_t invokes_left = 0;      // their instance had ended before the answer came

  std::uint64_t instances_brought_back = 0;  // before they were needed, by the function's habits
  std::uint64_t zygotes_started = 0;
  std::uint64_t zygotes_failed = 0;
  std::uint64_t instances_started = 0;
  std::uint64_t instances_borrowed = 0;  // among them: in a slot that was lent
  std::uint64_t instances_express = 0;   // among them: beside the slots, which long ones held
  std::uint64_t instances_failed = 0;    // could not be forked or set up
  std::uint64_t instances_crashed = 0;   // ended on their own
  std::uint64_t instances_recycled = 0;  // max_uses, memory, a new generation
  std::uint64_t instances_reaped = 0;    // idle too long, or their slot was needed
  std::uint64_t instances_broken = 0;    // broke the rules of the board and were killed
  std::uint64_t deadline_kills = 0;
  std::uint64_t forks_delayed = 0;  // held back because too many came at once

  std::uint64_t reports_left_out = 0;  // of the log: more than reports_per_second
  std::uint64_t output_lines_left_out = 0;
  std::uint64_t output_bytes_cut = 0;
};

}  // namespace fanfare::worker
