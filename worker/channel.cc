#include "worker/channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include "worker/board.h"
#include "worker/padding.h"

namespace fanfare::worker {
namespace {

static_assert(std::is_trivially_copyable_v<BatchHeader> && sizeof(BatchHeader) % 8 == 0);
static_assert(std::is_trivially_copyable_v<ItemHeader> && sizeof(ItemHeader) % 8 == 0);

bool travels_alone(const Item& item) {
  return item.packed_event.size() > kInlineEventMax;
}

template <typename T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

ItemHeader head_of(const Item& item, std::uint32_t flags) {
  return {.id = item.id,
          .timeout_ns = item.timeout.count(),
          .size = item.packed_event.size(),
          .attempt = item.attempt,
          .flags = flags};
}

// Headers and events in turns, `bytes` in all.
Result<EncodedBatch> encode_into_memfd(BatchHeader header, std::span<const Item> items,
                                       std::size_t bytes) {
  static constexpr std::array<char, 8> kPadding{};
  std::string heads;
  heads.reserve(items.size() * sizeof(ItemHeader));  // the views stay good
  std::vector<std::string_view> parts;
  for (const Item& item : items) {
    const std::string_view event = item.packed_event;
    append(heads, head_of(item, 0));
    parts.push_back(std::string_view(heads).substr(heads.size() - sizeof(ItemHeader)));
    parts.push_back(event);
    parts.emplace_back(kPadding.data(), padded(event.size()) - event.size());
  }
  auto memfd = make_sealed_memfd("fanfare-events", parts);
  if (!memfd) return memfd.error();
  header.flags |= BatchHeader::kItemsInMemfd;
  header.memfd_size = static_cast<std::uint32_t>(bytes);
  EncodedBatch batch{.frame = {}, .memfd = std::move(*memfd)};
  append(batch.frame, header);
  return batch;
}

}  // namespace

std::size_t items_per_frame(std::span<const Item> items) {
  const bool together = !items.empty() && items[0].together;
  std::size_t bytes = sizeof(BatchHeader);
  std::size_t count = 0;
  for (const Item& item : items) {
    if (!together && travels_alone(item)) return std::max<std::size_t>(count, 1);
    bytes += sizeof(ItemHeader) + padded(item.packed_event.size());
    if ((!together && bytes > kFrameBytesMax) || count == kBatchItemsMax) break;
    ++count;
  }
  return count;
}

Result<EncodedBatch> encode_batch(BatchHeader header, std::span<const Item> items) {
  const bool alone = !items.empty() && !items[0].together && travels_alone(items[0]);
  std::size_t bytes = items.size() * sizeof(ItemHeader);
  for (const Item& item : items) bytes += alone ? 0 : padded(item.packed_event.size());
  if (sizeof header + bytes > kFrameBytesMax) return encode_into_memfd(header, items, bytes);

  EncodedBatch batch;
  if (alone) {
    auto memfd = make_sealed_memfd("fanfare-event", std::array{items[0].packed_event});
    if (!memfd) return memfd.error();
    batch.memfd = std::move(*memfd);
  }
  std::string& frame = batch.frame;
  frame.reserve(sizeof header + bytes);
  append(frame, header);
  for (const Item& item : items) {
    append(frame, head_of(item, alone ? ItemHeader::kInMemfd : 0));
    if (alone) continue;
    frame.append(item.packed_event);
    frame.resize(padded(frame.size()));
  }
  return batch;
}

Result<void> decode_batch(std::string_view frame, ReceivedBatch& batch) {
  batch.items.clear();
  if (frame.size() < sizeof(BatchHeader)) return reject("a batch shorter than its header");
  std::memcpy(&batch.header, frame.data(), sizeof(BatchHeader));
  if (batch.header.sheet >= kSheets || batch.header.items > kBatchItemsMax) {
    return reject("a batch with an impossible header");
  }
  if (batch.header.flags & BatchHeader::kItemsInMemfd) return {};
  return decode_items(frame.substr(sizeof(BatchHeader)), batch);
}

Result<void> decode_items(std::string_view bytes, ReceivedBatch& batch) {
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < batch.header.items; ++i) {
    ReceivedItem item;
    if (bytes.size() - at < sizeof(ItemHeader)) return reject("a batch that ends too early");
    std::memcpy(&item.header, bytes.data() + at, sizeof(ItemHeader));
    at += sizeof(ItemHeader);
    if (!(item.header.flags & ItemHeader::kInMemfd)) {
      if (item.header.size > bytes.size() - at || padded(item.header.size) > bytes.size() - at) {
        return reject("an event that ends too early");
      }
      item.packed_event = bytes.substr(at, item.header.size);
      at += padded(item.header.size);
    }
    batch.items.push_back(item);
  }
  return {};
}

Result<std::pair<Fd, Fd>> make_channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return retry_later(std::string("making a socket pair: ").append(std::strerror(errno)));
  }
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

}  // namespace fanfare::worker
