// Questions of a worker that has no way to Redis, on their way to the broker and back.
//
// Each gets a number and a frame. At most as many are under way as the broker's Welcome allows; the
// others wait here, in order. An answer that does not come is an unknown outcome: the same frame
// goes out again in the next session, or in the same one after kAgainAfter, until somebody answers.
// Within a session one at a time is repeated, and each after twice the pause of the time before, up
// to kAgainAfterMax: the first may still be on its way by a slow link, and is not to be held up
// more.
//
// An answer that means "later" (kQueueFull, kUnavailable; kNotAllowed, as a role that was taken
// away may come back) goes to whoever asked, as kRetryLater, or the question is asked again by
// itself, as they wish. One that keeps its place, as commits do, is not told that the broker is
// full: it waits here again. From then on no more of these are under way than still were, and one
// more after as many answers; if none was, one is tried after kPause. So many workers share a
// broker that takes no more, without asking in vain again and again, and what is asked later does
// not go first. One of more than kLargeBytes waits for kPause in any case: to send it in vain costs
// the link too much.
//
// Bounded: above kWaitingMax or kWaitingBytesMax a question is answered kRetryLater; those that are
// asked again by themselves are few, and always taken. Decides only: frames go out through `send`,
// which may lose them; no clock, no sockets. Answers are handed out from on_frame() and tick(),
// never from ask(). On the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "protocol/messages.h"

namespace fanfare::worker {

// What the broker lets a worker have under way.
struct RelayTerms {
  std::uint32_t calls = 0;  // 0: it relays nothing
  std::uint64_t bytes = 0;
  bool operator==(const RelayTerms&) const = default;
};

class Relay {
 public:
  // The worker's other requests are numbered from elsewhere (core.h).
  static constexpr std::uint64_t kFirstRequest = std::uint64_t{1} << 62;
  static constexpr Duration kAgainAfter = std::chrono::seconds{10};
  static constexpr Duration kAgainAfterMax = std::chrono::minutes{5};
  static constexpr Duration kPause = std::chrono::milliseconds{200};  // after "later"
  static constexpr Duration kPauseNotAllowed = std::chrono::seconds{2};
  static constexpr std::size_t kWaitingMax = 4096;
  static constexpr std::uint64_t kWaitingBytesMax = 64u << 20;

  static constexpr std::size_t kLargeBytes = 64 << 10;

  enum class Later { kTell, kAskAgain, kKeepPlace };
  using Answered = std::function<void(Result<protocol::Message>)>;

  // `repeat`: false only in tests of what its absence does.
  explicit Relay(std::function<void(std::string frame)> send, bool repeat = true)
      : send_(std::move(send)), repeats_(repeat) {}

  template <typename M>
  void ask(M message, Answered answered, Later later = Later::kTell) {
    message.request = next_request_;
    take(protocol::encode(message), std::move(answered), later);
  }

  // Answers with `why`, as if it had been asked.
  void decline(Error why, Answered answered) {
    declined_.push_back({std::move(answered), std::move(why)});
  }

  // The session there is, 0 for none; the same again says nothing new.
  void on_session(std::uint64_t session, RelayTerms terms);
  // True if the frame is an answer to such a question: nobody else is to read it.
  bool on_frame(std::string_view frame, TimePoint now);
  void tick(TimePoint now);
  // The end of a turn: sends what may go.
  void flush(TimePoint now);
  // When tick() has something to do, which may have passed; TimePoint::max() if nothing.
  TimePoint next_tick() const;

  std::size_t outstanding() const { return queue_.size() + sent_.size() + paused_.size(); }

 private:
  struct Question {
    std::string frame;
    Answered answered;
    Later later = Later::kTell;
    TimePoint again_at;                  // of one that was sent, or paused
    Duration again_after = kAgainAfter;  // its next pause, in this session
  };
  using Questions = std::map<std::uint64_t, Question>;  // by request: in the order they were asked

  void take(std::string frame, Answered answered, Later later);
  void end(std::uint64_t request, Result<protocol::Message> answer);
  void on_refused(const protocol::Refused& refused, TimePoint now);
  void put_off(Questions::iterator question, TimePoint now);
  void note_room();
  std::size_t under_way() const;  // of those that keep their place
  bool fits(const Question& next) const;
  TimePoint next_repeat() const;

  std::function<void(std::string)> send_;
  const bool repeats_;
  std::uint64_t next_request_ = kFirstRequest;
  std::uint64_t session_ = 0;
  RelayTerms terms_;
  Questions queue_, sent_, paused_;
  // Of questions that keep their place: what the broker has had room for, answers since that
  // changed, and when one is tried while none is under way; not set: at once.
  std::size_t window_ = 0;
  std::size_t answered_ = 0;
  TimePoint try_again_at_{};
  std::uint64_t repeated_ = 0;    // the one of sent_ that was repeated last, 0 for none
  std::uint64_t bytes_ = 0;       // of frames of all
  std::uint64_t sent_bytes_ = 0;  // of sent_
  struct Declined {
    Answered answered;
    Error why;
  };
  std::vector<Declined> declined_;
};

}  // namespace fanfare::worker
