#include "worker/channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

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

constexpr std::size_t kFdsMax = 4;
constexpr int kResultSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

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

Error system_error(ErrorKind kind, const char* doing) {
  return {kind, std::string(doing) + ": " + std::strerror(errno)};
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
    return system_error(ErrorKind::kRetryLater, "making a socket pair");
  }
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

Result<void> send_message(int socket, std::string_view bytes, std::span<const int> fds,
                          SendOptions options) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdsMax * sizeof(int))> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  const int flags = MSG_NOSIGNAL | (options.dont_wait ? MSG_DONTWAIT : 0);
  while (::sendmsg(socket, &message, flags) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) {
      return system_error(ErrorKind::kRetryLater, "sending");
    }
    if (errno == EMSGSIZE) return system_error(ErrorKind::kReject, "sending");
    return system_error(ErrorKind::kReconnect, "sending");
  }
  return {};
}

Result<Received> receive_message(int socket, std::span<char> buffer, SendOptions options) {
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdsMax * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const int flags = MSG_CMSG_CLOEXEC | (options.dont_wait ? MSG_DONTWAIT : 0);
  ssize_t size = 0;
  bool reset = false;
  while ((size = ::recvmsg(socket, &message, flags)) < 0) {
    if (errno == EINTR) continue;
    // Said once, and before what the peer had sent: it left something of ours unread. Its own words
    // are there still.
    if (errno == ECONNRESET && !std::exchange(reset, true)) continue;
    const bool nothing = errno == EAGAIN;
    return system_error(nothing ? ErrorKind::kRetryLater : ErrorKind::kReconnect, "receiving");
  }
  Received received{.size = static_cast<std::size_t>(size), .fds = {}};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  if (size == 0) return reconnect("the peer has closed its end");
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return reject("a message that is too large");
  return received;
}

Result<Fd> make_sealed_memfd(const char* name, std::span<const std::string_view> parts) {
  Fd memfd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd) return system_error(ErrorKind::kRetryLater, "making a memfd");
  for (std::string_view part : parts) {
    while (!part.empty()) {
      const ssize_t written = ::write(memfd.get(), part.data(), part.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return system_error(ErrorKind::kRetryLater, "filling a memfd");
      part.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  if (::fcntl(memfd.get(), F_ADD_SEALS, kResultSeals | F_SEAL_SEAL) != 0) {
    return system_error(ErrorKind::kRetryLater, "sealing a memfd");
  }
  return memfd;
}

Result<std::string> read_sealed_memfd(int memfd, std::uint64_t size) {
  const int seals = ::fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || (seals & kResultSeals) != kResultSeals) {
    return reject("a descriptor that is no sealed memfd");
  }
  struct stat status{};
  if (::fstat(memfd, &status) != 0 || static_cast<std::uint64_t>(status.st_size) != size) {
    return reject("a memfd of another size than announced");
  }
  std::string bytes(size, '\0');
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got =
        ::pread(memfd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return reject("a memfd that cannot be read");
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace fanfare::worker
