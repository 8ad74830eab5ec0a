// One instance as its worker holds it: send it batches, take its results, see how it ended.
//
// Made by ZygoteClient::fork and usable at once: batches wait in the socket until the process runs.
// Single-threaded; never blocks. Watch channel_fd() for reading: whenever it is readable call
// take_results() until the doorbells are read (one call does that); and pidfd(), once forked, which
// becomes readable when the process has ended: then take_results() a last time and reap().
// Destroying the handle closes the channel, which ends an idle instance.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "protocol/record.h"
#include "worker/board.h"
#include "worker/channel.h"
#include "worker/ending.h"
#include "worker/invoke_channel.h"
#include "worker/item_result.h"
#include "worker/log_buffer.h"
#include "worker/row_channel.h"

namespace fanfare::worker {

// What worker and instance share. It is nobody's yet, so it can be made before it is asked for:
// that is a dozen calls to the kernel which no cold start has to wait for then.
struct Equipment {
  static Result<Equipment> make();  // kRetryLater: out of descriptors or memory

  Fd channel, instance_end;
  Board board;
  LogBuffer log;
};

class InstanceHandle {
 public:
  // `result_bytes_max`: an output beyond it is refused here too, whatever the instance says.
  InstanceHandle(std::uint64_t ticket, std::uint64_t result_bytes_max, Equipment equipment);

  InstanceHandle(InstanceHandle&&) = default;
  InstanceHandle& operator=(InstanceHandle&&) = default;

  std::uint64_t ticket() const { return ticket_; }
  int channel_fd() const { return channel_.get(); }

  // Known once the zygote has forked (event Forked).
  void forked(pid_t pid, Fd pidfd);
  pid_t pid() const { return pid_; }          // 0 until then
  int pidfd() const { return pidfd_.get(); }  // -1 until then

  // ---- work ----

  // Whether a batch can be sent: fewer than two are unfinished.
  bool has_room() const;
  std::size_t unfinished_batches() const;
  // Sends the first items that fit into one batch (at most kBatchItemsMax) and says how many they
  // were; `number` names the batch in its results. kRetryLater: the socket is full, try after the
  // next results; kReconnect: the instance is gone.
  struct Sent {
    std::uint64_t number = 0;
    std::size_t items = 0;
  };
  Result<Sent> send(std::span<const Item> items);

  // Reads doorbells and appends all results that are finished, in order. An error means that the
  // instance broke the rules: kill it (results appended so far are good).
  Result<void> take_results(ItemResults& results);

  // Takes back what it has not started: per batch that lost some, how many of its items, from the
  // first, it keeps. A batch that keeps none is over.
  struct Kept {
    std::uint64_t batch = 0;
    std::size_t items = 0;
    bool operator==(const Kept&) const = default;
  };
  std::vector<Kept> recall();

  // The rows, or the function's end, that its running item waits for; once for each request. Only
  // one waits at a time.
  std::optional<RowRequest> take_row_request() { return std::exchange(row_request_, {}); }
  std::optional<InvokeRequest> take_invoke_request() { return std::exchange(invoke_request_, {}); }
  // Answers a request. kRetryLater: its socket is full; kReconnect: the instance is gone.
  Result<void> send_rows(std::uint64_t number, const Result<store::Rows>& answer);
  Result<void> send_invoked(std::uint64_t number, const InvokeAnswer& answer);

  // The item that runs now, or ran when the process ended.
  struct Running {
    std::uint64_t batch = 0;
    std::uint32_t item = 0;
    TimePoint started_at;
  };
  std::optional<Running> running() const;
  std::optional<Progress> progress() const { return board_.progress(); }
  std::uint32_t peak_memory_kb() const { return board_.peak_memory_kb(); }

  // ---- log ----

  // From the last finished item's end: what the running item, or the one that crashed, printed.
  LogBuffer::Text unfinished_log_tail() const;
  // What the running item has printed since it was asked last: whole lines, unless one is very
  // long; of more than kPrintedMax bytes the last. Nothing if nothing is new, or if results that
  // wait to be taken have a part in it.
  static constexpr std::size_t kPrintedMax = 64 * 1024;
  struct Output {
    Running running;
    std::string text;
    std::uint64_t cut = 0;  // bytes left out before it
  };
  std::optional<Output> take_output();
  // The rest of what the item printed that ran when the process ended.
  Output last_output();
  LogBuffer& log() { return log_; }
  const LogBuffer& log() const { return log_; }

  // ---- end ----

  // To the whole process group: SIGTERM at the deadline, SIGKILL after the grace. No effect once
  // reaped or before forked.
  void kill_group(int signal);
  // Nothing while it lives. After this the pid means nothing any more. The caller adds what its
  // memory cgroup says (Ending::out_of_memory).
  std::optional<Ending> reap();

  // ---- for ZygoteClient ----

  int board_memfd() const { return board_.memfd(); }
  Fd take_instance_end() { return std::move(instance_end_); }

 private:
  struct OnSheet {
    std::uint64_t batch = 0;
    std::uint32_t items = 0, taken = 0;
    std::size_t offset = 0;
    bool busy() const { return taken < items; }
  };
  struct LargeResult {
    std::uint64_t batch;
    std::uint32_t item;
    Fd memfd;
  };
  Result<void> read_doorbells();
  bool is_last_word(const Doorbell& bell) const;
  Result<void> note_request(const Doorbell& bell, std::string_view message, std::vector<Fd> fds);
  Result<void> send_answer(std::uint64_t number, std::string_view bytes);
  Result<void> take_from(std::size_t sheet, ItemResults& results);
  Result<void> read_result(std::size_t sheet, OnSheet& on, ItemResult& result);
  Result<void> take_texts(const ResultHeader& header, ItemResult& result);
  void take_printed(LogRange log, ItemResult& result);
  Output read_output(LogRange range);
  bool results_wait() const;
  Result<std::string> large_payload(std::uint64_t batch, const ResultHeader& header);

  std::uint64_t ticket_;
  std::uint64_t result_bytes_max_;
  Fd channel_, instance_end_;
  Board board_;
  LogBuffer log_;
  pid_t pid_ = 0;
  Fd pidfd_;
  bool reaped_ = false;
  std::uint64_t next_batch_ = 1;
  std::array<OnSheet, kSheets> sheets_{};
  std::deque<LargeResult> large_;
  std::uint64_t log_read_to_ = 0;
  std::uint64_t handed_out_to_ = 0;  // of the log: what take_output() and results have told
  std::optional<RowRequest> row_request_;
  std::optional<InvokeRequest> invoke_request_;
  bool waits_for_answer_ = false;
};

}  // namespace fanfare::worker
