// The life of an instance: take a batch, run the function on each event, write down each result.
//
// Runs in the instance's process, on its only thread, beside foreign code that may crash or be
// killed at any point. So each result is complete on the board before the next item begins.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/spin.h"
#include "worker/board.h"
#include "worker/channel.h"
#include "worker/invoke_channel.h"
#include "worker/loaded_function.h"
#include "worker/own_store.h"
#include "worker/row_channel.h"

namespace fanfare::worker {

class InstanceRuntime {
 public:
  struct Parts {
    std::string function;  // its name
    std::uint64_t result_bytes_max = 1 << 20;
    Fd channel;
    Board board;
    Fd log;  // what stdout and stderr are, too
  };
  InstanceRuntime(const LoadedFunction& function, Parts parts);

  // Until the worker closes the channel.
  void run();

 private:
  void run_batch(ReceivedBatch& batch, std::span<const Fd> fds);
  // Without bytes when they could not be mapped.
  void run_item(const ReceivedItem& item, std::optional<std::string_view> packed_event);
  abi::Context context_for(std::uint32_t attempt, std::int64_t timeout_ns);
  // instance_batch.cc: all items in one call of the function.
  struct Together;
  void run_together(ReceivedBatch& batch, std::span<const Fd> fds);
  void call_together(ReceivedBatch& batch, std::span<const Fd> fds, Together& together);
  void write_together(Together& together);
  bool run_start_hook();
  // How an item ends; once for each. Both are called with views that die with the call.
  void finish_ok(std::string_view content_type, std::string_view data);
  void finish_failed(protocol::Outcome outcome, std::string_view type, std::string_view message,
                     std::uint32_t abi_flags, std::int64_t retry_after_ms);
  void finish(ResultHeader& header, ResultTexts texts);
  void place(ResultHeader& header, ResultTexts& texts);
  void look_at_log();
  bool send_texts(const ResultTexts& texts);
  bool ring(Doorbell::Kind kind, std::span<const int> fds);
  void write_log_line(std::uint32_t level, std::string_view text);
  void forget_progress();
  void report_progress(double fraction, std::string_view note);
  void forget_asked();
  // Empty, or why it is not taken.
  std::string_view publish(const abi::NewEvent& event);
  // The store: asks the worker and waits, however long that takes.
  static void offer_store(abi::Context& context);
  template <typename Call>
  abi::Text on_store(Call call);
  template <typename Call>
  abi::Text change_store(Call call);
  Result<store::Rows> read_rows(RowRequest request);
  // Sends a request and waits for its answer's bytes, however long that takes; with a `spin` it
  // looks for them before it sleeps. Batches that come meanwhile are kept for later.
  Result<std::string> ask(std::uint64_t number, std::string_view request, std::span<const int> fds,
                          Spin* spin = nullptr);
  // instance_invoke.cc: other functions, through the worker.
  static void offer_invoke(abi::Context& context);
  InvokeAnswer invoke(std::string_view function, std::string_view data, std::int64_t timeout_ms);
  bool receive_next(std::span<char> buffer, std::span<const char>& frame, std::vector<Fd>& fds);

  const LoadedFunction& function_;
  Parts parts_;
  // What the running item asks for; its handler may have several threads.
  std::atomic<bool> any_asked_ = false;
  std::mutex asked_mutex_;  // of the following
  std::string asked_, refusal_;
  std::size_t published_ = 0, published_bytes_ = 0;
  std::atomic<bool> together_ = false;  // one call for all items: whose event would it be?
  // The store; of the handler's thread alone.
  OwnStore store_;
  std::thread::id handler_thread_;
  std::uint64_t last_request_ = 0;
  std::string store_refusal_;
  Spin invoke_spin_;
  std::string answer_frame_;  // room for what comes while a request waits; made by the first
  struct Kept {
    std::string frame;
    std::vector<Fd> fds;
  };
  std::deque<Kept> kept_;
  std::uint64_t log_end_ = 0;
  std::uint32_t printed_lately_ = 0;  // items to go until a silent function counts as one
  std::int64_t last_look_ns_ = 0;
  bool started_ = false;  // the start hook went well

  // The batch and the item that run.
  BatchHeader batch_;
  std::uint32_t item_ = 0;
  bool finished_ = false;
  std::int64_t now_ns_ = 0;  // when the item began; after it, when it ended
  std::int64_t last_bell_ns_ = 0;

  std::mutex progress_mutex_;  // handlers may report from threads of theirs
  bool progressed_ = false;    // by the item that runs
};

}  // namespace fanfare::worker
