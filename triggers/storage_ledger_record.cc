// The bytes of the ledger's records: a kind, then numbers (64 bits, big-endian) and texts behind
// their length (32 bits).
#include <limits>

#include "triggers/storage_ledger.h"

namespace fanfare::triggers {
namespace {

enum class RecordKind : std::uint8_t {
  kPublisher = 1,
  kRoot = 2,
  kSurveyed = 3,
  kNoted = 4,
  kForgotten = 5,
  kBatch = 6,
  kSettled = 7,
};

class RecordWriter {
 public:
  explicit RecordWriter(RecordKind kind) { bytes_ += static_cast<char>(kind); }
  RecordWriter& number(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_ += static_cast<char>(value >> shift);
    return *this;
  }
  RecordWriter& byte(std::uint8_t value) {
    bytes_ += static_cast<char>(value);
    return *this;
  }
  RecordWriter& text(std::string_view value) {
    const auto size = static_cast<std::uint32_t>(value.size());
    for (int shift = 24; shift >= 0; shift -= 8) bytes_ += static_cast<char>(size >> shift);
    bytes_ += value;
    return *this;
  }
  RecordWriter& version(const FileVersion& version) {
    return number(version.device)
        .number(version.inode)
        .number(static_cast<std::uint64_t>(version.mtime_ns))
        .number(version.size);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what is there; `fine` says at the end whether all of it was.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number() { return read(8); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(read(1)); }
  std::string text() {
    const auto size = static_cast<std::size_t>(read(4));
    return std::string(take(size));
  }
  FileVersion version() {
    FileVersion version;
    version.device = number();
    version.inode = number();
    version.mtime_ns = static_cast<std::int64_t>(number());
    version.size = number();
    return version;
  }
  std::size_t left() const { return rest_.size(); }
  bool fine() const { return fine_ && rest_.empty(); }
  void spoil() { fine_ = false; }
  bool spoilt() const { return !fine_; }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      fine_ = false;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint64_t read(std::size_t size) {
    std::uint64_t value = 0;
    for (const char c : take(size)) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
  }

  std::string_view rest_;
  bool fine_ = true;
};

struct EncodeRecord {
  std::string operator()(const PublisherNamed& r) const {
    return RecordWriter(RecordKind::kPublisher)
        .text(r.publisher)
        .number(r.next_sequence)
        .number(r.last_sequencer)
        .take();
  }
  std::string operator()(const RootNoted& r) const {
    return RecordWriter(RecordKind::kRoot).number(r.inode).take();
  }
  std::string operator()(const Surveyed&) const {
    return RecordWriter(RecordKind::kSurveyed).take();
  }
  std::string operator()(const Noted& r) const {
    return RecordWriter(RecordKind::kNoted).text(r.path).version(r.version).take();
  }
  std::string operator()(const Forgotten& r) const {
    return RecordWriter(RecordKind::kForgotten).text(r.path).take();
  }
  std::string operator()(const StorageBatch& r) const {
    RecordWriter writer(RecordKind::kBatch);
    writer.text(r.publisher).number(r.sequence).number(static_cast<std::uint64_t>(r.at_ms));
    writer.number(r.announcements.size());
    for (const auto& a : r.announcements) {
      writer.byte(static_cast<std::uint8_t>(a.change)).text(a.path).version(a.version);
      writer.number(a.sequencer);
    }
    return writer.take();
  }
  std::string operator()(const Settled& r) const {
    RecordWriter writer(RecordKind::kSettled);
    for (const bool taken : r.taken) writer.byte(taken ? 1 : 0);
    return writer.take();
  }
};

StorageBatch read_batch(RecordReader& reader) {
  StorageBatch batch;
  batch.publisher = reader.text();
  batch.sequence = reader.number();
  batch.at_ms = static_cast<std::int64_t>(reader.number());
  const std::uint64_t count = reader.number();
  for (std::uint64_t i = 0; i < count && !reader.spoilt(); ++i) {
    Announcement announcement;
    const std::uint8_t change = reader.byte();
    if (change != 1 && change != 2) reader.spoil();
    announcement.change = static_cast<StorageChange>(change);
    announcement.path = reader.text();
    announcement.version = reader.version();
    announcement.sequencer = reader.number();
    batch.announcements.push_back(std::move(announcement));
  }
  return batch;
}

Settled read_settled(RecordReader& reader) {
  Settled settled;
  while (reader.left() > 0) {
    const std::uint8_t taken = reader.byte();
    if (taken > 1) reader.spoil();
    settled.taken.push_back(taken == 1);
  }
  return settled;
}

}  // namespace

std::string encode(const LedgerRecord& record) {
  return std::visit(EncodeRecord{}, record);
}

Result<LedgerRecord> decode_ledger_record(std::string_view bytes) {
  RecordReader reader(bytes);
  LedgerRecord record;
  switch (static_cast<RecordKind>(reader.byte())) {
    case RecordKind::kPublisher: {
      PublisherNamed named;
      named.publisher = reader.text();
      named.next_sequence = reader.number();
      named.last_sequencer = reader.number();
      record = std::move(named);
      break;
    }
    case RecordKind::kRoot:
      record = RootNoted{reader.number()};
      break;
    case RecordKind::kSurveyed:
      record = Surveyed{};
      break;
    case RecordKind::kNoted: {
      Noted noted;
      noted.path = reader.text();
      noted.version = reader.version();
      record = std::move(noted);
      break;
    }
    case RecordKind::kForgotten:
      record = Forgotten{reader.text()};
      break;
    case RecordKind::kBatch:
      record = read_batch(reader);
      break;
    case RecordKind::kSettled:
      record = read_settled(reader);
      break;
    default:
      return reject("a record of a kind that this release does not know");
  }
  if (!reader.fine()) return reject("a record that is cut off or too long");
  return record;
}

}  // namespace fanfare::triggers
