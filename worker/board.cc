#include "worker/board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "worker/padding.h"

namespace fanfare::worker {
namespace {

constexpr std::uint32_t kLayout = 0x46420002;  // "FB", version 2
constexpr std::size_t kStateBytes = 4096;
constexpr std::size_t kBoardBytes = kStateBytes + kSheets * kSheetBytes;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// Who may start what: the batch, how many of its items may be started, how many have been.
struct Gate {
  std::uint32_t batch = 0;  // the low bits of its number
  std::uint16_t limit = 0, started = 0;

  static Gate of(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint16_t>(word >> 16),
            static_cast<std::uint16_t>(word)};
  }
  std::uint64_t word() const {
    return std::uint64_t{batch} << 32 | std::uint64_t{limit} << 16 | started;
  }
  // Whether this one is of a younger batch.
  bool is_behind(std::uint32_t other) const { return static_cast<std::int32_t>(batch - other) > 0; }
};

Error system_error(const char* doing) {
  return retry_later(std::string(doing) + ": " + std::strerror(errno));
}

}  // namespace

struct Board::State {
  struct alignas(64) Sheet {
    std::atomic<std::uint64_t> batch;
    std::atomic<std::uint32_t> started;
    std::atomic<std::uint32_t> finished;
    std::atomic<std::int64_t> started_at_ns;
    std::atomic<std::uint64_t> gate;  // a Gate
  };
  std::uint32_t layout;
  std::atomic<std::uint32_t> peak_memory_kb;
  std::array<Sheet, kSheets> sheets;
  // Odd while it is being written.
  alignas(64) std::atomic<std::uint32_t> progress_version;
  std::atomic<std::uint32_t> progress_millionths;
  std::atomic<std::uint32_t> progress_set;
  std::atomic<std::uint32_t> note_size;
  std::array<std::atomic<char>, kProgressNoteMax> note;
};

Result<Board> Board::create() {
  static_assert(sizeof(State) <= kStateBytes);
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
  Fd memfd(::memfd_create("fanfare-board", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd) return system_error("making a board");
  if (::ftruncate(memfd.get(), kBoardBytes) != 0) return system_error("sizing a board");
  // A board that cannot shrink cannot take its reader down with SIGBUS.
  if (::fcntl(memfd.get(), F_ADD_SEALS, kSeals) != 0) return system_error("sealing a board");
  auto board = map(memfd.get());
  if (!board) return board;
  board->state().layout = kLayout;
  board->memfd_ = std::move(memfd);
  return board;
}

Result<Board> Board::attach(int memfd) {
  struct stat status{};
  if (::fstat(memfd, &status) != 0) return system_error("looking at a board");
  const auto foreign = [] {
    return reject("a board of another shape: worker and fanfare-instance are not of one build");
  };
  if (static_cast<std::size_t>(status.st_size) != kBoardBytes) return foreign();
  auto board = map(memfd);
  if (board && board->state().layout != kLayout) return foreign();
  return board;
}

Result<Board> Board::map(int memfd) {
  void* mapping = ::mmap(nullptr, kBoardBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
  if (mapping == MAP_FAILED) return system_error("mapping a board");
  return Board(Fd{}, mapping);
}

Board::Board(Board&& other) noexcept
    : memfd_(std::move(other.memfd_)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      writing_(other.writing_) {}

Board& Board::operator=(Board&& other) noexcept {
  std::swap(memfd_, other.memfd_);
  std::swap(mapping_, other.mapping_);
  std::swap(writing_, other.writing_);
  return *this;
}

Board::~Board() {
  if (mapping_) ::munmap(mapping_, kBoardBytes);
}

std::byte* Board::area(std::size_t sheet) const {
  return static_cast<std::byte*>(mapping_) + kStateBytes + sheet * kSheetBytes;
}

bool Board::begin_batch(std::size_t sheet, std::uint64_t batch, std::uint32_t items) {
  State::Sheet& state = this->state().sheets[sheet];
  const auto number = static_cast<std::uint32_t>(batch);
  std::uint64_t word = state.gate.load();
  do {
    const Gate gate = Gate::of(word);
    if (gate.is_behind(number) || (gate.batch == number && gate.limit == 0)) return false;
  } while (!state.gate.compare_exchange_weak(
      word, Gate{number, static_cast<std::uint16_t>(items), 0}.word()));
  writing_[sheet] = {.items = items};
  state.batch.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  state.started.store(0, std::memory_order_relaxed);
  state.finished.store(0, std::memory_order_relaxed);
  // Last: whoever sees the number sees the zeros too.
  state.batch.store(batch, std::memory_order_release);
  return true;
}

bool Board::begin_item(std::size_t sheet, std::int64_t now_ns) {
  State::Sheet& state = this->state().sheets[sheet];
  std::uint64_t word = state.gate.load();
  do {
    const Gate gate = Gate::of(word);
    if (gate.started >= gate.limit) return false;
  } while (!state.gate.compare_exchange_weak(word, word + 1));
  state.started_at_ns.store(now_ns, std::memory_order_relaxed);
  state.started.store(++writing_[sheet].started, std::memory_order_release);
  return true;
}

std::uint32_t Board::recall(std::size_t sheet, std::uint64_t batch) {
  State::Sheet& state = this->state().sheets[sheet];
  const auto number = static_cast<std::uint32_t>(batch);
  std::uint64_t word = state.gate.load();
  while (true) {
    Gate gate = Gate::of(word);
    if (gate.batch != number) gate = {.batch = number};  // it has not begun
    gate.limit = gate.started;
    if (state.gate.compare_exchange_weak(word, gate.word())) return gate.started;
  }
}

bool Board::fits(std::size_t sheet, std::size_t payload_size) const {
  const Writing& writing = writing_[sheet];
  const std::size_t to_come = writing.items - writing.finished;  // this one included
  const std::size_t reserved = writing.written + to_come * sizeof(ResultHeader);
  return payload_size <= kInlineResultMax && reserved + padded(payload_size) <= kSheetBytes;
}

void Board::finish_item(std::size_t sheet, const ResultHeader& header, const ResultTexts& texts) {
  Writing& writing = writing_[sheet];
  std::byte* at = area(sheet) + writing.written;
  std::memcpy(at, &header, sizeof header);
  at += sizeof header;
  writing.written += sizeof header;
  if (!(header.flags & ResultHeader::kInMemfd)) {
    for (const std::string_view part :
         {texts.content_type, texts.type, texts.message, texts.data, texts.asked}) {
      if (!part.empty()) std::memcpy(at, part.data(), part.size());
      at += part.size();
    }
    writing.written += padded(header.payload_size());
  }
  state().sheets[sheet].finished.store(++writing.finished, std::memory_order_release);
}

void Board::set_peak_memory_kb(std::uint32_t kb) {
  state().peak_memory_kb.store(kb, std::memory_order_relaxed);
}

void Board::set_progress(double fraction, std::string_view note) {
  State& state = this->state();
  const double clamped = std::isnan(fraction) ? 0 : std::clamp(fraction, 0.0, 1.0);
  note = note.substr(0, kProgressNoteMax);
  state.progress_version.fetch_add(1, std::memory_order_acq_rel);
  state.progress_millionths.store(static_cast<std::uint32_t>(clamped * 1e6));
  state.note_size.store(static_cast<std::uint32_t>(note.size()));
  for (std::size_t i = 0; i < note.size(); ++i) {
    state.note[i].store(note[i], std::memory_order_relaxed);
  }
  state.progress_set.store(1);
  state.progress_version.fetch_add(1, std::memory_order_acq_rel);
}

void Board::clear_progress() {
  State& state = this->state();
  state.progress_version.fetch_add(1, std::memory_order_acq_rel);
  state.progress_set.store(0);
  state.progress_version.fetch_add(1, std::memory_order_acq_rel);
}

std::optional<Board::Counts> Board::counts(std::size_t sheet, std::uint64_t batch) const {
  const State::Sheet& state = this->state().sheets[sheet];
  if (state.batch.load(std::memory_order_acquire) != batch) return std::nullopt;
  Counts counts;
  counts.finished = state.finished.load(std::memory_order_acquire);
  counts.started = state.started.load(std::memory_order_acquire);
  counts.started_at = TimePoint(Duration(state.started_at_ns.load(std::memory_order_relaxed)));
  return counts;
}

Result<void> Board::read(std::size_t sheet, std::size_t& offset, ResultHeader& header,
                         std::string& payload) const {
  if (offset + sizeof header > kSheetBytes) return reject("results run off the board");
  std::memcpy(&header, area(sheet) + offset, sizeof header);
  std::size_t end = offset + sizeof header;
  if (!(header.flags & ResultHeader::kInMemfd)) {
    if (header.data_size > kInlineResultMax || header.payload_size() > kSheetBytes - end) {
      return reject("a result runs off the board");
    }
    payload.assign(reinterpret_cast<const char*>(area(sheet) + end), header.payload_size());
    end += padded(header.payload_size());
  }
  offset = end;
  return {};
}

std::uint32_t Board::peak_memory_kb() const {
  return state().peak_memory_kb.load(std::memory_order_relaxed);
}

std::optional<Progress> Board::progress() const {
  const State& state = this->state();
  for (int attempt = 0; attempt < 8; ++attempt) {
    const std::uint32_t before = state.progress_version.load(std::memory_order_acquire);
    Progress progress;
    const bool set = state.progress_set.load() != 0;
    progress.fraction = std::min(state.progress_millionths.load() / 1e6, 1.0);
    const std::size_t size = std::min<std::size_t>(state.note_size.load(), kProgressNoteMax);
    for (std::size_t i = 0; i < size; ++i) {
      progress.note += state.note[i].load(std::memory_order_relaxed);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    const bool torn = before % 2 != 0 || state.progress_version.load() != before;
    if (!torn) return set ? std::optional(std::move(progress)) : std::nullopt;
  }
  return std::nullopt;  // it is being written all the time: the next look will do
}

ResultTexts split(const ResultHeader& header, std::string_view payload) {
  ResultTexts texts;
  const auto take = [&payload](std::size_t size) {
    const std::string_view part = payload.substr(0, size);
    payload.remove_prefix(part.size());
    return part;
  };
  texts.content_type = take(header.content_type_size);
  texts.type = take(header.type_size);
  texts.message = take(header.message_size);
  texts.data = take(header.data_size);
  texts.asked = take(header.asked_size);
  return texts;
}

}  // namespace fanfare::worker
