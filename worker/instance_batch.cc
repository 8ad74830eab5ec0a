// Batches that the function takes in one call. Each item has its own answer; how long the call took
// is shared out among them, so that what is added up over items is right.
#include <deque>
#include <optional>

#include "worker/abi_event.h"
#include "worker/instance_parts.h"
#include "worker/instance_runtime.h"

namespace fanfare::worker {
namespace {

// What the handler said of one item.
struct Answered {
  bool done = false;
  protocol::Outcome outcome = protocol::Outcome::kOk;
  std::uint8_t flags = 0;
  std::int64_t retry_after_ms = 0;
  std::string content_type, type, message, data;
};

}  // namespace

struct InstanceRuntime::Together {
  std::vector<Answered> items;
  std::vector<std::size_t> item_of;  // by index of the events that the handler gets
  std::uint64_t result_bytes_max = 0;

  void fail(std::size_t item, protocol::Outcome outcome, std::string_view type,
            std::string_view message, std::uint32_t abi_flags, std::int64_t retry_after_ms = 0) {
    Answered& answered = items[item];
    if (std::exchange(answered.done, true)) return;
    answered.outcome = outcome;
    if (abi_flags & abi::kRetryable) answered.flags |= ResultHeader::kRetryable;
    if (abi_flags & abi::kHasRetryAfter) {
      answered.flags |= ResultHeader::kHasRetryAfter;
      answered.retry_after_ms = retry_after_ms;
    }
    answered.type = type.substr(0, kTypeMax);
    answered.message = message.substr(0, kMessageMax);
  }
  void fail_all(protocol::Outcome outcome, std::string_view type, std::string_view message,
                std::uint32_t abi_flags) {
    for (std::size_t i = 0; i < items.size(); ++i) fail(i, outcome, type, message, abi_flags);
  }
  void succeed(std::size_t item, std::string_view content_type, std::string_view data) {
    if (data.size() > result_bytes_max) {
      return fail(item, protocol::Outcome::kFunctionError, protocol::kResultTooLarge,
                  too_large(data.size(), result_bytes_max), 0);
    }
    Answered& answered = items[item];
    if (std::exchange(answered.done, true)) return;
    answered.content_type = content_type.substr(0, kContentTypeMax);
    answered.data = data;
  }
  abi::BatchAnswer answer() {
    return {.host = this,
            .output =
                [](void* host, std::size_t index, abi::Text content_type, abi::Text data) {
                  auto& me = *static_cast<Together*>(host);
                  if (index < me.item_of.size()) {
                    me.succeed(me.item_of[index], view(content_type), view(data));
                  }
                },
            .failure =
                [](void* host, std::size_t index, abi::Text type, abi::Text message,
                   std::uint32_t flags, std::int64_t retry_after_ms) {
                  auto& me = *static_cast<Together*>(host);
                  if (index >= me.item_of.size()) return;
                  const bool memory = (flags & abi::kOutOfMemory) != 0;
                  me.fail(
                      me.item_of[index],
                      memory ? protocol::Outcome::kOutOfMemory : protocol::Outcome::kFunctionError,
                      view(type), view(message), flags, retry_after_ms);
                }};
  }
};

void InstanceRuntime::run_together(ReceivedBatch& batch, std::span<const Fd> fds) {
  item_ = 0;
  if (!parts_.board.begin_item(batch_.sheet, now_ns_)) return;
  forget_progress();
  if (store_.written()) store_.forget();
  Together together;
  together.items.resize(batch_.items);
  together.result_bytes_max = parts_.result_bytes_max;
  together_ = true;
  call_together(batch, fds, together);
  together_ = false;
  together.fail_all(protocol::Outcome::kFunctionError, "NoAnswer",
                    "the handler returned without saying what became of this event",
                    abi::kRetryable);
  write_together(together);
}

void InstanceRuntime::call_together(ReceivedBatch& batch, std::span<const Fd> fds,
                                    Together& together) {
  if (!started_) {
    if (const auto failed = function_.start()) {
      return together.fail_all(protocol::Outcome::kInitFailed, failed->type, failed->message,
                               failed->retryable ? abi::kRetryable : 0);
    }
    started_ = true;
  }
  if (!function_.handles_batches()) {
    return together.fail_all(protocol::Outcome::kInitFailed, "NoBatchHandler",
                             "function.toml has batch.size, but the function takes one event: use "
                             "FANFARE_BATCH_FUNCTION of <fanfare/batch.h>",
                             0);
  }
  std::optional<MappedEvent> mapped;
  if (batch_.flags & BatchHeader::kItemsInMemfd) {
    mapped.emplace(fds.empty() ? -1 : fds[0].get(), batch_.memfd_size);
    if (!mapped->ok()) {
      return together.fail_all(protocol::Outcome::kOutOfMemory, "OutOfMemory",
                               "there is no memory left to map the events into", abi::kRetryable);
    }
    if (const auto ok = decode_items(mapped->bytes(), batch); !ok) {
      return together.fail_all(protocol::Outcome::kFunctionError, "MalformedBatch",
                               ok.error().message, abi::kRetryable);
    }
  }
  std::deque<AbiEvent> read;
  std::vector<abi::Event> events;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const ReceivedItem& item = batch.items[i];
    const AbiEvent& event = read.emplace_back(item.header.id, item.packed_event);
    if (event.problem()) {
      together.fail(i, protocol::Outcome::kFunctionError, "MalformedEvent", *event.problem(), 0);
      continue;
    }
    events.push_back(event.event());
    together.item_of.push_back(i);
  }
  if (events.empty()) return;
  const ItemHeader& first = batch.items[together.item_of[0]].header;
  function_.handle_batch(events, context_for(first.attempt, first.timeout_ns), together.answer());
}

void InstanceRuntime::write_together(Together& together) {
  const std::int64_t began_ns = now_ns_;
  now_ns_ = monotonic_ns();
  const std::int64_t share_ns =
      (now_ns_ - began_ns) / static_cast<std::int64_t>(together.items.size());
  LogRange log{log_end_, log_end_};
  look_at_log();
  log.to = log_end_;
  parts_.board.set_peak_memory_kb(peak_memory_kb());
  for (item_ = 0; item_ < batch_.items; ++item_) {
    const Answered& answered = together.items[item_];
    const std::int64_t from_ns = began_ns + share_ns * item_;
    // The call was theirs already when it began: nothing of it can be recalled.
    if (item_ > 0) (void)parts_.board.begin_item(batch_.sheet, from_ns);
    ResultHeader header{.outcome = answered.outcome,
                        .flags = answered.flags,
                        .retry_after_ms = answered.retry_after_ms};
    ResultTexts texts{answered.content_type, answered.type, answered.message, answered.data};
    place(header, texts);
    header.started_ns = from_ns;
    header.duration_ns = share_ns;
    header.log = log;
    parts_.board.finish_item(batch_.sheet, header, texts);
  }
  item_ = batch_.items - 1;
  ring(Doorbell::Kind::kFinished, {});
}

}  // namespace fanfare::worker
