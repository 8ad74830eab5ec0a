#include "worker/instance_runtime.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/event.h"
#include "worker/abi_event.h"
#include "worker/asked.h"
#include "worker/instance_parts.h"

namespace fanfare::worker {
namespace {

// A worker hears of finished items at the end of a batch, and this often within a long one.
constexpr std::int64_t kBellEveryNs = 200'000;
// Asking how long the log is costs as much as a short handler. So it is asked after every item only
// of functions that print; of others after every item that takes 10 µs, and of shorter ones
// every 50. The first line after a long silence may thus be booked to an item that ran up to 50 µs
// later.
constexpr std::int64_t kLongItemNs = 10'000;
constexpr std::int64_t kLookEveryNs = 50'000;
constexpr std::uint32_t kPrintsForItems = 1024;

void flush_printed() {
  std::cout.flush();
  std::fflush(stdout);
}

abi::Text text(std::string_view view) {
  return {view.data(), view.size()};
}

}  // namespace

InstanceRuntime::InstanceRuntime(const LoadedFunction& function, Parts parts)
    : function_(function),
      parts_(std::move(parts)),
      store_({.get =
                  [this](std::string_view key) {
                    return read_rows({.kind = RowRequest::Kind::kGet, .key = std::string{key}});
                  },
              .list =
                  [this](std::string_view prefix, std::string_view after, std::uint32_t rows_max) {
                    return read_rows({.kind = RowRequest::Kind::kList,
                                      .rows_max = rows_max,
                                      .key = std::string{prefix},
                                      .after = std::string{after}});
                  }}) {}

void InstanceRuntime::run() {
  // Fresh pages: only as much of it becomes resident as the largest batch needs.
  constexpr std::size_t kBufferBytes = kFrameBytesMax + 4096;
  void* pages =
      ::mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return;
  const std::span<char> buffer(static_cast<char*>(pages), kBufferBytes);
  handler_thread_ = std::this_thread::get_id();
  ReceivedBatch batch;
  std::span<const char> frame;
  std::vector<Fd> fds;
  while (receive_next(buffer, frame, fds)) {
    if (const auto ok = decode_batch({frame.data(), frame.size()}, batch); !ok) {
      std::fprintf(stderr, "fanfare-instance: %s\n", ok.error().message.c_str());
      return;
    }
    run_batch(batch, fds);
  }
}

// False once the worker has let go.
bool InstanceRuntime::receive_next(std::span<char> buffer, std::span<const char>& frame,
                                   std::vector<Fd>& fds) {
  if (!kept_.empty()) {
    Kept next = std::move(kept_.front());
    kept_.pop_front();
    std::ranges::copy(next.frame, buffer.begin());
    frame = buffer.first(next.frame.size());
    fds = std::move(next.fds);
    return true;
  }
  auto received = receive_message(parts_.channel.get(), buffer, {});
  if (!received) return false;
  frame = buffer.first(received->size);
  fds = std::move(received->fds);
  return true;
}

void InstanceRuntime::run_batch(ReceivedBatch& batch, std::span<const Fd> fds) {
  batch_ = batch.header;
  if (batch_.flags & BatchHeader::kTruncateLog) {
    look_at_log();  // what is still in a buffer goes, too
    if (::ftruncate(parts_.log.get(), 0) == 0) log_end_ = 0;
  }
  if (!parts_.board.begin_batch(batch_.sheet, batch_.number, batch_.items)) return;
  now_ns_ = last_bell_ns_ = last_look_ns_ = monotonic_ns();
  if (batch_.flags & BatchHeader::kTogether) return run_together(batch, fds);
  std::size_t next_fd = 0;
  for (item_ = 0; item_ < batch_.items; ++item_) {
    if (!parts_.board.begin_item(batch_.sheet, now_ns_)) {
      ring(Doorbell::Kind::kFinished, {});  // for those before it
      return;
    }
    const ReceivedItem& item = batch.items[item_];
    if (item.header.flags & ItemHeader::kInMemfd) {
      const int memfd = next_fd < fds.size() ? fds[next_fd++].get() : -1;
      const MappedEvent event(memfd, item.header.size);
      run_item(item, event.ok() ? std::optional(event.bytes()) : std::nullopt);
    } else {
      run_item(item, item.packed_event);
    }
    const bool last = item_ + 1 == batch_.items;
    if (last || now_ns_ - last_bell_ns_ > kBellEveryNs) {
      last_bell_ns_ = now_ns_;
      ring(Doorbell::Kind::kFinished, {});
    }
  }
}

void InstanceRuntime::run_item(const ReceivedItem& item,
                               std::optional<std::string_view> packed_event) {
  finished_ = false;
  forget_progress();
  forget_asked();
  if (store_.written()) store_.forget();
  if (!started_ && !run_start_hook()) return;

  if (!packed_event) {
    return finish_failed(protocol::Outcome::kOutOfMemory, "OutOfMemory",
                         "there is no memory left to map the event into", abi::kRetryable, 0);
  }
  const AbiEvent event(item.header.id, *packed_event);
  if (event.problem()) {
    return finish_failed(protocol::Outcome::kFunctionError, "MalformedEvent", *event.problem(), 0,
                         0);
  }
  const abi::Context context = context_for(item.header.attempt, item.header.timeout_ns);
  const abi::Answer answer{
      .host = this,
      .output =
          [](void* host, abi::Text content_type, abi::Text data) {
            static_cast<InstanceRuntime*>(host)->finish_ok(view(content_type), view(data));
          },
      .failure =
          [](void* host, abi::Text type, abi::Text message, std::uint32_t flags,
             std::int64_t retry_after_ms) {
            const bool memory = (flags & abi::kOutOfMemory) != 0;
            static_cast<InstanceRuntime*>(host)->finish_failed(
                memory ? protocol::Outcome::kOutOfMemory : protocol::Outcome::kFunctionError,
                view(type), view(message), flags, retry_after_ms);
          }};
  function_.handle(event.event(), context, answer);
  if (!finished_) {
    finish_failed(protocol::Outcome::kFunctionError, "NoAnswer",
                  "the handler returned without an output or a failure", abi::kRetryable, 0);
  }
}

abi::Context InstanceRuntime::context_for(std::uint32_t attempt, std::int64_t timeout_ns) {
  abi::Context context{.function = text(parts_.function),
                       .attempt = attempt,
                       .deadline_ns = now_ns_ + timeout_ns,
                       .host = this,
                       .log =
                           [](void* host, std::uint32_t level, abi::Text line) {
                             static_cast<InstanceRuntime*>(host)->write_log_line(level, view(line));
                           },
                       .progress =
                           [](void* host, double fraction, abi::Text note) {
                             static_cast<InstanceRuntime*>(host)->report_progress(fraction,
                                                                                  view(note));
                           },
                       .publish =
                           [](void* host, const abi::NewEvent* made) {
                             try {
                               return text(static_cast<InstanceRuntime*>(host)->publish(*made));
                             } catch (const std::bad_alloc&) {
                               return text("there is no memory left to keep the event in");
                             }
                           }};
  offer_store(context);
  offer_invoke(context);
  return context;
}

// Part of the first item's run, so that a hook that crashes or hangs is seen like a handler that
// does.
bool InstanceRuntime::run_start_hook() {
  const auto failed = function_.start();
  if (failed) {
    finish_failed(protocol::Outcome::kInitFailed, failed->type, failed->message,
                  failed->retryable ? abi::kRetryable : 0, 0);
  }
  return started_ = !failed;
}

void InstanceRuntime::finish_ok(std::string_view content_type, std::string_view data) {
  if (finished_) return;
  if (data.size() > parts_.result_bytes_max) {
    return finish_failed(protocol::Outcome::kFunctionError, protocol::kResultTooLarge,
                         too_large(data.size(), parts_.result_bytes_max), 0, 0);
  }
  ResultHeader header{.outcome = protocol::Outcome::kOk};
  const ResultTexts texts{content_type.substr(0, kContentTypeMax), {}, {}, data, {}};
  if (!any_asked_ && !store_.written()) return finish(header, texts);
  const std::lock_guard lock(asked_mutex_);
  if (store_.written()) append_asked(asked_, Asked::Kind::kWriteRows, store_.packed());
  any_asked_ = true;
  finish(header, {texts.content_type, {}, {}, data, asked_});
}

void InstanceRuntime::finish_failed(protocol::Outcome outcome, std::string_view type,
                                    std::string_view message, std::uint32_t abi_flags,
                                    std::int64_t retry_after_ms) {
  if (finished_) return;
  ResultHeader header{.outcome = outcome};
  if (abi_flags & abi::kRetryable) header.flags |= ResultHeader::kRetryable;
  if (abi_flags & abi::kHasRetryAfter) {
    header.flags |= ResultHeader::kHasRetryAfter;
    header.retry_after_ms = retry_after_ms;
  }
  finish(header, {{}, type.substr(0, kTypeMax), message.substr(0, kMessageMax), {}});
}

// Says where the texts are: beside the header, or, where there is no room, in a memfd.
void InstanceRuntime::place(ResultHeader& header, ResultTexts& texts) {
  header.item = item_;
  header.content_type_size = static_cast<std::uint16_t>(texts.content_type.size());
  header.type_size = static_cast<std::uint16_t>(texts.type.size());
  header.message_size = static_cast<std::uint16_t>(texts.message.size());
  header.data_size = texts.data.size();
  header.asked_size = static_cast<std::uint32_t>(texts.asked.size());
  if (!parts_.board.fits(batch_.sheet, header.payload_size())) {
    if (send_texts(texts)) {
      header.flags |= ResultHeader::kInMemfd;
    } else {
      // Without texts, which may not fit either; the header always does.
      header = {.item = item_,
                .outcome = protocol::Outcome::kOutOfMemory,
                .flags = ResultHeader::kRetryable};
      texts = {};
    }
  }
}

void InstanceRuntime::finish(ResultHeader& header, ResultTexts texts) {
  finished_ = true;
  place(header, texts);
  header.started_ns = now_ns_;
  now_ns_ = monotonic_ns();
  header.duration_ns = now_ns_ - header.started_ns;
  const bool last = item_ + 1 == batch_.items;
  header.log.from = log_end_;
  if (last || printed_lately_ > 0 || header.outcome != protocol::Outcome::kOk ||
      header.duration_ns > kLongItemNs || now_ns_ - last_look_ns_ > kLookEveryNs) {
    look_at_log();
  }
  header.log.to = log_end_;
  if (last || now_ns_ - last_bell_ns_ > kBellEveryNs) {
    parts_.board.set_peak_memory_kb(peak_memory_kb());
  }
  parts_.board.finish_item(batch_.sheet, header, texts);
}

void InstanceRuntime::look_at_log() {
  flush_printed();
  last_look_ns_ = now_ns_;
  const off_t end = ::lseek(parts_.log.get(), 0, SEEK_END);
  if (end >= 0 && static_cast<std::uint64_t>(end) != log_end_) {
    log_end_ = static_cast<std::uint64_t>(end);
    printed_lately_ = kPrintsForItems;
  } else if (printed_lately_ > 0) {
    --printed_lately_;
  }
}

bool InstanceRuntime::send_texts(const ResultTexts& texts) {
  const auto memfd = make_sealed_memfd(
      "fanfare-result",
      std::array{texts.content_type, texts.type, texts.message, texts.data, texts.asked});
  return memfd && ring(Doorbell::Kind::kResult, std::array{memfd->get()});
}

bool InstanceRuntime::ring(Doorbell::Kind kind, std::span<const int> fds) {
  const Doorbell bell{.kind = kind, .item = item_, .batch = batch_.number};
  // A plain doorbell may be lost when the queue is full: the worker has others to read then. One
  // with a result waits. If the worker is gone, the next receive says so.
  const auto sent =
      send_message(parts_.channel.get(), {reinterpret_cast<const char*>(&bell), sizeof bell}, fds,
                   {.dont_wait = kind == Doorbell::Kind::kFinished});
  return sent.has_value();
}

void InstanceRuntime::write_log_line(std::uint32_t level, std::string_view line) {
  static constexpr std::array kNames{"debug", "info", "warning", "error"};
  const char* name = kNames[std::min<std::size_t>(level, kNames.size() - 1)];
  std::fprintf(stdout, "[%s] %.*s\n", name, static_cast<int>(line.size()), line.data());
}

void InstanceRuntime::forget_progress() {
  const std::lock_guard lock(progress_mutex_);
  if (std::exchange(progressed_, false)) parts_.board.clear_progress();
}

void InstanceRuntime::report_progress(double fraction, std::string_view note) {
  const std::lock_guard lock(progress_mutex_);
  progressed_ = true;
  parts_.board.set_progress(fraction, note);
}

void InstanceRuntime::forget_asked() {
  if (!any_asked_) return;
  const std::lock_guard lock(asked_mutex_);
  any_asked_ = false;
  asked_.clear();
  published_ = published_bytes_ = 0;
}

// Kept until the handler succeeds. What can be wrong with it is said here, to whom it concerns.
std::string_view InstanceRuntime::publish(const abi::NewEvent& event) {
  const std::lock_guard lock(asked_mutex_);
  const auto no = [this](std::string why) -> std::string_view { return refusal_ = std::move(why); };
  if (together_) return no("a call for a batch of events has no result that could carry an event");
  if (published_ >= kPublishedMax) {
    return no("an attempt may publish " + std::to_string(kPublishedMax) + " events");
  }
  protocol::Event made;
  made.source = view(event.source);
  if (made.source.empty()) made.source = "/functions/" + parts_.function;
  made.type = view(event.type);
  made.subject = view(event.subject);
  made.content_type = view(event.content_type);
  made.data = view(event.data);
  for (std::size_t i = 0; i < event.extension_count; ++i) {
    made.extensions.emplace_back(view(event.extensions[i].name), view(event.extensions[i].value));
  }
  if (event.delay_ms < 0) return no("the delay of an event cannot be negative");
  if (event.delay_ms > 0) made.options.delay = event.delay_ms;
  const std::string packed = protocol::pack(made);
  if (const auto viewed = protocol::view_event(packed); !viewed) {
    return no(viewed.error().message);
  }
  if (published_bytes_ + packed.size() > kPublishedBytesMax) {
    return no("an attempt may publish " + std::to_string(kPublishedBytesMax) +
              " bytes of events, attributes included");
  }
  any_asked_ = true;
  append_asked(asked_, Asked::Kind::kPublish, packed);
  ++published_;
  published_bytes_ += packed.size();
  return {};
}

}  // namespace fanfare::worker
