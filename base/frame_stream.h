// Frames over a connected stream socket of this host: each is its size, 4 bytes with the lowest
// first, and its bytes. Both ends begin with kGreeting, so that a stranger is known at once.
//
// What is sent is written at once, in the call; so it costs the receiver one wake-up, and no thread
// of its own. What the kernel has no room for is kept, one frame of it; until it is gone, sending
// is kRetryLater, and on_writable tells when.
//
// What comes is read in bounded portions per turn, so that a flood cannot starve the rest of the
// loop. A frame over the limit, or another greeting, ends the stream. Belongs to its loop's thread;
// must not be destroyed from within its own handlers.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/frame_buffer.h"
#include "base/loop.h"
#include "base/result.h"

namespace fanfare {

class FrameStream {
 public:
  static constexpr std::string_view kGreeting = "fanfare frames 1";
  static constexpr std::size_t kHeadBytes = 4;

  enum class End {
    kClosed,   // by the other end, or its process ended
    kStranger  // it has another greeting, or sent a frame over the limit
  };
  struct Handlers {
    std::function<void()> on_greeted;
    std::function<void(std::string_view frame)> on_frame;  // valid during the call
    std::function<void()> on_writable;                     // after a send was refused
    std::function<void(End)> on_end;                       // once; nothing is called after it
  };

  // Streams of one thread may share `buffers`, which are used as long as the loop calls this
  // stream.
  FrameStream(Loop& loop, Fd socket, std::size_t frame_bytes_max, FrameBuffers& buffers,
              Handlers handlers);
  // What was taken and is not yet written goes with it: see write_until().
  ~FrameStream();
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  // kRetryLater: the other end does not read fast enough. kStale: it is gone. kReject: over the
  // limit. What is not taken is the caller's still.
  Result<void> send(std::string_view frame);

  // Writes what was taken, and waits for room for it at most until then.
  void write_until(TimePoint at_most);

  bool greeted() const { return greeted_; }

 private:
  void read_some();
  bool read_once(std::size_t& budget);
  bool take(std::string_view bytes);
  bool complete_head(std::string_view& bytes);
  void finish_partial();
  void on_whole(std::string_view frame);
  bool write_rest();
  void give_up();
  void write_some();
  void end(End how);

  Fd socket_;
  const std::size_t frame_bytes_max_;
  FrameBuffers& buffers_;
  const Handlers handlers_;
  std::unique_ptr<FdWatch> watch_;
  std::array<char, kHeadBytes> head_{};
  std::size_t head_has_ = 0;            // bytes of it, of a frame whose head has not come whole
  std::optional<FrameBuffer> partial_;  // a frame whose head has, and its bytes have not
  std::string unsent_;                  // the rest of one
  std::size_t unsent_at_ = 0;
  bool greeted_ = false, refused_ = false, broken_ = false, ended_ = false;
};

}  // namespace fanfare
