// Which questions to the broker wait for which answers, and until when.
//
// Await and Admin only ask (or may be asked twice), so they go out again on a fresh connection. An
// Invoke runs a function: it goes out once, and fails when the connection it went out on breaks.
//
// No I/O, no clock of its own, one thread. Callbacks may add further requests.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "protocol/messages.h"

namespace fanfare::client {

// Request numbers start here, far above the sequences of batches: a Refused names either.
inline constexpr std::uint64_t kFirstRequest = 1ull << 40;

class RequestTable {
 public:
  using OnAnswer = std::function<void(Result<protocol::Message>)>;

  // Takes an Invoke, Await or Admin and numbers it. `patience` bounds the wait for a connection,
  // `deadline` the wait for the answer.
  void add(protocol::Message request, TimePoint patience, TimePoint deadline, OnAnswer on_answer);

  // What to send now, oldest first. Call while connected; return what could not be sent.
  struct Outgoing {
    std::uint64_t request;
    std::string frame;
  };
  std::vector<Outgoing> take_frames();
  void unsend(std::uint64_t request);

  void on_connected();
  void on_disconnected(const std::string& broker);
  // Whether the message was an answer to a request of this table.
  bool on_answer(protocol::Message message);
  void tick(TimePoint now, const std::string& broker);
  // Fails everything at once: nobody will answer.
  void give_up(const Error& error);

  bool empty() const { return waiting_.empty(); }
  std::optional<TimePoint> next_deadline() const;

 private:
  struct Waiting {
    protocol::Message request;
    TimePoint patience, deadline;
    OnAnswer on_answer;
    bool sent = false;
  };
  void finish(std::uint64_t request, Result<protocol::Message> answer);

  std::map<std::uint64_t, Waiting> waiting_;
  std::vector<std::uint64_t> unsent_;
  std::uint64_t next_request_ = kFirstRequest;
};

}  // namespace fanfare::client
