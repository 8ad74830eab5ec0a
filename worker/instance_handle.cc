#include "worker/instance_handle.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "protocol/event.h"

namespace fanfare::worker {
namespace {

constexpr std::size_t kFailureMessageMax = 1024;

// Texts of a failure go into records and onto terminals: what is not printable UTF-8 becomes '?'.
void assign_printable(std::string& out, std::string_view text, std::size_t bytes_max) {
  text = text.substr(0, bytes_max);
  bool plain = true;
  for (const char c : text) plain &= c >= ' ' && c <= '~';
  if (plain) return void(out.assign(text));
  out.clear();
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xF0 && lead < 0xF5 ? 4
                                                             : 0;
    bool good = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; good && k < length; ++k) {
      good = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    }
    if (good && length == 3) {  // overlong forms and surrogates
      const auto second = static_cast<unsigned char>(text[i + 1]);
      good = !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second >= 0xA0);
    } else if (good && length == 4) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      good = !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second >= 0x90);
    } else if (good) {
      good = length == 2 || lead >= 0x20 || lead == '\n' || lead == '\t';
    }
    if (good) {
      out.append(text.substr(i, length));
    } else {
      out += '?';
    }
    i += good ? length : 1;
  }
}

bool is_an_answer(protocol::Outcome outcome) {
  using enum protocol::Outcome;
  return outcome == kOk || outcome == kFunctionError || outcome == kOutOfMemory ||
         outcome == kInitFailed;
}

}  // namespace

Result<Equipment> Equipment::make() {
  auto channel = make_channel();
  if (!channel) return channel.error();
  auto board = Board::create();
  if (!board) return board.error();
  auto log = LogBuffer::create();
  if (!log) return log.error();
  return Equipment{std::move(channel->first), std::move(channel->second), *std::move(board),
                   *std::move(log)};
}

InstanceHandle::InstanceHandle(std::uint64_t ticket, std::uint64_t result_bytes_max,
                               Equipment equipment)
    : ticket_(ticket),
      result_bytes_max_(result_bytes_max),
      channel_(std::move(equipment.channel)),
      instance_end_(std::move(equipment.instance_end)),
      board_(std::move(equipment.board)),
      log_(std::move(equipment.log)) {}

void InstanceHandle::forked(pid_t pid, Fd pidfd) {
  pid_ = pid;
  pidfd_ = std::move(pidfd);
}

std::size_t InstanceHandle::unfinished_batches() const {
  return static_cast<std::size_t>(
      std::count_if(sheets_.begin(), sheets_.end(), [](const OnSheet& on) { return on.busy(); }));
}

bool InstanceHandle::has_room() const {
  return unfinished_batches() < kSheets;
}

Result<InstanceHandle::Sent> InstanceHandle::send(std::span<const Item> items) {
  const auto free =
      std::find_if(sheets_.begin(), sheets_.end(), [](const OnSheet& on) { return !on.busy(); });
  if (items.empty() || free == sheets_.end()) return retry_later("two batches are unfinished");
  items = items.first(items_per_frame(items));

  const bool restart_log = unfinished_batches() == 0 && log_read_to_ > LogBuffer::kKeptBytes;
  const BatchHeader header{.number = next_batch_,
                           .sheet = static_cast<std::uint32_t>(free - sheets_.begin()),
                           .items = static_cast<std::uint32_t>(items.size()),
                           .flags = (restart_log ? BatchHeader::kTruncateLog : 0) |
                                    (items[0].together ? BatchHeader::kTogether : 0)};
  const auto batch = encode_batch(header, items);
  if (!batch) return batch.error();
  const std::array fds{batch->memfd.get()};
  if (const auto sent =
          send_message(channel_.get(), batch->frame, std::span(fds).first(batch->memfd ? 1 : 0),
                       {.dont_wait = true});
      !sent) {
    return sent.error();
  }
  *free = {.batch = next_batch_, .items = header.items};
  if (restart_log) {
    log_.restarted();
    log_read_to_ = handed_out_to_ = 0;
  }
  return Sent{.number = next_batch_++, .items = items.size()};
}

Result<void> InstanceHandle::take_results(ItemResults& results) {
  // An instance that closed its end, or is dead, may still have finished something.
  auto doorbells = read_doorbells();
  std::array<std::size_t, kSheets> order{0, 1};
  if (sheets_[0].batch > sheets_[1].batch) std::swap(order[0], order[1]);
  for (const std::size_t sheet : order) {
    if (!sheets_[sheet].busy()) continue;
    if (const auto taken = take_from(sheet, results); !taken) return taken;
    if (sheets_[sheet].busy()) break;  // later batches have not begun
  }
  return doorbells;
}

Result<void> InstanceHandle::read_doorbells() {
  while (true) {
    std::array<char, kInstanceMessageMax> message;
    auto received = receive_message(channel_.get(), message, {.dont_wait = true});
    if (!received) {
      if (received.error().kind == ErrorKind::kRetryLater) return {};
      return received.error();
    }
    Doorbell bell;
    if (received->size < sizeof bell) return reject("the instance sent something strange");
    std::memcpy(&bell, message.data(), sizeof bell);
    if (bell.kind == Doorbell::Kind::kReadRows || bell.kind == Doorbell::Kind::kInvoke) {
      auto noted = note_request(bell, {message.data(), received->size}, std::move(received->fds));
      return noted;  // it waits for the answer now, and says nothing before that
    }
    if (received->size != sizeof bell) return reject("the instance sent something strange");
    if (bell.kind == Doorbell::Kind::kFinished && is_last_word(bell)) return {};
    if (bell.kind != Doorbell::Kind::kResult) continue;
    if (received->fds.size() != 1 || large_.size() >= kSheets * kBatchItemsMax) {
      return reject("the instance sent a result without its bytes");
    }
    large_.push_back({bell.batch, bell.item, std::move(received->fds[0])});
  }
}

// Whether all that it was given is finished, so that it says nothing more until it is given more.
// To ask for what is not there costs as much as to read what is, and most wake-ups have one
// message.
bool InstanceHandle::is_last_word(const Doorbell& bell) const {
  if (bell.batch + 1 != next_batch_) return false;
  for (std::size_t sheet = 0; sheet < kSheets; ++sheet) {
    if (sheets_[sheet].batch != bell.batch) continue;
    const auto counts = board_.counts(sheet, bell.batch);
    return counts && counts->finished >= sheets_[sheet].items;
  }
  return false;
}

Result<void> InstanceHandle::note_request(const Doorbell& bell, std::string_view message,
                                          std::vector<Fd> fds) {
  if (waits_for_answer_) return reject("the instance asks before it has what it asked for");
  if (bell.kind == Doorbell::Kind::kReadRows) {
    auto request = decode_row_request(message);
    if (!request) return request.error();
    row_request_ = std::move(*request);
  } else {
    auto request = decode_invoke_request(message, fds);
    if (!request) return request.error();
    invoke_request_ = std::move(*request);
  }
  waits_for_answer_ = true;
  return {};
}

Result<void> InstanceHandle::send_rows(std::uint64_t number, const Result<store::Rows>& answer) {
  auto sent = send_answer(number, encode_rows(answer));
  if (sent || sent.error().kind != ErrorKind::kFatal) return sent;
  return send_answer(number,
                     encode_rows(reject("the rows cannot be passed on: " + sent.error().message)));
}

Result<void> InstanceHandle::send_invoked(std::uint64_t number, const InvokeAnswer& answer) {
  auto sent = send_answer(number, encode_invoked(answer));
  if (sent || sent.error().kind != ErrorKind::kFatal) return sent;
  return send_answer(
      number, encode_invoked(InvokeAnswer::refused(
                  "unavailable", "the output cannot be passed on: " + sent.error().message)));
}

// kFatal: there is no memfd for it, which a shorter answer would not need.
Result<void> InstanceHandle::send_answer(std::uint64_t number, std::string_view bytes) {
  BatchHeader header{.number = number, .flags = BatchHeader::kAnswer};
  std::string frame(sizeof header, '\0');
  Fd memfd;
  std::vector<int> fds;
  if (bytes.size() > kInlineEventMax) {
    auto made = make_sealed_memfd("fanfare-answer", std::array{bytes});
    if (!made) return fatal(made.error().message);
    memfd = std::move(*made);
    fds.push_back(memfd.get());
    header.flags |= BatchHeader::kAnswerInMemfd;
    header.memfd_size = static_cast<std::uint32_t>(bytes.size());
  } else {
    frame += bytes;
  }
  std::memcpy(frame.data(), &header, sizeof header);
  auto sent = send_message(channel_.get(), frame, fds, {.dont_wait = true});
  if (sent) waits_for_answer_ = false;
  return sent;
}

Result<void> InstanceHandle::take_from(std::size_t sheet, ItemResults& results) {
  OnSheet& on = sheets_[sheet];
  const auto counts = board_.counts(sheet, on.batch);
  if (!counts) return {};
  if (counts->finished > on.items) return reject("the instance finished more than it was given");
  while (on.taken < counts->finished) {
    if (const auto read = read_result(sheet, on, results.add()); !read) {
      results.drop_last();
      return read;
    }
    ++on.taken;
  }
  return {};
}

Result<void> InstanceHandle::read_result(std::size_t sheet, OnSheet& on, ItemResult& result) {
  ResultHeader header;
  // All texts for now: mostly the output is nearly all of them, and stays where it is.
  if (const auto read = board_.read(sheet, on.offset, header, result.output); !read) return read;
  if (header.item != on.taken) return reject("the instance's results are out of order");
  if (!is_an_answer(header.outcome)) return reject("the instance made up an outcome");
  if (header.data_size > result_bytes_max_) return reject("the instance sent too large a result");
  if (header.asked_size > kAskedBytesMax) return reject("the instance asks for too much");
  if (header.flags & ResultHeader::kInMemfd) {
    auto large = large_payload(on.batch, header);
    if (!large) return large.error();
    result.output = std::move(*large);
  }
  result.batch = on.batch;
  result.item = header.item;
  result.outcome = header.outcome;
  result.started_at = TimePoint(Duration(header.started_ns));
  result.duration = Duration(std::max<std::int64_t>(header.duration_ns, 0));
  result.peak_memory_kb = board_.peak_memory_kb();
  if (const auto taken = take_texts(header, result); !taken) return taken;
  if (!header.log.empty()) take_printed(header.log, result);
  return {};
}

// `result.output` holds all of them, and the output alone afterwards.
Result<void> InstanceHandle::take_texts(const ResultHeader& header, ItemResult& result) {
  const ResultTexts texts = split(header, result.output);
  assign_printable(result.content_type, texts.content_type, texts.content_type.size());
  if (header.outcome == protocol::Outcome::kOk && !texts.asked.empty()) {
    auto asked = read_asked(texts.asked);
    if (!asked) return asked.error();
    for (const Asked& one : *asked) {
      if (one.kind == Asked::Kind::kPublish && !protocol::unpack_event(one.bytes)) {
        return reject("the instance publishes what is no event");
      }
    }
    result.asked = std::move(*asked);
  }
  if (header.outcome != protocol::Outcome::kOk) {
    assign_printable(result.failure.type, texts.type, texts.type.size());
    assign_printable(result.failure.message, texts.message, kFailureMessageMax);
    result.failure.retryable = (header.flags & ResultHeader::kRetryable) != 0;
    if (header.flags & ResultHeader::kHasRetryAfter) {
      result.failure.retry_after_ms = std::max<std::int64_t>(header.retry_after_ms, 0);
    }
  }
  const auto at = static_cast<std::size_t>(texts.data.data() - result.output.data());
  result.output.resize(at + texts.data.size());
  result.output.erase(0, at);
  return {};
}

void InstanceHandle::take_printed(LogRange log, ItemResult& result) {
  LogBuffer::Text tail = log_.tail(log);
  result.log = log;
  result.log_tail = std::move(tail.text);
  result.log_truncated = tail.truncated;
  const LogRange fresh{std::max(log.from, handed_out_to_), log.to};
  if (fresh == log && !result.log_truncated) {
    result.printed = result.log_tail;  // nearly always: nothing more to read
  } else if (!fresh.empty()) {
    Output rest = read_output(fresh);
    result.printed = std::move(rest.text);
    result.printed_cut = rest.cut;
  }
  log_read_to_ = log.to;
  handed_out_to_ = std::max(handed_out_to_, std::min(log.to, log_.size()));
}

Result<std::string> InstanceHandle::large_payload(std::uint64_t batch, const ResultHeader& header) {
  const auto find = [&] {
    return std::find_if(large_.begin(), large_.end(), [&](const LargeResult& large) {
      return large.batch == batch && large.item == header.item;
    });
  };
  auto held = find();
  if (held == large_.end()) {  // sent since the doorbells were read
    (void)read_doorbells();    // whatever else it says will be said again
    held = find();
  }
  if (held == large_.end()) return reject("the instance announced a result and did not send it");
  auto payload = read_sealed_memfd(held->memfd.get(), header.payload_size());
  large_.erase(held);
  return payload;
}

std::vector<InstanceHandle::Kept> InstanceHandle::recall() {
  std::vector<Kept> kept;
  for (std::size_t sheet = 0; sheet < kSheets; ++sheet) {
    OnSheet& on = sheets_[sheet];
    if (!on.busy()) continue;
    // What it says beyond what it was given means nothing; what was taken it has started.
    const std::size_t started =
        std::clamp<std::size_t>(board_.recall(sheet, on.batch), on.taken, on.items);
    if (started == on.items) continue;
    on.items = static_cast<std::uint32_t>(started);
    kept.push_back({on.batch, started});
  }
  return kept;
}

std::optional<InstanceHandle::Running> InstanceHandle::running() const {
  for (std::size_t sheet = 0; sheet < kSheets; ++sheet) {
    if (!sheets_[sheet].busy()) continue;
    const auto counts = board_.counts(sheet, sheets_[sheet].batch);
    if (!counts || counts->started <= counts->finished) continue;
    if (counts->finished >= sheets_[sheet].items) continue;
    return Running{sheets_[sheet].batch, counts->finished, counts->started_at};
  }
  return std::nullopt;
}

LogBuffer::Text InstanceHandle::unfinished_log_tail() const {
  const bool begun = std::any_of(sheets_.begin(), sheets_.end(), [&](const OnSheet& on) {
    return on.busy() && board_.counts(static_cast<std::size_t>(&on - sheets_.data()), on.batch);
  });
  // Before its first batch an instance may have said why it could not start.
  if (!begun && next_batch_ > 2) return {};
  return log_.tail({log_read_to_, log_.size()});
}

InstanceHandle::Output InstanceHandle::read_output(LogRange range) {
  range.to = std::min(range.to, log_.size());  // an instance may claim anything
  if (range.empty()) return {};
  Output output;
  output.text = log_.tail(range, kPrintedMax).text;
  output.cut = range.to - range.from - output.text.size();
  handed_out_to_ = range.to;
  return output;
}

bool InstanceHandle::results_wait() const {
  for (std::size_t sheet = 0; sheet < kSheets; ++sheet) {
    if (!sheets_[sheet].busy()) continue;
    const auto counts = board_.counts(sheet, sheets_[sheet].batch);
    if (counts && counts->finished != sheets_[sheet].taken) return true;
  }
  return false;
}

std::optional<InstanceHandle::Output> InstanceHandle::take_output() {
  constexpr std::size_t kHalfLineMax = 4096;  // beyond it a line is told in pieces
  const auto at = running();
  const LogRange fresh{std::max(log_read_to_, handed_out_to_), log_.size()};
  if (!at || fresh.empty() || results_wait()) return std::nullopt;
  const std::uint64_t before = handed_out_to_;
  Output output = read_output(fresh);
  // What was read is the running item's if it is the one from before until now.
  const auto still = running();
  if (!still || still->batch != at->batch || still->item != at->item || results_wait()) {
    handed_out_to_ = before;
    return std::nullopt;
  }
  const std::size_t whole = output.text.rfind('\n') + 1;  // 0 if there is none
  if (const std::size_t half = output.text.size() - whole; half <= kHalfLineMax) {
    output.text.resize(whole);
    handed_out_to_ -= half;
  }
  output.running = *at;
  if (output.text.empty() && output.cut == 0) return std::nullopt;
  return output;
}

InstanceHandle::Output InstanceHandle::last_output() {
  const LogRange fresh{std::max(log_read_to_, handed_out_to_), log_.size()};
  return fresh.empty() ? Output{} : read_output(fresh);
}

void InstanceHandle::kill_group(int signal) {
  if (pid_ <= 0 || reaped_) return;
  // Not reaped: the pid is still its own. The group may not exist yet just after the fork.
  if (::kill(-pid_, signal) == 0) return;
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

std::optional<Ending> InstanceHandle::reap() {
  if (pid_ <= 0 || reaped_) return std::nullopt;
  siginfo_t info{};
  rusage usage{};
  // What it started and left in its process group goes with it. Before it is reaped: afterwards the
  // number of the group may be somebody else's.
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    if (errno != ECHILD) return std::nullopt;
    reaped_ = true;  // by somebody else, who has not said how it ended
    return Ending{};
  }
  if (info.si_pid == 0) return std::nullopt;
  (void)::kill(-pid_, SIGKILL);
  info = {};
  // The kernel's own waitid reports the resources used too; the C library's leaves them out.
  if (::syscall(SYS_waitid, P_PIDFD, pidfd_.get(), &info, WEXITED | WNOHANG, &usage) != 0 ||
      info.si_pid == 0) {
    return std::nullopt;
  }
  reaped_ = true;
  const auto time = [](const timeval& value) {
    return std::chrono::seconds(value.tv_sec) + std::chrono::microseconds(value.tv_usec);
  };
  return Ending{.code = info.si_code,
                .status = info.si_status,
                .out_of_memory = false,
                .peak_memory_kb = static_cast<std::uint32_t>(usage.ru_maxrss),
                .cpu_time = time(usage.ru_utime) + time(usage.ru_stime)};
}

}  // namespace fanfare::worker
