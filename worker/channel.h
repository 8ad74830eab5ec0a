// What travels between a worker and one instance: batches down, doorbells and large results up.
//
// A seqpacket socket pair; plain structs, since both ends are of one build on one machine. The
// worker's end never blocks. The instance ends when the worker closes its end.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unix_message.h"
#include "protocol/ids.h"

namespace fanfare::worker {

inline constexpr std::size_t kFrameBytesMax = 128 * 1024;
// A larger event travels alone, as a sealed memfd, unless it is in one call with others.
inline constexpr std::size_t kInlineEventMax = 64 * 1024;

struct BatchHeader {
  static constexpr std::uint32_t kTruncateLog = 1;  // all of the log was read: start it afresh
  static constexpr std::uint32_t kTogether = 2;     // one call of the function for all items
  // No batch but the answer to a request (row_channel.h, invoke_channel.h): `number` is the
  // request's, its bytes follow, or are in a memfd of `memfd_size` bytes.
  static constexpr std::uint32_t kAnswer = 4;
  static constexpr std::uint32_t kAnswerInMemfd = 8;
  // With kTogether: nothing follows; the items are in a memfd of `memfd_size` bytes.
  static constexpr std::uint32_t kItemsInMemfd = 16;

  std::uint64_t number = 0;
  std::uint32_t sheet = 0;
  std::uint32_t items = 0;
  std::uint32_t flags = 0;
  std::uint32_t memfd_size = 0;
};

// Followed by `size` bytes of packed event (none with kInMemfd), padded to eight.
struct ItemHeader {
  static constexpr std::uint32_t kInMemfd = 1;

  protocol::EventId id;
  std::int64_t timeout_ns = 0;  // from the item's own start
  std::uint64_t size = 0;
  std::uint32_t attempt = 1;
  std::uint32_t flags = 0;
};

// One delivery for the instance.
struct Item {
  protocol::EventId id;
  std::uint32_t attempt = 1;
  Duration timeout{};
  std::string_view packed_event;
  bool together = false;  // with all others of its batch, in one call
};

// Instance → worker.
struct Doorbell {
  // kReadRows and kInvoke begin longer messages, see row_channel.h and invoke_channel.h.
  enum class Kind : std::uint32_t { kFinished = 1, kResult = 2, kReadRows = 3, kInvoke = 4 };

  Kind kind = Kind::kFinished;
  std::uint32_t item = 0;   // kResult: whose texts the memfd beside this holds
  std::uint64_t batch = 0;  // of a request: its number
};

// Of everything that an instance sends.
inline constexpr std::size_t kInstanceMessageMax = 5 * 1024;

// How many of `items`, from the first, make the next batch: at least one. Those of one call are not
// torn apart: who puts them together sees to how much that is.
std::size_t items_per_frame(std::span<const Item> items);

struct EncodedBatch {
  std::string frame;
  Fd memfd;  // goes with it; most have none
};
// kRetryLater: no memfd was to be had for what no frame holds.
Result<EncodedBatch> encode_batch(BatchHeader header, std::span<const Item> items);

struct ReceivedItem {
  ItemHeader header;
  std::string_view packed_event;  // into what was decoded; empty with kInMemfd
};
struct ReceivedBatch {
  BatchHeader header;
  std::vector<ReceivedItem> items;
};
// With kItemsInMemfd there are no items yet: decode_items() finds them in the memfd's bytes.
Result<void> decode_batch(std::string_view frame, ReceivedBatch& batch);
Result<void> decode_items(std::string_view bytes, ReceivedBatch& batch);

// Two connected ends, close-on-exec, neither of them non-blocking.
Result<std::pair<Fd, Fd>> make_channel();

}  // namespace fanfare::worker
