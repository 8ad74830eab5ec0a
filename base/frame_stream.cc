#include "base/frame_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fanfare {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kBytesPerTurn = 4 * FrameStream::kBufferBytes;
constexpr std::size_t kKeptMax = 1 << 20;  // of what a large frame needed

std::size_t size_in(std::string_view head) {
  std::uint32_t size = 0;
  std::memcpy(&size, head.data(), sizeof size);
  return size;
}

// Bytes written, or -1 with errno; a socket that is full has written none.
ssize_t write_parts(int socket, std::span<iovec> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  for (;;) {
    const ssize_t written = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0) return written;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
  }
}

iovec part(std::string_view bytes) {
  return {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
}

// The first of two parts that `written` bytes have not covered.
std::string rest_of(std::string_view head, std::string_view frame, std::size_t written) {
  std::string rest;
  rest.reserve(head.size() + frame.size() - written);
  if (written < head.size()) rest = head.substr(written);
  return rest.append(frame.substr(written - std::min(written, head.size())));
}

}  // namespace

FrameStream::FrameStream(Loop& loop, Fd socket, std::size_t frame_bytes_max, std::span<char> buffer,
                         Handlers handlers)
    : socket_(std::move(socket)),
      frame_bytes_max_(frame_bytes_max),
      buffer_(buffer),
      handlers_(std::move(handlers)),
      watch_(std::make_unique<FdWatch>(
          loop, socket_.get(), [this] { read_some(); }, [this] { write_some(); })) {
  (void)send(kGreeting);
}

FrameStream::~FrameStream() = default;

// ---- sending ----

Result<void> FrameStream::send(std::string_view frame) {
  if (frame.size() > frame_bytes_max_) {
    return reject(fmt::format("a message of {} bytes is over the limit of {}", frame.size(),
                              frame_bytes_max_));
  }
  if (broken_) return stale("the peer is gone");
  if (!unsent_.empty()) {
    refused_ = true;
    return retry_later("the peer does not read fast enough");
  }
  const auto size = static_cast<std::uint32_t>(frame.size());
  std::array<char, kHeadBytes> bytes;
  std::memcpy(bytes.data(), &size, sizeof size);
  const std::string_view head(bytes.data(), bytes.size());
  std::array parts{part(head), part(frame)};
  const ssize_t written = write_parts(socket_.get(), parts);
  if (written < 0) {
    give_up();
    return stale("the peer is gone");
  }
  if (static_cast<std::size_t>(written) < head.size() + frame.size()) {
    unsent_ = rest_of(head, frame, static_cast<std::size_t>(written));
    unsent_at_ = 0;
    watch_->want_write(true);
  }
  return {};
}

// True when nothing is left.
bool FrameStream::write_rest() {
  std::array parts{part(std::string_view(unsent_).substr(unsent_at_))};
  const ssize_t written = write_parts(socket_.get(), parts);
  if (written < 0) give_up();
  unsent_at_ += written < 0 ? unsent_.size() - unsent_at_ : static_cast<std::size_t>(written);
  if (unsent_at_ < unsent_.size()) return false;
  unsent_at_ = 0;
  unsent_.size() > kKeptMax ? std::string().swap(unsent_) : unsent_.clear();
  return true;
}

// Reading tells of the end, once what had come before it is read; that it comes is seen to here.
void FrameStream::give_up() {
  broken_ = true;
  ::shutdown(socket_.get(), SHUT_RDWR);
}

void FrameStream::write_until(TimePoint at_most) {
  while (!unsent_.empty() && !write_rest()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        at_most - std::chrono::steady_clock::now());
    pollfd full{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
    if (left.count() <= 0 || ::poll(&full, 1, static_cast<int>(left.count())) == 0) return;
  }
}

void FrameStream::write_some() {
  if (ended_ || !write_rest()) return;
  watch_->want_write(false);
  if (std::exchange(refused_, false) && handlers_.on_writable) handlers_.on_writable();
}

// ---- receiving ----

void FrameStream::read_some() {
  std::size_t budget = kBytesPerTurn;
  while (!ended_ && budget > 0 && read_once(budget)) {
  }
}

// Into the buffer, where whole frames are taken from; of a frame whose beginning is here already,
// to the end of that. False if there was not more.
bool FrameStream::read_once(std::size_t& budget) {
  const std::size_t had = partial_.size();
  std::span<char> room = buffer_;
  if (had >= kHeadBytes) {
    const std::size_t missing = kHeadBytes + size_in(partial_) - had;
    partial_.resize(had + std::min(missing, kBufferBytes));
    room = std::span(partial_).subspan(had);
  }
  ssize_t got = -1;
  bool reset = false;
  while ((got = ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT)) < 0) {
    if (errno == EINTR) continue;
    // Said once, and before what the peer had sent: it left something of ours unread.
    if (errno == ECONNRESET && !std::exchange(reset, true)) continue;
    break;
  }
  const auto count = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  if (had >= kHeadBytes) partial_.resize(had + count);
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) {
    end(End::kClosed);
    return false;
  }
  budget -= std::min(budget, count);
  if (had < kHeadBytes) {
    if (had == 0) return take({room.data(), count}) && count == room.size();
    partial_.append(room.data(), count);  // with the rest of a head
    const std::string bytes = std::exchange(partial_, {});
    return take(bytes) && count == room.size();
  }
  if (partial_.size() == kHeadBytes + size_in(partial_)) {
    const std::string frame = std::exchange(partial_, {});
    on_whole(std::string_view(frame).substr(kHeadBytes));
  }
  return count == room.size();
}

// Whole frames go on, the beginning of one is kept. False if the stream has ended.
bool FrameStream::take(std::string_view bytes) {
  while (bytes.size() >= kHeadBytes) {
    const std::size_t size = size_in(bytes);
    if (size > (greeted_ ? frame_bytes_max_ : kGreeting.size())) {
      end(End::kStranger);
      return false;
    }
    if (bytes.size() < kHeadBytes + size) break;
    on_whole(bytes.substr(kHeadBytes, size));
    if (ended_) return false;
    bytes.remove_prefix(kHeadBytes + size);
  }
  partial_.assign(bytes);
  return true;
}

void FrameStream::on_whole(std::string_view frame) {
  if (greeted_) return handlers_.on_frame(frame);
  if (frame != kGreeting) return end(End::kStranger);
  greeted_ = true;
  if (handlers_.on_greeted) handlers_.on_greeted();
}

void FrameStream::end(End how) {
  ended_ = broken_ = true;
  watch_.reset();
  handlers_.on_end(how);
}

}  // namespace fanfare
