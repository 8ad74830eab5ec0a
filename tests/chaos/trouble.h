// Orders for trouble.so, in memory that the rig shares with the processes it is loaded into.
//
// trouble.so (LD_PRELOAD) takes the place of a few calls into the kernel and the C library. It does
// nothing until an order is given, and obeys at once, in all processes that share the file. It also
// takes SIGWINCH, without doing anything: so that this interrupts calls, which a signal that is
// ignored does not.
#pragma once

#include <atomic>
#include <cstdint>

namespace fanfare::chaos {

inline constexpr const char* kTroubleVariable = "CHAOS_TROUBLE";  // the file

struct TroubleOrders {
  // Added to the wall clock (CLOCK_REALTIME, gettimeofday, time), milliseconds.
  std::atomic<std::int64_t> wall_clock_ms;
  // Added to CLOCK_MONOTONIC, which no real machine does: for controls.
  std::atomic<std::int64_t> steady_clock_ms;
  // So many of the next fsync, fdatasync, or write calls on files of an append-only directory fail
  // with EIO.
  std::atomic<std::int32_t> failing_syncs, failing_writes;
  // Each sync of such a file takes so long, milliseconds.
  std::atomic<std::int32_t> slow_sync_ms;
  // If set, durable_bytes is kept: so much of the file that Redis appends to had been written when
  // a sync of it began that has succeeded since. No more of it survives a loss of power.
  std::atomic<std::int32_t> notes_durable;
  std::atomic<std::uint64_t> durable_bytes;
  // Out of a thousand calls, so many fail: malloc (ENOMEM; of 4 KiB and more), open, accept,
  // socket (EMFILE), fork and posix_spawn (EAGAIN), epoll_ctl that adds (ENOSPC), recv and send
  // (and sendmsg of streams, read and write of sockets: ECONNRESET; what was there, or was to go,
  // is lost with the connection).
  std::atomic<std::int32_t> malloc_per_mille, open_per_mille, accept_per_mille, socket_per_mille,
      fork_per_mille, epoll_per_mille, recv_per_mille, send_per_mille;
  // What has been done: so many calls have failed or were slow.
  std::atomic<std::uint64_t> failed_syncs, failed_writes, slow_syncs;
  std::atomic<std::uint64_t> failed_mallocs, failed_opens, failed_accepts, failed_sockets,
      failed_forks, failed_epolls, failed_recvs, failed_sends, interruptions;
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

}  // namespace fanfare::chaos
