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

constexpr std::size_t kBytesPerTurn = 4 * FrameBuffers::kPortionBytes;
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

// Of two parts, what `written` bytes have not covered.
void put_rest(std::string_view head, std::string_view frame, std::size_t written,
              std::string& into) {
  into.assign(head.substr(std::min(written, head.size())));
  into.append(frame.substr(written - std::min(written, head.size())));
}

}  // namespace

FrameStream::FrameStream(Loop& loop, Fd socket, std::size_t frame_bytes_max, FrameBuffers& buffers,
                         Handlers handlers)
    : socket_(std::move(socket)),
      frame_bytes_max_(frame_bytes_max),
      buffers_(buffers),
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
    put_rest(head, frame, static_cast<std::size_t>(written), unsent_);
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

// Into the portion, where whole frames are taken from; of a frame whose head is here already, to
// the end of that. False if there was not more.
bool FrameStream::read_once(std::size_t& budget) {
  std::span<char> room = partial_ ? partial_->room() : buffers_.portion();
  room = room.first(std::min(room.size(), FrameBuffers::kPortionBytes));
  ssize_t got = -1;
  bool reset = false;
  while ((got = ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT)) < 0) {
    if (errno == EINTR) continue;
    // Said once, and before what the peer had sent: it left something of ours unread.
    if (errno == ECONNRESET && !std::exchange(reset, true)) continue;
    break;
  }
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) {
    end(End::kClosed);
    return false;
  }
  const auto count = static_cast<std::size_t>(got);
  budget -= std::min(budget, count);
  if (!partial_) return take({room.data(), count}) && count == room.size();
  partial_->came(count);
  if (partial_->whole()) finish_partial();
  return count == room.size();
}

void FrameStream::finish_partial() {
  FrameBuffer whole = *std::exchange(partial_, std::nullopt);
  on_whole(whole.frame());
  buffers_.give_back(std::move(whole));
}

// Whole frames go on, the beginning of one is kept. False if the stream has ended.
bool FrameStream::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!complete_head(bytes)) return true;
    const std::size_t size = size_in({head_.data(), head_.size()});
    if (size > (greeted_ ? frame_bytes_max_ : kGreeting.size())) {
      end(End::kStranger);
      return false;
    }
    if (bytes.size() < size) {
      partial_ = buffers_.take(bytes.size());
      partial_->begin(size);
      partial_->append(bytes);
      return true;
    }
    on_whole(bytes.substr(0, size));
    if (ended_) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

// Takes what is missing of a head. False if that has not come whole.
bool FrameStream::complete_head(std::string_view& bytes) {
  const std::size_t n = std::min(kHeadBytes - head_has_, bytes.size());
  std::memcpy(head_.data() + head_has_, bytes.data(), n);
  bytes.remove_prefix(n);
  head_has_ += n;
  if (head_has_ < kHeadBytes) return false;
  head_has_ = 0;
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
